# SPDX-License-Identifier: Apache-2.0
"""The benchmark runner's arithmetic and its manners; no measurement."""
import json
import pathlib
import random
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from measures import pairs  # noqa: E402

NAMES = ["lock-unselected", "lock-ordered", "preload-throughput-1", "preload-throughput-4",
         "group1-throughput-1", "group1-throughput-4", "group3-latency-p50", "group3-latency-p99",
         "group3-throughput-1", "group3-throughput-4", "group3-cpu", "failover", "ordered-share",
         "memory", "record-full", "record-count", "discover-time", "trace-reduce",
         "verify-rate",
         "stm-checked-64", "stm-checked-1k", "stm-checked-10k", "stm-isolated-64",
         "stm-isolated-1k", "stm-isolated-10k", "stm-window-open", "stm-scaling-2", "stm-failover",
         "im-pause-1pct", "im-track-page", "im-mark", "im-full-dirty", "im-precopy",
         "im-remote", "im-through", "im-checked", "im-tables", "im-guarded",
         "im-careful", "im-callers", "im-self-test", "im-log", "im-log-call",
         "image-pause", "image-restore-cold", "image-restore-warm", "checkpoint-client-p99"]


def run(*arguments):
    return subprocess.run(["/usr/bin/python3", ROOT / "bench" / "run.py", *arguments],
                          capture_output=True, text=True, timeout=60)


class PairsTest(unittest.TestCase):
    def test_equal_pairs_have_ratio_one_and_no_spread(self):
        ratio = pairs.ratio_interval([(3.0, 3.0), (5.0, 5.0), (7.0, 7.0)])
        self.assertAlmostEqual(ratio.middle, 1.0)
        self.assertAlmostEqual(ratio.spread, 0.0)

    def test_what_slows_both_sides_does_not_widen_the_interval(self):
        slow = [(0.9 * speed, speed) for speed in (100, 10, 55, 80, 20)]
        ratio = pairs.ratio_interval(slow)
        self.assertAlmostEqual(ratio.middle, 0.9)
        self.assertLess(ratio.spread, 1e-9)

    def test_the_interval_holds_the_truth_about_95_times_in_100(self):
        chance = random.Random(11)
        held = 0
        for _ in range(2000):
            sample = [(chance.gauss(0.9, 0.05) * 50, 50) for _ in range(7)]
            ratio = pairs.ratio_interval(sample)
            held += ratio.low <= 0.9 <= ratio.high
        self.assertGreater(held, 1850)
        self.assertLess(held, 1950)

    def test_a_target_is_met_if_the_interval_reaches_it(self):
        self.assertTrue(pairs.reaches(pairs.Interval(0.98, 0.97, 0.995), at_least=0.99))
        self.assertFalse(pairs.reaches(pairs.Interval(0.96, 0.95, 0.97), at_least=0.99))
        self.assertTrue(pairs.reaches(pairs.Interval(1.15, 1.05, 1.25), at_most=1.1))
        self.assertFalse(pairs.reaches(pairs.Interval(1.3, 1.2, 1.4), at_most=1.1))

    def test_runs_are_interleaved_and_take_turns_at_being_first(self):
        order = []
        pairs.interleave(3, lambda: order.append("A"), lambda: order.append("B"))
        self.assertEqual("".join(order), "BAABBA")


class MannersTest(unittest.TestCase):
    def test_the_list_names_every_benchmark(self):
        done = run("--list")
        self.assertEqual(done.returncode, 0)
        self.assertEqual([line.split()[0] for line in done.stdout.splitlines()], NAMES)

    def test_an_unknown_name_ends_with_status_2(self):
        done = run("--only", "lock-ordered", "no-such-benchmark")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("no-such-benchmark", done.stderr)

    def test_json_is_one_array_and_what_cannot_be_measured_is_null(self):
        done = subprocess.run(
            ["/usr/bin/python3", ROOT / "bench" / "run.py", "--json", "--quiet-wait", "0",
             "--seconds", "0.1", "--pairs", "2", "--only", "lock-unselected"],
            capture_output=True, text=True, timeout=60, env={"AUXIN_BUILD_DIR": "/nonexistent"})
        self.assertEqual(done.returncode, 0, done.stderr)
        row, = json.loads(done.stdout)
        self.assertLessEqual({"name", "value", "unit", "reference", "ratio", "spread", "target",
                              "met"}, set(row))
        self.assertIsNone(row["met"])
        self.assertIsNone(row["value"])


if __name__ == "__main__":
    unittest.main()
