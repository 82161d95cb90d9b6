# SPDX-License-Identifier: Apache-2.0
"""The bank of corba_demo/, unmodified, with its own stock client and load generator."""
import re
import shutil
import subprocess
import unittest

from harness import giop, group, paths, stock_load


def fingerprint(port):
    with giop.Connection("127.0.0.1", port) as connection:
        return connection.call(b"Bank", "fingerprint").string()


# Calls a second, so that a replica that replays the log from its start arrives in a short run. The
# long run is saturated.
PACED = 0 if paths.LONG else 1500


class BankCase(unittest.TestCase):
    server_options = ()
    replicas = 3
    kills = 20 if paths.LONG else 4

    def setUp(self):
        self.port = paths.free_port()
        command = [paths.program("bank_server"), "-ORBendPoint",
                   f"giop:tcp:127.0.0.1:{self.port}", *self.server_options]
        self.group = self.enterContext(
            group.Group(self, command, port=self.port, key=b"Bank", replicas=self.replicas,
                        options=self.group_options()))

    def group_options(self):
        return []

    def scratch(self):
        """A directory of the test's own."""
        directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        return directory

    def campaign(self, clients, mix, rate_per_s=0, traced=False):
        """Kills leaders under a load and returns bank_load's report, judged."""
        with stock_load.BankLoad(self.port, clients, mix, rate_per_s, traced) as bank_load:
            for _ in range(self.kills):
                bank_load.let_run(0.4)
                leader = self.group.await_leader()["pid"]
                bank_load.kill(leader)
                self.group.await_leader(other_than_pid=leader)
                bank_load.let_run(0.3)
                self.group.await_all_ready()
            report = bank_load.finish()
        self.assertEqual((report["errors"], report["problems"], report["violations"],
                          report["exit_status"]), (0, [], 0, 0), report["text"])
        self.assertTrue(report["verified"] and report["good"])
        self.assertGreater(report["acknowledged"], 100)
        self.assertEqual([kill["covered"] for kill in report["kills"]], [True] * self.kills)
        for client in report["connections"]:
            self.assertEqual(client["connects"], 1)
            self.assertEqual(client["before"], client["after"], "the same addresses and ports")
        return report

    def assert_agreement(self):
        self.group.assert_no_mismatch()
        text = self.group.assert_same_through_each(lambda _: fingerprint(self.port))
        self.group.assert_no_mismatch()
        return text


class BankTest(BankCase):
    timeout_s = 240

    def test_mixed_operations_lose_and_double_nothing(self):
        report = self.campaign(clients=4, mix="mixed", rate_per_s=PACED)
        self.assertEqual(self.assert_agreement(), report["fingerprint"])

    def test_transfers_between_shared_accounts(self):
        report = self.campaign(clients=4, mix="transfer", rate_per_s=PACED)
        self.assertEqual(self.assert_agreement(), report["fingerprint"])

    def test_accounts_opened_on_demand(self):
        self.campaign(clients=3, mix="open", rate_per_s=400)
        self.assert_agreement()

    def test_the_order_queue_and_its_workers(self):
        self.campaign(clients=3, mix="queue", rate_per_s=600)
        self.assert_agreement()

    def test_each_stock_client_connects_exactly_once(self):
        report = self.campaign(clients=1, mix="deposit", rate_per_s=PACED, traced=True)
        # The client's one, and one of its parent, which funds the accounts and checks at the end.
        self.assertEqual(report["connects"], 2, "as the kernel saw it")

    def test_the_stock_client_reads_the_same_through_each_replica(self):
        def run(*arguments):
            done = subprocess.run(
                [paths.program("bank_client"), f"127.0.0.1:{self.port}", *arguments],
                capture_output=True, text=True, timeout=20)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout
        run("deposit", "ann", "120")
        run("deposit", "bob", "30")
        run("transfer", "ann", "bob", "45")
        said = self.group.assert_same_through_each(
            lambda _: (run("balance", "ann"), run("balance", "bob"), run("statement", "bob")))
        self.assertEqual([re.findall(r"-?\d+", said[i])[-1] for i in (0, 1)], ["75", "75"])


class BankPoolModeTest(BankCase):
    timeout_s = 240
    server_options = ("-ORBthreadPerConnectionPolicy", "0")

    def test_pool_mode_mixed_operations_lose_and_double_nothing(self):
        report = self.campaign(clients=4, mix="mixed", rate_per_s=PACED)
        self.assertEqual(self.assert_agreement(), report["fingerprint"])

    def test_pool_mode_order_queue(self):
        self.campaign(clients=3, mix="queue", rate_per_s=600)
        self.assert_agreement()


if __name__ == "__main__":
    unittest.main()
