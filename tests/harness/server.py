# SPDX-License-Identifier: Apache-2.0
"""A server run plainly (no Auxin, or only the bare preload): the reference of every comparison."""
import os
import signal
import socket
import subprocess
import uuid

from . import giop, paths, processes


def await_port(port, timeout_s=20, process=None):
    def answers():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"{process.args} ended with status {process.returncode}")
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", port)) == 0
    processes.await_true(answers, timeout_s, f"port {port} answers")


def probe_command(port, *options):
    """Messages up to 64 MiB (omniORB's default is 2), so that replies can exceed every buffer."""
    return [paths.program("probe_server"), "-ORBendPoint", f"giop:tcp:127.0.0.1:{port}",
            "-ORBgiopMaxMsgSize", "67108864", *options]


def plain_probe(port, *options, **how):
    return PlainServer(probe_command(port, *options), port, key=b"probe", **how)


class PlainServer:
    """with PlainServer(command, port) as server: …   `key`: an object it must have to be ready."""

    def __init__(self, command, port, environment=None, preload=False, directory=None, key=None):
        self.command, self.port, self.preload, self.key = command, port, preload, key
        self.tag = uuid.uuid4().hex
        self.environment = {**os.environ, processes.TAG: self.tag, **(environment or {})}
        if preload:
            self.environment["LD_PRELOAD"] = paths.preload()
        self.directory = directory
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, env=self.environment, cwd=self.directory, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            if self.port:
                await_port(self.port, process=self.process)
            if self.key:
                giop.await_object(self.port, self.key)
        except BaseException:
            self.__exit__()
            raise
        return self

    @property
    def pid(self):
        return self.process.pid

    def __exit__(self, *_):
        for pid in processes.tagged(self.tag):
            processes.kill(pid, signal.SIGTERM)
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in processes.tagged(self.tag):
            processes.kill(pid)
        self.process.stdout.close()
