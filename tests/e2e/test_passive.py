# SPDX-License-Identifier: Apache-2.0
"""Passive styles: one replica executes; the others go on from its checkpoint and the log."""
import shutil
import time

from harness import giop, paths, processes, stock_load

from .test_bank import fingerprint
from .test_checkpoints import CheckpointCase


class PassiveCase(CheckpointCase):
    style = "warm-passive"
    timeout_s = 2400 if paths.LONG else 300

    def group_options(self):
        return ["--style", self.style]

    def roles(self):
        return sorted(row["role"] for row in self.group.status()["replicas"])

    def await_backups(self):
        """Until one leads and all others are backups; in the warm style one of them stands by."""
        def there():
            rows = self.group.status()["replicas"]
            backups = [row for row in rows if row["role"] == "backup"]
            standing_by = [row for row in backups if row["pid"]]
            return (self.group.leader() and len(backups) == len(rows) - 1 and
                    len(standing_by) == (1 if self.style == "warm-passive" else 0))
        processes.await_true(there, 30, f"a leader and backups; {self.group.account()}")

    def standby(self):
        return next(row["pid"] for row in self.group.status()["replicas"]
                    if row["role"] == "backup" and row["pid"])

    def takeovers(self, mix, clients=3, rate_per_s=1500, number=6):
        with stock_load.BankLoad(self.port, clients, mix, rate_per_s) as bank_load:
            for _ in range(200 if paths.LONG else number):
                bank_load.let_run(0.6)
                leader = self.group.await_leader()["pid"]
                bank_load.kill(leader)
                self.group.await_leader(other_than_pid=leader)
                bank_load.let_run(0.2)
                self.await_backups()
            report = self.judge(bank_load)
        self.assertEqual(fingerprint(self.port), report["fingerprint"])


class WarmPassiveTest(PassiveCase):
    def test_backups_take_over_under_load(self):
        self.takeovers("mixed")

    def test_backups_take_over_with_queues_and_conditions(self):
        self.takeovers("queue", clients=2, rate_per_s=600)

    def test_a_backup_does_not_execute(self):
        self.await_backups()
        with stock_load.BankLoad(self.port, 2, "deposit", 1500) as bank_load:
            bank_load.let_run(0.2)
            backup = self.standby()
            before, begun = processes.cpu_seconds(backup), time.monotonic()
            while time.monotonic() - begun < 2 and processes.alive(backup):
                bank_load.let_run(0.1)
                used = processes.cpu_seconds(backup) - before if processes.alive(backup) else 0
                self.assertLessEqual(used, 0.02, "it stands by and computes nothing")
            self.judge(bank_load)

    def test_what_changed_is_added_to_who_stands_by(self):
        self.await_backups()
        with stock_load.BankLoad(self.port, 2, "mixed", 1000) as bank_load:
            self.checkpoint()
            self.await_backups()
            backup = self.standby()
            first = self.checkpoints()[-1]
            for _ in range(3):
                bank_load.let_run(0.2)
                self.checkpoint()
            self.assertEqual(self.checkpoints()[-1]["base"], first["base"])
            leader = self.group.await_leader()["pid"]
            self.assertEqual(self.standby(), backup, "the same process, with newer memory")
            bank_load.kill(leader)
            self.assertEqual(self.group.await_leader(other_than_pid=leader)["pid"], backup)
            report = self.judge(bank_load)
        self.assertEqual(fingerprint(self.port), report["fingerprint"])

    def test_a_checkpoint_holds_no_copy_of_the_stable_memory(self):
        self.checkpoint()
        directory = self.group.state_dir / self.group.name / "checkpoints"
        copies = [path.name for path in directory.rglob("*.file.*")]
        self.assertEqual(copies, [], "the server has no file open for writing")

    def test_leader_and_backup_killed_together(self):
        self.await_backups()
        with stock_load.BankLoad(self.port, 2, "deposit", 1000) as bank_load:
            for _ in range(4):
                bank_load.let_run(0.3)
                rows = self.group.status()["replicas"]
                leader = self.group.await_leader()["pid"]
                for row in rows:
                    if row["role"] == "backup" and row["pid"]:
                        processes.kill(row["pid"])
                bank_load.kill(leader)
                self.group.await_leader(other_than_pid=leader)
                self.await_backups()
            self.judge(bank_load)

    def test_a_backup_takes_over_without_a_supervisor(self):
        self.await_backups()
        leader = self.group.await_leader()["pid"]
        before = fingerprint(self.port)
        with giop.Connection("127.0.0.1", self.port) as connection:
            connection.call(b"Bank", "fingerprint")
            self.group.supervisor.kill()
            self.group.supervisor.wait()
            processes.kill(leader)
            self.assertEqual(connection.call(b"Bank", "fingerprint").string(), before)
        self.assertNotEqual(self.group.await_leader()["pid"], leader)
        self.group.start()   # another supervisor adopts what runs
        self.await_backups()
        self.assertEqual(fingerprint(self.port), before)


