# SPDX-License-Identifier: Apache-2.0
"""TangoTest of Debian's tango-test, called by the stock client of python3-tango."""
import contextlib
import json
import pathlib
import subprocess
import time
import unittest

from harness import group, paths, processes, stock_client

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"  # the interpreter for which python3-tango is built


def device_state(port):
    """What the device answers; an AssertionError where it does not."""
    done = subprocess.run([PYTHON, HERE / "tango_state.py", str(port)], capture_output=True,
                          text=True, timeout=30)
    if done.returncode != 0:
        raise AssertionError(f"the device cannot be read: {done.stderr}")
    return json.loads(done.stdout)


def await_device(port):
    """TangoTest kills itself where a signal meets it before its devices exist."""
    def answers():
        try:
            return device_state(port)
        except AssertionError:
            return None
    processes.await_true(answers, 30, "the device answers")


class TangoCase(unittest.TestCase):
    timeout_s = 240
    kills = 15 if paths.LONG else 4
    options = ()

    def setUp(self):
        self.port = paths.free_port()
        command = [paths.tango_test_binary(), "test", "-nodb", "-dlist", "a/b/c",
                   "-ORBendPoint", f"giop:tcp::{self.port}"]
        self.group = self.enterContext(group.Group(self, command, port=self.port,
                                                   options=self.options))
        await_device(self.port)


class TangoTest(TangoCase):
    def test_a_stock_client_does_not_notice_that_leaders_die(self):
        with stock_client.StockClient([PYTHON, HERE / "tango_load.py", str(self.port)], self.port,
                                      traced=True) as client:
            self.assertIn("RUNNING", client.process.stdout.readline())
            before = client.connections()
            self.assertEqual(len(before), 1)
            for _ in range(self.kills):
                time.sleep(0.3)  # load of some length between the kills
                self.group.replace_leader()
                self.group.await_all_ready()
            self.assertEqual(client.connections(), before, "the same addresses and ports")
            status, out, err = client.finish()
            connects = client.connects()
        self.assertEqual(status, 0, err)
        report = json.loads(out.splitlines()[-1])
        self.assertEqual((report["errors"], report["wrong"]), ([], 0))
        self.assertGreater(report["calls"], 100)
        self.assertEqual(connects, 1, "exactly one connect()")
        held = self.group.assert_same_through_each(lambda _: device_state(self.port))
        for name, value in report["last"].items():
            self.assertEqual(held[name], value, f"{name} is what was written last")
        self.group.assert_no_mismatch()

    def test_replicas_are_restored_from_checkpoints_under_load(self):
        with stock_client.StockClient([PYTHON, HERE / "tango_load.py", str(self.port)], self.port,
                                      traced=True) as client:
            self.assertIn("RUNNING", client.process.stdout.readline())
            before = client.connections()
            for number in range(self.kills):
                time.sleep(0.3)
                done = self.group.auxin("checkpoint", self.group.name)
                self.assertEqual(done.returncode, 0, done.stderr)
                if number % 2 == 0:
                    self.group.replace_leader()
                else:
                    processes.kill(self.group.followers()[0]["pid"])
                processes.await_true(
                    lambda: self.group.errors().count(" restored from checkpoint ") > number, 20,
                    f"a restored replica; {self.group.account()}")
                self.group.await_all_ready()
            self.assertEqual(client.connections(), before, "the same addresses and ports")
            status, out, err = client.finish()
        self.assertEqual(status, 0, err)
        report = json.loads(out.splitlines()[-1])
        self.assertEqual((report["errors"], report["wrong"]), ([], 0))
        self.assertNotIn("did not come to life", self.group.errors())
        self.group.assert_same_through_each(lambda _: device_state(self.port))
        self.group.assert_no_mismatch()

    def test_commands_of_several_clients_are_followed(self):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(stock_client.StockClient(
                [PYTHON, HERE / "tango_load.py", str(self.port), "commands"], self.port))
                for _ in range(3)]
            for client in clients:
                self.assertIn("RUNNING", client.process.stdout.readline())
            for _ in range(2):
                time.sleep(0.3)  # load of some length between the kills
                self.group.replace_leader()
                self.group.await_all_ready()
            for client in clients:
                status, out, err = client.finish()
                self.assertEqual(status, 0, err)
                report = json.loads(out.splitlines()[-1])
                self.assertEqual((report["errors"], report["wrong"]), ([], 0))
                self.assertGreater(report["calls"], 100)
        self.group.assert_no_mismatch()

    def test_connections_of_other_protocols_are_named(self):
        # TANGO's event sockets are bound some time after the ORB's.
        processes.await_true(
            lambda: any("protocol without a binding" in note
                        for note in map(str, self.group.status()["unsupported"])),
            20, "status says that TANGO's event sockets are the leader's own")


class PassiveTangoTest(TangoCase):
    timeout_s = 1800 if paths.LONG else 240
    kills = 200 if paths.LONG else 5
    options = ("--style", "warm-passive")

    def test_backups_of_a_device_take_over_under_load(self):
        with stock_client.StockClient([PYTHON, HERE / "tango_load.py", str(self.port)], self.port,
                                      traced=True) as client:
            self.assertIn("RUNNING", client.process.stdout.readline())
            before = client.connections()
            for _ in range(self.kills):
                time.sleep(0.4)
                done = self.group.auxin("checkpoint", self.group.name)
                self.assertEqual(done.returncode, 0, f"{done.stderr} {self.group.account()}")
                time.sleep(0.2)
                self.group.replace_leader()
            self.assertEqual(client.connections(), before, "the same addresses and ports")
            status, out, err = client.finish()
        self.assertEqual(status, 0, err)
        report = json.loads(out.splitlines()[-1])
        self.assertEqual((report["errors"], report["wrong"]), ([], 0))
        for name, value in report["last"].items():
            self.assertEqual(device_state(self.port)[name], value, f"{name} is as written last")
        self.group.assert_no_mismatch()


class TangoVerifyTest(unittest.TestCase):
    timeout_s = 240

    def test_commands_of_several_clients_agree(self):
        port = paths.free_port()
        load = f"{PYTHON} {HERE / 'tango_load.py'} {port} commands 60 > /dev/null"
        done = subprocess.run(
            [paths.program("auxin"), "verify", "--json", "--quiet", "--no-minimal", "--schedules",
             "8", *["--load", load] * 3, "--", paths.tango_test_binary(), "test", "-nodb",
             "-dlist", "a/b/c", "-ORBendPoint", f"giop:tcp::{port}"],
            capture_output=True, text=True, timeout=200)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["sufficient"]["agreed"], 8, done.stdout)
        self.assertGreater(report["replies_compared"], 8 * 3 * 2 * 60, done.stdout)


if __name__ == "__main__":
    unittest.main()
