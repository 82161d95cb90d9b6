# SPDX-License-Identifier: Apache-2.0
"""Paired, interleaved runs (A B A B …) and what their ratios say.

Both sides of a pair are measured seconds apart, so what slows the machine for a while slows both.
The ratios' logarithms are averaged; their 95 % interval is Student's. `met` is whether that
interval reaches the target: for "at least" its upper end, for "at most" its lower end. A result
whose whole interval is on the wrong side of the target is not met, noise notwithstanding.
"""
import dataclasses
import math
import statistics

# Two-sided 95 % quantiles of Student's distribution, by degrees of freedom.
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306,
           9: 2.262, 10: 2.228, 11: 2.201, 12: 2.179, 13: 2.160, 14: 2.145, 15: 2.131, 16: 2.120,
           17: 2.110, 18: 2.101, 19: 2.093, 20: 2.086, 25: 2.060, 30: 2.042}


def student(freedom):
    at_most = [known for known in STUDENT if known <= freedom]
    return STUDENT[max(at_most)] if freedom <= 30 else 1.960


@dataclasses.dataclass
class Interval:
    middle: float
    low: float
    high: float

    @property
    def spread(self):
        """Half the interval's width, relative to its middle."""
        return (self.high - self.low) / 2 / abs(self.middle) if self.middle else 0.0


def interval(values):
    """The mean and its 95 % interval."""
    middle = statistics.fmean(values)
    if len(values) < 2:
        return Interval(middle, middle, middle)
    half = student(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(middle, middle - half, middle + half)


def ratio_interval(pairs):
    """The geometric mean of value/reference over pairs (value, reference), with its interval."""
    logs = interval([math.log(value / reference) for value, reference in pairs])
    return Interval(*(math.exp(each) for each in (logs.middle, logs.low, logs.high)))


def reaches(result, at_least=None, at_most=None):
    """Whether the interval reaches the target."""
    if at_least is not None:
        return result.high >= at_least
    return result.low <= at_most


def interleave(count, value, reference):
    """Runs reference and value by turns, `count` times each: the list of pairs.

    Which of them begins changes from pair to pair, so that neither always runs second.
    """
    pairs = []
    for turn in range(count):
        if turn % 2 == 0:
            b = reference()
            a = value()
        else:
            a = value()
            b = reference()
        pairs.append((a, b))
    return pairs
