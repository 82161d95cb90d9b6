# SPDX-License-Identifier: Apache-2.0
"""Stock client programs under observation: how often they connect, and from which addresses.

strace with a seccomp filter stops a client only at connect(), so its calls run at full speed.
"""
import os
import pathlib
import re
import signal
import subprocess

from . import paths, processes


class StockClient:
    """Runs a client program; `traced` records its connect() calls.

    with StockClient([program, …], port) as client: …   then client.finish() → its output
    """

    def __init__(self, command, port, traced=False, environment=None):
        self.command, self.port, self.traced = list(command), port, traced
        self.environment = {**os.environ, **(environment or {})}
        self.directory = paths.scratch_dir()
        self.trace = self.directory / "connects"
        self.process = None
        self.output = None

    def __enter__(self):
        command = self.command
        if self.traced:
            command = ["strace", "-f", "--seccomp-bpf", "-e", "trace=connect", "-o",
                       str(self.trace), *command]
        self.process = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.PIPE, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
        for path in self.directory.iterdir():
            path.unlink()
        self.directory.rmdir()

    @property
    def pid(self):
        """The client's own pid (strace's child if traced)."""
        if not self.traced:
            return self.process.pid
        children = pathlib.Path(
            f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def connections(self):
        """The client's connections to the server now: a set of (local, remote)."""
        pid = self.pid
        return processes.connections_of(pid, self.port) if pid else set()

    def connects(self):
        """How often it called connect() towards the server's port (traced clients only)."""
        return len(re.findall(rf"connect\(.*sin6?_port=htons\({self.port}\)",
                              self.trace.read_text()))

    def interrupt(self):
        """Asks the client itself to end (SIGINT)."""
        pid = self.pid
        if pid:
            processes.kill(pid, signal.SIGINT)

    def finish(self, timeout_s=60):
        """Waits for its end: (status, standard output, standard error)."""
        try:
            out, err = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            out, err = self.process.communicate()
            raise AssertionError(f"{self.command} still runs after {timeout_s} s: "
                                 f"{out[-1000:]} {err[-1000:]}") from None
        return self.process.returncode, out, err
