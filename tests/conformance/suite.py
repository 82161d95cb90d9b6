# SPDX-License-Identifier: Apache-2.0
"""The thread, synchronisation and signal programs of Debian's POSIX test suite: source, build, run.

The binary package holds only a report, so the source package is fetched with apt into the build
directory (own lists; the system's configuration is not touched) and compiled there once.
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess

from harness import paths

INTERFACES = re.compile(r"^(pthread_|sem_|sig|raise$|kill$|killpg$|nanosleep$|clock_nanosleep$)")
VERDICTS = {0: "pass", 1: "fail", 2: "unresolved", 4: "unsupported", 5: "untested"}
TIMEOUT_S = 45
# What a test may not do to the machine that it runs on: set the system's clock (as root it works).
UNSUITABLE = re.compile(r"\b(clock_settime|settimeofday|stime)\s*\(")


def source_lines():
    """The machine's own package sources as source-package ones."""
    lines = []
    for path in sorted(pathlib.Path("/etc/apt").glob("sources.list.d/*.sources")):
        for stanza in path.read_text().split("\n\n"):
            field = dict(re.findall(r"^(\w[\w-]*): *(.*)$", stanza, re.MULTILINE))
            if "deb" in field.get("Types", "").split():
                lines += [f"deb-src {uri} {suite} {field.get('Components', '')}\n"
                          for uri in field["URIs"].split() for suite in field["Suites"].split()]
    for path in [pathlib.Path("/etc/apt/sources.list"),
                 *sorted(pathlib.Path("/etc/apt").glob("sources.list.d/*.list"))]:
        if path.exists():
            lines += [re.sub(r"^deb ", "deb-src ", line) + "\n"
                      for line in path.read_text().splitlines() if line.startswith("deb ")]
    return "".join(lines)


def source_dir():
    """The suite's source tree, fetched if need be. RuntimeError: apt cannot have it."""
    home = paths.build_dir().parent / "posixtestsuite"
    found = sorted(home.glob("posixtestsuite-*/conformance"))
    if found:
        return found[0].parent
    lists = home / "apt"
    (lists / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    sources = lists / "sources.list"
    sources.write_text(source_lines())
    options = ["-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=/dev/null",
               "-o", f"Dir::State::lists={lists / 'lists'}", "-o", f"Dir::Cache={lists}",
               "-o", "APT::Sandbox::User=root", "-qq"]
    for command in (["apt-get", *options, "update"],
                    ["apt-get", *options, "source", "--only-source", "posixtestsuite"]):
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command[-2:])}: {done.stderr.strip()[-300:]}")
    shutil.rmtree(lists, ignore_errors=True)
    return sorted(home.glob("posixtestsuite-*/conformance"))[0].parent


def built_programs():
    """Compiles each program once; returns {name: path}. What does not compile here is left out."""
    source = source_dir()
    target = source / "built"
    wanted = {}
    for folder in sorted((source / "conformance" / "interfaces").iterdir()):
        if not INTERFACES.match(folder.name):
            continue
        for path in sorted(folder.glob("*.c")):
            name = f"{folder.name}/{path.stem}"
            if re.match(r"\d+-", path.name) and "buildonly" not in name and \
                    not UNSUITABLE.search(path.read_text(errors="replace")):
                wanted[name] = path
    target.mkdir(exist_ok=True)

    def build(item):
        name, path = item
        program = target / name.replace("/", "_")
        if not program.exists():
            subprocess.run(["gcc", "-w", "-O1", "-std=gnu99", "-D_GNU_SOURCE", "-I",
                            source / "include", "-o", program, path, "-lpthread", "-lrt"],
                           capture_output=True, cwd=path.parent)
        return name, program
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return {name: program for name, program in pool.map(build, wanted.items())
                if program.exists()}


def kill_those_in(directory):
    """SIGKILL to every process that works in the directory, which is one run's alone."""
    for entry in pathlib.Path("/proc").glob("[0-9]*/cwd"):
        try:
            if entry.readlink() == pathlib.Path(directory):
                os.kill(int(entry.parent.name), signal.SIGKILL)
        except OSError:
            pass  # it ended meanwhile, or is somebody else's


def verdict(program, how):
    """Runs one program in its own directory and session; returns the suite's word for its end."""
    directory = paths.scratch_dir("auxin-test-posix-")
    command, environment = how(program, directory)
    process = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=environment, start_new_session=True)
    try:
        status = process.wait(TIMEOUT_S)
        said = VERDICTS.get(status, f"status {status}")
    except subprocess.TimeoutExpired:
        said = "timeout"
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    kill_those_in(directory)  # a replica outlives a supervisor that was killed
    shutil.rmtree(directory, ignore_errors=True)
    return said


def verdicts(programs, how, at_once=24):
    """{name: verdict} of all; most of them sleep, so several run at once."""
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        return dict(zip(programs, pool.map(lambda name: verdict(programs[name], how), programs)))


def plainly(program, _directory):
    return [str(program)], dict(os.environ)


def preloaded(program, _directory):
    return [str(program)], {**os.environ, "LD_PRELOAD": paths.preload()}


def as_group_of_one(program, directory):
    # A program becomes a replica because an ORB is loaded: with it, the engine has every call.
    return [paths.program("auxin"), "run", "--replicas", "1", "--state-dir",
            str(pathlib.Path(directory) / "state"), "--", str(program)], {
                **os.environ, "LD_PRELOAD": "libomniORB4.so.2"}
