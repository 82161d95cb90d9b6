# SPDX-License-Identifier: Apache-2.0
"""Bytes on connections: every framing and pace a client may choose survives a takeover exactly."""
import contextlib
import hashlib
import os
import signal
import socket
import struct
import tempfile
import time
import unittest

from harness import giop, load, paths, server

from .probe_case import ProbeCase


class StreamsTest(ProbeCase):
    timeout_s = 200

    def test_large_requests_and_replies_survive_kills_in_the_middle(self):
        size = 600_000

        def step(probe, client, turn):
            data = probe.fill(size, (client * 50 + turn) % 256)
            echoed = probe.echo(data)
            return hashlib.sha256(data).digest() == hashlib.sha256(echoed).digest()
        with load.ProbeLoad(self.port, clients=2, step=step) as clients:
            for _ in range(4):
                clients.await_calls(10)
                self.group.replace_leader()
                clients.await_calls(4)
                self.group.await_all_ready()
        clients.assert_clean(self)
        self.assertEqual({same for each in clients.answers for same in each}, {True})
        self.assert_agreement()

    def test_a_reply_larger_than_all_buffers_is_finished_by_the_next_leader(self):
        with late_reader(self.port) as finish:
            self.group.replace_leader()
            self.group.await_all_ready()
            self.group.replace_leader()
            finish(self)
        self.group.await_all_ready()
        self.assert_agreement()

    def test_a_request_whose_halves_reach_two_leaders_is_one_request(self):
        with giop.Connection("127.0.0.1", self.port) as connection:
            for cut in (1, 7, 12, 13, 30):
                whole = giop.request(cut * 2, b"probe", "add", lambda out: out.long(1))
                connection.send(whole[:cut])
                time.sleep(0.02)  # let the leader read the first part (either way must work)
                self.group.replace_leader()
                connection.send(whole[cut:])
                request_id, _ = connection.read_reply()
                self.assertEqual(request_id, cut * 2)
                self.group.await_all_ready()
        self.assertIn("counter 5 additions 5 ", self.assert_agreement())

    def test_fragmented_requests(self):
        data = bytes(range(256)) * 64

        def step(probe, client, turn):
            connection = probe.connection
            request_id, connection.next_id = connection.next_id, connection.next_id + 2
            whole = giop.request(request_id, b"probe", "echo", lambda out: out.octets(data))
            for part in giop.fragments(whole, 1000):
                connection.send(part)
            return connection.read_reply()[1].octets() == data
        with load.ProbeLoad(self.port, clients=2, step=step) as clients:
            for _ in range(2):
                clients.await_calls(80)
                self.group.replace_leader()
                clients.await_calls(40)
                self.group.await_all_ready()
        clients.assert_clean(self)
        self.assertEqual({same for each in clients.answers for same in each}, {True})
        self.assert_agreement()

    def test_oneways_before_a_reply_are_done_once(self):
        def step(probe, client, turn):
            probe.oneway("note", 1)
            probe.oneway("note", 1)
            return probe.add(1)
        with load.ProbeLoad(self.port, clients=2, step=step) as clients:
            for _ in range(3):
                clients.await_calls(100)
                self.group.replace_leader()
                clients.await_calls(50)
                self.group.await_all_ready()
        total = clients.assert_exactly_once(self)
        self.assertIn(f"counter {total} additions {total} notes {2 * total} ",
                      self.assert_agreement())

    def test_many_requests_outstanding_on_one_connection(self):
        with giop.Connection("127.0.0.1", self.port) as connection:
            for _ in range(3):
                sent = {connection.send_request(b"probe", "nap", lambda out: out.ulong(30))
                        for _ in range(8)}
                sent |= {connection.send_request(b"probe", "add", lambda out: out.long(1))
                         for _ in range(8)}
                self.group.replace_leader()
                answered = [connection.read_reply()[0] for _ in range(len(sent))]
                self.assertEqual(sorted(answered), sorted(sent))
                self.group.await_all_ready()
        state = self.assert_agreement()
        self.assertIn("counter 24 additions 24 ", state)
        self.assertIn("naps 24 ", state)

    def test_every_version_and_byte_order(self):
        expected = 0
        for version in ((1, 0), (1, 1), (1, 2)):
            for little in (True, False):
                with giop.Connection("127.0.0.1", self.port) as connection:
                    def add():
                        return connection.call(b"probe", "add", lambda out: out.long(1),
                                               version=version, little=little).long()
                    self.assertEqual(add(), expected + 1)
                    self.group.replace_leader()
                    self.assertEqual(add(), expected + 2)
                    expected += 2
                self.group.await_all_ready()
        self.assert_agreement()

    def test_locate_requests_are_answered(self):
        with giop.Connection("127.0.0.1", self.port) as connection:
            for turn in range(3):
                body = struct.pack("<IHHI", 10 + turn, 0, 0, 5) + b"probe"
                connection.send(giop.message(giop.LOCATE_REQUEST, body))
                kind, _, little, data = connection.read_message()
                self.assertEqual((kind, little), (giop.LOCATE_REPLY, True))
                self.assertEqual(struct.unpack_from("<II", data, 12), (10 + turn, 1))
                self.group.replace_leader()
                self.group.await_all_ready()
        self.assert_agreement()

    def test_a_half_closed_connection_gets_its_reply(self):
        with giop.Connection("127.0.0.1", self.port) as connection:
            connection.send_request(b"probe", "add", lambda out: out.long(1))
            connection.socket.shutdown(socket.SHUT_WR)
            try:
                answered = connection.read_reply()[1].long() == 1
            except giop.GiopError:
                answered = False
        # Plain omniORB may close first; what it does may not depend on the group.
        plain = self.plain_half_close()
        self.assertEqual(answered, plain)
        self.group.replace_leader()
        self.group.await_all_ready()
        self.assert_agreement()

    def plain_half_close(self):
        port = paths.free_port()
        with server.plain_probe(port):
            with giop.Connection("127.0.0.1", port) as connection:
                connection.send_request(b"probe", "add", lambda out: out.long(1))
                connection.socket.shutdown(socket.SHUT_WR)
                try:
                    return connection.read_reply()[1].long() == 1
                except giop.GiopError:
                    return False

    def test_connections_that_come_and_go_during_kills(self):
        def step(probe, client, turn):
            with giop.Probe(self.port) as fresh:
                return fresh.add(1)
        with load.ProbeLoad(self.port, clients=3, step=step) as clients:
            for _ in range(4):
                clients.await_calls(150)
                self.group.replace_leader()
                clients.await_calls(80)
                self.group.await_all_ready()
        total = clients.assert_exactly_once(self)
        self.assertIn(f"counter {total} ", self.assert_agreement())

    def test_more_connections_one_after_the_other_than_there_can_be_at_once(self):
        for _ in range(4300):
            socket.create_connection(("127.0.0.1", self.port)).close()

        def step(_probe, _client, _turn):
            with giop.Probe(self.port) as other:
                return other.add(1)
        with load.ProbeLoad(self.port, clients=3, step=step) as clients:
            self.kill_leaders(clients, 4, 300, 100)
        clients.assert_exactly_once(self)
        self.assert_agreement()

    def test_a_client_that_resets_harms_nobody(self):
        with load.ProbeLoad(self.port, clients=2) as clients:
            for turn in range(40):
                broken = giop.Connection("127.0.0.1", self.port)
                broken.send(giop.request(2, b"probe", "null_call")[:20 if turn % 2 else 100])
                broken.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                         struct.pack("ii", 1, 0))
                broken.close()
                if turn in (10, 25):
                    self.group.replace_leader()
                    self.group.await_all_ready()
            clients.await_calls(50)
        clients.assert_exactly_once(self)
        self.assert_agreement()

    def test_a_client_that_floods_without_reading_slows_only_itself(self):
        with giop.Connection("127.0.0.1", self.port, timeout_s=60) as flood:
            flood.socket.setblocking(False)
            whole, sent, pending = giop.request(2, b"probe", "fill", lambda out: out.ulong(
                50_000).octet(1)), 0, b""
            with load.ProbeLoad(self.port, clients=2) as clients:
                end = time.monotonic() + 2
                while time.monotonic() < end and sent < 2000:
                    pending = pending or whole
                    try:
                        done = flood.socket.send(pending)
                        pending = pending[done:]
                        sent += not pending
                    except BlockingIOError:
                        time.sleep(0.005)
                self.group.replace_leader()
                clients.await_calls(100)
            clients.assert_exactly_once(self)
            flood.socket.setblocking(True)
            flood.socket.settimeout(60)
            for _ in range(sent):
                self.assertEqual(len(flood.read_reply()[1].octets()), 50_000)
        self.group.await_all_ready()
        self.assert_agreement()


