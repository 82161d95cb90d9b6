# SPDX-License-Identifier: Apache-2.0
"""The stable memory (stm_bench) against libpmemobj, LMDB and SQLite (stm_peers), and with itself.

All of them run the same transactions on the same tmpfs, under the same promise (FAULT_MODEL).
"""
import json
import statistics
import subprocess

from harness import paths

from . import pairs
from .results import of_ratios

FAULT_MODEL = ("fault model: process failure with battery-backed memory (tmpfs); "
               "nothing is promised for the machine")
DIRECTORY = "/dev/shm"
TIMEOUT_S = 300

# The least ratio to the better of libpmemobj and LMDB, for each shape.
AT_LEAST = {"64": 8, "1k": 4, "10k": 2.5}
RIVALS = ("pmemobj", "lmdb")  # the better of them is the reference
REPORTED = "sqlite"           # measured with them, and said


def per_second(program, *arguments):
    """Transactions per second of one run."""
    done = subprocess.run(
        [paths.program(program), *map(str, arguments), "--directory", DIRECTORY],
        capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or f"{program}: exit status {done.returncode}")
    return json.loads(done.stdout)["per_second"]


def of_memory(mode, shape, seconds, threads=1):
    return per_second("stm_bench", "--mode", mode, "--shape", shape, "--seconds", seconds,
                      "--threads", threads)


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
        measured = pairs.interleave(
            options.count, lambda: of_memory(self.mode, self.shape, options.seconds), better)
        peers = ", ".join(f"{peer} {statistics.median(figures):.0f}/s"
                          for peer, figures in seen.items())
        return of_ratios(measured, "transactions/s", at_least=AT_LEAST[self.shape],
                         detail=f"; {peers}; {FAULT_MODEL}")


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


# A mode that stm_bench refuses is not listed: `isolated` and `window` come when they are there.
MODES = ("checked",)

BENCHMARKS = {
    **{f"stm-{mode}-{shape}": AgainstPeers(mode, shape) for mode in MODES for shape in AT_LEAST},
    "stm-scaling-2": scaling_2,
}

WHAT = {"64": "one object of 64 bytes", "1k": "one object of 1 KiB", "10k": "ten objects of 1 KiB"}
DESCRIPTIONS = {
    **{f"stm-{mode}-{shape}": f"stable memory, {mode}: overwriting {WHAT[shape]}, against the "
                              "better of libpmemobj and LMDB"
       for mode in MODES for shape in AT_LEAST},
    "stm-scaling-2": "stable memory: two threads with disjoint objects, against one",
}
