# SPDX-License-Identifier: Apache-2.0
"""Values that a client sees (time, random numbers, the process id) are agreed by the replicas."""
import collections
import os
import time
import unittest

from harness import giop, load, paths, responder, server

from .probe_case import ProbeCase


class ValuesTest(ProbeCase):
    timeout_s = 200

    def returned(self, step):
        """Calls under a kill, then checks that no follower saw another value."""
        with load.ProbeLoad(self.port, clients=2, step=step) as clients:
            clients.await_calls(100)
            self.group.replace_leader()
            clients.await_calls(100)
            self.group.await_all_ready()
        clients.assert_clean(self)
        self.group.await_caught_up()
        self.group.assert_no_mismatch()
        return clients.answers

    def test_wall_clock_time(self):
        begun_us = time.time_ns() // 1000
        answers = self.returned(lambda probe, *_: probe.number("wall_time_us", code="q"))
        for each in answers:
            self.assertGreaterEqual(each[0], begun_us - 1000)
            self.assertLessEqual(each[-1], time.time_ns() // 1000 + 1000)

    def test_monotonic_time_does_not_run_backwards_at_a_takeover(self):
        for each in self.returned(lambda probe, *_: probe.number("steady_time_ns", code="q")):
            self.assertEqual(each, sorted(each))

    def test_random_numbers(self):
        for source in ("getrandom", "urandom", "random_device", "arc4random", "random", "rand"):
            with self.subTest(source=source):
                with giop.Probe(self.port) as probe:
                    drawn = [probe.random_number(source) for _ in range(20)]
                self.assertGreater(len(set(drawn)), 15)
                self.group.await_caught_up()
                self.group.assert_no_mismatch()
        self.group.replace_leader()
        self.group.await_all_ready()
        self.assert_agreement()

    def test_the_process_id_is_one_for_the_group(self):
        def pid(_):
            with giop.Probe(self.port) as probe:
                return probe.number("process_id")
        self.assertGreater(self.group.assert_same_through_each(pid), 0)
        self.group.assert_no_mismatch()


class OutgoingConnectionTest(ProbeCase):
    timeout_s = 200

    def test_a_call_to_another_server_happens_exactly_once_across_kills(self):
        self.call_out_across_kills(callers=1)

    # More than the five connections that the ORB opens to one server: callers wait for one.
    def test_concurrent_calls_to_another_server_share_its_connections(self):
        self.call_out_across_kills(callers=8)

    def call_out_across_kills(self, callers):
        other_port = paths.free_port()
        there = giop.Reference.of_key("127.0.0.1", other_port, b"probe")

        def step(probe, client, turn):
            return probe.connection.call(
                b"probe", "call_out", lambda out: out.reference(there).long(1)).long()
        with server.plain_probe(other_port):
            with load.ProbeLoad(self.port, clients=callers, step=step) as clients:
                for _ in range(3):
                    clients.await_calls(60)
                    self.group.replace_leader()
                    clients.await_calls(60)
                    self.group.await_all_ready()
            total = clients.assert_exactly_once(self)
            with giop.Probe(other_port) as probe:
                self.assertEqual(probe.number("counter"), total, "seen by the called server")
        self.assertIn(f"counter {total} ", self.assert_agreement())

    def test_the_called_server_dies_and_returns_and_no_follower_is_lost(self):
        other_port = paths.free_port()
        there = giop.Reference.of_key("127.0.0.1", other_port, b"probe")
        failures = []

        def step(probe, client, turn):
            try:
                return probe.connection.call(
                    b"probe", "call_out", lambda out: out.reference(there).long(1)).long()
            except giop.SystemException as failure:
                failures.append(failure)
                return 0
        pids = {replica["id"]: replica["pid"] for replica in self.group.status()["replicas"]}
        with load.ProbeLoad(self.port, clients=8, step=step) as clients:
            for _ in range(4):
                with server.plain_probe(other_port):
                    clients.await_calls(100)
                clients.await_calls(20)
        clients.assert_clean(self)
        self.assertTrue(failures, "callers were told that the called server was gone")
        self.group.await_caught_up()
        self.assertEqual(
            {replica["id"]: replica["pid"] for replica in self.group.status()["replicas"]}, pids)
        self.assert_agreement()


if __name__ == "__main__":
    unittest.main()


class CallTimeoutTest(ProbeCase):
    """Whether a call out of the server came back in time is one decision for all replicas."""
    timeout_s = 200
    server_options = ("-ORBclientCallTimeOutPeriod", "100")

    def test_a_reply_at_the_deadline_came_in_time_everywhere_or_nowhere(self):
        seed = paths.seed()
        outcomes = collections.Counter()

        def step(probe, client, turn):
            try:
                outcomes[probe.connection.call(
                    b"probe", "call_out", lambda out: out.reference(there).long(1)).long()] += 1
            except giop.SystemException as late:
                outcomes[late.name] += 1
            return turn
        with responder.LateResponder(seed, 0.06, 0.11) as late:
            there = giop.Reference.of_key("127.0.0.1", late.port, b"late",
                                          "IDL:probe.test/probing/Probe:1.0")
            with load.ProbeLoad(self.port, clients=8, step=step) as clients:
                self.kill_leaders(clients, 2, 100, 40)
            clients.assert_clean(self)
        self.assertGreater(outcomes[1], 10, f"seed {seed}: some came in time: {outcomes}")
        self.assertGreater(sum(outcomes.values()) - outcomes[1], 10, f"and some late: {outcomes}")
        self.assert_agreement()
