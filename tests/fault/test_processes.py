# SPDX-License-Identifier: Apache-2.0
"""Processes that stop, hang, die together, or were asked to: each ends as the design says."""
import os
import signal
import tempfile
import subprocess
import time
import unittest

from harness import giop, group, load, paths, processes, server

STOPPED_S = 60 if paths.LONG else 6


class FaultCase(unittest.TestCase):
    def start(self, **options):
        self.port = paths.free_port()
        return self.enterContext(group.Group(
            self, server.probe_command(self.port), port=self.port, key=b"probe", **options))

    def read_state(self, _=None):
        with giop.Probe(self.port) as probe:
            return probe.state()


class StoppedProcessTest(FaultCase):
    timeout_s = 300

    def test_a_stopped_follower_disturbs_no_client_and_comes_back(self):
        replicas = self.start()
        with load.ProbeLoad(self.port, clients=2) as clients:
            clients.await_calls(100)
            stopped = replicas.followers()[0]["pid"]
            os.kill(stopped, signal.SIGSTOP)
            begun = time.monotonic()
            while time.monotonic() - begun < STOPPED_S:
                clients.await_calls(200)
            self.assertLess(clients.longest_gap_s, 1.0)
            processes.kill(stopped, signal.SIGCONT)  # it may have been replaced meanwhile
            replicas.await_all_ready()
        clients.assert_exactly_once(self)
        replicas.assert_no_mismatch()
        replicas.assert_same_through_each(self.read_state)

    def test_a_stopped_leader_is_replaced_and_never_speaks_again(self):
        replicas = self.start()
        with load.ProbeLoad(self.port, clients=3) as clients:
            clients.await_calls(100)
            old = replicas.await_leader()["pid"]
            os.kill(old, signal.SIGSTOP)
            replicas.await_leader(other_than_pid=old, timeout_s=30)
            clients.await_calls(100)
            self.assertEqual(replicas.status()["promotions"][-1]["reason"], "hang")
            processes.kill(old, signal.SIGCONT)
            processes.await_true(lambda: not processes.alive(old), 5, "the old leader is dead")
            clients.await_calls(100)
            leaders = [row for row in replicas.status()["replicas"] if row["role"] == "leader"]
            self.assertEqual(len(leaders), 1)
            replicas.await_all_ready()
        total = clients.assert_exactly_once(self)
        self.assertIn(f"counter {total} ", replicas.assert_same_through_each(self.read_state))

    def test_a_stopped_supervisor_does_not_delay_a_takeover(self):
        replicas = self.start()
        os.kill(replicas.supervisor.pid, signal.SIGSTOP)
        with load.ProbeLoad(self.port, clients=2) as clients:
            clients.await_calls(100)
            replicas.replace_leader()
            clients.await_calls(100)
        self.assertLess(clients.longest_gap_s, 1.0)
        clients.assert_exactly_once(self)
        os.kill(replicas.supervisor.pid, signal.SIGCONT)
        replicas.await_all_ready()


class AllKilledTest(FaultCase):
    timeout_s = 300

    def test_the_state_is_that_of_the_last_acknowledged_reply(self):
        replicas = self.start()
        acknowledged = 0
        for _ in range(3):
            clients = load.ProbeLoad(self.port, clients=3)
            with clients:
                clients.await_calls(200)
                replicas.kill_everything()
                clients.stop()
            sums = [value for each in clients.answers for value in each]
            self.assertEqual(len(sums), len(set(sums)))
            replicas.start()
            with giop.Probe(self.port) as probe:
                counter = probe.number("counter")
            acknowledged = max(sums)
            self.assertGreaterEqual(counter, acknowledged, "nothing acknowledged is lost")
            # At most the one call that each client had under way may have been done besides.
            self.assertLessEqual(counter, acknowledged + clients.clients)
        replicas.await_all_ready()
        replicas.assert_same_through_each(self.read_state)
        replicas.assert_no_mismatch()

    def test_fresh_and_resume_say_otherwise(self):
        replicas = self.start()
        with giop.Probe(self.port) as probe:
            probe.add(5)
        replicas.kill_everything()
        replicas.options = ["--fresh"]
        replicas.start()
        self.assertIn("counter 0 ", self.read_state())
        with giop.Probe(self.port) as probe:
            probe.add(7)
        replicas.kill_everything()
        replicas.options = ["--resume"]
        replicas.start()
        self.assertIn("counter 7 ", self.read_state())

    def test_after_an_orderly_end_the_next_start_is_fresh(self):
        replicas = self.start()
        with giop.Probe(self.port) as probe:
            probe.add(5)
        self.assertIn(replicas.stop(), (0, 143, -15))
        replicas.assert_nothing_left()
        replicas.start()
        self.assertIn("counter 0 ", self.read_state())


