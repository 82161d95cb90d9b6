# SPDX-License-Identifier: Apache-2.0
"""The load generator notices what it is there to notice."""
import unittest

from harness import load, paths, processes, server


class LoadTest(unittest.TestCase):
    def test_a_plain_server_does_everything_exactly_once(self):
        port = paths.free_port()
        with server.plain_probe(port):
            with load.ProbeLoad(port, clients=3) as clients:
                clients.await_calls(300)
            clients.assert_exactly_once(self)

    def test_a_killed_plain_server_is_an_error_at_its_clients(self):
        port = paths.free_port()
        with server.plain_probe(port) as plain:
            with load.ProbeLoad(port, clients=2) as clients:
                clients.await_calls(50)
                processes.kill(plain.pid)
                processes.await_true(lambda: len(clients.errors) == 2, 10, "both clients fail")
            with self.assertRaises(AssertionError):
                clients.assert_exactly_once(self)

    def test_a_lost_addition_is_noticed(self):
        port = paths.free_port()
        with server.plain_probe(port):
            with load.ProbeLoad(port, clients=1) as clients:
                clients.await_calls(20)
            clients.answers[0].pop(5)
            with self.assertRaises(AssertionError):
                clients.assert_exactly_once(self)


if __name__ == "__main__":
    unittest.main()
