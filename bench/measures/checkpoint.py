# SPDX-License-Identifier: Apache-2.0
"""The checkpoint service (checkpoint_bench): pauses, tracking, marks; against the plain ways."""
import json
import statistics
import subprocess

from harness import paths

from . import pairs
from .results import Result, of_ratios

TIMEOUT_S = 300


def run(what, seconds, *arguments, program="checkpoint_bench"):
    """The median of one run; what was captured has been compared with the memory."""
    done = subprocess.run(
        [paths.program(program), "--what", what, "--seconds", str(seconds),
         *map(str, arguments)], capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or f"{program}: status {done.returncode}")
    return json.loads(done.stdout)["median"]


def pause_1pct(options):
    """The pause, against a full copy and against fork in the same turns."""
    forks = []

    def full():
        forks.append(run("pause", options.seconds, "--method", "fork") / 1000)
        return run("pause", options.seconds, "--method", "full") / 1000
    measured = pairs.interleave(
        options.count, lambda: run("pause", options.seconds, "--method", "wp-async") / 1000, full)
    result = of_ratios(measured, "ms", at_most=0.0333)
    ours = pairs.interval([value for value, _ in measured])
    to_fork = pairs.ratio_interval([(value, fork) for (value, _), fork in zip(measured, forks)])
    result.target = "<= 0.5 ms, <= 1/30 of a full copy, <= 1/10 of fork"
    result.met = (result.met and pairs.reaches(ours, at_most=0.5)
                  and pairs.reaches(to_fork, at_most=0.1))
    result.detail += (f"; fork {statistics.median(forks):.2f} ms, ratio {to_fork.middle:.4f} "
                      f"(95 % {to_fork.low:.4f} .. {to_fork.high:.4f})")
    return result


def track_page(options):
    """A changed page's first store and its part of the look, against mprotect and SIGSEGV."""
    measured = pairs.interleave(options.count, lambda: run("track", options.seconds) / 1000,
                                lambda: run("track-plain", options.seconds) / 1000)
    result = of_ratios(measured, "us/page", at_most=0.125)
    ours = pairs.interval([value for value, _ in measured])
    result.target = "<= 1.3 us, <= 1/8 of mprotect and SIGSEGV"
    result.met = result.met and pairs.reaches(ours, at_most=1.3)
    return result


def mark(options):
    runs = [run("mark", options.seconds) for _ in range(options.count)]
    interval = pairs.interval(runs)
    return Result(value=statistics.median(runs), unit="ns", target="<= 5 ns",
                  spread=interval.spread, met=pairs.reaches(interval, at_most=5),
                  detail=f"95 % of medians {interval.low:.2f} .. {interval.high:.2f} ns")


def full_dirty(options):
    """Every page changes each time: stores and pause together, against copying without tracking."""
    measured = pairs.interleave(
        options.count, lambda: run("full-dirty", options.seconds, "--method", "wp-async") / 1000,
        lambda: run("full-dirty", options.seconds, "--method", "full") / 1000)
    return of_ratios(measured, "ms", at_most=1.15)


def precopy(options):
    measured = pairs.interleave(
        options.count, lambda: run("precopy", options.seconds, "--rounds", 3) / 1000,
        lambda: run("precopy", options.seconds, "--rounds", 0) / 1000)
    return of_ratios(measured, "ms", at_most=0.2)


def remote(options):
    """A message of 64 MiB to a receiver in another process that applies it, over TCP."""
    def throughput(what):
        return run(what, options.seconds, program="remote_bench")
    measured = pairs.interleave(options.count, lambda: throughput("remote"),
                                lambda: throughput("raw"))
    return of_ratios(measured, "MB/s", at_least=0.7)


def through(options):
    """The same past an intermediary in the receiver, against without."""
    def throughput(what):
        return run(what, options.seconds, program="remote_bench")
    measured = pairs.interleave(options.count, lambda: throughput("through"),
                                lambda: throughput("remote"))
    return of_ratios(measured, "MB/s", at_least=0.9)


def checked(options):
    """The same to an image that knows its own bytes, against to a plain one."""
    def throughput(what):
        return run(what, options.seconds, program="remote_bench")
    measured = pairs.interleave(options.count, lambda: throughput("checked"),
                                lambda: throughput("remote"))
    return of_ratios(measured, "MB/s", at_least=0.6)


TABLES, OVERRUNS, MEMORY, CALLERS = 2, 4, 8, 16   # as auxin_checkpoint_detect has them


