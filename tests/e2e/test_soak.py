# SPDX-License-Identifier: Apache-2.0
"""A group under load for a long time, with a replica killed now and then.

Nothing grows: neither the memory of a replica, nor the supervisor's, nor the log, nor what lies in
the state directory. The server's own state does not grow either (a counter and three clients), so
all that would is Auxin's. AUXIN_LONG=1: ten minutes for each style.
"""
import os
import pathlib
import time

from harness import giop, load, paths, processes

from .probe_case import ProbeCase

DURATION_S = 600 if paths.LONG else 24
KILL_EVERY_S = 5 if paths.LONG else 4
SLACK_BYTES = 12 << 20


def resident_bytes(pid):
    """Memory of its own: the stable memory that all replicas map is looked at by itself."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    fields = {line.split(":")[0]: line.split()[1] for line in lines[1:]}
    return 1024 * (int(fields["Private_Clean"]) + int(fields["Private_Dirty"]))


def descriptor_count(pid):
    try:
        return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return 0


def stored_bytes(directory):
    total = 0
    for parent, _, names in os.walk(directory):   # passes what is removed in the meantime
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_blocks * 512
            except OSError:
                pass
    return total


class SoakCase(ProbeCase):
    timeout_s = DURATION_S + 200
    style = "semi-active"
    measured = ("replica", "supervisor", "stored", "descriptors", "log")

    def setUp(self):
        directory = paths.scratch_dir()
        configuration = directory / "soak.toml"
        configuration.write_text(
            f'style = "{self.style}"\n'
            '[log]\nentries = 65536\npayload = "16MiB"\n[checkpoint]\nevery_s = 2\n')
        self.group_options = ("--config", str(configuration))
        super().setUp()

    def measure(self):
        status = self.group.status()
        pids = [row["pid"] for row in status["replicas"] if row["pid"]]
        directory = self.group.state_dir / self.group.name
        return {"replica": max(resident_bytes(pid) for pid in pids),
                "supervisor": resident_bytes(self.group.supervisor.pid),
                "stored": stored_bytes(directory),
                "descriptors": max(descriptor_count(pid) for pid in pids),
                "log": status["log"]["end"] - status["log"]["begin"]}

    def kill_one(self, number):
        if number % 2 == 0 or not self.group.followers():
            self.group.replace_leader()
        else:
            processes.kill(self.group.followers()[0]["pid"])

    def settle(self):
        self.group.await_all_ready()

    def soak(self):
        measures = []
        begun = time.monotonic()
        kills = 0
        with load.ProbeLoad(self.port, clients=3) as clients:
            while time.monotonic() - begun < DURATION_S:
                calls = clients.calls
                time.sleep(KILL_EVERY_S)
                clients.await_calls(1)
                self.settle()
                measures.append(self.measure())
                self.assertEqual(clients.errors, [], self.group.account())
                self.assertGreater(clients.calls, calls + 20, "it serves")
                self.kill_one(kills)
                kills += 1
        total = clients.assert_exactly_once(self)
        self.settle()
        with giop.Probe(self.port) as probe:
            self.assertIn(f"counter {total} additions {total} ", probe.state())
        self.group.assert_no_mismatch()
        self.assertNotIn("can't join again", self.group.errors())
        third = max(len(measures) // 3, 1)
        first = {name: max(each[name] for each in measures[:third]) for name in self.measured}
        last = {name: max(each[name] for each in measures[-third:]) for name in self.measured}
        print(f"{self.style}: {kills} kills, {total} calls; at most in the first third {first}, "
              f"in the last {last}")
        self.assertLessEqual(last["log"], 65536)
        self.assertLessEqual(last["descriptors"], first["descriptors"] + 8)
        for name in ("replica", "supervisor", "stored"):
            self.assertLessEqual(last[name], first[name] * 1.2 + SLACK_BYTES, name)


class SemiActiveSoakTest(SoakCase):
    def test_nothing_grows_where_all_execute(self):
        self.soak()


class WarmPassiveSoakTest(SoakCase):
    style = "warm-passive"

    def settle(self):
        self.group.await_leader()

    def test_nothing_grows_where_one_executes(self):
        self.soak()
