# SPDX-License-Identifier: Apache-2.0
"""Which locks are ordered, measured on a server and IDL generated at test time.

In steady state exactly the application's own acquisitions are ordered, none of the ORB's.
"""
import shutil
import unittest

from harness import generated_server, giop, group, paths

CALLS = 200


class OrderedShareTest(unittest.TestCase):
    timeout_s = 240

    def setUp(self):
        self.directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        seed = paths.seed()
        self.server = generated_server.GeneratedServer(self.directory, seed).build()
        self.port = paths.free_port()

    def call(self, connection, operation, times):
        for number in range(times):
            reply = connection.call(self.server.key.encode(), operation,
                                    lambda out: out.long(number))
            self.assertEqual(reply.long(), number + 1)

    def measure(self, *options):
        command = [str(self.server.program), "-ORBendPoint", f"giop:tcp:127.0.0.1:{self.port}",
                   *options]
        with group.Group(self, command, port=self.port, key=self.server.key.encode()) as replicas:
            with giop.Connection("127.0.0.1", self.port) as connection:
                for operation in self.server.operations:
                    self.call(connection, operation, 20)  # steady state
                for operation, acquisitions in self.server.operations.items():
                    with self.subTest(operation=operation, acquisitions=acquisitions):
                        before = replicas.settled_locks()
                        self.call(connection, operation, CALLS)
                        after = replicas.settled_locks()
                        self.assertEqual(after["ordered"] - before["ordered"],
                                         CALLS * acquisitions)
                        total = after["total"] - before["total"]
                        self.assertGreater(total, CALLS * (10 + acquisitions),
                                           "the ORB's own synchronisation is counted too")
            table = replicas.locks()
            for row in table["by_library"]:
                if "omni" in row["library"]:
                    self.assertLess(row["ordered"], CALLS, f"an ORB's lock is ordered: {row}")
            replicas.await_caught_up()
            replicas.assert_no_mismatch()

    def test_only_the_applications_locks_are_ordered(self):
        self.measure()

    def test_only_the_applications_locks_are_ordered_in_pool_mode(self):
        self.measure("-ORBthreadPerConnectionPolicy", "0")


if __name__ == "__main__":
    unittest.main()
