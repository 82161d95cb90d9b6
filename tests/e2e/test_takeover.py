# SPDX-License-Identifier: Apache-2.0
"""The main job: a leader dies under load and its clients do not notice. Thread per connection."""
import os
import re
import unittest

from harness import giop, load, paths, processes

from .probe_case import ProbeCase

KILLS = 30 if paths.LONG else 6
# Between a client's calls where replicas rejoin under load: they replay the log from its start, and
# do not come close to a leader that is given all that two processors can take.
PAUSE_S = 0.002


class TakeoverTest(ProbeCase):
    timeout_s = 240

    def test_acknowledged_calls_are_there_exactly_once_after_repeated_kills(self):
        with load.ProbeLoad(self.port, clients=4, pause_s=PAUSE_S) as clients:
            self.kill_leaders(clients, KILLS, 200, 200)
        total = clients.assert_exactly_once(self)
        state = self.assert_agreement()
        self.assertIn(f"counter {total} additions {total} ", state)

    def test_a_connection_keeps_its_addresses_over_every_kill(self):
        with load.ProbeLoad(self.port, clients=1) as clients:
            for _ in range(3):
                clients.await_calls(100)
                self.group.replace_leader()
                clients.await_calls(50)
                self.group.await_all_ready()
                seen = processes.connections_of(os.getpid(), self.port)
                self.assertEqual(len(seen), 1, "the one connection that was made is still there")
        clients.assert_exactly_once(self)

    def test_killing_the_next_leader_at_once_is_survived_too(self):
        with load.ProbeLoad(self.port, clients=3) as clients:
            clients.await_calls(200)
            first = self.group.kill_leader()
            second = self.group.await_leader(other_than_pid=first)["pid"]
            processes.kill(second)
            clients.await_calls(200)
            self.group.await_all_ready()
        total = clients.assert_exactly_once(self)
        self.assertIn(f"counter {total} ", self.assert_agreement())

    def test_killing_followers_disturbs_nobody(self):
        with load.ProbeLoad(self.port, clients=2) as clients:
            for _ in range(3):
                clients.await_calls(100)
                epoch = self.group.status()["epoch"]
                processes.kill(self.group.followers()[0]["pid"])
                clients.await_calls(100)
                self.assertEqual(self.group.status()["epoch"], epoch, "no new leader")
                self.group.await_all_ready()
        clients.assert_exactly_once(self)
        self.assert_agreement()

    def test_every_promotion_is_in_the_status_with_its_times(self):
        before = len(self.group.status()["promotions"])
        with load.ProbeLoad(self.port) as clients:
            self.kill_leaders(clients, 2, 100, 20)
        rows = self.group.status()["promotions"]
        self.assertEqual(len(rows), before + 2)
        for row in rows[before:]:
            self.assertNotEqual(row["from"], row["to"])
            # The kernel tells its process events to root only; else times count from detection.
            self.assertEqual(row["since"], "death" if os.geteuid() == 0 else "detection")
            self.assertEqual(row["reason"], "death")
            self.assertGreaterEqual(row["detect_us"], 0)
            self.assertGreaterEqual(row["serve_us"], row["detect_us"])
            self.assertLess(row["serve_us"], 10_000_000)
        self.assertEqual([row["epoch"] for row in rows], sorted(row["epoch"] for row in rows))
        clients.assert_exactly_once(self)

    def test_every_reply_is_compared_by_every_follower(self):
        self.group.await_caught_up()
        before = sum(row["compared"] for row in self.group.status()["replicas"])
        with load.ProbeLoad(self.port, clients=3) as clients:
            clients.await_calls(500)
        calls = clients.assert_exactly_once(self)
        status = self.group.await_caught_up()
        after = sum(row["compared"] for row in status["replicas"])
        self.assertEqual(after - before, calls * (self.replicas - 1))

    def test_counts_are_monotonic_over_promotions(self):
        before = self.group.status()
        with load.ProbeLoad(self.port) as clients:
            clients.await_calls(200)
            self.group.replace_leader()
            clients.await_calls(200)
        calls = clients.assert_exactly_once(self)
        after = self.group.status()
        self.assertGreaterEqual(after["requests"], before["requests"] + calls)
        for key in ("total", "intercepted", "ordered"):
            self.assertGreaterEqual(after["locks"][key], before["locks"][key])
        self.assertEqual({row["id"] for row in after["replicas"]},
                         {row["id"] for row in before["replicas"]}, "ids are stable")

    def test_standard_output_appears_once(self):
        with giop.Probe(self.port) as probe:
            for turn in range(3):
                probe.connection.call(b"probe", "say", lambda out: out.string(f"line {turn}"))
                self.group.replace_leader()
                self.group.await_all_ready()
        said = re.findall(r"^line \d$", self.group.output(), re.MULTILINE)
        self.assertEqual(said, ["line 0", "line 1", "line 2"])