def detecting(what, detection, at_most):
    """An increment of 64 MiB, 1 % changed, with this detection against without any."""
    def figure(options, sum_of):
        return run(what, options.seconds, "--detect", sum_of, program="detection_bench")

    def measure(options):
        measured = pairs.interleave(options.count, lambda: figure(options, detection),
                                    lambda: figure(options, 0))
        return of_ratios(measured, "us", at_most=at_most)
    return measure


def callers(options):
    """A call that does next to nothing, with the callers' pointers looked at, against without."""
    def cost(sum_of):
        return run("call", options.seconds, "--detect", sum_of, program="detection_bench")
    measured = pairs.interleave(options.count, lambda: cost(CALLERS), lambda: cost(0))
    interval = pairs.interval([looked_at for looked_at, _ in measured])
    return Result(value=interval.middle, unit="ns", target="<= 50 ns", spread=interval.spread,
                  met=pairs.reaches(interval, at_most=50),
                  detail=f"without {statistics.median(plain for _, plain in measured):.1f} ns")


def self_test(options):
    runs = [run("self-test", options.seconds, program="detection_bench") / 1000
            for _ in range(options.count)]
    interval = pairs.interval(runs)
    return Result(value=statistics.median(runs), unit="ms", target="<= 10 ms",
                  spread=interval.spread, met=pairs.reaches(interval, at_most=10),
                  detail=f"95 % of medians {interval.low:.2f} .. {interval.high:.2f} ms")


def log(options):
    """Telling the process's log of an event: a function; a pipe that another process reads."""
    def cost(what):
        return run(what, options.seconds, program="remote_bench")
    measured = pairs.interleave(options.count, lambda: cost("log"), lambda: cost("log-pipe"))
    interval = pairs.interval([function for function, _ in measured])
    return Result(value=interval.middle, unit="ns", target="<= 500 ns", spread=interval.spread,
                  met=pairs.reaches(interval, at_most=500),
                  detail=f"to a pipe {statistics.median(pipe for _, pipe in measured):.0f} ns")


def log_call(options):
    """A system call that is told to the log, a function, against one that is not."""
    def cost(what):
        return run(what, options.seconds, program="log_call_bench")
    measured = pairs.interleave(options.count, lambda: cost("told"), lambda: cost("passed"))
    more = [told - passed for told, passed in measured]
    interval = pairs.interval(more)
    return Result(value=interval.middle, unit="ns", target="<= 500 ns more",
                  spread=interval.spread, met=pairs.reaches(interval, at_most=500),
                  detail=f"not told {statistics.median(passed for _, passed in measured):.0f} ns, "
                         f"without the library {cost('plain'):.0f} ns")


BENCHMARKS = {
    "im-pause-1pct": pause_1pct,
    "im-track-page": track_page,
    "im-mark": mark,
    "im-full-dirty": full_dirty,
    "im-precopy": precopy,
    "im-remote": remote,
    "im-through": through,
    "im-checked": checked,
    "im-tables": detecting("turn", TABLES, at_most=1.1),
    "im-guarded": detecting("turn", OVERRUNS, at_most=6),
    "im-careful": detecting("pause", MEMORY, at_most=5),
    "im-callers": callers,
    "im-self-test": self_test,
    "im-log": log,
    "im-log-call": log_call,
}

DESCRIPTIONS = {
    "im-pause-1pct": "checkpoint service: the pause of an increment, 256 MiB, 1 % changed, against "
                     "a full copy and fork",
    "im-track-page": "checkpoint service: tracking a changed page, against mprotect and SIGSEGV",
    "im-mark": "checkpoint service: marking an object",
    "im-full-dirty": "checkpoint service: 256 MiB, all of it changed, against copying everything",
    "im-precopy": "checkpoint service: the pause after three rounds of copies, against none",
    "im-remote": "checkpoint service: updates applied in another process, against the raw TCP "
                 "throughput",
    "im-through": "checkpoint service: the same past an intermediary, against without",
    "im-checked": "checkpoint service: the same to a checked image, against to a plain one",
    "im-tables": "checkpoint service: an increment with its tables looked at, against without",
    "im-guarded": "checkpoint service: an increment between guard pages, against without",
    "im-careful": "checkpoint service: the pause with memory read carefully, against without",
    "im-callers": "checkpoint service: a call whose pointers are looked at",
    "im-self-test": "checkpoint service: its test of itself",
    "im-log": "checkpoint service: telling the process's log of an event",
    "im-log-call": "checkpoint service: telling the log of a system call, on top of the call",
}
