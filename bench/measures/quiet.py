# SPDX-License-Identifier: Apache-2.0
"""Is anybody else using the machine? The system's busy time against our own."""
import os
import sys
import time

SHARE = 0.04       # of all cores: others' use that does not disturb
LOOK_S = 1.0


def busy_seconds():
    """Busy time of all cores since boot, others' steal included."""
    with open("/proc/stat") as file:
        fields = [int(each) for each in file.readline().split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def others_share(look_s=LOOK_S):
    """The share of all cores that others used during the look."""
    begun = time.monotonic(), busy_seconds(), own_seconds()
    time.sleep(look_s)
    wall_s = time.monotonic() - begun[0]
    others_s = busy_seconds() - begun[1] - (own_seconds() - begun[2])
    return max(0.0, others_s) / (wall_s * os.cpu_count())


class Watch:
    """Waits for a quiet machine before a measurement and remembers if there was none."""

    def __init__(self, limit_s):
        self.limit_s, self.disturbed = limit_s, []

    def wait(self, what):
        end = time.monotonic() + self.limit_s
        share = others_share()
        while share > SHARE and time.monotonic() < end:
            share = others_share()
        if share > SHARE:
            self.disturbed.append(what)
            print(f"bench: no quiet machine within {self.limit_s:.0f} s for {what}: others use "
                  f"{share:.0%} of the cores", file=sys.stderr, flush=True)
        return share <= SHARE
