# SPDX-License-Identifier: Apache-2.0
"""What cannot work is refused: one clear sentence, exit status 2, nothing left behind."""
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import unittest
import uuid

from harness import group, paths, processes, server


class RefusalTest(unittest.TestCase):
    def setUp(self):
        self.directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.port = paths.free_port()
        self.tag = uuid.uuid4().hex
        self.before = set(os.listdir("/dev/shm"))

    def run_auxin(self, *arguments, command=None, state_dir=True, environment=None, timeout_s=30):
        line = [paths.program("auxin"), "run", "--name", f"refused-{os.getpid()}"]
        if state_dir:
            line += ["--state-dir", str(self.directory / "state")]
        line += [*map(str, arguments), "--", *(command or server.probe_command(self.port))]
        return subprocess.run(
            line, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL,
            env={**os.environ, processes.TAG: self.tag, **(environment or {})})

    def assert_refused(self, done, *words):
        """Exit status 2, one sentence with the words, and no trace."""
        said = [line for line in done.stderr.splitlines() if line.strip()]
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(len(said), 1, f"one sentence: {done.stderr}")
        self.assertTrue(said[0].startswith("auxin"), said[0])
        for word in words:
            self.assertIn(word, said[0])
        self.assert_no_trace()

    def assert_no_trace(self):
        processes.await_true(lambda: not processes.tagged(self.tag), 5, "no process is left")
        self.assertFalse(processes.listening(self.port))
        self.assertFalse({name for name in set(os.listdir("/dev/shm")) - self.before
                          if "auxin" in name and not name.startswith("auxin-test-")})
        state = self.directory / "state"
        self.assertFalse(state.exists() and any(path.is_socket() for path in state.rglob("*")))

    # --- arguments ---

    def test_zero_replicas(self):
        self.assert_refused(self.run_auxin("--replicas", 0), "replicas")

    def test_too_many_replicas(self):
        self.assert_refused(self.run_auxin("--replicas", 1000), "replicas")

    def test_an_unknown_style(self):
        self.assert_refused(self.run_auxin("--style", "telepathic"), "telepathic")

    def test_a_server_that_is_not_there(self):
        self.assert_refused(self.run_auxin(command=["/no/such/server"]), "/no/such/server")

    def test_a_server_that_is_not_executable(self):
        path = self.directory / "text"
        path.write_text("not a program")
        self.assert_refused(self.run_auxin(command=[str(path)]), str(path))

    def test_no_server_at_all(self):
        done = subprocess.run([paths.program("auxin"), "run"], capture_output=True, text=True,
                              timeout=10)
        self.assertEqual(done.returncode, 2)

    def test_a_statically_linked_server(self):
        source, program = self.directory / "static.c", self.directory / "static"
        source.write_text("int main(void) { return 0; }\n")
        subprocess.run(["gcc", "-static", "-o", program, source], check=True)
        self.assert_refused(self.run_auxin(command=[str(program)]), "static")

    def test_a_setuid_server(self):
        if os.getuid() != 0:
            self.skipTest("making a file setuid for another user needs root")
        program = self.directory / "setuid"
        shutil.copy(server.probe_command(self.port)[0], program)
        os.chown(program, 65534, 65534)
        program.chmod(0o4755)
        self.assert_refused(self.run_auxin(command=[str(program)]), "setuid")

    # --- configuration ---

    def config(self, text):
        path = self.directory / "config.toml"
        path.write_text(text)
        return path

    def test_a_config_with_an_unknown_key(self):
        path = self.config("replicas = 2\nno_such_key = 1\n")
        self.assert_refused(self.run_auxin("--config", path), "no_such_key", str(path))

    def test_a_config_that_is_not_toml(self):
        self.assert_refused(self.run_auxin("--config", self.config("replicas = = 2\n")), "config")

    def test_a_config_that_is_not_there(self):
        self.assert_refused(self.run_auxin("--config", "/no/such/file.toml"), "/no/such/file.toml")

    def test_the_printed_defaults_pass_the_check(self):
        printed = subprocess.run([paths.program("auxin"), "config", "--print-defaults"],
                                 capture_output=True, text=True, timeout=10)
        self.assertEqual(printed.returncode, 0, printed.stderr)
        checked = subprocess.run(
            [paths.program("auxin"), "config", "--check", self.config(printed.stdout)],
            capture_output=True, text=True, timeout=10)
        self.assertEqual(checked.returncode, 0, checked.stderr)

    def test_status_of_an_unknown_group(self):
        done = subprocess.run(
            [paths.program("auxin"), "status", "nobody", "--state-dir", str(self.directory)],
            capture_output=True, text=True, timeout=10)
        self.assertEqual(done.returncode, 2)
        self.assertIn("nobody", done.stderr)

    # --- the world ---

    def test_a_port_in_use_is_the_servers_own_error(self):
        """The server says it and ends before it is ready: its own status, one sentence of ours."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", self.port))
            taken.listen()
            plain = subprocess.run(server.probe_command(self.port), capture_output=True, text=True,
                                   timeout=20)
            done = self.run_auxin()
        self.assertEqual(done.returncode, plain.returncode)
        timeless = re.compile(r"\(0\) [-0-9]+ [:.0-9]+")  # omniORB's log lines bear the time
        self.assertIn(timeless.sub("", plain.stderr).strip(), timeless.sub("", done.stderr))
        self.assertEqual(done.stderr.count("auxin: "), 1, done.stderr)
        self.assert_no_trace()

    def test_a_server_that_ends_at_once_keeps_its_status(self):
        done = self.run_auxin(command=["/bin/sh", "-c", "echo gone >&2; exit 9"])
        self.assertEqual(done.returncode, 9, done.stderr)
        self.assertIn("gone", done.stderr)
        self.assert_no_trace()

    def test_a_log_size_that_cannot_be_had(self):
        path = self.config('[log]\npayload = "512GiB"\n')
        done = self.run_auxin("--config", path)
        self.assertEqual(done.returncode, 2)
        self.assertTrue(done.stderr.startswith("auxin"), done.stderr)
        self.assert_no_trace()

    def test_a_state_directory_that_others_can_write(self):
        shared = self.directory / "state"
        shared.mkdir()
        shared.chmod(0o777)
        self.assert_refused(self.run_auxin(), str(shared))

    def stm_file(self, state_dir):
        """The group's stable memory: the largest file below its state directory."""
        files = [path for path in state_dir.rglob("*") if path.is_file()]
        self.assertTrue(files, "the state directory holds the stable memory")
        return max(files, key=lambda path: path.stat().st_size)

    def unclean_group(self):
        """A group that was killed: its STM file is there to be resumed."""
        replicas = self.enterContext(group.Group(
            self, server.probe_command(self.port), port=self.port, replicas=2,
            expect_orderly_end=False))
        replicas.kill_everything()
        return replicas

    def assert_resume_refused(self, replicas, damage):
        path = self.stm_file(replicas.state_dir)
        damage(path)

        def start_of_file():
            with open(path, "rb") as file:
                return file.read(65536)
        before = start_of_file()
        done = subprocess.run(replicas.run_command(), env=replicas.environment,
                              capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertIn(str(path), done.stderr)
        self.assertEqual(start_of_file(), before, "the file is as it was")
        self.assertFalse(processes.tagged(replicas.tag))

    def test_a_corrupt_stm_file(self):
        def damage(path):
            with open(path, "r+b") as file:
                file.seek(self.group_area(file) + 16)
                file.write(b"\xa5" * 32)
        self.assert_resume_refused(self.unclean_group(), damage)

    def test_a_foreign_stm_file(self):
        self.assert_resume_refused(self.unclean_group(),
                                   lambda path: path.write_bytes(b"somebody else's file\n" * 400))

    def test_a_truncated_stm_file(self):
        self.assert_resume_refused(self.unclean_group(), lambda path: os.truncate(path, 4096))

    @staticmethod
    def group_area(file):
        """Where the group's part of a memory file begins (stmemu/memory/FORMAT.md)."""
        file.seek(0)
        plain_pages, = struct.unpack_from("<I", file.read(64), 52)
        return os.fstat(file.fileno()).st_size - plain_pages * 4096

    def flip_a_byte_in_the_log(self, path, offset):
        """At the offset from the first entry (stmemu/log/FORMAT.md)."""
        with open(path, "r+b") as file:
            area = self.group_area(file)
            file.seek(area)
            control_bytes, = struct.unpack_from("<Q", file.read(64), 24)
            file.seek(area + 4096 + control_bytes + 4096 + offset)
            byte, = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 0x20]))

    def test_a_corrupt_log_entry(self):
        self.assert_resume_refused(self.unclean_group(),
                                   lambda path: self.flip_a_byte_in_the_log(path, 3 * 64 + 8))

    def test_a_missing_map_directory(self):
        done = self.run_auxin(environment={"AUXIN_MAPS": "/no/such/maps"})
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("/no/such/maps", done.stderr)
        self.assert_no_trace()

    def test_state_and_sockets_are_the_users_alone(self):
        replicas = self.enterContext(group.Group(
            self, server.probe_command(self.port), port=self.port, replicas=2))
        for path in [replicas.state_dir, *replicas.state_dir.rglob("*")]:
            if path.name in ("supervisor.out", "supervisor.err"):
                continue  # the test's own
            mode = path.lstat().st_mode & 0o777
            self.assertEqual(mode & 0o077, 0, f"{path} has mode {mode:o}")


class PlainInputTest(unittest.TestCase):
    def test_the_preload_of_a_process_that_is_no_server_says_nothing(self):
        done = subprocess.run(["/bin/true"], env={**os.environ, "LD_PRELOAD": paths.preload()},
                              capture_output=True, timeout=10)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))

    def test_a_group_path_that_is_no_stable_memory_stops_the_process(self):
        with_path = {**os.environ, "LD_PRELOAD": paths.preload(), "AUXIN_GROUP": "/etc/passwd",
                     "AUXIN_REPLICA": "0"}
        port = paths.free_port()
        done = subprocess.run(server.probe_command(port), env=with_path, capture_output=True,
                              text=True, timeout=20)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/etc/passwd", done.stderr)
        self.assertGreater(pathlib.Path("/etc/passwd").stat().st_size, 0)


if __name__ == "__main__":
    unittest.main()
