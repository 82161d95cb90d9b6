# SPDX-License-Identifier: Apache-2.0
"""The bare preload observes and counts: AUXIN_REPORT at exit, `auxin locks --pid` while it runs."""
import json
import os
import shutil
import signal
import subprocess
import sys
import unittest

from harness import giop, group, load, paths, processes, server

KEYS = {"total", "intercepted", "ordered", "per_request", "by_library", "by_join_point"}


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.port = paths.free_port()

    def assert_table(self, table):
        self.assertLessEqual(KEYS, set(table), table)
        self.assertGreaterEqual(table["total"], table["intercepted"])
        self.assertGreaterEqual(table["intercepted"], table["ordered"])
        self.assertEqual(set(table["per_request"]), {"total", "intercepted", "ordered"})
        self.assertTrue(table["by_library"])

    def test_the_report_at_exit_holds_the_table(self):
        pattern = str(self.directory / "report-%p.json")
        with server.plain_probe(self.port, preload=True,
                                environment={"AUXIN_REPORT": pattern}) as probe_server:
            with load.ProbeLoad(self.port, clients=2) as clients:
                clients.await_calls(500)
            calls = clients.assert_exactly_once(self)
            pid = probe_server.pid
            with giop.Probe(self.port) as probe:
                probe.oneway("leave", 0)
            probe_server.process.wait(10)
        report = self.directory / f"report-{pid}.json"
        self.assertTrue(report.exists(), f"{pattern} with the pid: {os.listdir(self.directory)}")
        table = json.loads(report.read_text())
        self.assert_table(table)
        self.assertGreaterEqual(table["total"], calls * 2, "a lock and an unlock a call at least")

    def test_the_table_is_read_live_by_pid(self):
        with server.plain_probe(self.port, preload=True) as probe_server:
            with load.ProbeLoad(self.port, clients=1) as clients:
                clients.await_calls(200)
                done = subprocess.run(
                    [paths.program("auxin"), "locks", "--pid", str(probe_server.pid), "--json"],
                    capture_output=True, text=True, timeout=10)
                clients.await_calls(100)
            clients.assert_exactly_once(self)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_table(json.loads(done.stdout))

    def test_locks_of_a_process_without_the_preload_are_refused(self):
        with server.plain_probe(self.port) as plain:
            done = subprocess.run([paths.program("auxin"), "locks", "--pid", str(plain.pid)],
                                  capture_output=True, text=True, timeout=10)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)

    def with_report(self, report, *command, **options):
        return subprocess.run(
            command, capture_output=True, timeout=20, **options,
            env={**os.environ, "LD_PRELOAD": paths.preload(), "AUXIN_REPORT": report})

    def test_a_report_that_cannot_be_written_changes_nothing_but_is_told(self):
        for report, reason in [("/no/such/directory/report", "No such file or directory"),
                               ("/dev/full", "No space left on device")]:
            said = (f"auxin: {report}: the report can't be written: {reason}; name another file "
                    "in AUXIN_REPORT\n")
            for command, told in [([sys.executable, "-c", "print('result')"], said),  # exit
                                  (["/bin/sh", "-c", "echo result"], said),  # _exit
                                  # It closes its standard error before it ends.
                                  (["sort"], "")]:
                done = self.with_report(report, *command, input=b"result\n")
                self.assertEqual((done.returncode, done.stdout), (0, b"result\n"), command)
                self.assertEqual(done.stderr.decode(), told, command)

    def test_a_report_that_cannot_be_written_is_not_told_to_a_file_of_the_programs_own(self):
        own = self.directory / "own"
        program = ("import os, sys; os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), 2); "
                   "os.write(2, b'mine')")
        done = self.with_report("/no/such/directory/report", sys.executable, "-c", program,
                                str(own))
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(own.read_bytes(), b"mine")

    def test_style_none_is_one_counted_process(self):
        with group.Group(self, server.probe_command(self.port), port=self.port, replicas=1,
                         options=["--style", "none"], key=b"probe") as supervised:
            with load.ProbeLoad(self.port, clients=1) as clients:
                clients.await_calls(100)
            clients.assert_exactly_once(self)
            status = supervised.status()
            self.assertEqual((status["style"], len(status["replicas"])), ("none", 1))
            table = supervised.locks()
            self.assert_table(table)
            self.assertEqual(table["ordered"], 0)
            pid = status["replicas"][0]["pid"]
            processes.kill(pid, signal.SIGKILL)
            processes.await_true(
                lambda: supervised.status()["replicas"][0]["pid"] not in (0, pid)
                and processes.listening(self.port), 20, "it is restarted")


class FootprintTest(unittest.TestCase):
    def test_status_lists_the_active_facets_of_the_style(self):
        port = paths.free_port()
        with group.Group(self, server.probe_command(port), port=port, replicas=2,
                         key=b"probe") as replicated:
            facets = set(replicated.status()["facets"])
        with group.Group(self, server.probe_command(port), port=port, replicas=1,
                         options=["--style", "none"], key=b"probe") as counted:
            fewer = set(counted.status()["facets"])
        self.assertTrue(facets)
        self.assertLess(fewer, facets, "a style that logs nothing needs fewer facets")


if __name__ == "__main__":
    unittest.main()
