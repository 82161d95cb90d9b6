# SPDX-License-Identifier: Apache-2.0
"""Whatever decides an order in the application is decided alike in every replica.

Each test lets several clients race through one kind of synchronisation while leaders die, then
reads the whole history through each replica.
"""
import threading
import time
import unittest

from harness import giop, load, processes

from .probe_case import ProbeCase


class OrderTest(ProbeCase):
    timeout_s = 200

    def race(self, operations, clients=4, kills=2):
        """Clients call the operations in turn with tokens of their own."""
        def step(probe, client, turn):
            name = operations[turn % len(operations)]
            token = client * 1_000_000 + turn
            probe.number(name, token, code="I")
            return token
        with load.ProbeLoad(self.port, clients=clients, step=step) as racing:
            self.kill_leaders(racing, kills, 200, 100)
        racing.assert_clean(self)
        return racing

    def assert_history(self, racing):
        history = self.group.assert_same_through_each(lambda _: self.read_history())
        tokens = sorted(token for each in racing.answers for token in each)
        self.assertEqual(sorted(history), tokens, "each token is in the history exactly once")
        for client, each in enumerate(racing.answers):
            own = [token for token in history if token // 1_000_000 == client]
            self.assertEqual(own, each, "a client's own order is kept")
        self.group.assert_no_mismatch()

    def read_history(self):
        with giop.Probe(self.port) as probe:
            return probe.history()

    def test_mutexes(self):
        self.assert_history(self.race(["by_mutex"]))

    def test_recursive_mutexes(self):
        self.assert_history(self.race(["by_recursive_mutex"]))

    def test_try_locks(self):
        self.assert_history(self.race(["by_try_lock"]))

    def test_read_write_locks(self):
        self.assert_history(self.race(["by_read_write_lock"]))

    def test_semaphores(self):
        self.assert_history(self.race(["by_semaphore"]))

    def test_semaphores_of_the_orbs_thread_library(self):
        self.assert_history(self.race(["by_omni_semaphore"]))

    def test_spin_locks(self):
        self.assert_history(self.race(["by_spin_lock"]))

    def test_timed_locks(self):
        self.assert_history(self.race(["by_timed_lock"]))

    def test_all_of_them_mixed(self):
        self.assert_history(self.race(
            ["by_mutex", "by_semaphore", "by_read_write_lock", "by_try_lock", "by_timed_lock"]))

    def test_call_once_has_one_winner_everywhere(self):
        won, started = [], threading.Barrier(4)

        def call(token):
            with giop.Probe(self.port) as probe:
                started.wait(10)
                won.append(probe.number("once_winner", token))
        threads = [threading.Thread(target=call, args=(token,)) for token in (11, 22, 33, 44)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        self.assertEqual(len(won), 4)
        self.assertEqual(len(set(won)), 1)

        def winner(_):
            with giop.Probe(self.port) as probe:
                return probe.number("once_winner", 99)
        self.assertEqual(self.group.assert_same_through_each(winner), won[0])

    def test_call_once_on_memory_that_is_used_again(self):
        def step(probe, client, turn):
            return probe.number("pair_once", client * 100_000 + turn)
        with load.ProbeLoad(self.port, clients=4, step=step) as clients:
            self.kill_leaders(clients, 2, 400, 200)
        clients.assert_clean(self)
        self.assert_agreement()

    def test_two_callers_meet_at_a_barrier_across_a_kill(self):
        with giop.Probe(self.port) as first, giop.Probe(self.port) as second:
            def encode(token):
                return lambda out: out.long(token)
            first.connection.send_request(b"probe", "barrier_meeting", encode(3))
            self.group.replace_leader()
            second.connection.send_request(b"probe", "barrier_meeting", encode(4))
            self.assertEqual(first.connection.read_reply()[1].long(), 7)
            self.assertEqual(second.connection.read_reply()[1].long(), 7)
            self.group.await_all_ready()
        self.assert_agreement()


class WaitingTest(ProbeCase):
    timeout_s = 200

    def test_each_queued_value_is_taken_exactly_once(self):
        taken = []

        def step(probe, client, turn):
            if client < 2:
                probe.nothing("queue_put", client * 100_000 + turn)
                return None
            value = probe.number("queue_take", 20)
            if value != -1:
                taken.append(value)
            return value
        with load.ProbeLoad(self.port, clients=4, step=step) as clients:
            self.kill_leaders(clients, 3, 200, 100)
        clients.assert_clean(self)
        with giop.Probe(self.port) as probe:
            while (value := probe.number("queue_take", 0)) != -1:
                taken.append(value)
        put = [client * 100_000 + turn for client in range(2)
               for turn in range(len(clients.answers[client]))]
        self.assertEqual(sorted(taken), sorted(put))
        self.assert_agreement()

    def test_a_waiter_is_woken_across_a_kill(self):
        with giop.Probe(self.port) as waiter, giop.Probe(self.port) as other:
            waiting = waiter.connection.send_request(
                b"probe", "queue_take", lambda out: out.ulong(60_000))
            self.assertEqual(other.number("counter"), 0)  # the taker is in the server about now
            self.group.replace_leader()
            other.nothing("queue_put", 5)
            request_id, reply = waiter.connection.read_reply()
            self.assertEqual((request_id, reply.long()), (waiting, 5))
            self.group.await_all_ready()
        self.assert_agreement()

    def test_a_timed_wait_keeps_its_deadline_across_a_kill(self):
        with giop.Probe(self.port) as waiter:
            begun = time.monotonic()
            waiter.connection.send_request(b"probe", "queue_take", lambda out: out.ulong(1500))
            self.group.replace_leader()
            self.assertEqual(waiter.connection.read_reply()[1].long(), -1)
            took_s = time.monotonic() - begun
        self.assertGreaterEqual(took_s, 1.45)
        self.assertLess(took_s, 4.0)
        self.group.await_all_ready()
        self.assert_agreement()

    def test_sleeps_in_the_application_are_replayed(self):
        def step(probe, client, turn):
            return probe.number("nap", 3)
        with load.ProbeLoad(self.port, clients=4, step=step) as clients:
            clients.await_calls(200)
            self.group.replace_leader()
            clients.await_calls(100)
            self.group.await_all_ready()
        clients.assert_exactly_once(self)
        self.assert_agreement()


class ApplicationThreadsTest(ProbeCase):
    timeout_s = 200

    def test_the_servers_own_worker_does_each_task_once_and_in_order(self):
        def step(probe, client, turn):
            probe.nothing("background_post", client * 1000 + turn % 7)
            return turn
        with load.ProbeLoad(self.port, clients=3, step=step) as clients:
            self.kill_leaders(clients, 2, 150, 100)
        clients.assert_clean(self)

        def background(_):
            with giop.Probe(self.port) as probe:
                return probe.number("background_sum")
        self.group.await_caught_up()
        self.group.assert_same_through_each(background)
        self.assert_agreement()

    def test_threads_started_in_a_request_finish_in_the_same_order_everywhere(self):
        def step(probe, client, turn):
            return probe.number("fan_out", 4)
        with load.ProbeLoad(self.port, clients=2, step=step, pause_s=0.005) as clients:
            clients.await_calls(60)
            self.group.replace_leader()
            clients.await_calls(60)
            self.group.await_all_ready()
        clients.assert_clean(self)
        self.assert_agreement()

    def test_tasks_in_the_background_of_a_request(self):
        def step(probe, client, turn):
            return probe.number("async_add", 3)
        with load.ProbeLoad(self.port, clients=3, step=step, pause_s=0.005) as clients:
            self.kill_leaders(clients, 2, 200, 100)
        clients.assert_clean(self)
        self.assertIn(f"counter {3 * clients.calls} ", self.assert_agreement())

    def test_a_timer_thread_goes_on_counting_after_a_takeover(self):
        with giop.Probe(self.port) as probe:
            first = probe.number("ticks")
            self.group.replace_leader()
            second = probe.number("ticks")
            self.assertGreaterEqual(second, first)
            processes.await_true(lambda: probe.number("ticks") > second, 10, "it still ticks")
            self.group.await_all_ready()
        self.group.assert_no_mismatch()


class ObjectsTest(ProbeCase):
    timeout_s = 200

    def test_concurrent_activations_give_the_same_keys_everywhere(self):
        cells = []

        def step(probe, client, turn):
            cell = probe.activate()
            cells.append(cell)
            return probe.connection.call(cell.key, "put", lambda out: out.long(client + 1)).long()
        with load.ProbeLoad(self.port, clients=4, step=step) as clients:
            clients.await_calls(120)
            self.group.replace_leader()
            clients.await_calls(60)
            self.group.await_all_ready()
        clients.assert_clean(self)
        self.assertEqual(len({cell.key for cell in cells}), len(cells), "keys are not reused")

        def values(_):
            with giop.Probe(self.port) as probe:
                return [probe.connection.call(cell.key, "value").long() for cell in cells]
        self.assertNotIn(0, self.group.assert_same_through_each(values))
        self.group.assert_no_mismatch()

    def test_an_object_learnt_on_one_connection_is_used_on_another(self):
        """Causality through the client: its second connection uses what the first one taught it."""
        def step(probe, client, turn):
            cell = probe.activate()
            with giop.Connection("127.0.0.1", self.port) as other:
                return other.call(cell.key, "put", lambda out: out.long(7)).long()
        with load.ProbeLoad(self.port, clients=3, step=step) as clients:
            self.kill_leaders(clients, 2, 100, 60)
        clients.assert_clean(self)
        self.assertEqual({value for each in clients.answers for value in each}, {7})
        self.assert_agreement()

    def test_an_object_that_deactivates_itself_is_gone_everywhere_at_the_same_call(self):
        def step(probe, client, turn):
            cell = probe.activate()
            probe.connection.call(cell.key, "put", lambda out: out.long(7))
            probe.connection.call(cell.key, "destroy")
            with giop.Connection("127.0.0.1", self.port) as other:
                try:
                    return other.call(cell.key, "put", lambda out: out.long(8)).long()
                except giop.SystemException as error:
                    return error.name
        with load.ProbeLoad(self.port, clients=4, step=step) as clients:
            self.kill_leaders(clients, 3, 400, 100)
        clients.assert_clean(self)
        self.assertIn("IDL:omg.org/CORBA/OBJECT_NOT_EXIST:1.0",
                      {value for each in clients.answers for value in each})
        self.assert_agreement()

    def test_a_dispatch_against_a_concurrent_deactivation_is_decided_once(self):
        def step(probe, client, turn):
            cell = probe.activate()
            with giop.Connection("127.0.0.1", self.port) as other:
                asked = other.send_request(cell.key, "value")
                probe.connection.call(b"probe", "deactivate", lambda out: out.reference(cell))
                try:
                    return other.read_reply()[0] == asked
                except giop.SystemException as error:
                    return error.name
        with load.ProbeLoad(self.port, clients=2, step=step) as clients:
            clients.await_calls(150)
            self.group.replace_leader()
            clients.await_calls(50)
            self.group.await_all_ready()
        clients.assert_clean(self)
        outcomes = {value for each in clients.answers for value in each}
        self.assertLessEqual(outcomes, {True, "IDL:omg.org/CORBA/OBJECT_NOT_EXIST:1.0"})
        self.assert_agreement()


if __name__ == "__main__":
    unittest.main()
