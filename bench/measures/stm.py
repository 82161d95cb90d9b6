# SPDX-License-Identifier: Apache-2.0
"""The stable memory (stm_bench) against libpmemobj, LMDB and SQLite (stm_peers), and with itself.

All of them run the same transactions on the same tmpfs, under the same promise (FAULT_MODEL).
"""
import json
import statistics
import subprocess

from harness import paths

from . import pairs
from .results import Result, of_ratios

FAULT_MODEL = ("fault model: process failure with battery-backed memory (tmpfs); "
               "nothing is promised for the machine")
DIRECTORY = "/dev/shm"
TIMEOUT_S = 300

# The least ratio to the better of libpmemobj and LMDB, for each mode and shape.
AT_LEAST = {"checked": {"64": 8, "1k": 4, "10k": 2.5},
            "isolated": {"64": 2, "1k": 2.5, "10k": 2.5}}
RIVALS = ("pmemobj", "lmdb")  # the better of them is the reference
REPORTED = "sqlite"           # measured with them, and said


def run(program, *arguments, timeout_s=TIMEOUT_S):
    """What one run prints, a JSON object."""
    done = subprocess.run([paths.program(program), *map(str, arguments)], capture_output=True,
                          text=True, timeout=timeout_s)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or f"{program}: exit status {done.returncode}")
    return json.loads(done.stdout)


def per_second(program, *arguments):
    return run(program, *arguments, "--directory", DIRECTORY)["per_second"]


def of_memory(mode, shape, seconds, threads=1, controller="spinning"):
    return per_second("stm_bench", "--mode", mode, "--shape", shape, "--seconds", seconds,
                      "--threads", threads, "--controller", controller)


class AgainstPeers:
    """Transactions of one shape, against the better of the rivals in the same turn."""

    def __init__(self, mode, shape):
        self.mode, self.shape = mode, shape

    def __call__(self, options):
        seen = {peer: [] for peer in (*RIVALS, REPORTED)}

        def better():
            for peer, figures in seen.items():
                figures.append(per_second("stm_peers", "--peer", peer, "--shape", self.shape,
                                          "--seconds", options.seconds))
            return max(seen[peer][-1] for peer in RIVALS)
        measured = pairs.interleave(options.count, lambda: self.measure(options.seconds), better)
        peers = ", ".join(f"{peer} {statistics.median(figures):.0f}/s"
                          for peer, figures in seen.items())
        return of_ratios(measured, "transactions/s", at_least=AT_LEAST[self.mode][self.shape],
                         detail=f"; {peers}{self.more()}; {FAULT_MODEL}")

    def measure(self, seconds):
        return of_memory(self.mode, self.shape, seconds)

    def more(self):
        return ""


CONTENTS_LINES = {"64": 1, "1k": 16, "10k": 160}  # cache lines of a transaction's contents
PAUSE_US = 300  # between transactions: longer than a controller waits before it sleeps


class Isolated(AgainstPeers):
    """With a controller that spins; what one that sleeps costs is measured in the same turns."""

    def __init__(self, shape):
        super().__init__("isolated", shape)
        self.sleeping, self.rested = [], {"spinning": [], "sleeping": []}
        self.round_trips = {0: [], CONTENTS_LINES[shape]: []}  # by lines of contents

    def measure(self, seconds):
        self.sleeping.append(of_memory(self.mode, self.shape, seconds, controller="sleeping"))
        part_s = seconds / 4
        for lines, figures in self.round_trips.items():
            figures.append(run("ping_pong", "--seconds", part_s, "--lines", lines)["nanoseconds"])
        for controller, figures in self.rested.items():
            figures.append(run("stm_bench", "--mode", self.mode, "--shape", self.shape,
                               "--seconds", part_s, "--controller", controller, "--pause-us",
                               PAUSE_US, "--directory", DIRECTORY)["nanoseconds"] / 1000)
        return super().measure(seconds)

    def more(self):
        rested = {controller: statistics.median(figures)
                  for controller, figures in self.rested.items()}
        bare, laden = (statistics.median(figures) for figures in self.round_trips.values())
        return (f"; with a sleeping controller {statistics.median(self.sleeping):.0f}/s, and one "
                f"transaction after {PAUSE_US} us of rest {rested['sleeping']:.1f} us against "
                f"{rested['spinning']:.1f} us; a round trip between two spinning processes takes "
                f"{bare:.0f} ns, {laden:.0f} ns if it hands over as many bytes")


