# SPDX-License-Identifier: Apache-2.0
"""The bank of corba_demo/, unmodified, with its own stock client and load generator."""
import re
import subprocess
import unittest

from harness import giop, group, paths, processes, stock_load


def fingerprint(port):
    with giop.Connection("127.0.0.1", port) as connection:
        return connection.call(b"Bank", "fingerprint").string()


class BankTest(unittest.TestCase):
    timeout_s = 240
    server_options = ()
    kills = 20 if paths.LONG else 5

    def setUp(self):
        self.port = paths.free_port()
        self.command = [paths.program("bank_server"), "-ORBendPoint",
                        f"giop:tcp:127.0.0.1:{self.port}", *self.server_options]
        self.group = self.enterContext(
            group.Group(self, self.command, port=self.port, key=b"Bank"))

    def kill_under(self, bank_load):
        for _ in range(self.kills):
            bank_load.let_run(0.4)
            self.group.replace_leader()
            bank_load.let_run(0.2)
            self.group.await_all_ready()

    def test_nothing_acknowledged_is_lost_or_doubled_and_replicas_agree(self):
        with stock_load.BankLoad(self.port, clients=4, mix="all") as bank_load:
            self.kill_under(bank_load)
        report = bank_load.report()
        self.assertEqual(report["errors"], 0, report)
        self.assertEqual(report["lost_or_doubled"], 0, report)
        self.assertGreater(report["calls"], 500)
        self.group.assert_no_mismatch()
        self.group.assert_same_through_each(lambda _: fingerprint(self.port))
        self.group.assert_no_mismatch()

    def test_the_stock_client_connects_once(self):
        with stock_load.BankLoad(self.port, clients=1, mix="deposit", traced=True) as bank_load:
            self.assertEqual(len(before := bank_load.connections()), 1)
            self.kill_under(bank_load)
            self.assertEqual(bank_load.connections(), before, "the same addresses and ports")
        self.assertEqual(bank_load.report()["errors"], 0)
        self.assertEqual(bank_load.connects(), 1, "exactly one connect()")

    def test_the_stock_client_reads_the_same_through_each_replica(self):
        client = paths.program("bank_client")
        where = f"127.0.0.1:{self.port}"

        def run(*arguments):
            done = subprocess.run([client, where, *arguments], capture_output=True, text=True,
                                  timeout=20)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout
        run("deposit", "ann", "120")
        run("deposit", "bob", "30")
        run("transfer", "ann", "bob", "45")
        said = self.group.assert_same_through_each(
            lambda _: (run("balance", "ann"), run("balance", "bob"), run("statement", "bob")))
        self.assertEqual([re.findall(r"-?\d+", said[i])[-1] for i in (0, 1)], ["75", "75"])


class BankPoolModeTest(BankTest):
    server_options = ("-ORBthreadPerConnectionPolicy", "0")

    def test_pool_mode_loses_and_doubles_nothing(self):
        self.test_nothing_acknowledged_is_lost_or_doubled_and_replicas_agree()


if __name__ == "__main__":
    unittest.main()
