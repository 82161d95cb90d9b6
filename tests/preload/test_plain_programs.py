# SPDX-License-Identifier: Apache-2.0
"""Programs that know no CORBA run under the bare preload exactly as without it."""
import hashlib
import http.server
import os
import random
import shutil
import subprocess
import threading
import unittest

from harness import paths


class PlainProgramsTest(unittest.TestCase):
    def setUp(self):
        self.directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def both_ways(self, command, stdin=b"", environment=None):
        """Runs plain and preloaded; asserts the same status and output; returns the output."""
        plain_environment = {**os.environ, **(environment or {})}
        outcomes = []
        for extra in ({}, {"LD_PRELOAD": paths.preload()}):
            done = subprocess.run(command, input=stdin, capture_output=True, timeout=120,
                                  env={**plain_environment, **extra})
            outcomes.append((done.returncode, done.stdout, done.stderr))
        self.assertEqual(outcomes[1][0], outcomes[0][0], outcomes[1][2][-2000:])
        self.assertEqual(outcomes[1][2], outcomes[0][2], "standard error")
        self.assertTrue(outcomes[1][1] == outcomes[0][1], "standard output")
        self.assertEqual(outcomes[0][0], 0, outcomes[0][2])
        return outcomes[0][1]

    def test_sort_in_parallel(self):
        lines = b"".join(b"%d\n" % random.randrange(10**9) for _ in range(300_000))
        self.assertEqual(len(self.both_ways(["sort", "--parallel=4", "-S2M", "-n", "-T",
                                             str(self.directory)], stdin=lines)), len(lines))

    def test_xz_with_threads(self):
        data = random.Random(3).randbytes(1 << 20) * 8
        packed = self.both_ways(["xz", "-T2", "-0", "--block-size=1MiB", "-c"], stdin=data)
        self.assertEqual(self.both_ways(["xz", "-T2", "-d", "-c"], stdin=packed), data)

    def test_python_with_threads(self):
        script = (
            "import threading, queue, hashlib, time\n"
            "q, out, lock = queue.Queue(), [], threading.Lock()\n"
            "def work():\n"
            "  while (n := q.get()) is not None:\n"
            "    d = hashlib.sha256(str(n).encode()).hexdigest()\n"
            "    with lock: out.append((n, d))\n"
            "ts = [threading.Thread(target=work) for _ in range(4)]\n"
            "[t.start() for t in ts]; [q.put(n) for n in range(5000)]; [q.put(None) for _ in ts]\n"
            "[t.join() for t in ts]\n"
            "e = threading.Event(); assert not e.wait(0.05)\n"
            "c = threading.Condition()\n"
            "with c: assert not c.wait(0.05)\n"
            "print(len(out), hashlib.sha256(repr(sorted(out)).encode()).hexdigest())\n")
        self.assertTrue(self.both_ways(["/usr/bin/python3", "-c", script]).startswith(b"5000 "))

    def test_python_subprocesses_and_sockets(self):
        script = (
            "import socket, subprocess, threading, select\n"
            "s = socket.create_server(('127.0.0.1', 0))\n"
            "def serve():\n"
            "  for _ in range(20):\n"
            "    c, _ = s.accept(); d = c.recv(100); c.sendall(d[::-1]); c.close()\n"
            "t = threading.Thread(target=serve); t.start()\n"
            "for n in range(20):\n"
            "  c = socket.create_connection(s.getsockname()); c.sendall(b'abc%d' % n)\n"
            "  select.select([c], [], [], 5); print(c.recv(100)); c.close()\n"
            "t.join()\n"
            "print(subprocess.run(['sh', '-c', 'echo $((6*7)); exec env true'],\n"
            "                     capture_output=True).stdout)\n")
        self.assertIn(b"42", self.both_ways(["/usr/bin/python3", "-c", script]))

    def test_curl_against_a_local_server(self):
        body = random.Random(5).randbytes(2_000_000)
        (self.directory / "file").write_bytes(body)

        class Quiet(http.server.SimpleHTTPRequestHandler):
            def __init__(handler, *arguments):
                super().__init__(*arguments, directory=str(self.directory))

            def log_message(handler, *_):
                pass
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as web:
            threading.Thread(target=web.serve_forever, daemon=True).start()
            fetched = self.both_ways(
                ["curl", "-sS", "--max-time", "30", f"http://127.0.0.1:{web.server_port}/file"])
            web.shutdown()
        self.assertEqual(hashlib.sha256(fetched).digest(), hashlib.sha256(body).digest())

    def test_a_shell_pipeline_hands_everything_on(self):
        said = self.both_ways(["bash", "-c", "seq 1000 | grep 7 | sort -rn | head -3; "
                               "(exec setsid env echo done); false || echo $?"])
        self.assertEqual(said.split(), [b"997", b"987", b"979", b"done", b"1"])

    def test_a_library_that_locks_in_mmap_is_preloaded_before_it_and_after_it(self):
        other = str(paths.build_dir() / "lib" / "libauxin_locking_mmap_test.so")
        command = ["sort", "--parallel=4", "-S2M", "-n"]
        lines = b"".join(b"%d\n" % random.randrange(10**9) for _ in range(200_000))
        for order in ([paths.preload(), other], [other, paths.preload()]):
            done = subprocess.run(command, input=lines, capture_output=True, timeout=60,
                                  env={**os.environ, "LD_PRELOAD": ":".join(order)})
            self.assertEqual((done.returncode, done.stderr), (0, b""), order)
            self.assertEqual(done.stdout.split(), sorted(lines.split(), key=int))

    def test_tools_that_trace_work_beside_it(self):
        environment = {**os.environ, "LD_PRELOAD": paths.preload()}
        done = subprocess.run(
            ["gdb", "-q", "-batch", "-ex", "set startup-with-shell off", "-ex", "run", "-ex",
             "print $_exitcode", "--args", "/bin/true"],
            capture_output=True, text=True, timeout=60, env=environment)
        self.assertIn("$1 = 0", done.stdout, done.stderr)
        done = subprocess.run(["strace", "-f", "-o", str(self.directory / "trace"), "-E",
                               f"LD_PRELOAD={paths.preload()}", "sort", "--parallel=2"],
                              input=b"b\na\n", capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (0, b"a\nb\n"), done.stderr)


if __name__ == "__main__":
    unittest.main()
