# SPDX-License-Identifier: Apache-2.0
"""The known servers by themselves: their manifest names what there is, and each serves its load."""
import re
import shutil
import subprocess
import unittest

from harness import known_servers, paths, processes, server

KEYS = {"name", "maps", "sufficient", "closed", "data_race", "value", "why", "lock", "divergence",
        "open_pair", "unsupported"}


def functions_of(told):
    """Every function that an entry of the manifest names."""
    pair = told.get("open_pair", {})
    named = [*pair.get("others", ()), *(pair[key] for key in pair if key.endswith("_function"))]
    for lock in told.get("lock", ()):
        named += lock["functions"]
    for divergence in told.get("divergence", ()):
        named += divergence["sections"]
    return set(named)


class ManifestTest(unittest.TestCase):
    timeout_s = 60

    def test_every_server_of_the_folder_is_in_it_once(self):
        sources = sorted(path.stem for path in known_servers.FOLDER.glob("*.cpp")
                         if re.search(r"^int main", path.read_text(), re.MULTILINE))
        sources.remove("known_load")
        self.assertEqual(sorted(known.name for known in known_servers.all_servers()), sources)

    def test_an_entry_says_what_its_verdict_needs(self):
        for known in known_servers.all_servers():
            told = known.told
            with self.subTest(known.name):
                self.assertLessEqual(set(told), KEYS)
                self.assertEqual("open_pair" in told, not told["closed"])
                if told["sufficient"]:
                    self.assertFalse(told["data_race"])
                    self.assertTrue(told["lock"])
                    self.assertNotIn("divergence", told)
                else:
                    self.assertTrue(("divergence" in told) != ("value" in told))
                for name in told.get("maps", ()):
                    self.assertTrue((known_servers.FOLDER / name).exists(), name)

    def test_the_functions_that_it_names_exist(self):
        library = paths.build_dir() / "lib" / "libknown_library.so"
        for known in known_servers.all_servers():
            with self.subTest(known.name):
                listed = "".join(
                    subprocess.run(["nm", "-C", "--defined-only", program], check=True,
                                   capture_output=True, text=True).stdout
                    for program in (paths.program(f"known_{known.name}"), library))
                missing = {name for name in functions_of(known.told)
                           if f" {name}(" not in listed}
                self.assertFalse(missing)


class PlainServersTest(unittest.TestCase):
    timeout_s = 60

    def test_each_serves_its_load(self):
        directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        for number, known in enumerate(known_servers.all_servers()):
            for mode in known_servers.MODES:
                with self.subTest(known.name, mode=mode):
                    ior = directory / f"{number}-{mode[:4]}"
                    with server.PlainServer(known.command(ior, mode), None):
                        processes.await_true(ior.exists, 10, f"{known.name} writes its IOR")
                        known_servers.load(ior, requests=200)

    def test_a_load_that_nobody_answers_fails(self):
        directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        ior = directory / "ior"
        with server.PlainServer(known_servers.server("correct").command(
                ior, "thread per connection"), None):
            processes.await_true(ior.exists, 10, "the server writes its IOR")
        with self.assertRaisesRegex(AssertionError, "TRANSIENT"):
            known_servers.load(ior)

    def test_the_same_seed_makes_the_same_calls(self):
        """Of one thread, whose calls cannot overtake each other."""
        directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        states = []
        for number, seed in enumerate((7, 7, 8)):
            ior = directory / f"ior-{number}"
            with server.PlainServer(known_servers.server("correct").command(ior, "pool"), None):
                processes.await_true(ior.exists, 10, "the server writes its IOR")
                states.append(known_servers.load(ior, threads=1, requests=100, seed=seed))
        self.assertEqual(states[0], states[1])
        self.assertNotEqual(states[1], states[2])


if __name__ == "__main__":
    unittest.main()
