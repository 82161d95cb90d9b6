# SPDX-License-Identifier: Apache-2.0
"""A replica that answers differently is found, named and isolated; padding is not a difference."""
import tempfile
import unittest

from harness import giop, group, load, paths, processes, server

from .probe_case import ProbeCase


class DivergenceTest(ProbeCase):
    timeout_s = 200

    def mismatches(self):
        return sum(row["mismatches"] for row in self.group.status()["replicas"])

    def assert_found(self, call):
        """The call's reply differs between replicas: the clients get it, the group notices."""
        before = self.mismatches()
        with giop.Probe(self.port) as probe:
            call(probe.connection)
        processes.await_true(lambda: self.mismatches() > before, 15,
                             f"a mismatch is reported; {self.group.account()}")

    def test_a_diverging_server_is_reported_and_its_clients_go_on(self):
        with load.ProbeLoad(self.port, clients=2) as clients:
            clients.await_calls(50)
            self.assert_found(lambda connection: connection.call(
                b"probe", "diverge", lambda out: out.ulong(64).ulong(32)))
            clients.await_calls(100)
        clients.assert_exactly_once(self)
        self.assertIsNotNone(self.group.leader())

    def test_a_diverged_replica_never_leads(self):
        self.assert_found(lambda connection: connection.call(
            b"probe", "diverge", lambda out: out.ulong(64).ulong(0)))
        diverged = {row["id"] for row in self.group.status()["replicas"]
                    if row["role"] == "diverged"}
        self.assertNotIn(self.group.await_leader()["id"], diverged)

    def test_the_report_names_the_request_and_the_first_differing_offset(self):
        self.assert_found(lambda connection: connection.call(
            b"probe", "diverge", lambda out: out.ulong(64).ulong(40)))
        told = processes.await_true(
            lambda: [line for line in self.group.errors().splitlines() if "offset" in line], 10,
            "standard error says where the replies differ")
        # A GIOP 1.2 reply: 12 header, 4 id, 4 status, 4 contexts, then 4 length and the bytes.
        self.assertIn("68", " ".join(told))

    def test_differing_padding_is_no_difference(self):
        with load.ProbeLoad(self.port, clients=2, step=self.gaps) as clients:
            clients.await_calls(400)
        clients.assert_clean(self)
        self.group.await_caught_up()
        self.assertEqual(self.mismatches(), 0)

    @staticmethod
    def gaps(probe, client, turn):
        # Different sizes stir the heap from which the reply's buffer comes.
        probe.fill(200 + turn * 37 % 4000, turn % 256)
        reply = probe.connection.call(
            b"probe", "with_gaps", lambda out: out.octet(0).string("none"))
        probe.connection.call(b"probe", "any_with_gaps")
        return reply.octet()


class EveryByteTest(ProbeCase):
    """Altering any single meaningful byte of a reply in a follower is reported."""
    timeout_s = 240
    replicas = 2

    def assert_isolated(self, operation, encode):
        with giop.Probe(self.port) as probe:
            probe.connection.call(b"probe", operation, encode)
        processes.await_true(
            lambda: sum(row["mismatches"] for row in self.group.status()["replicas"]) > 0, 15,
            f"{operation} differs and that is reported; {self.group.account()}")

    def fresh_group(self):
        self.group.kill_everything()
        self.group.options = ["--fresh"]
        self.group.start()
        self.group.await_all_ready()

    def test_every_member_of_a_structure(self):
        for member in ("first", "second", "third", "fourth", "fifth", "sixth", "seventh"):
            with self.subTest(member=member):
                self.fresh_group()
                self.assert_isolated(
                    "with_gaps", lambda out, name=member: out.octet(1).string(name))

    def test_bytes_at_the_ends_and_in_the_middle_of_a_sequence(self):
        places = ((1, 0), (5, 4), (8000, 0), (8000, 4095), (8000, 7999), (100_000, 99_999))
        for size, offset in places:
            with self.subTest(size=size, offset=offset):
                self.fresh_group()
                self.assert_isolated(
                    "diverge", lambda out, at=(size, offset): out.ulong(at[0]).ulong(at[1]))


class SharedFilesTest(unittest.TestCase):
    timeout_s = 100

    def shared_files(self, trace_file):
        port = paths.free_port()
        with group.Group(self, server.probe_command(port, "-ORBtraceFile", trace_file), port=port,
                         key=b"probe") as replicas:
            return replicas.status()["shared_files"]

    def test_a_file_that_every_replica_writes_is_named_in_the_status(self):
        directory = self.enterContext(tempfile.TemporaryDirectory())
        self.assertEqual(self.shared_files(directory + "/trace"), [directory + "/trace"])
        self.assertEqual(self.shared_files(directory + "/trace-{replica}"), [])


if __name__ == "__main__":
    unittest.main()
