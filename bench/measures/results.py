# SPDX-License-Identifier: Apache-2.0
"""What a benchmark is asked and what it answers, and how pairs become an answer."""
import dataclasses
import statistics

from . import pairs


@dataclasses.dataclass
class Options:
    seconds: float      # of one measurement
    count: int          # pairs of a benchmark
    kills: int
    log: object         # called with a line of progress


@dataclasses.dataclass
class Result:
    value: float
    unit: str
    target: str
    reference: float = None
    ratio: float = None
    spread: float = None
    met: bool = None
    detail: str = ""


def of_ratios(measured, unit, at_least=None, at_most=None, detail=""):
    """A Result from pairs (value, reference)."""
    ratio = pairs.ratio_interval(measured)
    target = f">= {at_least} x" if at_least is not None else f"<= {at_most} x"
    return Result(
        value=statistics.median(value for value, _ in measured), unit=unit, target=target,
        reference=statistics.median(reference for _, reference in measured), ratio=ratio.middle,
        spread=ratio.spread, met=pairs.reaches(ratio, at_least, at_most),
        detail=f"95 % of ratios {ratio.low:.3f} .. {ratio.high:.3f} {detail}".strip())


def of_differences(measured, unit, at_most, detail=""):
    """A Result from pairs (value, reference) whose difference has a limit."""
    difference = pairs.interval([value - reference for value, reference in measured])
    value = statistics.median(value for value, _ in measured)
    reference = statistics.median(reference for _, reference in measured)
    return Result(
        value=value, unit=unit, target=f"<= native + {at_most} {unit}", reference=reference,
        ratio=value / reference, spread=(difference.high - difference.low) / 2 / reference,
        met=difference.low <= at_most,
        detail=f"difference {difference.middle:.2f} {unit}, 95 % {difference.low:.2f} .. "
               f"{difference.high:.2f} {detail}".strip())