if __name__ == "__main__":
    unittest.main()

    def test_a_client_that_takes_its_reply_late_holds_up_nobody(self):
        with late_reader(self.port) as finish:
            with load.ProbeLoad(self.port, clients=3) as clients:
                for _ in range(2):
                    clients.await_calls(6000)  # more than a follower reads ahead
                    self.group.replace_leader()
                    clients.await_calls(200)
                    self.group.await_all_ready()
            clients.assert_exactly_once(self)
            self.group.await_caught_up()
            finish(self)
        self.assert_agreement()


class SmallLogTest(ProbeCase):
    """The log goes round while a client has not taken its reply."""
    timeout_s = 240

    def setUp(self):
        file = self.enterContext(tempfile.NamedTemporaryFile("w", suffix=".toml"))
        file.write('[log]\nentries = 16384\npayload = "16MiB"\n')
        file.flush()
        self.group_options = ("--config", file.name)
        super().setUp()

    def await_log_gone_round(self, clients):
        begin = self.group.status()["log"]["begin"]
        while self.group.status()["log"]["begin"] < begin + 2 * 16384:
            clients.await_calls(1000)

    def test_its_reply_is_finished_by_the_next_leader_but_one(self):
        with late_reader(self.port) as finish:
            with load.ProbeLoad(self.port, clients=3) as clients:
                for _ in range(2):
                    self.await_log_gone_round(clients)
                    self.group.replace_leader()
            clients.assert_exactly_once(self)
            finish(self)
        self.group.assert_no_mismatch()

    def test_a_follower_that_did_not_look_meanwhile_goes_on_behind_it(self):
        with late_reader(self.port) as finish:
            with load.ProbeLoad(self.port, clients=3) as clients:
                self.await_log_gone_round(clients)
            clients.assert_exactly_once(self)
            self.group.await_caught_up()
            stopped = [replica["pid"] for replica in self.group.followers()]
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            finish(self)
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        self.group.await_caught_up()
        self.group.replace_leader()
        self.group.await_caught_up()
        self.group.replace_leader()
        with giop.Connection("127.0.0.1", self.port) as connection:
            connection.send_request(b"probe", "fill", lambda out: out.ulong(3).octet(9))
            self.assertEqual(connection.read_reply()[1].octets(), bytes((9, 40, 71)))
        self.group.assert_no_mismatch()


