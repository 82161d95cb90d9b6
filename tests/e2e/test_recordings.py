# SPDX-License-Identifier: Apache-2.0
"""`auxin locks` and `auxin discover` on whole servers: what they tell is what the server did."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import unittest

from harness import group, paths, processes

CALLS = 400


class RecordingCase(unittest.TestCase):
    def setUp(self):
        self.directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.port = paths.free_port()
        self.shared_memory_before = set(os.listdir("/dev/shm"))

    def server(self, *options):
        return ["--", paths.program("bank_server"), "-ORBendPoint",
                f"giop:tcp:127.0.0.1:{self.port}", *options]

    def load(self, mix, length=f"--calls {CALLS}"):
        return (f"{paths.program('bank_load')} 127.0.0.1:{self.port} --clients 2 {length} "
                f"--mix {mix} > /dev/null")

    def auxin(self, *words, timeout_s=90):
        return subprocess.run([paths.program("auxin"), *map(str, words)], capture_output=True,
                              text=True, timeout=timeout_s)

    def refused(self, *words):
        done = self.auxin(*words)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith("auxin: "), done.stderr)
        return done.stderr

    def locks(self, *words):
        done = self.auxin("locks", "--json", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def assert_nothing_left(self):
        left = [name for name in set(os.listdir("/dev/shm")) - self.shared_memory_before
                if name.startswith("auxin-work-")]
        self.assertEqual(left, [])


class LocksOfARunTest(RecordingCase):
    """One run of the bank, in both thread modes: a null call orders nothing, a deposit one lock."""
    timeout_s = 120

    def check(self, *options):
        report = self.locks("--load", self.load("ping"), "--load", self.load("deposit"),
                            *self.server(*options))
        operations = {row["operation"]: row for row in report["by_operation"]}
        self.assertGreaterEqual(operations["ping"]["requests"], CALLS - 20)
        self.assertGreaterEqual(operations["deposit"]["requests"], CALLS - 20)
        for operation, ordered in (("ping", 0), ("deposit", 1)):
            columns = operations[operation]["columns"]
            self.assertEqual(columns["ordered"]["multi_level"]["median"], ordered)
            self.assertEqual(columns["ordered"]["multi_level"]["p95"], ordered)
            self.assertGreaterEqual(columns["ordered"]["os_only"]["median"], 7 + ordered)
            self.assertEqual(columns["intercepted"]["multi_level"]["median"], 2 * ordered)
            self.assertGreaterEqual(columns["intercepted"]["os_only"]["median"], 14 + ordered)
        self.check_sums(report)
        for row in report["by_library"]:
            if "omni" in row["library"] or "unwind" in row["library"]:
                self.assertEqual(row["in_requests"]["ordered"], 0, row)
        deposit = [row for row in report["by_path"]
                   if row["ordered"] > CALLS / 2 and row["call"] == "pthread_mutex_lock"]
        self.assertEqual(len(deposit), 1, "the lock of a deposit is taken on one path")
        self.assertRegex(deposit[0]["path"][0], r"deposit.*\[bank_server\]")
        steps = [step["what"] for step in report["timeline"]["steps"]]
        self.assertEqual(steps[0], "enter dispatcher")
        self.assertEqual(steps[-1], "leave dispatcher")
        self.assertLess(steps.index("enter request"), steps.index("enter upcall"))
        self.assertEqual(report["remarks"], [])
        self.assert_nothing_left()

    def check_sums(self, report):
        """Every table and the tree count the same calls."""
        for table in ("by_call", "by_library", "by_join_point", "by_path"):
            for key in ("total", "intercepted", "ordered"):
                self.assertEqual(sum(row[key] for row in report[table]), report[key],
                                 f"{table} {key}")
        self.assertEqual(report["tree"]["sum"]["total"], report["total"])

    def test_thread_per_connection(self):
        self.check()

    def test_pool(self):
        self.check("-ORBthreadPerConnectionPolicy", "0")


class CostTest(RecordingCase):
    """Each form of the server is run and its clients are timed; the times are not tested."""
    timeout_s = 240

    def measure(self, load):
        report = self.locks("--measure", "--rounds", "2", "--load", load, *self.server())
        self.assert_nothing_left()
        return report["cost"]

    def test_the_forms_are_compared(self):
        cost = self.measure(self.load("deposit"))
        self.assertEqual(cost["rounds"], 2)
        self.assertTrue(cost["round_trips"])
        self.assertEqual([form["form"] for form in cost["forms"]],
                         ["native", "preloaded", "multi-level", "every lock"])
        for form in cost["forms"]:
            for figure in ("throughput_per_s", "median_us", "p99_us"):
                spread = form[figure]
                self.assertGreater(spread["least"], 0)
                self.assertLessEqual(spread["least"], spread["median"])
                self.assertLessEqual(spread["median"], spread["most"])
            self.assertLessEqual(form["median_us"]["median"], form["p99_us"]["median"])
        self.assertEqual(cost["forms"][0]["throughput_ratio"],
                         {"median": 1.0, "least": 1.0, "most": 1.0})

    def test_a_load_whose_connections_cannot_be_watched_is_timed_as_a_whole(self):
        cost = self.measure("unset LD_PRELOAD; " + self.load("deposit"))
        self.assertFalse(cost["round_trips"])
        for form in cost["forms"]:
            self.assertGreater(form["throughput_per_s"]["least"], 0)
            self.assertIsNone(form["median_us"])

    def test_a_form_that_fails_is_named(self):
        once = self.directory / "once"
        done = self.auxin("locks", "--measure", "--json", "--load",
                          f"mkdir {once}", *self.server())
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "form 'native': the load 'mkdir .*' ended with status 1")
        self.assertIsNone(json.loads(done.stdout)["cost"])
        self.assert_nothing_left()

    def test_every_lock_is_ordered_where_it_is_asked_for(self):
        settings = self.directory / "all.toml"
        settings.write_text('[locks]\norder = "all"\n')
        command = self.server()[1:]
        with group.Group(self, command, port=self.port, replicas=1, key=b"Bank",
                         options=["--config", str(settings)]) as bank:
            subprocess.run(["/bin/sh", "-c", self.load("deposit")], check=True)

            def counted():
                rows = json.loads(bank.auxin("locks", bank.name, "--for", "0", "--json").stdout)
                return {row["library"]: row["ordered"] for row in rows["by_library"]}
            processes.await_true(lambda: counted().get("bank_server", 0) > CALLS, 20,
                                 "the counts are told")
            # For each deposit there are nine of the ORB's own.
            self.assertGreater(counted()["libomniORB4.so.2"], 5 * CALLS)
        done = self.auxin("run", "--config", settings, "--replicas", "3", *self.server())
        self.assertEqual(done.returncode, 2)
        self.assertIn("needs --replicas 1", done.stderr)


class KeptRecordingsTest(RecordingCase):
    timeout_s = 120

    def test_a_recording_tells_the_same_again_and_can_be_cut(self):
        kept = self.directory / "kept"
        first = self.locks("--record", kept, "--load", self.load("deposit"), *self.server())
        self.assertEqual(kept.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.locks("--trace", kept), first)
        whole = kept.read_bytes()
        kept.write_bytes(whole[:len(whole) * 2 // 3])
        cut = self.locks("--trace", kept)
        self.assertLess(cut["total"], first["total"])
        self.assertGreater(cut["total"], 0)
        self.assertTrue(any("cut off or damaged" in remark for remark in cut["remarks"]))

    def test_two_recordings_are_compared(self):
        for mix in ("ping", "queue"):
            done = self.auxin("discover", "--group", "--record", self.directory / mix, "--load",
                              self.load(mix), *self.server())
            self.assertEqual(done.returncode, 0, done.stderr)
        done = self.auxin("discover", "--json", "--trace", self.directory / "ping", "--trace",
                          self.directory / "queue", "--op", "nodes function")
        self.assertEqual(done.returncode, 0, done.stderr)
        nodes = json.loads(done.stdout)["nodes"]
        sides = {node["name"].split("(")[0]: node["side"] for node in nodes}
        self.assertEqual(sides["omni::GIOP_S::dispatcher"], "both")
        self.assertTrue(any("post_order" in name and side == "second"
                            for name, side in sides.items()), sides)


class RunningGroupTest(RecordingCase):
    timeout_s = 120

    def test_its_leader_is_watched_and_nobody_notices(self):
        command = self.server()[1:]
        with group.Group(self, command, port=self.port, key=b"Bank") as bank:
            load = subprocess.Popen(["/bin/sh", "-c", self.load("deposit", "--seconds 5")])
            try:
                processes.await_true(lambda: bank.status()["requests"] > 100, 20, "it is loaded")
                for _ in range(2):  # it can be done again
                    done = bank.auxin("locks", bank.name, "--for", "0.5", "--json")
                    self.assertEqual(done.returncode, 0, done.stderr)
                    watched = json.loads(done.stdout)["observed"]
                    self.assertGreater(watched["requests"], 20)
                    deposit = watched["by_operation"][0]
                    self.assertEqual(deposit["operation"], "deposit")
                    self.assertEqual(deposit["columns"]["ordered"]["multi_level"]["median"], 1)
            finally:
                self.assertEqual(load.wait(60), 0)
            bank.await_caught_up()
            bank.assert_no_mismatch()
        self.assert_nothing_left()

    def test_a_watch_that_is_killed_ends_by_itself(self):
        command = self.server()[1:]
        with group.Group(self, command, port=self.port, replicas=1, key=b"Bank") as bank:
            watch = [bank.program, "locks", bank.name, "--state-dir", str(bank.state_dir)]
            killed = subprocess.Popen([*watch, "--for", "1"], stdout=subprocess.DEVNULL)
            processes.await_true(lambda: list(pathlib.Path("/dev/shm").glob(
                f"auxin-work-{killed.pid}-*/regions/*.region")), 10, "the recording has begun")
            killed.kill()
            killed.wait()
            processes.await_true(
                lambda: "another recording" not in bank.auxin(
                    "locks", bank.name, "--for", "0.1").stdout, 15, "the next one is let in")
        self.assert_nothing_left()


class BadInputTest(RecordingCase):
    """What goes wrong is one clear sentence; what was recorded is kept."""
    timeout_s = 120

    def test_a_server_that_never_gets_a_request(self):
        report = self.locks("--load", "true", *self.server())
        self.assertEqual(report["requests"], 0)
        self.assertTrue(any("no request was seen" in remark for remark in report["remarks"]))

    def test_a_server_that_dies_in_the_middle(self):
        kept = self.directory / "kept"
        killer = f"{self.load('deposit')}; kill -9 $AUXIN_SERVER_PID; sleep 60"
        done = self.auxin("discover", "--record", kept, "--load", killer, "--json",
                          *self.server())
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("the server ended under load, with status 137", done.stderr)
        nodes = json.loads(done.stdout)["nodes"]
        self.assertIn("omni::GIOP_S::dispatcher()", {node["name"] for node in nodes})
        self.assertNotIn("operation", {node["kind"] for node in nodes}, "no map was used")
        self.assertEqual(self.auxin("discover", "--trace", kept).returncode, 0)
        self.assert_nothing_left()

    def test_a_load_that_fails(self):
        done = self.auxin("locks", "--load", "exit 7", *self.server())
        self.assertEqual(done.returncode, 1)
        self.assertIn("the load 'exit 7' ended with status 7", done.stderr)

    def test_servers_that_cannot_be_recorded(self):
        self.assertIn("No such file", self.refused("discover", "--", "/nowhere/server"))
        for words, sentence, status in (  # the shell makes a call or two, sleep none
                (("/bin/sh", "-c", "exit 3"), "ended before it served, with status 3", 1),
                (("/bin/sleep", "60"), "did not listen within 1 s", 2)):
            done = self.auxin("discover", "--ready-timeout", "1", "--", *words)
            self.assertIn(sentence, done.stderr)
            self.assertEqual(done.returncode, status, done.stderr)
        self.assert_nothing_left()

    def test_files_that_are_no_recordings(self):
        foreign = self.directory / "foreign"
        foreign.write_text("hello\n")
        for command in ("locks", "discover"):
            self.assertIn("not a trace", self.refused(command, "--trace", foreign))
            self.assertIn("No such file", self.refused(command, "--trace", f"{foreign}.none"))

    def test_operators_that_are_none(self):
        self.assertIn("no operator 'fliter'",
                      self.refused("discover", "--op", "fliter x", *self.server()))
        self.assertIn("No such file", self.refused("discover", "--ops", "/nowhere", *self.server()))

    def test_a_server_of_its_own_is_replica_0(self):
        """The same words serve for a run without a group, and for the forms that are measured."""
        ior = f"{self.directory}/ior"
        server = ["--", paths.program("known_correct"), "--ior", f"{ior}-{{replica}}"]
        load = f"{paths.program('known_load')} --ior {ior}-0 --requests 40 > /dev/null"
        done = self.auxin("discover", "--load", load, *server)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(os.listdir(self.directory), ["ior-0"])
        done = self.auxin("locks", "--measure", "--rounds", 1, "--load", load, *server)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_an_interruption_ends_the_run_and_tells_what_there_is(self):
        running = subprocess.Popen(
            [paths.program("auxin"), "discover", "--json", *self.server()],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        listening = ["/bin/sh", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{self.port}"]
        listening[0] = "/bin/bash"
        processes.await_true(
            lambda: subprocess.run(listening, stderr=subprocess.DEVNULL).returncode == 0, 20,
            "the server listens")
        time.sleep(0.3)  # so that it waits for loads, not for the server
        running.send_signal(signal.SIGINT)
        output, errors = running.communicate(timeout=30)
        self.assertEqual(running.returncode, 0, errors)
        self.assertGreater(len(json.loads(output)["nodes"]), 10)
        self.assert_nothing_left()


if __name__ == "__main__":
    unittest.main()