class UnpublishedTest(PassiveCase):
    style = "warm-passive"

    def group_options(self):
        return [*super().group_options(), "--verbose"]

    def test_a_checkpoint_that_was_not_made_known_is_not_gone_on_from(self):
        """What lies on the disk complete is told to who stands by before it counts."""
        self.await_backups()
        newest = self.checkpoints()[-1]["number"]
        directory = self.group.state_dir / self.group.name / "checkpoints"
        shutil.copytree(directory / str(newest), directory / str(newest + 7))
        told = self.group.errors().count("stands by with checkpoint")
        processes.kill(self.standby())
        processes.await_true(
            lambda: self.group.errors().count("stands by with checkpoint") > told, 30,
            "another one that stands by")
        self.assertNotIn(f"with checkpoint {newest + 7}", self.group.errors())
        self.await_backups()
        with stock_load.BankLoad(self.port, 2, "deposit", 1000) as bank_load:
            bank_load.let_run(0.2)
            bank_load.kill(self.group.await_leader()["pid"])
            self.judge(bank_load)


class OutrunTest(PassiveCase):
    """A group of which only the leader is left, and the log no longer reaches back to its start."""
    style = "semi-active"

    def group_options(self):
        directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        configuration = directory / "auxin.toml"
        configuration.write_text('[log]\nentries = 65536\npayload = "16MiB"\n'
                                 '[checkpoint]\nevery_s = 0\nlog_percent = 0\n')
        return ["--config", str(configuration)]

    def switch(self, style):
        done = self.group.auxin("switch", self.group.name, "--style", style)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_it_gets_its_replicas_back_by_way_of_a_passive_style(self):
        with giop.Connection("127.0.0.1", self.port) as connection:
            while self.group.status()["log"]["begin"] == 0:
                for _ in range(1000):
                    connection.call(b"Bank", "fingerprint")
            for row in self.group.status()["replicas"]:
                if row["role"] != "leader":
                    processes.kill(row["pid"])
            processes.await_true(lambda: self.group.errors().count("can't join again: ") == 2, 10,
                                 "two that can't join again")
            self.switch("warm-passive")
            processes.await_true(lambda: self.roles() == ["backup", "backup", "leader"], 30,
                                 "a leader and backups")
            self.switch("semi-active")
            self.group.await_all_ready()
            before = connection.call(b"Bank", "fingerprint").string()
            self.group.replace_leader()
            self.assertEqual(connection.call(b"Bank", "fingerprint").string(), before)