class SupervisorTest(FaultCase):
    timeout_s = 240

    def test_a_dead_supervisor_is_not_missed_and_the_next_adopts_the_group(self):
        replicas = self.start()
        with load.ProbeLoad(self.port, clients=2) as clients:
            clients.await_calls(100)
            replicas.supervisor.kill()
            replicas.supervisor.wait()
            clients.await_calls(100)
            pids = {row["pid"] for row in replicas.status()["replicas"]}
            replicas.start()
            self.assertEqual({row["pid"] for row in replicas.status()["replicas"]}, pids,
                             "adopted, not restarted")
            replicas.replace_leader()
            clients.await_calls(100)
            replicas.await_all_ready()
        clients.assert_exactly_once(self)
        replicas.assert_same_through_each(self.read_state)

    def test_a_leader_that_dies_without_a_supervisor_is_replaced_all_the_same(self):
        replicas = self.start()
        with load.ProbeLoad(self.port, clients=2) as clients:
            clients.await_calls(100)
            replicas.supervisor.kill()
            replicas.supervisor.wait()
            replicas.replace_leader()
            clients.await_calls(100)
            replicas.start()
            replicas.await_all_ready()
        clients.assert_exactly_once(self)

    def test_auxin_stop_ends_an_orphaned_group(self):
        replicas = self.start()
        replicas.supervisor.kill()
        replicas.supervisor.wait()
        done = replicas.auxin("stop", replicas.name, timeout_s=20)
        self.assertEqual(done.returncode, 0, done.stderr)
        processes.await_true(lambda: not processes.tagged(replicas.tag), 5, "nothing is left")

    def test_auxin_stop_ends_a_supervised_group(self):
        replicas = self.start()
        done = replicas.auxin("stop", replicas.name, timeout_s=20)
        self.assertEqual(done.returncode, 0, done.stderr)
        replicas.supervisor.wait(10)
        replicas.assert_nothing_left()

    def test_a_second_supervisor_of_the_same_name_is_refused(self):
        replicas = self.start()
        done = subprocess.run(replicas.run_command(), env=replicas.environment,
                              capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertIn(replicas.name, done.stderr)
        with giop.Probe(self.port) as probe:
            self.assertEqual(probe.add(1), 1, "the running group is unharmed")


class EndsTest(FaultCase):
    timeout_s = 240

    def test_a_request_that_kills_every_replica_stops_the_group_and_is_named(self):
        replicas = self.start(expect_orderly_end=False)
        with giop.Probe(self.port) as probe:
            with self.assertRaises((giop.GiopError, OSError)):
                probe.nothing("poison")
        status = replicas.supervisor.wait(60)
        self.assertNotEqual(status, 0)
        self.assertRegex(replicas.errors(), r"request \d+ \(poison\) on connection \d+ .*killed")
        processes.await_true(lambda: not processes.tagged(replicas.tag), 5, "nothing is left")

    @unittest.skipUnless(paths.LONG, "each replica is given ten seconds, three times")
    def test_a_decision_that_no_replica_comes_to_stops_the_group_and_is_named(self):
        replicas = self.start(expect_orderly_end=False)
        with tempfile.TemporaryDirectory() as directory, giop.Probe(self.port) as probe:
            probe.connection.call(b"probe", "lock_in_one_process",
                                  lambda out: out.string(directory + "/made"))
            probe.add(1)
            replicas.kill_leader()
            self.assertEqual(replicas.supervisor.wait(180), 1)
        self.assertRegex(replicas.errors(), r"can't lead: log entry \d+ ")
        self.assertRegex(replicas.errors(), "no replica is left that could go on")
        processes.await_true(lambda: not processes.tagged(replicas.tag), 5, "nothing is left")

    def test_exit_in_the_server_is_an_orderly_end_with_its_status(self):
        replicas = self.start(expect_orderly_end=False)
        with giop.Probe(self.port) as probe:
            probe.oneway("leave", 7)
        self.assertEqual(replicas.supervisor.wait(20), 7)
        replicas.assert_nothing_left()

    def test_a_crashing_leader_is_a_takeover_and_not_an_end(self):
        replicas = self.start()
        with load.ProbeLoad(self.port, clients=2) as clients:
            for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS):
                clients.await_calls(100)
                old = replicas.kill_leader(number)
                replicas.await_leader(other_than_pid=old)
                clients.await_calls(50)
                replicas.await_all_ready()
        clients.assert_exactly_once(self)
        replicas.assert_same_through_each(self.read_state)

    def test_sigterm_is_an_orderly_end_while_clients_are_connected(self):
        replicas = self.start()
        with load.ProbeLoad(self.port, clients=2) as clients:
            clients.await_calls(100)
            replicas.stop()
            replicas.assert_nothing_left()
            clients.stop()


if __name__ == "__main__":
    unittest.main()
