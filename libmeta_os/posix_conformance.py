#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the POSIX conformance programs plain and preloaded and compares their verdicts.

Debian's package posixtestsuite has the suite's log only, so the programs are built from its source
package: `--source DIR` names the unpacked tree, `--fetch` gets it with apt-get into --work first.

  posix_conformance.py --fetch --preload build/lib/libauxin_hooks_test.so
  posix_conformance.py --source posixtestsuite-1.5.2 --prefix "auxin run --replicas 1 --"

A program whose two verdicts differ is run again, plain and preloaded, up to --retries times; it
counts as a difference unless a verdict of one kind is seen in the other kind too (many of these
programs depend on timing). Exit status: 0 no difference, 1 some, 2 the suite could not be run.
"""
import argparse
import concurrent.futures
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys

# What hooks can change: threads, synchronisation, signals, time, processes.
PREFIXES = ("pthread_", "sem_", "sig", "kill", "raise", "fork", "getpid", "clock", "nanosleep",
            "time", "sched_yield")
EXCLUDED = {
    "clock_settime": "sets the host's clock",
}
VERDICTS = {0: "PASS", 1: "FAIL", 2: "UNRESOLVED", 4: "UNSUPPORTED", 5: "UNTESTED"}
FLAGS = ["-O1", "-w", "-std=gnu99", "-D_GNU_SOURCE", "-fcommon"]
LIBRARIES = ["-lpthread", "-lrt", "-lm"]


def fetch(work):
    """Gets and unpacks the source package; returns its directory."""
    work.mkdir(parents=True, exist_ok=True)
    unpacked = sorted(path for path in work.glob("posixtestsuite-*") if path.is_dir())
    if unpacked:
        return unpacked[0]
    release = dict(line.rstrip().split("=", 1) for line in open("/etc/os-release") if "=" in line)
    lists = work / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    sources = work / "sources.list"
    codename = release["VERSION_CODENAME"]
    sources.write_text(f"deb-src http://deb.debian.org/debian {codename} main\n")
    options = ["-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=/dev/null",
               "-o", f"Dir::State::Lists={lists}"]
    for command in (["update"], ["source", "posixtestsuite"]):
        subprocess.run(["apt-get", "-q", *options, *command], cwd=work, check=True,
                       stdout=subprocess.DEVNULL)
    return next(path for path in work.glob("posixtestsuite-*") if path.is_dir())


def wanted_programs(source, only):
    """Source files of the programs, by name like pthread_cond_wait/2-1."""
    found = {}
    for path in sorted((source / "conformance" / "interfaces").glob("*/*.c")):
        area = path.parent.name
        if not area.startswith(PREFIXES) or area in EXCLUDED or not path.name[0].isdigit():
            continue
        name = f"{area}/{path.stem}"
        if "buildonly" in path.stem or (only and only not in name):
            continue
        found[name] = path
    return found


def build(source, path, binary):
    """True if the program compiles and links."""
    if binary.exists():
        return True
    binary.parent.mkdir(parents=True, exist_ok=True)
    command = ["gcc", *FLAGS, "-I", source / "include", "-I", path.parent, path, "-o", binary,
               *LIBRARIES]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


def run(command, environment, directory, timeout_s):
    """The verdict of one run: a word. Ends the program's whole process group."""
    child = subprocess.Popen(command, env=environment, cwd=directory, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             start_new_session=True)
    try:
        status = child.wait(timeout=timeout_s)
        if status < 0:
            return signal.Signals(-status).name
        return VERDICTS.get(status, f"status {status}")
    except subprocess.TimeoutExpired:
        return "HANGS"
    finally:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()


class Comparison:
    def __init__(self, arguments, work):
        self.timeout_s = arguments.timeout
        self.retries = arguments.retries
        self.prefix = shlex.split(arguments.prefix or "")
        self.plain = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        self.preloaded = dict(self.plain)
        if arguments.preload:
            self.preloaded["LD_PRELOAD"] = str(arguments.preload.resolve())
        self.scratch = work / "scratch"
        self.scratch.mkdir(parents=True, exist_ok=True)

    def one(self, binary, number):
        directory = self.scratch / str(number)
        directory.mkdir(exist_ok=True)
        plain, preloaded = set(), set()
        for _ in range(1 + self.retries):
            plain.add(run([binary], self.plain, directory, self.timeout_s))
            preloaded.add(run([*self.prefix, binary], self.preloaded, directory, self.timeout_s))
            if plain & preloaded:
                break
        return plain, preloaded


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=pathlib.Path, help="the unpacked suite")
    parser.add_argument("--fetch", action="store_true", help="get the suite's source package")
    parser.add_argument("--work", type=pathlib.Path,
                        default=pathlib.Path.home() / ".cache" / "auxin-posix-conformance")
    parser.add_argument("--preload", type=pathlib.Path, help="library to preload")
    parser.add_argument("--prefix", help="command that runs a program under test")
    parser.add_argument("--only", help="programs whose name contains this")
    parser.add_argument("--timeout", type=float, default=60, help="seconds for one run")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--retries", type=int, default=3)
    arguments = parser.parse_args()
    if not arguments.preload and not arguments.prefix:
        parser.error("say what to compare with: --preload or --prefix")
    if not arguments.source and not arguments.fetch:
        parser.error("say where the suite is (--source), or --fetch it")
    if shutil.which("gcc") is None:
        print("no gcc to build the programs with")
        return 2
    arguments.work.mkdir(parents=True, exist_ok=True)
    source = (arguments.source or fetch(arguments.work)).resolve()
    programs = wanted_programs(source, arguments.only)
    if not programs:
        print(f"no programs in {source}")
        return 2

    comparison = Comparison(arguments, arguments.work)
    binaries = arguments.work.resolve() / "bin"
    counts, differences = {}, []

    def check(item):
        number, (name, path) = item
        binary = binaries / name
        if not build(source, path, binary):
            return name, None
        return name, comparison.one(binary, number)

    with concurrent.futures.ThreadPoolExecutor(arguments.parallel) as pool:
        for name, result in pool.map(check, enumerate(programs.items())):
            if result is None:
                counts["does not build"] = counts.get("does not build", 0) + 1
                continue
            plain, preloaded = result
            common = plain & preloaded
            if not common:
                differences.append(name)
                print(f"{name}: plain {'/'.join(sorted(plain))}, "
                      f"preloaded {'/'.join(sorted(preloaded))}", flush=True)
            verdict = sorted(common)[0] if common else "differs"
            counts[verdict] = counts.get(verdict, 0) + 1

    summary = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    print(f"{len(programs)} programs: {summary}")
    print(f"{len(differences)} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