class ColdPassiveTest(PassiveCase):
    style = "cold-passive"

    def test_backups_are_started_under_load(self):
        self.takeovers("mixed")

    def test_nothing_but_the_leader_runs(self):
        self.await_backups()
        running = [row for row in self.group.status()["replicas"] if row["pid"]]
        self.assertEqual([row["role"] for row in running], ["leader"])

    def test_a_passive_group_that_died_as_a_whole_goes_on(self):
        with stock_load.BankLoad(self.port, 2, "deposit", 500) as bank_load:
            bank_load.let_run(0.5)
            self.judge(bank_load)
        before = fingerprint(self.port)
        self.group.kill_everything()
        self.group.start()
        self.await_backups()
        self.assertEqual(fingerprint(self.port), before)

    def test_going_back_to_a_checkpoint(self):
        with stock_load.BankLoad(self.port, 2, "deposit", 500) as bank_load:
            bank_load.let_run(0.3)
            self.judge(bank_load)
        then = fingerprint(self.port)
        self.checkpoint()
        number = self.checkpoints()[-1]["number"]
        with stock_load.BankLoad(self.port, 2, "deposit", 500) as bank_load:
            bank_load.let_run(0.3)
            self.judge(bank_load)
        self.assertNotEqual(fingerprint(self.port), then)
        done = self.group.auxin("restore", self.group.name, "--at", str(number))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"from checkpoint {number}; what came after it is given up", done.stdout)
        giop.await_object(self.port, b"Bank")
        self.assertEqual(fingerprint(self.port), then, "the state of the checkpoint")
        self.assertLessEqual(self.checkpoints()[0]["number"], number)
        self.takeovers("mixed", number=3)   # and a history of its own from there

    def test_refusals_say_what_to_do(self):
        for words, sentence in (
                (("restore", self.group.name, "--at", "999"), "there is no checkpoint 999"),
                (("switch", self.group.name, "--style", "none"), "semi-active, warm-passive or"),
                (("switch", "nobody", "--style", "semi-active"), "there is no group nobody")):
            done = self.group.auxin(*words)
            self.assertEqual(done.returncode, 2, done)
            self.assertIn(sentence, done.stderr)
        self.await_backups()


class SwitchTest(PassiveCase):
    style = "semi-active"

    def switch(self, style):
        done = self.group.auxin("switch", self.group.name, "--style", style)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"the style is {style} now", done.stdout)
        self.style = style
        self.assertEqual(self.group.status()["style"], style)
        if style == "semi-active":
            self.group.await_all_ready()
        else:
            self.await_backups()

    def test_styles_change_under_load_and_leaders_die_in_each(self):
        with stock_load.BankLoad(self.port, 3, "mixed", 1500) as bank_load:
            for style in ("warm-passive", "cold-passive", "semi-active", "cold-passive",
                          "warm-passive", "semi-active") * (10 if paths.LONG else 1):
                self.switch(style)
                bank_load.let_run(0.3)
                leader = self.group.await_leader()["pid"]
                bank_load.kill(leader)
                self.group.await_leader(other_than_pid=leader)
                bank_load.let_run(0.2)
            report = self.judge(bank_load)
        self.group.await_all_ready()
        self.assertEqual(self.assert_agreement(), report["fingerprint"])

    def test_all_processes_begin_again_and_clients_stay(self):
        with stock_load.BankLoad(self.port, 2, "mixed", 1000) as bank_load:
            bank_load.let_run(0.3)
            self.checkpoint()
            bank_load.let_run(0.3)
            before = {row["pid"] for row in self.group.status()["replicas"]}
            done = self.group.auxin("restore", self.group.name)
            self.assertEqual(done.returncode, 0, done.stderr)
            status = self.group.await_all_ready()
            self.assertFalse(before & {row["pid"] for row in status["replicas"]})
            bank_load.let_run(0.3)
            self.judge(bank_load)
        self.assert_agreement()


class LoneServerTest(CheckpointCase):
    """A group of one: its checkpoint is the leader's own."""
    timeout_s = 2400 if paths.LONG else 240
    replicas = 1

    def test_it_goes_on_from_its_checkpoint_with_its_clients(self):
        with stock_load.BankLoad(self.port, 3, "mixed", 1500) as bank_load:
            for _ in range(200 if paths.LONG else 6):
                bank_load.let_run(0.2)
                self.checkpoint()
                bank_load.let_run(0.2)
                leader = self.group.await_leader()["pid"]
                bank_load.kill(leader)
                self.group.await_leader(other_than_pid=leader)
            report = self.judge(bank_load)
        self.assertEqual(fingerprint(self.port), report["fingerprint"])


class PoolPassiveTest(PassiveCase):
    server_options = ("-ORBthreadPerConnectionPolicy", "0")

    def test_a_pool_takes_over_under_load(self):
        self.takeovers("mixed")
