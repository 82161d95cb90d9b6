# SPDX-License-Identifier: Apache-2.0
"""`auxin discover --write-map`: what it finds, from nothing, is what the shipped map says."""
import fnmatch
import json
import shutil
import subprocess
import tomllib
import unittest

from e2e.test_recordings import RecordingCase
from harness import paths

SHIPPED = paths.ROOT / "maps" / "omniorb-4.2.toml"


def join_points(text, role):
    return [point for point in tomllib.loads(text)["join_point"] if point["role"] == role]


def without_blanks(function):
    return function.replace(" ", "")


class FoundMapTest(RecordingCase):
    timeout_s = 180

    def find(self, program, *options):
        found = self.directory / "found.toml"
        done = self.auxin("discover", "--json", "--write-map", found, "--load",
                          self.load("mixed"), "--", program, "-ORBendPoint",
                          f"giop:tcp:127.0.0.1:{self.port}", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_nothing_left()
        self.told = json.loads(done.stdout)
        return found.read_text()

    def check(self, found):
        shipped = SHIPPED.read_text()
        for role in ("dispatcher", "request", "upcall"):
            self.assertEqual({point["function"] for point in join_points(found, role)},
                             {point["function"] for point in join_points(shipped, role)}, role)
        # Every operation that the shipped map orders is ordered, and no other.
        patterns = [without_blanks(point["function"])
                    for point in join_points(shipped, "contention-point")]
        ordered = [without_blanks(point["function"])
                   for point in join_points(found, "contention-point")]
        for function in ordered:
            self.assertTrue(any(fnmatch.fnmatchcase(function, pattern) or function == pattern
                                for pattern in patterns), function)
        for pattern in patterns:
            if "_do_this" in pattern or "create_POA" in pattern:
                continue  # the bank calls neither
            self.assertTrue(any(fnmatch.fnmatchcase(function, pattern) or function == pattern
                                for function in ordered), pattern)
        modules = tomllib.loads(found)["modules"]
        self.assertIn("libomniORB4.so*", modules["infrastructure"])
        self.assertIn("libomniDynamic4.so*", modules["infrastructure"])
        self.assertNotIn("libomnithread.so*", modules["infrastructure"])
        for conduit in ("libomnithread.so*", "libstdc++.so*", "libc.so*"):
            self.assertIn(conduit, modules["conduit"])
        for point in self.told["join_points"]:
            self.assertTrue(point["evidence"], point)

    def test_thread_per_connection(self):
        self.check(self.find(paths.program("bank_server")))

    def test_pool(self):
        self.check(self.find(paths.program("bank_server"), "-ORBthreadPerConnectionPolicy", "0"))

    def test_an_executable_without_symbols(self):
        stripped = self.directory / "bank_server"
        shutil.copy(paths.program("bank_server"), stripped)
        subprocess.run(["strip", str(stripped)], check=True)
        self.check(self.find(str(stripped)))

    def test_what_cannot_be_found_is_refused(self):
        found = self.directory / "found.toml"
        done = self.auxin("discover", "--write-map", found, "--load", "true", *self.server())
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("give a --load that calls the server", done.stderr)
        self.assertFalse(found.exists())


if __name__ == "__main__":
    unittest.main()
