# SPDX-License-Identifier: Apache-2.0
"""A server that asks on how many processors it may run hears the same in every replica."""
import os
import unittest

from harness import giop, group, paths, server


@unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "one processor")
class ProcessorsTest(unittest.TestCase):
    def test_followers_and_their_children_tell_what_the_leader_tells(self):
        port = paths.free_port()
        wanted = len(os.sched_getaffinity(0))
        with group.Group(self, server.probe_command(port), port=port, replicas=3,
                         key=b"probe") as replicas:
            for promotion in range(2):
                with giop.Probe(port) as probe:
                    for _ in range(5):
                        self.assertEqual(probe.number("processors"), wanted)
                        self.assertEqual(probe.number("processors_of_a_child"), wanted)
                replicas.await_caught_up()
                if promotion == 0:
                    replicas.replace_leader()
            replicas.assert_no_mismatch()


if __name__ == "__main__":
    unittest.main()
