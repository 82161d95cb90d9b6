# SPDX-License-Identifier: Apache-2.0
"""The raw GIOP client and the probe server, without Auxin: what other tests build on."""
import os
import unittest

from harness import giop, paths, processes, server


class GiopClientTest(unittest.TestCase):
    def setUp(self):
        self.port = paths.free_port()
        self.server = self.enterContext(
            server.plain_probe(self.port))

    def test_every_version_and_byte_order_is_understood(self):
        expected = 0
        for version in ((1, 0), (1, 1), (1, 2)):
            for little in (True, False):
                with giop.Connection("127.0.0.1", self.port) as connection:
                    reply = connection.call(b"probe", "add", lambda out: out.long(7),
                                            version=version, little=little)
                    expected += 7
                    self.assertEqual(reply.long(), expected)

    def test_requests_on_one_connection_may_overlap(self):
        with giop.Connection("127.0.0.1", self.port) as connection:
            taker = connection.send_request(b"probe", "queue_take", lambda out: out.ulong(5000))
            putter = connection.send_request(b"probe", "queue_put", lambda out: out.long(41))
            replies = dict(connection.read_reply() for _ in range(2))
            self.assertEqual(set(replies), {taker, putter})
            self.assertEqual(replies[taker].long(), 41)

    def test_a_fragmented_request_is_one_request(self):
        data = bytes(range(256)) * 40
        with giop.Connection("127.0.0.1", self.port) as connection:
            whole = giop.request(2, b"probe", "echo", lambda out: out.octets(data))
            for part in giop.fragments(whole, 1024):
                connection.send(part)
            self.assertEqual(connection.read_reply()[1].octets(), data)

    def test_large_replies_come_whole(self):
        with giop.Probe(self.port) as probe:
            data = probe.fill(1_000_000, 3)
            self.assertEqual(data, bytes((3 + i * 31) % 256 for i in range(1_000_000)))

    def test_exceptions_are_told_apart(self):
        with giop.Connection("127.0.0.1", self.port) as connection:
            with self.assertRaisesRegex(giop.UserException, "Refused"):
                connection.call(b"probe", "refuse", lambda out: out.long(3))
            with self.assertRaisesRegex(giop.SystemException, "OBJECT_NOT_EXIST"):
                connection.call(b"nobody", "add", lambda out: out.long(3))

    def test_a_new_object_is_called_by_the_key_in_its_reference(self):
        with giop.Probe(self.port) as probe:
            cell = probe.activate()
            self.assertEqual(cell.port, self.port)
            reply = probe.connection.call(cell.key, "put", lambda out: out.long(5))
            self.assertEqual(reply.long(), 5)
            self.assertNotEqual(probe.activate().key, cell.key)

    def test_a_server_calls_another_by_reference(self):
        other_port = paths.free_port()
        with server.plain_probe(other_port):
            with giop.Probe(self.port) as probe, giop.Probe(other_port) as other:
                there = giop.Reference.of_key("127.0.0.1", other_port, b"probe")
                reply = probe.connection.call(
                    b"probe", "call_out", lambda out: out.reference(there).long(9))
                self.assertEqual(reply.long(), 9)
                self.assertEqual(other.number("counter"), 9)

    def test_every_lock_family_records_its_caller(self):
        names = ["by_mutex", "by_recursive_mutex", "by_try_lock", "by_read_write_lock",
                 "by_semaphore", "by_spin_lock", "by_timed_lock"]
        with giop.Probe(self.port) as probe:
            for token, name in enumerate(names):
                probe.number(name, token, code="I")
            self.assertEqual(probe.history(), list(range(len(names))))

    def test_random_numbers_come_from_every_source(self):
        with giop.Probe(self.port) as probe:
            for source in ("getrandom", "urandom", "random_device", "arc4random"):
                self.assertNotEqual(probe.random_number(source), probe.random_number(source))
            self.assertEqual(probe.random_number("rand"), 1804289383)  # an unseeded rand()

    def test_the_connection_is_seen_in_the_kernels_table(self):
        with giop.Probe(self.port) as probe:
            seen = processes.connections_of(os.getpid(), self.port)
            self.assertEqual(len(seen), 1)
            self.assertEqual(probe.number("counter"), 0)


if __name__ == "__main__":
    unittest.main()
