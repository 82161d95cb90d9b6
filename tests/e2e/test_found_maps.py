# SPDX-License-Identifier: Apache-2.0
"""`auxin discover --write-map`: what it finds, from nothing, is what the shipped map says."""
import fnmatch
import json
import pathlib
import shutil
import subprocess
import sys
import tomllib
import unittest

from e2e.test_recordings import RecordingCase
from harness import giop, group, paths, server

SHIPPED = paths.ROOT / "maps" / "omniorb-4.2.toml"


def join_points(text, role):
    return [point for point in tomllib.loads(text)["join_point"] if point["role"] == role]


def without_blanks(function):
    return function.replace(" ", "")


def names(offsets, before=""):
    """{"giop_s": {"strand": 96}} as {"giop_s.strand": 96}."""
    flat = {}
    for key, value in offsets.items():
        nested = isinstance(value, dict)
        inner = names(value, f"{before}{key}.") if nested else {before + key: value}
        flat.update(inner)
    return flat


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
            if "create_POA" in pattern:
                continue  # the bank does not call it
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

    def test_a_server_that_does_everything_in_each_mode(self):
        """What only some servers come by, and where the middleware keeps what a binding needs."""
        shipped = SHIPPED.read_text()
        wanted = tomllib.loads(shipped)["offsets"]
        for mode in ("1", "0"):
            port = paths.free_port()
            found = self.directory / f"probe-{mode}.toml"
            tour = pathlib.Path(__file__).with_name("probe_tour.py")
            done = self.auxin("discover", "--json", "--write-map", found, "--load",
                              f"{sys.executable} {tour} {port}", "--",
                              *server.probe_command(port, "-ORBthreadPerConnectionPolicy", mode))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["missing"], [])
            text = found.read_text()
            offsets = tomllib.loads(text)["offsets"]
            self.assertGreater(len(names(offsets)), 10)
            for name, value in names(offsets).items():
                self.assertEqual(value, names(wanted)[name], name)
            for role in ("dispatcher", "request", "upcall", "output-begins", "memory-stream",
                         "suppressed", "connection-choice", "mutex-factory"):
                functions = {without_blanks(point["function"])
                             for point in join_points(text, role)}
                for point in join_points(shipped, role):
                    pattern = without_blanks(point["function"])
                    self.assertTrue(any(function == pattern or
                                        fnmatch.fnmatchcase(function, pattern)
                                        for function in functions), f"{role}: {pattern}")
            ends = {point["function"] for point in join_points(text, "contention-ends")}
            self.assertTrue(any("lastInvocation" in function for function in ends), ends)
            self.check_it_binds(found, port)

    def check_it_binds(self, found, port):
        """A group with this map in the shipped one's place follows and is led by another."""
        maps = self.directory / f"maps-{port}"
        maps.mkdir()
        shutil.copy(found, maps)
        with group.Group(self, server.probe_command(port), port=port, key=b"probe",
                         environment={"AUXIN_MAPS": str(maps)}) as probes:
            with giop.Probe(port) as probe:
                for amount in range(50):
                    probe.add(amount)
                sums = [probe.add(0)]
                probes.replace_leader()
                sums.append(probe.add(0))
                self.assertEqual(sums[0], sums[1])
            probes.await_all_ready()
            probes.assert_no_mismatch()

    def test_what_cannot_be_found_is_refused(self):
        found = self.directory / "found.toml"
        done = self.auxin("discover", "--write-map", found, "--load", "true", *self.server())
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("give a --load that calls the server", done.stderr)
        self.assertFalse(found.exists())


if __name__ == "__main__":
    unittest.main()
