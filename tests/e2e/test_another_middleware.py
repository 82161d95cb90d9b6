# SPDX-License-Identifier: Apache-2.0
"""A middleware that is no ORB, bound by its map and four annotations (tests/middleware)."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import unittest

from harness import group, paths, processes

MIDDLEWARE = paths.ROOT / "tests" / "middleware"
MAP = (MIDDLEWARE / "ferry.toml").read_text()


def load_words(port, **options):
    words = [paths.program("harbour_load"), str(port)]
    for name, value in options.items():
        words += [f"--{name}", str(value)]
    return words


def message(kind=1, request_id=1, key=b"office", operation=b"open", length=None):
    body = struct.pack(">H", len(key)) + key + struct.pack(">H", len(operation)) + operation
    size = 8 + len(body) if length is None else length
    return struct.pack(">IBBHI", size & 0xffffffff, kind, 0, 0, request_id) + body


class MiddlewareCase(unittest.TestCase):
    timeout_s = 180

    def setUp(self):
        self.directory = pathlib.Path(paths.scratch_dir())
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.maps = self.maps_of(MAP)

    def maps_of(self, text, name="maps"):
        maps = self.directory / name
        maps.mkdir()
        (maps / "ferry.toml").write_text(text)
        return {**os.environ, "AUXIN_MAPS": str(maps)}

    def load(self, port, timeout_s=60, **options):
        done = subprocess.run(load_words(port, **options), capture_output=True, text=True,
                              timeout=timeout_s)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("GOOD", done.stdout)
        return done.stdout

    def auxin(self, *words, environment=None):
        return subprocess.run([paths.program("auxin"), *map(str, words)], capture_output=True,
                              text=True, timeout=120, env=environment or self.maps)

    def run_words(self, port, program="harbour_server"):
        return ["--load", " ".join(load_words(port, clients=4, calls=300)), "--",
                paths.program(program), "--port", port]


class NativeTest(MiddlewareCase):
    @contextlib.contextmanager
    def server(self, program="harbour_server", **environment):
        process = subprocess.Popen([paths.program(program)], stdout=subprocess.PIPE, text=True,
                                   env={**os.environ, **environment})
        try:
            word, port = process.stdout.readline().split()
            self.assertEqual(word, "ready")
            yield int(port)
            self.assertIsNone(process.poll(), "it serves until it is stopped")
        finally:
            process.terminate()
            process.wait(20)
            process.stdout.close()

    def test_it_works_by_itself_and_preloaded(self):
        preload = {"LD_PRELOAD": paths.preload(), "AUXIN_MAPS": str(MIDDLEWARE)}
        for program in ("harbour_server", "harbour_server_plain"):
            for environment in ({}, preload):
                with self.subTest(program, **environment), self.server(program,
                                                                       **environment) as port:
                    self.load(port, clients=6, calls=1000, depth=8,
                              seed=paths.seed() % 1000000)

    def test_what_is_no_message_ends_its_connection_only(self):
        with self.server() as port:
            for wrong in (message(length=0), message(length=7), message(length=1 << 30),
                          message(kind=2), message(kind=9), message(length=9),
                          struct.pack(">IBBHI", 10, 1, 0, 0, 1) + b"\xff\xff",
                          b"GET / HTTP/1.0\r\n\r\n"):
                with self.subTest(wrong), socket.create_connection(("127.0.0.1", port)) as peer:
                    peer.settimeout(10)
                    peer.sendall(wrong)
                    self.assertEqual(peer.recv(100), b"")
            with socket.create_connection(("127.0.0.1", port)) as cut:
                cut.sendall(message()[:9])
            self.load(port, clients=2, calls=100)


class GroupTest(MiddlewareCase):
    kills = 20 if paths.LONG else 4

    def test_a_client_does_not_notice_that_leaders_die(self):
        port, seed = paths.free_port(), paths.seed() % 1000000
        with group.Group(self, [paths.program("harbour_server"), "--port", str(port)],
                         environment={"AUXIN_MAPS": self.maps["AUXIN_MAPS"]}) as running:
            running.await_all_ready()
            for turn in range(self.kills):
                before = running.status()["requests"]
                client = subprocess.Popen(load_words(port, clients=4, calls=600, depth=6, rate=500,
                                                     seed=seed + turn),
                                          stdout=subprocess.PIPE, text=True)
                try:
                    processes.await_true(lambda: running.status()["requests"] > before, 20,
                                         "the load has begun")
                    running.replace_leader()
                    output, _ = client.communicate(timeout=60)
                finally:
                    client.kill()
                    client.wait()
                    client.stdout.close()
                self.assertEqual(client.returncode, 0, output)
                self.assertIn("GOOD", output)
                running.await_all_ready()
            running.await_caught_up()
            running.assert_no_mismatch()
            status = running.status()
            self.assertEqual(status["maps"], ["ferry"])
            self.assertGreater(status["requests"], self.kills * 2000)


class ToolsTest(MiddlewareCase):
    def test_locks_tells_what_its_requests_order(self):
        done = self.auxin("locks", "--json", *self.run_words(paths.free_port()))
        report = json.loads(done.stdout)
        self.assertGreater(report["requests"], 1000)
        self.assertGreater(report["ordered"], 1000)
        self.assertLess(report["ordered"], report["acquisitions"] / 4)
        self.assertTrue({"upcall", "object-table", "output-begins"} <=
                        {row["join_point"] for row in report["by_join_point"]})

    def test_verify_is_right_about_its_map(self):
        done = self.auxin("verify", "--json", "--quiet", "--no-minimal", "--schedules", 20,
                          *self.run_words(paths.free_port()))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertTrue(json.loads(done.stdout)["sufficient"]["holds"])

    def test_verify_misses_a_contention_point_that_the_map_leaves_out(self):
        without = MAP.replace('role = "contention-point"', 'role = "plain"')
        done = self.auxin("verify", "--json", "--quiet", "--no-minimal", "--schedules", 60,
                          *self.run_words(paths.free_port()),
                          environment=self.maps_of(without, "without"))
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertFalse(json.loads(done.stdout)["sufficient"]["holds"])

    def test_discover_says_what_a_map_can_not_say_of_a_pool_behind_a_queue(self):
        done = self.auxin("discover", "--write-map", self.directory / "found.toml",
                          *self.run_words(paths.free_port(), "harbour_server_plain"))
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertRegex(done.stderr, r"answers were sent in ferry::Connection::reply.* by other "
                                      r"threads than those that receive in ferry::Connection::read")
        self.assertIn("annotate that place with auxin_request_begin", done.stderr)


if __name__ == "__main__":
    unittest.main()