def scaling_2(options):
    """Two threads with disjoint objects, against one; the worse of two shapes is the result."""
    results = {}
    for shape in ("64", "1k"):
        options.log(f"  {shape}")
        measured = pairs.interleave(
            options.count, lambda: of_memory("checked", shape, options.seconds, threads=2),
            lambda: of_memory("checked", shape, options.seconds))
        results[shape] = of_ratios(measured, "transactions/s", at_least=1.7)
    worse, other = sorted(results, key=lambda each: results[each].ratio)
    result = results[worse]
    result.met = all(each.met for each in results.values())
    result.detail = (f"{worse}: {result.detail}; {other}: ratio {results[other].ratio:.3f}; "
                     f"{FAULT_MODEL}")
    return result


OPEN_AT_MOST_US = 2.6


def window_open(options):
    """Open and Close of one object, mode window: the median, beside the kernel's own calls."""
    runs = [run("stm_window_bench", "--directory", DIRECTORY, "--seconds", options.seconds)
            for _ in range(options.count)]
    ours = [each["open_close_ns"]["median"] / 1000 for each in runs]
    interval = pairs.interval(ours)
    worst = max(each["open_close_ns"]["p95"] for each in runs) / 1000
    result = Result(value=statistics.median(ours), unit="us", target=f"<= {OPEN_AT_MOST_US} us",
                    spread=interval.spread,
                    met=pairs.reaches(interval, at_most=OPEN_AT_MOST_US))
    said = [f"95 % of medians {interval.low:.2f} .. {interval.high:.2f} us, highest 95th "
            f"percentile {worst:.2f} us; guard: {runs[0]['guard']}"]
    if all(each["raw_pair_ns"] for each in runs):
        raw = [each["raw_pair_ns"]["median"] / 1000 for each in runs]
        result.reference = statistics.median(raw)
        result.ratio = pairs.ratio_interval(list(zip(ours, raw))).middle
        said.append(f"physical limit: UFFDIO_CONTINUE and MADV_DONTNEED of one page take "
                    f"{result.reference:.2f} us in the same runs")
    result.detail = "; ".join((*said, FAULT_MODEL))
    return result


FEWEST_KILLS = 30


def stm_failover(options):
    """SIGKILL of a stable node's primary until its backup has a consistent memory and knows."""
    kills = max(FEWEST_KILLS, options.kills)
    figures = run("stm_failover", "--rounds", kills, "--mib", 256, "--directory", DIRECTORY,
                  timeout_s=60 + 5 * kills)
    whole, detected = figures["kill_to_warned_us"], figures["detected_us"]
    return Result(
        value=whole["median"] / 1000, unit="ms", target="median <= 1 ms",
        met=whole["median"] <= 1000,
        detail=f"p95 {whole['p95'] / 1000:.2f} ms, maximum {whole['max'] / 1000:.2f} ms, "
               f"{figures['over_1_ms']} of {figures['rounds']} kills above 1 ms, with "
               f"{figures['resident_mib']} MiB resident; until the death was seen: median "
               f"{detected['median'] / 1000:.2f} ms, maximum {detected['max'] / 1000:.2f} ms; "
               f"fault model: SIGKILL of the primary; the machine, and the backup, go on")


WHAT = {"64": "one object of 64 bytes", "1k": "one object of 1 KiB", "10k": "ten objects of 1 KiB"}

BENCHMARKS = {
    **{f"stm-checked-{shape}": AgainstPeers("checked", shape) for shape in WHAT},
    **{f"stm-isolated-{shape}": (lambda options, shape=shape: Isolated(shape)(options))
       for shape in WHAT},
    "stm-window-open": window_open,
    "stm-scaling-2": scaling_2,
    "stm-failover": stm_failover,
}

DESCRIPTIONS = {
    **{f"stm-checked-{shape}": f"stable memory, checked: overwriting {what}, against the better "
                               "of libpmemobj and LMDB" for shape, what in WHAT.items()},
    **{f"stm-isolated-{shape}": f"stable memory, isolated, spinning controller: overwriting "
                                f"{what}, against the better of libpmemobj and LMDB"
       for shape, what in WHAT.items()},
    "stm-window-open": "stable memory, window: Open and Close of one object",
    "stm-scaling-2": "stable memory: two threads with disjoint objects, against one",
    "stm-failover": "stable node: SIGKILL of the primary until the backup has the memory and knows",
}
