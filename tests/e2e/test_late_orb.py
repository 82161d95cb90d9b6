# SPDX-License-Identifier: Apache-2.0
"""A server that becomes one late: an interpreter that loads the ORB with dlopen."""
import json
import pathlib
import subprocess
import time
import unittest

from harness import group, paths, stock_client

HERE = pathlib.Path(__file__).resolve().parent
DEVICE = str(HERE.parent / "servers" / "late_orb_device.py")
LOAD = str(HERE / "late_orb_load.py")
PYTHON = "/usr/bin/python3"  # the interpreter for which python3-tango is built


class LateOrbTest(unittest.TestCase):
    timeout_s = 240

    def setUp(self):
        self.port = paths.free_port()
        self.group = self.enterContext(group.Group(
            self, [PYTHON, DEVICE, "test", "-nodb", "-dlist", "a/b/c", "-ORBendPoint",
                   f"giop:tcp::{self.port}"], port=self.port))

    def held(self):
        done = subprocess.run([PYTHON, LOAD, str(self.port), "held"],
                              capture_output=True, text=True, timeout=30, check=True)
        return done.stdout

    def test_it_is_followed_from_there_on(self):
        with stock_client.StockClient([PYTHON, LOAD, str(self.port)], self.port) as client:
            self.assertIn("RUNNING", client.process.stdout.readline())
            for _ in range(2):  # one after the other: catching up takes an interpreter long
                time.sleep(0.3)  # load of some length between the kills
                self.group.replace_leader()
            status, out, err = client.finish()
        self.assertEqual(status, 0, err)
        report = json.loads(out.splitlines()[-1])
        self.assertEqual((report["errors"], report["wrong"]), ([], 0))
        self.assertGreater(report["calls"], 100)
        self.assertTrue(self.held().startswith(f"{report['calls']} "))
        self.group.assert_no_mismatch()


if __name__ == "__main__":
    unittest.main()
