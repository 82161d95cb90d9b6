# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks by name; see scripts/bench and docs/BENCHMARKS.md.

Each yields {name, value, unit, reference, ratio, spread, target, met} (and `detail`); what could
not be measured has met = null and says why in `detail`.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from measures import bank, benchmarks, quiet  # noqa: E402

NOT_MEASURED = (bank.LoadFailed, AssertionError, RuntimeError, OSError, ValueError, KeyError,
                IndexError, ZeroDivisionError, subprocess.SubprocessError)


def parse(arguments):
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="the names, and what they measure")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[])
    parser.add_argument("--json", action="store_true", help="one array on standard output")
    parser.add_argument("--seconds", type=float, default=3.0, help="of one measurement (3)")
    parser.add_argument("--pairs", type=int, default=7, help="of a benchmark (7)")
    parser.add_argument("--kills", type=int, default=200, help="of a failover campaign (200)")
    parser.add_argument("--quiet-wait", type=float, default=60.0, metavar="S",
                        help="longest wait for a quiet machine, before each benchmark (60)")
    parser.add_argument("--check-arguments", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.only if name not in benchmarks.BENCHMARKS]
    if unknown:
        parser.exit(2, f"bench: no benchmark is called {', '.join(unknown)}; "
                       "scripts/bench --list names them\n")
    if options.seconds <= 0 or options.pairs < 2 or options.kills < 1:
        parser.exit(2, "bench: --seconds must be above 0, --pairs at least 2, --kills at least 1\n")
    return options


def log(line):
    print(line, file=sys.stderr, flush=True)


def row_of(name, options, watch):
    """One benchmark, as the dictionary that is printed."""
    undisturbed = watch.wait(name)
    log(f"{name} ...")
    try:
        result = benchmarks.BENCHMARKS[name](
            benchmarks.Options(options.seconds, options.pairs, options.kills, log))
    except NOT_MEASURED as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        return {"name": name, "value": None, "unit": None, "reference": None, "ratio": None,
                "spread": None, "target": None, "met": None, "detail": f"not measured: {first}"}
    detail = result.detail + ("" if undisturbed else "; the machine was not quiet")
    return {"name": name, "value": result.value, "unit": result.unit,
            "reference": result.reference, "ratio": result.ratio, "spread": result.spread,
            "target": result.target, "met": result.met, "detail": detail}


def figure(value, form):
    return "-" if value is None else format(value, form)


def print_table(rows):
    print(f"{'name':22} {'value':>11} {'reference':>11} {'ratio':>7} {'spread':>7}  met  target")
    for row in rows:
        met = {True: "yes", False: "NO", None: "-"}[row["met"]]
        print(f"{row['name']:22} {figure(row['value'], '11.4g'):>11} "
              f"{figure(row['reference'], '11.4g'):>11} {figure(row['ratio'], '7.3f'):>7} "
              f"{figure(row['spread'], '7.3f'):>7}  {met:3}  {row['target'] or ''} "
              f"[{row['unit'] or ''}]")
        if row["detail"]:
            print(f"{'':22}   {row['detail']}")


def main():
    options = parse(sys.argv[1:])
    if options.check_arguments and not options.list:
        return 0
    if options.list:
        for name, text in benchmarks.DESCRIPTIONS.items():
            print(f"{name:22} {text}")
        return 0
    out = os.dup(1)
    os.dup2(2, 1)  # whatever runs below may write to its standard output
    watch = quiet.Watch(options.quiet_wait)
    names = options.only or list(benchmarks.BENCHMARKS)
    rows = [row_of(name, options, watch) for name in names]
    sys.stdout.flush()
    os.dup2(out, 1)
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        print_table(rows)
        if watch.disturbed:
            print(f"not on a quiet machine: {', '.join(watch.disturbed)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
