# SPDX-License-Identifier: Apache-2.0
"""Whole processes: how long a server of 64 MiB stands still for its image, how soon the restored
one answers, and what periodic checkpoints of a follower cost the clients."""
import contextlib
import re
import shutil
import statistics
import time

from harness import giop, paths, processes

from . import bank, pairs
from .results import Result, of_ratios

BALLAST_MIB = 64
IDLE_CLIENTS = 2       # with the ORB's, Auxin's and the ballast's own: about ten threads
MOST_TAKEOVERS = 100


def ballast():
    return {"LD_PRELOAD": str(paths.build_dir() / "lib" / "ballast.so"),
            "AUXIN_BALLAST_MIB": str(BALLAST_MIB)}


@contextlib.contextmanager
def large_bank(replicas, options):
    with bank.BankGroup(replicas, options, ballast()) as group, contextlib.ExitStack() as stack:
        for _ in range(IDLE_CLIENTS):
            client = stack.enter_context(giop.Connection("127.0.0.1", group.port))
            client.call(b"Bank", "fingerprint")
        yield group


def summary(runs, at_most):
    interval = pairs.interval(runs)
    return Result(value=statistics.median(runs), unit="ms", target=f"<= {at_most} ms",
                  spread=interval.spread, met=pairs.reaches(interval, at_most=at_most),
                  detail=f"95 % of medians {interval.low:.2f} .. {interval.high:.2f} ms, at most "
                         f"{max(runs):.2f} ms, {len(runs)} times")


def image_pause(options):
    """Of a leader, as the group's own checkpoints say it: increments of an image of all of it."""
    with large_bank(1, []) as bank_group:
        def checkpoint():
            done = bank_group.group.auxin("checkpoint", bank_group.group.name)
            found = re.search(r"([0-9.]+) MiB .* stood still for ([0-9.]+) ms", done.stdout)
            if done.returncode != 0 or not found:
                raise RuntimeError(done.stderr or done.stdout)
            return float(found[1]), float(found[2]), "(since " in done.stdout
        runs, base_seen = [], False
        while len(runs) < options.count * 4:
            size_mib, paused_ms, increment = checkpoint()
            if increment:
                runs.append(paused_ms)
            base_seen = base_seen or size_mib >= BALLAST_MIB
            time.sleep(0.05)
    if not base_seen:
        raise RuntimeError("the image is smaller than the server's memory")
    return summary(runs, at_most=1)


def takeovers(style, options, at_most):
    """From SIGKILL of the leader to the first reply on the connection that its client has."""
    runs = []
    with large_bank(2, ["--style", style]) as bank_group:
        group = bank_group.group

        def standing_by():
            return any(row["role"] == "backup" and row["pid"] for row in group.status()["replicas"])
        with giop.Connection("127.0.0.1", bank_group.port) as client:
            for _ in range(min(options.kills, MOST_TAKEOVERS)):
                leader = group.await_leader()["pid"]
                done = group.auxin("checkpoint", group.name)
                if done.returncode != 0:
                    raise RuntimeError(done.stderr)
                if style == "warm-passive":
                    time.sleep(0.1)  # the one that stands by is replaced
                    processes.await_true(standing_by, 20, "a warm standby")
                    time.sleep(0.3)  # it loads the image
                client.call(b"Bank", "fingerprint")
                begun = time.monotonic()
                processes.kill(leader)
                client.call(b"Bank", "fingerprint")
                runs.append((time.monotonic() - begun) * 1000)
    return summary(runs, at_most)


def restore_cold(options):
    return takeovers("cold-passive", options, at_most=80)


def restore_warm(options):
    return takeovers("warm-passive", options, at_most=7)


def client_p99(options):
    """At a fifth of capacity, with a checkpoint of a follower every second and with none."""
    rate = bank.native(1, "deposit", options.seconds).per_s / 5

    def measure(every_s):
        with contextlib.ExitStack() as stack:
            directory = paths.scratch_dir()
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            configuration = directory / "auxin.toml"
            configuration.write_text(f"[checkpoint]\nevery_s = {every_s}\n")
            bank_group = stack.enter_context(
                bank.BankGroup(3, ["--config", str(configuration)], ballast()))
            report, _ = bank.run_load(bank_group.port, 1, "deposit", max(options.seconds, 4), rate)
            return report["latency"]["p99_us"]
    return of_ratios(pairs.interleave(options.count, lambda: measure(1), lambda: measure(0)), "us",
                     at_most=1.05)


BENCHMARKS = {
    "image-pause": image_pause,
    "image-restore-cold": restore_cold,
    "image-restore-warm": restore_warm,
    "checkpoint-client-p99": client_p99,
}

DESCRIPTIONS = {
    "image-pause": "a server of 64 MiB: how long it stands still for its image",
    "image-restore-cold": "the same: from the leader's death to the first reply, cold passive",
    "image-restore-warm": "the same, with a warm standby",
    "checkpoint-client-p99": "a client's 99th percentile with a follower's checkpoint each second",
}
