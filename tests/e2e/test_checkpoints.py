# SPDX-License-Identifier: Apache-2.0
"""Replicas that rejoin from a checkpoint: an image of a follower, and the log after it."""
import json
import signal

from harness import paths, processes, stock_load

from .test_bank import BankCase, fingerprint


class CheckpointCase(BankCase):
    def checkpoint(self):
        done = self.group.auxin("checkpoint", self.group.name)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def checkpoints(self):
        done = self.group.auxin("checkpoints", self.group.name, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def restored(self):
        return self.group.errors().count(" restored from checkpoint ")

    def kill_and_rejoin(self, bank_load, leads):
        """Kills the leader, or else a follower; it comes back from the newest checkpoint."""
        before = self.restored()
        status = self.group.await_all_ready()
        if leads:
            pid = self.group.leader(status)["pid"]
            bank_load.kill(pid)
            self.group.await_leader(other_than_pid=pid)
        else:
            processes.kill(self.group.followers(status)[0]["pid"])
        processes.await_true(lambda: self.restored() == before + 1, 20,
                             f"a restored replica; {self.group.account()}")
        self.group.await_all_ready()

    def judge(self, bank_load):
        report = bank_load.finish()
        self.assertEqual((report["errors"], report["problems"], report["violations"],
                          report["exit_status"]), (0, [], 0, 0), report["text"])
        self.assertTrue(report["verified"] and report["good"])
        for client in report["connections"]:
            self.assertEqual(client["connects"], 1)
        self.group.assert_no_mismatch()
        self.assertNotIn("did not come to life", self.group.errors())
        return report

    def rejoin_campaign(self, mix, clients=3, rate_per_s=3000 if paths.LONG else 0):
        with stock_load.BankLoad(self.port, clients, mix, rate_per_s) as bank_load:
            for number in range(200 if paths.LONG else 6):
                bank_load.let_run(0.2)
                self.checkpoint()
                bank_load.let_run(0.2)
                self.kill_and_rejoin(bank_load, leads=number % 2 == 0)
            report = self.judge(bank_load)
        self.assertEqual(self.assert_agreement(), report["fingerprint"])


class CheckpointTest(CheckpointCase):
    timeout_s = 2400 if paths.LONG else 240

    def test_replicas_rejoin_from_checkpoints_under_load(self):
        self.rejoin_campaign("mixed")

    def test_workers_with_a_queue_are_restored(self):
        self.rejoin_campaign("queue", clients=2, rate_per_s=600)

    def test_a_checkpoint_is_listed_with_what_it_holds(self):
        self.assertEqual(self.checkpoints(), [])
        self.assertIn("checkpoint 1: ", self.checkpoint())
        self.assertIn("checkpoint 2 (since 1): ", self.checkpoint())
        listed = self.checkpoints()
        self.assertEqual([(row["number"], row["base"]) for row in listed], [(1, 1), (2, 1)])
        self.assertLess(listed[1]["size_bytes"], listed[0]["size_bytes"] / 2)
        self.assertEqual(listed[1]["chain_size_bytes"], sum(row["size_bytes"] for row in listed))
        self.assertIn("changes since 1", self.group.auxin("checkpoints", self.group.name).stdout)
        self.assertTrue(all(row["usable"] for row in listed))
        self.assertEqual(listed[-1]["program"], paths.program("bank_server"))
        images = sorted((self.group.state_dir / self.group.name / "checkpoints").rglob("*"))
        self.assertEqual({path.stat().st_mode & 0o077 for path in images}, {0})

    def test_a_restored_replica_leads_and_is_restored_again(self):
        with stock_load.BankLoad(self.port, 2, "deposit", 1000) as bank_load:
            bank_load.let_run(0.3)
            self.checkpoint()
            for _ in range(4):
                self.kill_and_rejoin(bank_load, leads=True)
            self.judge(bank_load)
        self.assert_agreement()

    def test_a_follower_killed_while_it_saves_leaves_nothing(self):
        with stock_load.BankLoad(self.port, 2, "deposit", 500) as bank_load:
            bank_load.let_run(0.2)
            self.checkpoint()
            for _ in range(5):
                status = self.group.await_all_ready()
                victims = [row["pid"] for row in self.group.followers(status)]
                for pid in victims:
                    processes.kill(pid, signal.SIGSTOP)
                asked = self.group.popen("checkpoint", self.group.name, "--timeout", "20")
                bank_load.let_run(0.05)
                for pid in victims:
                    processes.kill(pid, signal.SIGCONT)
                for pid in victims:
                    processes.kill(pid)
                asked.communicate(timeout=30)
                self.group.await_all_ready()
            report = self.judge(bank_load)
        self.assertTrue(report["good"])
        complete = {row["number"] for row in self.checkpoints()}
        directory = self.group.state_dir / self.group.name / "checkpoints"
        self.checkpoint()
        left = {int(path.name) for path in directory.iterdir()}
        self.assertLessEqual(len(left), 2, f"{left}, complete before {complete}")

    def test_a_group_that_died_as_a_whole_goes_on_from_its_checkpoint(self):
        with stock_load.BankLoad(self.port, 2, "deposit", 500) as bank_load:
            bank_load.let_run(0.3)
            self.checkpoint()
            bank_load.let_run(0.3)
            self.judge(bank_load)
        before = fingerprint(self.port)
        self.group.kill_everything()
        self.group.start()
        self.group.await_all_ready()
        self.assertEqual(self.restored(), 3)
        self.assertEqual(fingerprint(self.port), before)
        self.assertEqual(self.assert_agreement(), before)

    def test_a_damaged_checkpoint_is_not_used(self):
        self.checkpoint()
        image = next((self.group.state_dir / self.group.name / "checkpoints").rglob("0.segment"))
        content = bytearray(image.read_bytes())
        content[len(content) // 2] ^= 1
        image.write_bytes(content)
        follower = self.group.followers()[0]
        processes.kill(follower["pid"])
        processes.await_true(
            lambda: "did not come to life from checkpoint 1" in self.group.errors(), 20,
            f"it is not restored; {self.group.account()}")
        self.assertIn("damaged image", self.group.errors() + self.group.output())
        self.group.await_all_ready()
        self.assert_agreement()


class ShortChainTest(CheckpointCase):
    """After one delta the next checkpoint is whole again."""
    timeout_s = 240

    def group_options(self):
        configuration = self.scratch() / "auxin.toml"
        configuration.write_text("[checkpoint]\ndeltas = 1\n")
        return ["--config", str(configuration)]

    def test_old_chains_are_removed_and_deltas_restored(self):
        with stock_load.BankLoad(self.port, 2, "mixed", 1000) as bank_load:
            for number in range(1, 7):
                self.assertIn(f"checkpoint {number}" + (": " if number % 2 else " (since "),
                              self.checkpoint())
                bank_load.let_run(0.1)
                if number == 5:
                    self.assertEqual([(row["number"], row["base"]) for row in self.checkpoints()],
                                     [(3, 3), (4, 3), (5, 5)])
            self.assertEqual([(row["number"], row["base"]) for row in self.checkpoints()],
                             [(5, 5), (6, 5)])
            for victim in self.group.followers():
                processes.kill(victim["pid"])
            self.group.await_all_ready()
            self.judge(bank_load)
        self.assertEqual(self.restored(), 2)
        self.assert_agreement()


class PoolCheckpointTest(CheckpointCase):
    timeout_s = 2400 if paths.LONG else 240
    server_options = ("-ORBthreadPerConnectionPolicy", "0")

    def test_a_pool_is_restored_under_load(self):
        self.rejoin_campaign("mixed", rate_per_s=1500)


class SmallLogTest(CheckpointCase):
    """The log is written over many times; replicas rejoin all the same."""
    timeout_s = 2400 if paths.LONG else 240

    def group_options(self):
        configuration = self.scratch() / "auxin.toml"
        configuration.write_text('[log]\nentries = 65536\npayload = "16MiB"\n'
                                 "[checkpoint]\nlog_percent = 20\n")
        return ["--config", str(configuration)]

    def test_a_group_goes_on_for_ever_in_a_small_log(self):
        with stock_load.BankLoad(self.port, 2, "mixed", 1500) as bank_load:
            for number in range(100 if paths.LONG else 8):
                position = self.group.status()["log"]["end"]
                processes.await_true(
                    lambda: self.group.status()["log"]["end"] > position + 30_000, 60,
                    "the log goes on")
                status = self.group.await_all_ready()
                self.assertTrue(status["rejoin"], status)
                self.kill_and_rejoin(bank_load, leads=number % 2 == 0)
            self.judge(bank_load)
        status = self.group.status()
        self.assertGreater(status["log"]["begin"], 65536, "written over")
        self.assertLessEqual(len({row["base"] for row in self.checkpoints()}), 2)
        self.assertNotIn("can't join again", self.group.errors())
        self.assert_agreement()
