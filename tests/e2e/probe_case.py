# SPDX-License-Identifier: Apache-2.0
"""What the probe tests share: a group of probe servers on a free port."""
import unittest

from harness import giop, group, paths, server


class ProbeCase(unittest.TestCase):
    replicas = 3
    server_options = ()
    group_options = ()

    def setUp(self):
        self.port = paths.free_port()
        self.group = self.start_group()

    def start_group(self, **options):
        return self.enterContext(group.Group(
            self, server.probe_command(self.port, *self.server_options), port=self.port,
            key=b"probe", replicas=self.replicas, options=self.group_options, **options))

    def probe(self):
        """A new client, closed with the test."""
        return self.enterContext(giop.Probe(self.port))

    def kill_leaders(self, clients, times, calls_before, calls_after):
        """Kills one leader after the other, between that many calls of the clients."""
        for _ in range(times):
            clients.await_calls(calls_before)
            self.group.replace_leader()
            clients.await_calls(calls_after)
            self.group.await_all_ready()

    def state_through(self, _replica=None):
        with giop.Probe(self.port) as probe:
            return probe.state()

    def assert_agreement(self):
        """Every replica leads in turn, tells the same state, and none was seen to differ."""
        self.group.assert_no_mismatch()
        state = self.group.assert_same_through_each(self.state_through)
        self.group.assert_no_mismatch()
        return state
