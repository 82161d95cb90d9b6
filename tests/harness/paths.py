# SPDX-License-Identifier: Apache-2.0
"""Where the built programs are, and small questions to the machine."""
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LONG = os.environ.get("AUXIN_LONG", "") not in ("", "0")


def build_dir():
    named = os.environ.get("AUXIN_BUILD_DIR")
    if named:
        return pathlib.Path(named)
    for preset in ("dev", "release"):
        if (ROOT / "build" / preset / "bin").is_dir():
            return ROOT / "build" / preset
    raise RuntimeError("nothing is built: run scripts/build, or set AUXIN_BUILD_DIR")


def program(name):
    """A program of ours (from the build) or of the system; an error names what is missing."""
    built = build_dir() / "bin" / name
    if built.exists():
        return str(built)
    found = shutil.which(name)
    if found:
        return found
    raise RuntimeError(f"{name} is neither in {built.parent} nor in PATH")


def preload():
    path = build_dir() / "lib" / "libauxin.so"
    if not path.exists():
        raise RuntimeError(f"{path} is not built")
    return str(path)


def tango_test_binary():
    listed = subprocess.run(["dpkg", "-L", "tango-test"], capture_output=True, text=True,
                            check=True)
    for line in listed.stdout.splitlines():
        if line.endswith("/TangoTest") and os.access(line, os.X_OK):
            return line
    raise RuntimeError("package tango-test holds no TangoTest")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def scratch_dir(prefix="auxin-test-"):
    """A directory on tmpfs, the user's alone."""
    return pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir="/dev/shm"))


def seed():
    """The seed of a random test: AUXIN_SEED, or another each time; printed."""
    chosen = int(os.environ.get("AUXIN_SEED", "0")) or random.randrange(1 << 32)
    print(f"AUXIN_SEED={chosen}")
    return chosen