class PoolModeTakeoverTest(ProbeCase):
    """The same ORB with a pool of threads instead of one for each connection."""
    timeout_s = 240
    server_options = ("-ORBthreadPerConnectionPolicy", "0")

    def test_pool_mode_exactly_once_after_repeated_kills(self):
        with load.ProbeLoad(self.port, clients=4, pause_s=PAUSE_S) as clients:
            self.kill_leaders(clients, KILLS, 150, 150)
        total = clients.assert_exactly_once(self)
        self.assertIn(f"counter {total} additions {total} ", self.assert_agreement())


class OneWorkerTest(ProbeCase):
    """A pool of one worker: requests come one by one, and nothing else protects the state."""
    timeout_s = 240
    server_options = ("-ORBthreadPerConnectionPolicy", "0", "-ORBmaxServerThreadPoolSize", "1")

    def test_state_without_locks_is_there_exactly_once_after_repeated_kills(self):
        def step(probe, client, turn):
            if turn % 3 == client % 3:
                probe.oneway("note", 1)  # no reply: the next request may overtake it
            return probe.number("add_alone", 1)
        with load.ProbeLoad(self.port, clients=4, step=step, pause_s=PAUSE_S) as clients:
            self.kill_leaders(clients, KILLS, 60, 60)
        total = clients.assert_exactly_once(self)
        self.assertIn(f"counter {total} additions {total} ", self.assert_agreement())


class FewWorkersTest(ProbeCase):
    timeout_s = 240
    server_options = ("-ORBthreadPerConnectionPolicy", "0", "-ORBmaxServerThreadPoolSize", "2")

    def test_a_pool_of_two_is_followed_closely(self):
        def step(probe, client, turn):
            probe.oneway("note", 1)
            return probe.add(1)
        with load.ProbeLoad(self.port, clients=5, step=step, pause_s=PAUSE_S) as clients:
            self.kill_leaders(clients, 3, 200, 200)
        clients.assert_exactly_once(self)
        self.assert_agreement()


class GroupSizeTest(ProbeCase):
    timeout_s = 240
    replicas = 2

    def test_two_replicas_take_turns(self):
        with load.ProbeLoad(self.port, clients=2) as clients:
            self.kill_leaders(clients, 4, 100, 100)
        clients.assert_exactly_once(self)
        self.assert_agreement()


class ManyReplicasTest(ProbeCase):
    timeout_s = 240
    replicas = 5

    def test_five_replicas_agree(self):
        with load.ProbeLoad(self.port, clients=2) as clients:
            for _ in range(3):
                clients.await_calls(100)
                self.group.replace_leader()
                clients.await_calls(100)
        clients.assert_exactly_once(self)
        self.group.await_all_ready()
        self.assert_agreement()


class OneReplicaTest(ProbeCase):
    replicas = 1

    def test_one_replica_is_restarted_with_its_state(self):
        with load.ProbeLoad(self.port, clients=1) as clients:
            clients.await_calls(100)
        total = clients.assert_exactly_once(self)
        self.group.replace_leader(timeout_s=30)
        self.assertIn(f"counter {total} ", self.state_through())


if __name__ == "__main__":
    unittest.main()
