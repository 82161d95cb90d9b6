# SPDX-License-Identifier: Apache-2.0
"""What a server does that is not supported is said, by `auxin status` and by every form of `auxin
locks`, in text and as JSON; and of a server that does nothing of the kind nothing is said."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import unittest

from e2e import test_tango
from harness import group, paths, processes, server

SERVER = "unsupported_server"


def sample(name):
    path = paths.build_dir() / "lib" / f"libauxin_use_{name}.so"
    if not path.exists():
        raise RuntimeError(f"{path} is not built")
    return str(path)


# By switches: what is told, as (use, module, symbol).
STATIC = {
    ("--dlopen", "futex_lazy"): {
        ("futex", "libauxin_use_futex_lazy.so", "syscall(SYS_futex)")},
    ("--dlopen", "containers"): {
        ("lock-free", "libauxin_use_containers.so", "boost::lockfree"),
        ("lock-free", "libauxin_use_containers.so", "moodycamel"),
        ("lock-free", "libauxin_use_containers.so", "liburcu"),
        ("io-uring", "libauxin_use_containers.so", "io_uring_queue_init")},
    ("--handlers",): {
        ("signal-handler", SERVER, "SIGUSR1"), ("signal-handler", SERVER, "SIGHUP")},
}


def uses_in(told):
    return {(row["use"], row["module"], row["symbol"]) for row in told["unsupported_uses"]}


class UnsupportedCase(unittest.TestCase):
    timeout_s = 120

    def setUp(self):
        self.directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.memory_name = f"/unsupported-test-{os.getpid()}"
        self.addCleanup(self.remove_memory)

    def remove_memory(self):
        for path in pathlib.Path("/dev/shm").glob(self.memory_name[1:] + "*"):
            path.unlink()

    def command(self, *switches, program=SERVER):
        return [paths.program(program), *switches, "--ior", str(self.directory / "ior-{replica}")]

    def in_group(self, *switches, replicas=2, program=SERVER):
        running = self.enterContext(group.Group(
            self, self.command(*switches, program=program), replicas=replicas))
        running.await_all_ready()
        return running

    def assert_told(self, running, wanted):
        """status and locks, text and JSON, say exactly this."""
        def told_of(*words):
            done = running.auxin(*words)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout
        processes.await_true(
            lambda: uses_in(running.status()) == wanted, 10,
            f"status tells {wanted}, not {uses_in(running.status())}")
        locks = ("locks", running.name, "--for", "0")
        self.assertEqual(uses_in(json.loads(told_of(*locks, "--json"))), wanted)
        for text in (told_of("status", running.name), told_of(*locks)):
            lines = [line for line in text.splitlines() if "unsupported:" in line]
            self.assertEqual(len(lines), len(wanted), text)
            for _, module, symbol in wanted:
                self.assertTrue(any(f"unsupported: {module} " in line and f"({symbol}): " in line
                                    for line in lines), f"{module} {symbol} in {text}")


class GroupTest(UnsupportedCase):
    def test_what_is_loaded_and_what_is_installed_is_told(self):
        for switches, wanted in STATIC.items():
            words = [sample(word) if word in ("futex_lazy", "containers") else word
                     for word in switches]
            with self.subTest(switches=switches), contextlib.ExitStack() as stack:
                running = stack.enter_context(group.Group(self, self.command(*words), replicas=2))
                running.await_all_ready()
                self.assert_told(running, wanted)

    def test_what_is_there_from_the_start_is_told(self):
        running = self.in_group(program="unsupported_from_the_start")
        self.assert_told(running, {
            ("futex", "libauxin_use_futex_now.so", "syscall(SYS_futex)")})

    def test_a_clean_server_has_no_line(self):
        running = self.in_group()
        self.assert_told(running, set())
        self.assertEqual(running.status()["unsupported"], [])
        self.assertEqual(running.status()["shared_files"], [])

    def test_shared_memory_is_told_but_not_if_it_is_the_replicas_own(self):
        running = self.in_group("--shared-memory", self.memory_name)
        self.assert_told(running, {("shared-memory", SERVER, self.memory_name)})
        own = self.in_group("--shared-memory", self.memory_name + "-{replica}")
        self.assert_told(own, set())

    def test_a_replacement_tells_nothing_twice(self):
        running = self.in_group("--handlers")
        running.replace_leader()
        running.await_all_ready()
        self.assert_told(running, STATIC[("--handlers",)])


MISTAKEN_MAP = """
schema = 1
name = "mistaken"
[[match]]
soname = "libomniORB4.so.2"
[[join_point]]
name = "gone"
function = "omni::nowhere(int)"
library = "libomniORB4.so*"
role = "upcall"
[[join_point]]
name = "all"
function = "omni::*"
library = "libomniORB4.so*"
role = "contention-point"
[[join_point]]
name = "misspelt"
function = "omni::anything()"
library = "libomniOBR4.so*"
role = "upcall"
[[join_point]]
name = "plug-in"
function = "omni::anything()"
library = "libplugin.so*"
role = "upcall"
optional = true
"""


class MistakenMapTest(UnsupportedCase):
    def test_each_join_point_that_has_no_effect_is_named_with_its_reason(self):
        maps = self.directory / "maps"
        shutil.copytree(paths.ROOT / "maps", maps)
        (maps / "mistaken.toml").write_text(MISTAKEN_MAP)
        running = self.enterContext(group.Group(self, self.command(), replicas=2,
                                                environment={"AUXIN_MAPS": str(maps)}))
        running.await_all_ready()
        told = {(row["use"], row["module"], re.sub("[0-9]{3,}", "MANY", row["symbol"]))
                for row in running.status()["unsupported_uses"]}
        self.assertEqual(told, {
            ("map-missing", "map mistaken",
             "gone: no such function in libomniORB4.so*: omni::nowhere(int)"),
            ("map-missing", "map mistaken",
             "misspelt: no libomniOBR4.so* is loaded: omni::anything()"),
            ("map-too-wide", "map mistaken",
             "all: matches MANY functions in libomniORB4.so*, more than 32; none is intercepted: "
             "omni::*")})
        self.assertIn("unsupported: map mistaken names a join point that matches too much (all: ",
                      running.auxin("status", running.name).stdout)


class FilesTest(UnsupportedCase):
    """Written and closed at once: nobody has them open when one looks."""

    def test_a_file_that_every_replica_wrote_is_among_the_shared_ones(self):
        shared = self.directory / "journal"
        running = self.in_group("--write", str(shared))
        self.assertEqual(running.status()["shared_files"], [str(shared)])
        self.assertEqual(uses_in(running.status()), set())
        self.assertIn(f"several replicas write {shared} ",
                      running.auxin("status", running.name).stdout)

    def test_a_file_of_each_replicas_own_is_not(self):
        running = self.in_group("--write", str(self.directory / "journal-{replica}"))
        self.assertEqual(running.status()["shared_files"], [])

    def test_of_a_single_replica_it_is_said_that_others_would_write_it(self):
        shared = self.directory / "journal"
        running = self.in_group("--write", str(shared), replicas=1)
        self.assert_told(running, {("file", SERVER, str(shared))})

    def test_of_a_single_replica_its_own_file_is_nothing_to_tell(self):
        running = self.in_group("--write", str(self.directory / "journal-{replica}"), replicas=1)
        self.assert_told(running, set())


class OtherFormsTest(UnsupportedCase):
    def locks_of_a_run(self, *words):
        done = subprocess.run([paths.program("auxin"), "locks", *map(str, words)],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_a_recorded_run_tells_it_and_so_does_the_recording(self):
        kept = self.directory / "kept"
        run = ("--load", "true", "--record", kept, "--",
               *self.command("--handlers", "--write", str(self.directory / "journal")))
        wanted = STATIC[("--handlers",)] | {("file", SERVER, str(self.directory / "journal"))}
        self.assertEqual(uses_in(json.loads(self.locks_of_a_run("--json", *run))), wanted)
        self.assertEqual(uses_in(json.loads(self.locks_of_a_run("--json", "--trace", kept))),
                         wanted)
        text = self.locks_of_a_run("--trace", kept)
        self.assertEqual(text.count("unsupported: "), 3, text)
        self.assertIn("take the signal with sigwait in a thread", text)

    def test_a_recorded_run_of_a_clean_server_tells_nothing(self):
        told = json.loads(self.locks_of_a_run("--json", "--load", "true", "--", *self.command()))
        self.assertEqual(told["unsupported"], [])
        self.assertEqual(told["unsupported_uses"], [])

    def test_the_bare_preload_tells_it_by_pid_and_in_its_report(self):
        report = self.directory / "report-%p"
        command = self.command("--handlers", "--shared-memory", self.memory_name)
        wanted = STATIC[("--handlers",)] | {("shared-memory", SERVER, self.memory_name)}
        with server.PlainServer(command, None, environment={"AUXIN_REPORT": str(report)},
                                preload=True) as plain:
            ior = pathlib.Path(command[-1])
            processes.await_true(ior.exists, 10, "it serves")
            self.assertEqual(uses_in(json.loads(
                self.locks_of_a_run("--json", "--pid", plain.pid))), wanted)
            pid = plain.pid
            os.kill(pid, signal.SIGTERM)
            plain.process.wait(10)
        told = json.loads((self.directory / f"report-{pid}").read_text())
        self.assertEqual(uses_in(told), wanted)


class StockServersTest(UnsupportedCase):
    """Of servers that do nothing of the kind nothing is said: no library of theirs is accused."""

    def assert_nothing_told(self, command, port, key=None):
        with group.Group(self, command, port=port, replicas=2, key=key) as running:
            running.await_all_ready()
            self.assertEqual(uses_in(running.status()), set())
            self.assertEqual(running.status()["unsupported"], [])

    def test_the_bank(self):
        port = paths.free_port()
        self.assert_nothing_told([paths.program("bank_server"), "-ORBendPoint",
                                  f"giop:tcp:127.0.0.1:{port}"], port, b"Bank")

    def test_omninames(self):
        port = paths.free_port()
        (self.directory / "0").mkdir()
        (self.directory / "1").mkdir()
        self.assert_nothing_told(
            [paths.program("omniNames"), "-start", str(port), "-logdir",
             str(self.directory / "{replica}")], port, b"NameService")

    def test_tangotest_is_told_its_event_sockets_only(self):
        port = paths.free_port()
        with group.Group(self, [paths.tango_test_binary(), "test", "-nodb", "-dlist", "a/b/c",
                                "-ORBendPoint", f"giop:tcp::{port}"], port=port) as running:
            test_tango.await_device(port)
            processes.await_true(lambda: running.status()["unsupported"], 20,
                                 "the event sockets are named")
            self.assertEqual(uses_in(running.status()), set())


if __name__ == "__main__":
    unittest.main()
