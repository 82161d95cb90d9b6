# SPDX-License-Identifier: Apache-2.0
"""`auxin verify`: it is right about every server of tests/servers/known, in both thread modes.

Both directions count: what it calls sufficient, closed and needed is so, and of what is wrong it
names the functions that the manifest names. The other cases are what a user meets: a failure that
is kept and replayed, loads that fail, a server that nobody calls, an interrupt in the middle.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import unittest

from harness import known_servers, paths, processes

SCHEDULES = 100 if paths.LONG else 12  # of each server; a wrong one differs in the first few


class VerifyCase(unittest.TestCase):
    timeout_s = 900 if paths.LONG else 300

    def setUp(self):
        self.directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.shared_memory_before = set(os.listdir("/dev/shm"))

    def command(self, known, mode, *options, requests=None):
        """The words of a verification of a known server, and its environment."""
        folder = pathlib.Path(self.directory) / f"{known.name}-{mode.split()[0]}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        load = known_servers.MANIFEST["load"]
        line = (f"{paths.program('known_load')} --ior {folder}/ior-0 --threads {load['threads']} "
                f"--requests {requests or load['requests']} --seed {self.seed} > /dev/null")
        words = [paths.program("auxin"), "verify", "--json", "--quiet", "--load", line, *options,
                 "--", *known.command(folder / "ior-{replica}", mode)]
        environment = {**os.environ, "AUXIN_MAPS": str(known.map_directory(folder))}
        return list(map(str, words)), environment

    seed = 1

    def verify(self, known, mode, *options, **numbers):
        words, environment = self.command(known, mode, *options, **numbers)
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=280)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if report["fine"] else 1, done.stdout)
        return report

    def assert_nothing_left(self):
        processes.await_true(
            lambda: not [name for name in set(os.listdir("/dev/shm")) - self.shared_memory_before
                         if name.startswith("auxin-work-")], 10, "the work directory is gone")


class KnownServersTest(VerifyCase):
    """verify says what the manifest says."""

    def check_all(self, mode, chosen):
        self.seed = paths.seed()
        servers = [known for known in known_servers.all_servers() if chosen(known.told)]
        self.assertTrue(servers)
        for known in servers:
            with self.subTest(known.name, mode=mode):
                self.check(known.told, self.verify(known, mode, "--schedules", SCHEDULES,
                                                   "--seed", self.seed % 100_000, "--stall", 2))

    def check(self, told, report):
        said = json.dumps(report, indent=1)
        self.assertEqual(report["sufficient"]["holds"], told["sufficient"], said)
        self.assertEqual(report["closed"]["holds"], told["closed"], said)
        self.assertTrue(report["closed"]["stalls_explained"], said)
        self.assertEqual(report["sound"]["data_race"], told["data_race"], said)
        self.assertEqual(report["sound"]["value"], "value" in told, said)
        self.assertEqual({row["use"] for row in report["unsupported_uses"]},
                         {told["unsupported"]} if "unsupported" in told else set(), said)
        if told["sufficient"]:
            self.check_locks(told, report, said)
        else:
            self.check_explanation(told, report, said)
        if not told["closed"]:
            self.check_open_pair(told["open_pair"], report, said)

    def check_locks(self, told, report, said):
        self.assertTrue(report["minimal"]["tried"], said)
        # What the ORB's own map selects: its main thread alone passes that, at start.
        objects, = [row for row in report["minimal"]["locks"] if row["kind"] == "join points"]
        self.assertEqual(objects["verdict"], "never shared", said)
        tried = [row for row in report["minimal"]["locks"] if row is not objects]
        for lock in told["lock"]:
            found = [row for row in tried if set(row["functions"]) <= set(lock["functions"])
                     and row["kind"] == lock["kind"]]
            self.assertEqual(len(found), 1, f"one lock is {lock['name']}: {said}")
            if "needed" in lock:
                self.assertEqual(found[0]["needed"], lock["needed"], f"{lock['name']}: {said}")
        self.assertEqual(len(tried), len(told["lock"]), said)

    def check_explanation(self, told, report, said):
        explanation = report["explanation"]
        first = report["failures"][0]
        self.assertNotEqual(first["operation"], "", said)
        if "value" in told:
            self.assertEqual(explanation["cause"], "value", said)
            self.assertIn(told["value"], explanation["call"].split(", "), said)
            return
        named = sorted(explanation["functions"])
        self.assertIn(named, [sorted(row["sections"]) for row in told["divergence"]], said)
        self.assertEqual(explanation["cause"], "data race" if told["data_race"] else "lock", said)

    def check_open_pair(self, told, report, said):
        pair = report["closed"]["open_pairs"][0]
        self.assertEqual(pair["outer_function"], told["outer_function"], said)
        self.assertEqual(pair["inner_function"], told["inner_function"], said)
        self.assertEqual(set(pair["others"]), set(told["others"]), said)

    def test_right_ones_with_a_thread_per_connection(self):
        self.check_all("thread per connection", lambda told: told["sufficient"])
        self.assert_nothing_left()

    def test_right_ones_with_a_pool(self):
        self.check_all("pool", lambda told: told["sufficient"])

    def test_wrong_ones_with_a_thread_per_connection(self):
        self.check_all("thread per connection", lambda told: not told["sufficient"])
        self.assert_nothing_left()

    def test_wrong_ones_with_a_pool(self):
        self.check_all("pool", lambda told: not told["sufficient"])


class ReplayTest(VerifyCase):
    """A failure comes again: from its seeds, and on the very log on which it happened."""
    mode = "thread per connection"

    def test_from_what_was_kept(self):
        known = known_servers.server("missing_point")
        kept = pathlib.Path(self.directory) / "kept"
        report = self.verify(known, self.mode, "--schedules", 4, "--keep", kept)
        self.assertEqual(report["kept"], str(kept))
        environment = {**os.environ,
                       "AUXIN_MAPS": f"{self.directory}/{known.name}-{self.mode.split()[0]}/maps"}
        done = subprocess.run([paths.program("auxin"), "verify", "--json", "--quiet", "--replay",
                               kept], env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 1, done.stderr)
        again = json.loads(done.stdout)
        self.assertEqual(again["failures"][0]["schedule"], report["failures"][0]["schedule"])
        self.assertEqual(again["explanation"]["cause"], "lock", done.stdout)
        self.assert_nothing_left()

    def test_where_names_are_relative_and_have_blanks(self):
        """The command that is told can be typed, and what was kept is replayed from anywhere."""
        known = known_servers.server("data_race")
        place = pathlib.Path(self.directory) / "a place"
        place.mkdir()
        shutil.copy(paths.program("known_data_race"), place / "my server")
        load = f"{paths.program('known_load')} --ior ior-0 --requests 600 --threads 8"
        words = [paths.program("auxin"), "verify", "--quiet", "--schedules", "4", "--keep",
                 "my failure", "--load", load, "--", "./my server", "--ior", "ior-{replica}"]
        done = subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("-- './my server' --ior ior-{replica}", done.stdout)
        line = re.search(r"same log: auxin (.*)", done.stdout).group(1)
        self.assertEqual(line, "verify --replay 'my failure'")
        again = subprocess.run([paths.program("auxin"), "verify", "--quiet", "--replay",
                                place / "my failure"], cwd="/", capture_output=True, text=True,
                               timeout=120)
        self.assertEqual(again.returncode, 1, again.stdout + again.stderr)

    def test_from_its_seeds(self):
        known = known_servers.server("data_race")
        report = self.verify(known, self.mode, "--schedules", 4)
        schedule = report["failures"][0]["schedule"]
        again = self.verify(known, self.mode, "--replay", schedule)
        self.assertEqual(again["failures"][0]["schedule"], schedule)

    def test_text_says_what_to_do(self):
        known = known_servers.server("missing_point")
        words, environment = self.command(known, self.mode, "--schedules", 4)
        words.remove("--json")
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 1, done.stderr)
        for expected in (r"sufficient  no", r"known::Journal::append", r"order that lock",
                         r"auxin verify --replay \d+:\d+", r"leader   [0-9a-f]+"):
            self.assertRegex(done.stdout, expected)


class EndpointTest(VerifyCase):
    def test_a_name_of_a_unix_domain_socket_is_not_missed(self):
        """A rehearsal makes no such name, and the ORB wants to say who may connect to it."""
        known = known_servers.server("correct")
        words, environment = self.command(known, "pool", "--schedules", 2, "--no-minimal")
        words += ["-ORBendPoint", "giop:tcp:127.0.0.1:", "-ORBendPoint", "giop:unix:"]
        done = subprocess.run(words, env={**environment, "ORBunixTransportDirectory":
                                          f"{self.directory}/unix"},
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(done.stdout)["sufficient"]["agreed"], 2, done.stdout)
        self.assertTrue(os.listdir(f"{self.directory}/unix"), "the leader had one")


class ClosedStreamsTest(VerifyCase):
    def test_nothing_else_gets_their_numbers(self):
        known = known_servers.server("correct")
        words, environment = self.command(known, "pool", "--schedules", 2, "--no-minimal")
        words.remove("--quiet")
        for closed, status in (("<&- 2>&-", 0), ("<&-", 0), (">&-", 1), ("<&- >&- 2>&-", 1)):
            with self.subTest(closed):
                done = subprocess.run(["/bin/sh", "-c", f'exec {closed}; exec "$@"', "sh", *words],
                                      env=environment, capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, status, done.stderr)
                if status == 0:
                    self.assertTrue(json.loads(done.stdout)["fine"])
        self.assert_nothing_left()


class StateTest(VerifyCase):
    def test_is_read_alone_after_the_loads(self):
        known = known_servers.server("correct")
        marks = pathlib.Path(self.directory) / "marks"
        words, environment = self.command(known, "pool", "--schedules", 2, "--no-minimal",
                                          "--state", f"echo state >> {marks}")
        place = words.index("--load") + 1
        words[place] += f"; sleep 0.3; echo load >> {marks}"
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(marks.read_text().split(), ["load", "state"])


class RefusalTest(VerifyCase):
    """Exit status 2, one sentence that says what to do, and nothing left."""

    def refused(self, *words, environment=None):
        done = subprocess.run([paths.program("auxin"), "verify", "--quiet", *map(str, words)],
                              env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assert_nothing_left()
        return done.stderr

    def of_server(self, line, *options):
        return self.refused(*options, "--load", line, "--", paths.program("known_correct"),
                            "--ior", f"{self.directory}/ior-{{replica}}")

    def test_without_a_server_or_a_load(self):
        self.assertIn("no server given", self.refused())
        self.assertIn("no load given", self.refused("--", "true"))
        self.assertIn("is no schedule", self.refused("--replay", "nonsense", "--load", "true", "--",
                                                     "true"))
        self.assertIn("--keep", self.refused("--replay", self.directory / "none"))

    def test_a_server_that_receives_no_request(self):
        self.assertIn("received no request", self.of_server("true"))

    def test_a_load_that_fails(self):
        self.assertIn("ended with status 3", self.of_server("exit 3"))

    def test_a_server_that_dies_under_load(self):
        self.assertIn("died under its load", self.of_server(
            "kill -9 $(pgrep -P $AUXIN_SERVER_PID known_correct); sleep 1"))

    def test_a_log_that_is_too_short(self):
        configuration = pathlib.Path(self.directory) / "short.toml"
        configuration.write_text("[log]\nentries = 4096\npayload = \"1 MiB\"\n")
        line = (f"{paths.program('known_load')} --ior {self.directory}/ior-0 --threads 4 "
                f"--requests 3000 > /dev/null")
        self.assertIn("log was too short", self.of_server(line, "--config", configuration))

    def test_numbers_that_are_none(self):
        for option, number in (("--seed", "-1"), ("--seed", "99999999999999999999"),
                               ("--schedules", "0"), ("--per-run", "-5"), ("--stall", "0"),
                               ("--ready-timeout", "x")):
            said = self.refused("--load", "true", option, number, "--", "/bin/true")
            self.assertIn(option, said)
            self.assertLess(len(said), 200, said)

    def test_a_place_to_keep_failures_that_can_not_be_made(self):
        self.assertIn("can't be made", self.refused("--keep", "/proc/kept", "--load", "true", "--",
                                                    "/bin/true"))

    def test_a_program_that_does_not_exist(self):
        self.assertIn("no_such_server", self.refused("--load", "true", "--", "/no_such_server"))


class InterruptTest(VerifyCase):
    def test_leaves_nothing(self):
        self.check_nothing_is_left(signal.SIGINT)

    def test_the_end_of_the_terminal_leaves_nothing(self):
        self.check_nothing_is_left(signal.SIGHUP)

    def check_nothing_is_left(self, number):
        known = known_servers.server("correct")
        words, environment = self.command(known, "pool", "--schedules", 5000)
        with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as child, \
                contextlib.ExitStack() as on_failure:
            on_failure.callback(child.kill)
            time.sleep(3)
            status = subprocess.run([paths.program("auxin"), "status"], capture_output=True,
                                    text=True, timeout=30)
            self.assertNotIn("cannot", status.stdout + status.stderr)  # rehearsals are no groups
            child.send_signal(number)
            _, said = child.communicate(timeout=60)
            on_failure.pop_all()
        self.assertEqual(child.returncode, 2, said)
        self.assertIn("interrupted", said)
        self.assert_nothing_left()
        left = subprocess.run(["pgrep", "-af", re.escape(str(self.directory))],
                              capture_output=True, text=True).stdout
        self.assertEqual(left, "")

    def test_a_killed_command_leaves_no_process(self):
        known = known_servers.server("correct")
        words, environment = self.command(known, "pool", "--schedules", 5000)
        with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as child:
            time.sleep(3)
            child.kill()
        pattern = f"known_correct --ior {re.escape(str(self.directory))}"
        processes.await_true(
            lambda: subprocess.run(["pgrep", "-f", pattern], capture_output=True).returncode != 0,
            10, "its rehearsals end by themselves")
        # Its work directory goes with the next command that makes one.
        subprocess.run(
            [paths.program("auxin"), "verify", "--load", "true", "--", "/no_such_server"],
            capture_output=True, text=True, timeout=60)
        self.assert_nothing_left()


if __name__ == "__main__":
    unittest.main()
