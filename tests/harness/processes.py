# SPDX-License-Identifier: Apache-2.0
"""Processes as /proc tells: who is there, who belongs to a test, what they cost.

A test marks everything it starts with the environment variable E2E_TAG; children inherit it, and
/proc/PID/environ keeps it even if a process changes its environment later.
"""
import os
import pathlib
import signal
import time

TAG = "E2E_TAG"


def tagged(tag):
    """pids of living processes whose environment carries the tag (zombies do not count)."""
    wanted = f"{TAG}={tag}".encode()
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0") and alive(int(entry.name)):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def stat_fields(pid):
    """Fields of /proc/PID/stat from the third (state) on; None if there is no such process."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2:].split()


def alive(pid):
    fields = stat_fields(pid)
    return fields is not None and fields[0] not in ("Z", "X")


def cpu_seconds(pid):
    """User and system time of a process, its ended threads included."""
    fields = stat_fields(pid)
    if fields is None:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def command_line(pid):
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        return words.replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "(gone)"


def kill(pid, number=signal.SIGKILL):
    if pid <= 0:
        raise ValueError(f"{pid} is not one process")
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def await_true(condition, timeout_s, what):
    """Polls until condition() is true and returns its value; AssertionError names `what`."""
    end = time.monotonic() + timeout_s
    pause_s = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.05)


def listening(port):
    """True if some process listens on the TCP port (IPv4 or IPv6)."""
    suffix = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = pathlib.Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[1].endswith(suffix) and fields[3] == "0A":
                return True
    return False


def connections_of(pid, port):
    """The process's established TCP connections to the port: a set of (local, remote) addresses."""
    inodes = set()
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in pathlib.Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and fields[3] == "01" and fields[2].endswith(f":{port:04X}"):
                found.add((fields[1], fields[2]))
    return found
