# SPDX-License-Identifier: Apache-2.0
"""The benchmarks by name: what each measures, against what, and its target.

A benchmark is a function of the Options that returns a Result; the registry at the end is the list
that `scripts/bench --list` prints, in its order.
"""
import json
import pathlib
import random
import re
import statistics
import subprocess
import time
import os

from harness import paths, processes, server, stock_load

from . import bank, checkpoint, images, pairs, recording, stm
from .results import Options, Result, of_differences, of_ratios  # noqa: F401


# --- locks ---

def lock_pair_ns(environment=None, arguments=()):
    done = subprocess.run([paths.program("lock_bench"), *arguments], capture_output=True,
                          text=True, check=True, timeout=120,
                          env={**os.environ, **(environment or {})})
    return float(done.stdout)


def lock_unselected(options):
    """A pair in a program that nothing selects: native against preloaded."""
    arguments = ("--pairs", str(int(10e6 * options.seconds)))
    preload = {"LD_PRELOAD": paths.preload()}
    measured = pairs.interleave(options.count, lambda: lock_pair_ns(preload, arguments),
                                lambda: lock_pair_ns(arguments=arguments))
    return of_differences(measured, "ns", 1.0)


def ordered_pair_ns(arguments):
    """The same loop as a group of three: its thread's pairs are ordered by the leader."""
    state = paths.scratch_dir()
    port = paths.free_port()
    try:
        done = subprocess.run(
            [paths.program("auxin"), "run", "--name", f"bench-lock-{os.getpid()}", "--replicas",
             "3", "--state-dir", str(state), "--", paths.program("lock_bench"), *arguments,
             "--listen", str(port)],
            capture_output=True, text=True, check=True, timeout=120,
            # A program becomes a replica because an ORB is loaded.
            env={**os.environ, "LD_PRELOAD": "libomniORB4.so.2"})
        return float(re.findall(r"^([0-9.]+)$", done.stdout, re.MULTILINE)[-1])
    finally:
        subprocess.run(["rm", "-rf", str(state)], check=True)


def lock_ordered(options):
    """A pair ordered by the leader, uncontended, in bursts that leave followers time."""
    arguments = ("--pairs", str(int(100_000 * options.seconds)), "--burst", "500", "--pause-us",
                 "3000")
    measured = pairs.interleave(options.count, lambda: ordered_pair_ns(arguments),
                                lambda: lock_pair_ns(arguments=arguments))
    return of_differences(measured, "ns", 50.0)


# --- throughput and latency ---

def both_calls(options, one, at_least):
    """Throughput of null calls and of deposits; the worse of the two ratios is the result."""
    results = []
    for mix in ("ping", "deposit"):
        options.log(f"  {mix}")
        measured = pairs.interleave(options.count, lambda: one(mix).per_s,
                                    lambda: bank.native(one.clients, mix, options.seconds).per_s)
        results.append((mix, of_ratios(measured, "calls/s", at_least=at_least)))
    mix, worse = min(results, key=lambda each: each[1].ratio)
    other_mix, other = max(results, key=lambda each: each[1].ratio)
    worse.detail = f"{mix}: {worse.detail}; {other_mix}: ratio {other.ratio:.3f}"
    worse.met = all(result.met for _, result in results)
    return worse


class Throughput:
    def __init__(self, clients, at_least, run):
        self.clients, self.at_least, self.run = clients, at_least, run

    def __call__(self, options):
        def one(mix):
            return self.run(self.clients, mix, options.seconds)
        one.clients = self.clients
        return both_calls(options, one, self.at_least)


def in_group(replicas):
    return lambda clients, mix, seconds: bank.grouped(replicas, clients, mix, seconds)


def latencies(options, quantile, at_most):
    """Latency at a paced load of 20 % of what the native server can do."""
    capacity = bank.native(4, "deposit", options.seconds).per_s
    rate = capacity * 0.2
    measured = pairs.interleave(
        options.count,
        lambda: getattr(bank.grouped(3, 4, "deposit", options.seconds, rate), quantile),
        lambda: getattr(bank.native(4, "deposit", options.seconds, rate), quantile))
    return of_ratios(measured, "us", at_most=at_most, detail=f"at {rate:.0f} calls/s")


