# SPDX-License-Identifier: Apache-2.0
"""Groups of the known servers under ordinary load: what the manifest calls sufficient agrees, and
what it does not diverges.

An ordinary load proves sufficiency of nothing. It shows that the servers are what they claim to be:
that each wrong one can be seen to be wrong.
"""
import shutil
import unittest

from harness import group, known_servers, paths, processes

MOST_LOADS = 40  # until a divergence must have been seen; the first one nearly always does


class KnownServersCase(unittest.TestCase):
    timeout_s = 120

    def in_group(self, known, mode, judge):
        """Runs a group of the server and calls judge(group, the file with the leader's IOR)."""
        directory = paths.scratch_dir()
        try:
            with group.Group(self, known.command(directory / "ior-{replica}", mode),
                             environment={"AUXIN_MAPS": str(known.map_directory(directory))}
                             ) as replicas:
                ior = directory / f"ior-{replicas.await_leader()['id']}"
                processes.await_true(ior.exists, 10, f"{known.name} writes its IOR")
                judge(replicas, ior)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def for_each(self, mode, chosen, judge):
        servers = [known for known in known_servers.all_servers() if chosen(known.told)]
        self.assertTrue(servers)
        for known in servers:
            with self.subTest(known.name, mode=mode):
                self.in_group(known, mode, judge)


class SufficientTest(KnownServersCase):
    """Replies, the state's among them, are compared byte for byte by every follower."""

    def agree(self, mode):
        seed = paths.seed()

        def judge(replicas, ior):
            for turn in range(2):
                known_servers.load(ior, seed + turn)
            replicas.await_caught_up()
            status = replicas.assert_no_mismatch()
            self.assertEqual([row["starts"] for row in status["replicas"]], [1] * 3)
            for row in replicas.followers(status):
                self.assertGreaterEqual(
                    row["compared"], 2 * known_servers.MANIFEST["load"]["requests"])
        self.for_each(mode, lambda told: told["sufficient"] and told["closed"], judge)

    def test_replicas_agree_with_a_thread_per_connection(self):
        self.agree("thread per connection")

    def test_replicas_agree_with_a_pool(self):
        self.agree("pool")


class InsufficientTest(KnownServersCase):
    def diverge(self, mode):
        seed = paths.seed()

        def diverged(replicas):
            return "diverged" in replicas.errors() or any(
                row["mismatches"] for row in replicas.status()["replicas"])

        def judge(replicas, ior):
            for turn in range(MOST_LOADS):
                known_servers.load(ior, seed + turn)
                if diverged(replicas):
                    return
            self.fail(f"no follower diverged in {MOST_LOADS} loads; {replicas.account()}")
        self.for_each(mode, lambda told: not told["sufficient"], judge)

    def test_a_follower_diverges_with_a_thread_per_connection(self):
        self.diverge("thread per connection")

    def test_a_follower_diverges_with_a_pool(self):
        self.diverge("pool")


class NotClosedTest(KnownServersCase):
    """docs/limits.md: a contention point that is acquired under a lock that is not ordered."""

    def stand_still(self, mode):
        seed = paths.seed()

        def positions(replicas):
            return {row["id"]: row["position"] for row in replicas.followers()}

        def judge(replicas, ior):
            before = {}
            for turn in range(MOST_LOADS):
                known_servers.load(ior, seed + turn)
                now = positions(replicas)
                if any(before.get(id) == position for id, position in now.items()):
                    break
                before = now
            else:
                self.fail(f"every follower followed {MOST_LOADS} loads; {replicas.account()}")
            replicas.assert_no_mismatch()
        self.for_each(mode, lambda told: not told["closed"], judge)

    def test_a_follower_stands_still_with_a_thread_per_connection(self):
        self.stand_still("thread per connection")

    def test_a_follower_stands_still_with_a_pool(self):
        self.stand_still("pool")


if __name__ == "__main__":
    unittest.main()
