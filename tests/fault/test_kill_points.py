# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at every named step of the engine, and at each again during the takeover that follows.

A test build names its steps in replication/kill_points.def. With AUXIN_KILL_POINT=NAME[:COUNT] a
replica (the one whose id is AUXIN_KILL_REPLICA, or any leader) raises SIGKILL on itself when it
passes the step for the COUNT-th time. Invariants after each: no error at any client, everything
acknowledged is there exactly once, the replicas agree.
"""
import re
import time
import unittest

from harness import giop, group, load, paths, processes, server

DEFINITIONS = paths.ROOT / "replication" / "kill_points.def"
REACHED_WITHIN_S = 3


def kill_points():
    """Names of all steps, in the order of the file: KILL_POINT(Identifier, "name")."""
    return re.findall(r'^KILL_POINT\(\w+,\s*"([^"]+)"\)', DEFINITIONS.read_text(), re.MULTILINE)


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
        """One group in which `replica` dies at the step; before, `kills` SIGKILLs of ours.

        Returns whether the step was reached (known only if nothing else killed the replica).
        """
        if name.endswith("-append"):
            count += 100  # a server appends while it starts: the step is meant under load
        self.port = paths.free_port()
        environment = {"AUXIN_KILL_POINT": f"{name}:{count}", "AUXIN_KILL_REPLICA": str(replica)}
        with group.Group(self, server.probe_command(self.port), port=self.port, key=b"probe",
                         environment=environment) as replicas:
            pid = next(row["pid"] for row in replicas.status()["replicas"] if row["id"] == replica)
            with load.ProbeLoad(self.port, clients=3, step=self.step) as clients:
                for _ in range(kills):
                    clients.await_calls(30)
                    replicas.replace_leader()
                    clients.await_calls(10)
                    replicas.await_all_ready()
                clients.await_calls(150)
                end = time.monotonic() + REACHED_WITHIN_S
                while kills == 0 and processes.alive(pid) and time.monotonic() < end:
                    clients.await_calls(20)
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
            return kills == 0 and not processes.alive(pid)

    def test_the_steps_are_named(self):
        names = kill_points()
        self.assertGreater(len(names), 5)
        self.assertEqual(len(names), len(set(names)))
        for word in ("receive", "append", "send", "accept", "close", "promot"):
            self.assertTrue(any(word in name for name in names), f"a step of {word}")

    def test_the_first_leader_dies_at_each_step(self):
        reached = []
        for name in kill_points():
            for count in (1, 5, 40) if paths.LONG else (5,):
                if not name.startswith("promotion"):
                    with self.subTest(step=name, count=count):
                        if self.campaign(name, count, replica=0, kills=0):
                            reached.append(name)
        unreached = {name for name in kill_points() if not name.startswith("promotion")}
        unreached -= set(reached) | {"half-sent"}  # half-sent depends on the kernel's buffers
        self.assertFalse(unreached, "steps that no leader passed")

    def test_the_next_leader_dies_at_each_step_during_its_takeover(self):
        """Replica 1 dies at its first pass of the step; leaders are killed until it has led."""
        for name in kill_points():
            with self.subTest(step=name):
                self.campaign(name, 1, replica=1, kills=3 if paths.LONG else 2)


if __name__ == "__main__":
    unittest.main()