class PassiveLateReaderTest(ProbeCase):
    """Checkpoints do not wait for a client that does not take its reply, and it loses nothing."""
    timeout_s = 240
    group_options = ("--style", "warm-passive")

    def checkpoint(self):
        done = self.group.auxin("checkpoint", self.group.name)
        self.assertEqual(done.returncode, 0, f"{done.stderr} {self.group.account()}")

    def test_checkpoints_and_takeovers_while_a_reply_lies_there(self):
        with late_reader(self.port) as finish, late_reader(self.port) as finish_other:
            for _ in range(4):
                time.sleep(0.1)
                self.checkpoint()
                self.group.replace_leader()
                self.checkpoint()  # of who goes on with the dead one's reply
            finish(self)
            self.checkpoint()
            self.group.replace_leader()
            finish_other(self)
        with giop.Connection("127.0.0.1", self.port) as connection:
            connection.send_request(b"probe", "fill", lambda out: out.ulong(3).octet(9))
            self.assertEqual(connection.read_reply()[1].octets(), bytes((9, 40, 71)))
        self.group.assert_no_mismatch()


class SendTimeLimitTest(ProbeCase):
    """The server gives a client up that does not take its reply in time."""
    timeout_s = 240
    server_options = ("-ORBserverCallTimeOutPeriod", "300")

    def test_a_client_that_was_given_up_is_given_up_by_all_replicas(self):
        pids = {replica["id"]: replica["pid"] for replica in self.group.status()["replicas"]}
        with load.ProbeLoad(self.port, clients=2) as clients:
            for _ in range(4):
                with late_reader(self.port) as finish:
                    time.sleep(0.4)
                    with self.assertRaises((giop.GiopError, ConnectionError)):
                        finish(self)
            clients.await_calls(100)
            self.group.await_all_ready()
            self.assertEqual({replica["id"]: replica["pid"]
                              for replica in self.group.status()["replicas"]}, pids)
            self.kill_leaders(clients, 2, 100, 100)
        clients.assert_exactly_once(self)
        self.assert_agreement()


@contextlib.contextmanager
def late_reader(port):
    """A client that has been sent the begin of a reply larger than all buffers, and a function that
    takes the whole of it."""
    size = 8_000_000
    with giop.Connection("127.0.0.1", port) as connection:
        connection.send_request(b"probe", "fill", lambda out: out.ulong(size).octet(9))
        connection.socket.recv(1, socket.MSG_PEEK)

        def finish(test):
            _, reply = connection.read_reply()
            test.assertEqual(reply.octets(), bytes((9 + i * 31) % 256 for i in range(size)))
        yield finish
