# SPDX-License-Identifier: Apache-2.0
"""A program's descriptors have the numbers under the preload that they have without it."""
import os
import subprocess
import unittest

from harness import giop, group, paths, server

HIGHEST_COMPARED = 9  # an ORB's own; further ones are connections, as many as there just are


def both_ways(command):
    """(status, output, errors) of a shell command, plain and preloaded."""
    outcomes = []
    for extra in ({}, {"LD_PRELOAD": paths.preload()}):
        done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL, env={**os.environ, **extra})
        outcomes.append((done.returncode, done.stdout, done.stderr))
    return outcomes


def low_descriptors(pid):
    """Number and kind (pipe, socket) of a server's first descriptors; the standard ones aside."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        if 2 < int(name) <= HIGHEST_COMPARED:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}").split(":")[0]
    return found


class DescriptorsTest(unittest.TestCase):
    def assert_alike(self, command, status):
        plain, preloaded = both_ways(command)
        self.assertEqual(preloaded, plain, command)
        self.assertEqual(plain[0], status, (command, plain))

    def test_a_program_has_no_further_descriptor(self):
        self.assert_alike("ls /proc/self/fd", 0)
        self.assert_alike("exec 7</dev/null; ls /proc/self/fd", 0)

    def test_closed_standard_descriptors_stay_closed(self):
        self.assert_alike("exec 0<&- 1>&-; exec /bin/echo hi", 1)
        self.assert_alike("exec 1>&-; exec /bin/echo hi", 1)
        self.assert_alike("exec 0<&-; exec /bin/cat", 1)
        self.assert_alike("exec 0<&- 1>&- 2>&-; exec /bin/cat", 1)

    def test_a_bare_preloaded_server_has_the_same_numbers(self):
        port = paths.free_port()
        seen = []
        for preload in (False, True):
            with server.plain_probe(port, preload=preload) as probe_server:
                with giop.Probe(port) as probe:
                    probe.add(1)
                    seen.append(low_descriptors(probe_server.pid))
        self.assertEqual(seen[1], seen[0])

    def test_the_leader_of_a_group_has_the_same_numbers(self):
        port = paths.free_port()
        with server.plain_probe(port) as probe_server:
            plain = low_descriptors(probe_server.pid)
        self.assertTrue(plain)
        with group.Group(self, server.probe_command(port), port=port, replicas=2,
                         key=b"probe") as replicas:
            with giop.Probe(port) as probe:
                probe.add(1)
            self.assertEqual(low_descriptors(replicas.await_leader()["pid"]), plain)


if __name__ == "__main__":
    unittest.main()
