# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at every named step of the engine, and at each again during the takeover that follows.

A test build names its steps in replication/kill_points.def. With AUXIN_KILL_POINT=NAME[:COUNT] a
replica (the one whose id is AUXIN_KILL_REPLICA, or any leader) raises SIGKILL on itself when it
passes the step for the COUNT-th time. Invariants after each: no error at any client, everything
acknowledged is there exactly once, the replicas agree.
"""
import re
import unittest

from harness import giop, group, load, paths, processes, server

DEFINITIONS = paths.ROOT / "replication" / "kill_points.def"
REACHED_WITHIN_S = 6


def kill_points():
    """Names of all steps, in the order of the file: the first argument of each X-macro line."""
    return re.findall(r"^\s*[A-Z_]+\(\s*\"?([A-Za-z0-9_.-]+)\"?", DEFINITIONS.read_text(),
                      re.MULTILINE)


class KillPointsTest(unittest.TestCase):
    timeout_s = 1200

    def step(self, probe, client, turn):
        """Every kind of step is passed: requests, oneways, accepts, closes, waits."""
        if turn % 7 == 3:
            with giop.Probe(self.port) as fresh:
                return fresh.add(1)
        if turn % 5 == 2:
            probe.oneway("note", 1)
        if turn % 11 == 4:
            probe.number("queue_take", 1)
        return probe.add(1)

    def campaign(self, name, count, replica, kills):
        """One group that dies at the step; `kills` SIGKILLs of ours besides. True: it was reached."""
        self.port = paths.free_port()
        environment = {"AUXIN_KILL_POINT": f"{name}:{count}"}
        if replica is not None:
            environment["AUXIN_KILL_REPLICA"] = str(replica)
        with group.Group(self, server.probe_command(self.port), port=self.port, key=b"probe",
                         environment=environment) as replicas:
            first = {row["id"]: row["pid"] for row in replicas.status()["replicas"]}
            with load.ProbeLoad(self.port, clients=3, step=self.step) as clients:
                for _ in range(kills):
                    clients.await_calls(30)
                    replicas.replace_leader()
                    clients.await_calls(10)
                    replicas.await_all_ready()
                clients.await_calls(150)
                if kills == 0:
                    try:
                        processes.await_true(
                            lambda: not processes.alive(first[replica]), REACHED_WITHIN_S, "")
                    except AssertionError:
                        pass
                clients.await_calls(30)
            total = clients.assert_exactly_once(self)
            replicas.await_all_ready()
            with giop.Probe(self.port) as probe:
                state = probe.state()
            self.assertIn(f"counter {total} additions {total} ", state)
            replicas.replace_leader()
            with giop.Probe(self.port) as probe:
                self.assertEqual(probe.state(), state)
            replicas.await_all_ready()
            replicas.assert_no_mismatch()
            return "killed at" in replicas.errors() or not processes.alive(first[replica or 0])

    def test_the_steps_are_named(self):
        names = kill_points()
        self.assertGreater(len(names), 5)
        self.assertEqual(len(names), len(set(names)))
        for word in ("receive", "append", "send", "accept", "close", "promot"):
            self.assertTrue(any(word in name for name in names), f"a step of {word}")

    def test_the_first_leader_dies_at_each_step(self):
        reached = []
        for name in kill_points():
            for count in (1, 40) if paths.LONG else (20,):
                with self.subTest(step=name, count=count):
                    if self.campaign(name, count, replica=0, kills=0):
                        reached.append(name)
        print("reached as leader:", " ".join(sorted(set(reached))))
        self.assertGreater(len(reached), 5)

    def test_the_next_leader_dies_at_each_step_of_its_takeover(self):
        """Replica 1 dies at its first pass of the step; leaders are killed until it has led."""
        for name in kill_points():
            with self.subTest(step=name):
                self.campaign(name, 1, replica=1, kills=3 if paths.LONG else 2)


if __name__ == "__main__":
    unittest.main()