def group3_throughput(clients):
    """Saturated: against what the two cores allow.

    Allowed = cores / (3 x native CPU of a call + the client's own CPU of a call).
    """
    def run(options):
        def allowed():
            plain = bank.native(clients, "deposit", options.seconds)
            return os.cpu_count() / (3 * plain.server_cpu_s + plain.client_cpu_s)
        measured = pairs.interleave(
            options.count, lambda: bank.grouped(3, clients, "deposit", options.seconds).per_s,
            allowed)
        return of_ratios(measured, "calls/s", at_least=0.85, detail="of what the cores allow")
    run.__doc__ = group3_throughput.__doc__
    return run


def group3_cpu(options):
    """CPU of a deposit, all replicas together, against the native server's."""
    measured = pairs.interleave(
        options.count,
        lambda: bank.grouped(3, 4, "deposit", options.seconds).server_cpu_s * 1e6,
        lambda: bank.native(4, "deposit", options.seconds).server_cpu_s * 1e6)
    return of_ratios(measured, "us/call", at_most=3.3)


# --- failover ---

KILLS_A_GROUP = 10  # a restarted replica replays its group's whole life: keep that short


def kill_round(options, kills, rate_per_s, wait_for_follower, chance):
    """A fresh group; SIGKILLs its leader at random moments under load: bank_load's report."""
    with bank.BankGroup(3) as bank_group:
        watched = bank_group.group

        def followed():
            near = 200 if wait_for_follower else float("inf")
            return any(row["lag"] <= near for row in watched.followers())
        with stock_load.BankLoad(bank_group.port, 4, "deposit", rate_per_s) as load:
            load.let_run(0.3)
            for _ in range(kills):
                processes.await_true(followed, 60, "a follower")
                load.let_run(chance.uniform(0.02, 0.15))
                leader = watched.await_leader()["pid"]
                load.kill(leader)
                watched.await_leader(other_than_pid=leader)
            load.let_run(0.3)
            return load.finish(180)


def kill_campaign(options, rate_per_s, wait_for_follower):
    """Kills in groups of their own: the times to the first reply in ms, and how much went wrong."""
    chance = random.Random(20)
    times, wrong = [], 0
    while len(times) < options.kills:
        kills = min(KILLS_A_GROUP, options.kills - len(times))
        report = kill_round(options, kills, rate_per_s, wait_for_follower, chance)
        wrong += report["errors"] + report["violations"]
        covered = [kill["first_reply_us"] / 1000 for kill in report["kills"] if kill["covered"]]
        if len(covered) != kills:
            raise bank.LoadFailed(f"the load saw {len(covered)} of {kills} kills: {report['text']}")
        times += covered
        options.log(f"  {len(times)} of {options.kills} kills: "
                    f"median {statistics.median(times):.1f} ms, "
                    f"maximum {max(times):.1f} ms, {wrong} errors")
    return times, wrong


def failover(options):
    """Time to the first reply after SIGKILL of the leader, at 20 % of native capacity.

    Then as many kills saturated and regardless of whether followers are close: reported.
    """
    capacity = bank.native(4, "deposit", options.seconds).per_s
    times, wrong = kill_campaign(options, capacity * 0.2, True)
    saturated, wrong_too = kill_campaign(options, 0, False)
    middle, worst, errors = statistics.median(times), max(times), wrong + wrong_too
    return Result(
        value=middle, unit="ms", target="median <= 5 ms, maximum <= 50 ms, no error",
        spread=statistics.pstdev(times) / middle, met=errors == 0 and middle <= 5 and worst <= 50,
        detail=f"{len(times)} kills at {capacity * 0.2:.0f} calls/s: maximum {worst:.1f} ms; "
               f"saturated {len(saturated)} kills: median {statistics.median(saturated):.1f}, "
               f"maximum {max(saturated):.1f} ms; errors and violations {errors}")


# --- shares and sizes ---

PUBLISHED_S = 0.3  # a leader publishes its counts ten times a second


