# SPDX-License-Identifier: Apache-2.0
"""What it costs a server to be recorded, and what becomes of recordings."""
import json
import os
import statistics
import subprocess
import sys
import time

from harness import paths, server

from . import bank, pairs
from .results import Result, of_ratios

CLIENTS = 1
EVENTS = 10_000_000
LEAD_S = 0.5  # for the recording to begin before the load, and to end after it


def latency_us(bank_group, mix, seconds):
    return bank.measured(bank_group.port, bank_group.pids(), CLIENTS, mix, seconds).p50_us


def recorded_latency_us(bank_group, mix, seconds):
    """The same while the leader is recorded at full detail, and the recording is collected."""
    trace = paths.scratch_dir() / "trace"
    command = [paths.program("auxin"), "locks", bank_group.group.name, "--state-dir",
               str(bank_group.group.state_dir), "--for", str(seconds + bank.WARM_UP_S + 2 * LEAD_S),
               "--record", str(trace), "--json"]
    recording = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ)
    try:
        result = latency_us(bank_group, mix, seconds)
        if recording.wait(timeout=seconds + 60) != 0:
            raise bank.LoadFailed("the recording failed")
        return result
    finally:
        recording.kill()
        recording.wait()
        subprocess.run(["rm", "-rf", str(trace.parent)], check=True)


def record_full(options):
    """A group of one replica, recorded and not: the median latency of a deposit."""
    with bank.BankGroup(1) as bank_group:
        measured = pairs.interleave(
            options.count,
            lambda: recorded_latency_us(bank_group, "deposit", options.seconds),
            lambda: latency_us(bank_group, "deposit", options.seconds))
    return of_ratios(measured, "us", at_most=1.3)


def record_count(options):
    """The bare preload, which counts, against no preload: the median latency of a deposit."""
    measured = pairs.interleave(
        options.count,
        lambda: bank.preloaded(CLIENTS, "deposit", options.seconds).p50_us,
        lambda: bank.native(CLIENTS, "deposit", options.seconds).p50_us)
    return of_ratios(measured, "us", at_most=1.05)


def trace_reduce(options):
    """Ten million calls: read, made a graph, grouped by class, drawn."""
    directory = paths.scratch_dir()
    trace, picture = directory / "trace", directory / "picture.svg"
    auxin = paths.program("auxin")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        # It is no server and ends by itself; what was recorded is kept.
        subprocess.run([auxin, "discover", "--record", str(trace), "--op", "top 1", "--",
                        paths.program("recorded_program"), "run", str(EVENTS // 6)], **quiet)
        measured = []
        for _ in range(options.count):
            begun = time.monotonic()
            reduce = subprocess.Popen([auxin, "discover", "--trace", str(trace), "--op",
                                       "group class", "--svg", str(picture)], **quiet)
            _, status, usage = os.wait4(reduce.pid, 0)
            reduce.returncode = status
            if status != 0 or not picture.exists():
                raise RuntimeError("the trace could not be reduced")
            measured.append((time.monotonic() - begun, usage.ru_maxrss / 2**20))
    finally:
        subprocess.run(["rm", "-rf", str(directory)], check=True)
    seconds = statistics.median(value for value, _ in measured)
    gib = max(value for _, value in measured)
    return Result(value=seconds, unit="s", target="<= 30 s and 2 GiB",
                  met=seconds <= 30 and gib <= 2, detail=f"at most {gib:.2f} GiB")


def discover_time(options):
    """A map of the ORB, found from a server that uses most of it: both runs and their loads."""
    directory = paths.scratch_dir()
    tour = paths.ROOT / "tests" / "e2e" / "probe_tour.py"
    times, missing = [], 0
    try:
        for _ in range(options.count):
            port = paths.free_port()
            begun = time.monotonic()
            done = subprocess.run(
                [paths.program("auxin"), "discover", "--json", "--write-map",
                 str(directory / "found.toml"), "--load", f"{sys.executable} {tour} {port}", "--",
                 *server.probe_command(port)], capture_output=True, text=True, timeout=600)
            times.append(time.monotonic() - begun)
            if done.returncode != 0:
                raise bank.LoadFailed(done.stderr)
            missing = max(missing, len(json.loads(done.stdout)["missing"]))
    finally:
        subprocess.run(["rm", "-rf", str(directory)], check=True)
    seconds = statistics.median(times)
    return Result(value=seconds, unit="s", target="< 60 s, nothing missing",
                  met=seconds < 60 and missing == 0,
                  detail=f"{min(times):.1f} .. {max(times):.1f}, {missing} parts not found")


def verify_rate(options):
    """Schedules of a bank's load of 1,000 requests, base runs and all else included."""
    schedules = 100
    rates = []
    for _ in range(max(1, options.count // 2)):
        port = paths.free_port()
        load = (f"{paths.program('bank_load')} 127.0.0.1:{port} --clients 4 --calls 1000 "
                f"--mix mixed > /dev/null")
        begun = time.monotonic()
        done = subprocess.run([paths.program("auxin"), "verify", "--quiet", "--json",
                               "--no-minimal", "--schedules", str(schedules), "--load", load, "--",
                               *bank.command(port)], capture_output=True, text=True, timeout=600)
        seconds = time.monotonic() - begun
        if done.returncode != 0:
            raise bank.LoadFailed(done.stderr or done.stdout[:600])
        report = json.loads(done.stdout)
        if report["requests"] < 1000 * report["base_runs"]:
            raise bank.LoadFailed("the load was lighter than it must be")
        rates.append(60 * report["schedules"] / seconds)
    rate = statistics.median(rates)
    return Result(value=rate, unit="schedules/min", target=">= 100", met=rate >= 100,
                  detail=f"{min(rates):.0f} .. {max(rates):.0f}, on {os.cpu_count()} processors")


BENCHMARKS = {
    "record-full": record_full,
    "record-count": record_count,
    "discover-time": discover_time,
    "trace-reduce": trace_reduce,
    "verify-rate": verify_rate,
}

DESCRIPTIONS = {
    "record-full": "latency while each call is recorded with its path, against not recorded",
    "record-count": "latency while calls are only counted, against native",
    "discover-time": "a join-point map of omniORB found from nothing",
    "trace-reduce": "a recording of ten million calls, read, grouped and drawn",
    "verify-rate": "adversarial schedules of 1,000 requests that are tried in a minute",
}
