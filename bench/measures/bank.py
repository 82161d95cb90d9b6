# SPDX-License-Identifier: Apache-2.0
"""One measurement of the bank: a server of some kind, a load on it, and what both cost.

A server is started for each measurement and ended after it, so what is not being measured uses
nothing.
"""
import dataclasses
import json
import os
import pathlib
import resource
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests"))

from harness import group, paths, processes, server  # noqa: E402

WARM_UP_S = 0.3


class LoadFailed(Exception):
    pass


@dataclasses.dataclass
class Measured:
    per_s: float            # calls answered a second
    calls: int
    p50_us: float
    p99_us: float
    server_cpu_s: float     # per call, all replicas
    client_cpu_s: float     # per call


def command(port):
    return [paths.program("bank_server"), "-ORBendPoint", f"giop:tcp:127.0.0.1:{port}"]


def run_load(port, clients, mix, seconds, rate_per_s=0):
    """bank_load once: (its report, its CPU seconds)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [paths.program("bank_load"), f"127.0.0.1:{port}", "--seconds", str(seconds), "--clients",
         str(clients), "--mix", mix, "--rate", str(rate_per_s), "--json", "-"],
        capture_output=True, text=True, timeout=seconds + 120)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise LoadFailed(done.stderr[-600:])
    cpu_s = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return json.loads(done.stdout), cpu_s


def measured(port, server_pids, clients, mix, seconds, rate_per_s=0):
    run_load(port, clients, "ping", WARM_UP_S)
    before = sum(processes.cpu_seconds(pid) for pid in server_pids)
    report, client_cpu_s = run_load(port, clients, mix, seconds, rate_per_s)
    spent = sum(processes.cpu_seconds(pid) for pid in server_pids) - before
    calls = report["acknowledged"]
    return Measured(report["acknowledged_per_s"], calls, report["latency"]["p50_us"],
                    report["latency"]["p99_us"], spent / calls, client_cpu_s / calls)


def native(clients, mix, seconds, rate_per_s=0, preload=False):
    port = paths.free_port()
    with server.PlainServer(command(port), port, preload=preload, key=b"Bank") as plain:
        return measured(port, [plain.pid], clients, mix, seconds, rate_per_s)


def preloaded(clients, mix, seconds, rate_per_s=0):
    return native(clients, mix, seconds, rate_per_s, preload=True)


class BankGroup:
    """with BankGroup(3) as group: …"""

    def __init__(self, replicas, options=(), environment=None):
        self.port = paths.free_port()
        self.group = group.Group(unittest.TestCase(), command(self.port), port=self.port,
                                 replicas=replicas, key=b"Bank", name=f"bench-{os.getpid()}",
                                 options=options, environment=environment)
        self.passive = "warm-passive" in options or "cold-passive" in options

    def __enter__(self):
        self.group.__enter__()
        if not self.passive:
            self.group.await_all_ready()
        return self

    def __exit__(self, *what):
        return self.group.__exit__(*what)

    def pids(self):
        """All processes of the group but the supervisor."""
        return [pid for pid in processes.tagged(self.group.tag)
                if pid != self.group.supervisor.pid]


def grouped(replicas, clients, mix, seconds, rate_per_s=0):
    with BankGroup(replicas) as bank_group:
        pids = bank_group.pids()
        result = measured(bank_group.port, pids, clients, mix, seconds, rate_per_s)
        # What followers have not done yet is part of the cost of the calls measured.
        before = sum(processes.cpu_seconds(pid) for pid in pids)
        begun = time.monotonic()
        if replicas > 1:
            bank_group.group.await_caught_up()
        caught_up_s = time.monotonic() - begun
        if caught_up_s > 0.05:
            result.server_cpu_s += (sum(processes.cpu_seconds(pid) for pid in pids) - before) / \
                result.calls
        status = bank_group.group.assert_no_mismatch()
        if len(bank_group.group.followers(status)) != replicas - 1:
            raise LoadFailed("not all followers were there at the end")
        return result
