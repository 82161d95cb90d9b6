# SPDX-License-Identifier: Apache-2.0
"""The servers of tests/servers/known, as their manifest describes them.

    for known in known_servers.all_servers(): …
    known = known_servers.server("correct")

Thread safety: none needed; nothing is kept.
"""
import pathlib
import shutil
import subprocess
import tomllib

from . import paths

FOLDER = paths.ROOT / "tests" / "servers" / "known"
MANIFEST = tomllib.loads((FOLDER / "manifest.toml").read_text())
MODES = {mode["name"]: mode["arguments"] for mode in MANIFEST["mode"]}


class KnownServer:
    """One entry of the manifest; `told` is the entry itself."""

    def __init__(self, told):
        self.told, self.name = told, told["name"]

    def command(self, ior, mode):
        """`ior`: where it writes its reference; a {replica} in it is the group's affair."""
        arguments = [word.replace("{ior}", str(ior)) for word in MANIFEST["arguments"]]
        return [paths.program(f"known_{self.name}"), *arguments, *MODES[mode]]

    def map_directory(self, directory):
        """Fills a new folder below `directory` with the shipped maps and those of this server."""
        maps = pathlib.Path(directory) / "maps"
        maps.mkdir()
        for path in (*(paths.ROOT / "maps").glob("*.toml"),
                     *(FOLDER / name for name in self.told.get("maps", ()))):
            shutil.copy(path, maps)
        return maps


def all_servers():
    return [KnownServer(told) for told in MANIFEST["server"]]


def server(name):
    found, = (known for known in all_servers() if known.name == name)
    return found


def load(ior, seed=1, timeout_s=60, **numbers):
    """Runs known_load to its end; AssertionError if a call was not answered. Returns what it says
    of the state. `numbers`: threads and requests, if not the manifest's."""
    chosen = {**MANIFEST["load"], **numbers}
    done = subprocess.run(
        [paths.program("known_load"), "--ior", str(ior), "--seed", str(seed),
         "--threads", str(chosen["threads"]), "--requests", str(chosen["requests"])],
        capture_output=True, text=True, timeout=timeout_s)
    if done.returncode != 0:
        raise AssertionError(f"known_load ended with {done.returncode}: {done.stderr}")
    return done.stdout.partition("; state: ")[2].strip()
