# SPDX-License-Identifier: Apache-2.0
"""Locks that are made where others were: a new lock is a new one in every replica."""
import unittest

from harness import giop, group, paths, server


class ReusedLocksTest(unittest.TestCase):
    def test_spin_locks_in_reused_memory_are_new_ones(self):
        port = paths.free_port()
        with group.Group(self, server.probe_command(port), port=port, replicas=3,
                         key=b"probe") as replicas:
            before = {each["pid"] for each in replicas.status()["replicas"]}
            with giop.Probe(port) as probe:
                for token in range(300):
                    self.assertEqual(probe.number("by_new_spin_lock", token, code="I"), token + 1)
            replicas.await_caught_up()
            status = replicas.status()
            self.assertEqual({each["pid"] for each in status["replicas"]}, before,
                             f"no follower was found to differ: {replicas.errors()[-2000:]}")
            self.assertEqual(status["unsupported"], [])
            replicas.assert_no_mismatch()


if __name__ == "__main__":
    unittest.main()