def ordered_share(options):
    """Ordered synchronisation calls of a deposit, against the application's own acquisitions."""
    with bank.BankGroup(3) as bank_group:
        def counts():
            time.sleep(PUBLISHED_S)
            table = json.loads(bank_group.group.auxin(
                "locks", bank_group.group.name, "--for", "0", "--json").stdout)
            return table["total"], table["ordered"], bank_group.group.status()["requests"]
        bank.run_load(bank_group.port, 4, "deposit", 0.5)  # accounts are open, threads started
        before = counts()
        bank.run_load(bank_group.port, 4, "deposit", options.seconds)
        after = counts()
    total, ordered, requests = (b - a for a, b in zip(before, after))
    own = 1.0  # a deposit takes its account's lock once
    return Result(
        value=ordered / requests, unit="ordered/request", reference=own,
        target="the application's own acquisitions only", ratio=ordered / requests / own,
        spread=0.0, met=abs(ordered / requests - own) < 0.02,
        detail=f"{total / requests:.1f} synchronisation calls a request, "
               f"{ordered / total:.2%} of them ordered")


def private_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.MULTILINE))


def memory(options):
    """Private memory of an idle server: the leader of a group against the plain server.

    Shared mappings of the log and the library's unmodified pages are not private.
    """
    def plain():
        port = paths.free_port()
        with server.PlainServer(bank.command(port), port, key=b"Bank") as native:
            bank.run_load(port, 1, "ping", 0.2)
            return private_kib(native.pid) / 1024

    def leading():
        with bank.BankGroup(3) as bank_group:
            bank.run_load(bank_group.port, 1, "ping", 0.2)
            time.sleep(0.5)  # idle again
            return private_kib(bank_group.group.await_leader()["pid"]) / 1024
    measured = pairs.interleave(min(options.count, 5), leading, plain)
    result = of_differences(measured, "MiB", 4.0)
    return result


BENCHMARKS = {
    "lock-unselected": lock_unselected,
    "lock-ordered": lock_ordered,
    "preload-throughput-1": Throughput(1, 0.99, bank.preloaded),
    "preload-throughput-4": Throughput(4, 0.99, bank.preloaded),
    "group1-throughput-1": Throughput(1, 0.95, in_group(1)),
    "group1-throughput-4": Throughput(4, 0.95, in_group(1)),
    "group3-latency-p50": lambda options: latencies(options, "p50_us", 1.1),
    "group3-latency-p99": lambda options: latencies(options, "p99_us", 1.5),
    "group3-throughput-1": group3_throughput(1),
    "group3-throughput-4": group3_throughput(4),
    "group3-cpu": group3_cpu,
    "failover": failover,
    "ordered-share": ordered_share,
    "memory": memory,
    **recording.BENCHMARKS,
    **stm.BENCHMARKS,
    **checkpoint.BENCHMARKS,
    **images.BENCHMARKS,
}

DESCRIPTIONS = {
    "lock-unselected": "a lock/unlock pair that nothing selects, preloaded against native",
    "lock-ordered": "a pair ordered by the leader of three replicas, against native",
    "preload-throughput-1": "bare preload, 1 client, null call and deposit",
    "preload-throughput-4": "bare preload, 4 clients, null call and deposit",
    "group1-throughput-1": "a group of one replica, 1 client, null call and deposit",
    "group1-throughput-4": "a group of one replica, 4 clients, null call and deposit",
    "group3-latency-p50": "three replicas, median latency at 20 % of native capacity",
    "group3-latency-p99": "three replicas, 99th percentile at 20 % of native capacity",
    "group3-throughput-1": "three replicas saturated by 1 client, of what the cores allow",
    "group3-throughput-4": "three replicas saturated by 4 clients, of what the cores allow",
    "group3-cpu": "three replicas, CPU of a call over all of them, against native",
    "failover": "time to the first reply after SIGKILL of the leader",
    "ordered-share": "ordered synchronisation calls of a deposit",
    "memory": "private memory of an idle leader over the plain server's",
    **recording.DESCRIPTIONS,
    **stm.DESCRIPTIONS,
    **checkpoint.DESCRIPTIONS,
    **images.DESCRIPTIONS,
}
