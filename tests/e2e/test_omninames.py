# SPDX-License-Identifier: Apache-2.0
"""omniNames of Debian's omniorb-nameserver, asked by the stock nameclt and by a raw client."""
import shutil
import subprocess
import unittest

from harness import giop, group, load, paths, processes


class OmniNamesCase(unittest.TestCase):
    timeout_s = 240
    kills = 15 if paths.LONG else 4
    directory = "{replica}"
    options = ()

    def setUp(self):
        self.port = paths.free_port()
        self.state_dir = paths.scratch_dir()
        self.data = self.state_dir / "data"
        for replica in range(3):
            (self.data / str(replica)).mkdir(parents=True)
        command = [paths.program("omniNames"), "-start", str(self.port), "-ignoreport",
                   "-ORBendPoint", f"giop:tcp:127.0.0.1:{self.port}",
                   "-logdir", str(self.data / self.directory)]
        self.addCleanup(self.remove_state)
        self.group = self.enterContext(
            group.Group(self, command, port=self.port, state_dir=self.state_dir,
                        key=b"NameService", options=self.options))

    def remove_state(self):
        shutil.rmtree(self.state_dir, ignore_errors=True)

    def nameclt(self, *arguments):
        done = subprocess.run(
            ["nameclt", "-ORBInitRef",
             f"NameService=corbaloc::1.2@127.0.0.1:{self.port}/NameService", *arguments],
            capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, f"nameclt {arguments}: {done.stdout} {done.stderr}")
        return done.stdout

    @staticmethod
    def bind_new_context(probe, client, turn):
        def name(out):
            out.ulong(1).string(f"c{client}-{turn}").string("")
        reply = probe.connection.call(b"NameService", "bind_new_context", name)
        return reply.reference().key


class OmniNamesTest(OmniNamesCase):
    def test_names_bound_under_kills_are_there_once_in_every_replica(self):
        self.nameclt("bind_new_context", "first")
        with load.ProbeLoad(self.port, clients=2, step=self.bind_new_context,
                            pause_s=0.002) as clients:
            for turn in range(self.kills):
                clients.await_calls(60)
                self.group.replace_leader()
                self.nameclt("bind_new_context", f"first/stock-{turn}")
                clients.await_calls(30)
                self.group.await_all_ready()
        clients.assert_clean(self)
        keys = [key for each in clients.answers for key in each]
        self.assertEqual(len(set(keys)), len(keys), "each context has a key of its own")
        bound = {f"c{client}-{turn}/" for client, each in enumerate(clients.answers)
                 for turn in range(len(each))}
        stock = {f"stock-{turn}/" for turn in range(self.kills)}

        def listing(_):
            top = self.nameclt("list").split()
            below = self.nameclt("list", "first").split()
            resolved = self.nameclt("resolve", "c0-0")
            return sorted(top), sorted(below), resolved
        top, below, _ = self.group.assert_same_through_each(listing)
        self.assertEqual(top, sorted(bound | {"first/"}), "each name exactly once")
        self.assertEqual(below, sorted(stock))
        self.group.assert_no_mismatch()

    def test_a_restarted_replica_finds_its_directory_as_at_the_start(self):
        """omniNames -start refuses a directory that it has used: rejoin needs the copy put back."""
        self.nameclt("bind_new_context", "kept")
        for _ in range(3):
            self.group.replace_leader()
            self.group.await_all_ready()
        said = self.group.assert_same_through_each(lambda _: self.nameclt("list"))
        self.assertEqual(said.split(), ["kept/"])


class PassiveOmniNamesTest(OmniNamesCase):
    """One replica executes at a time, so the journal on disk may be the same for all."""
    timeout_s = 1200 if paths.LONG else 240
    kills = 200 if paths.LONG else 6
    directory = "0"
    options = ("--style", "cold-passive")

    def listing(self):
        return sorted(self.nameclt("list").split())

    def test_names_bound_under_takeovers_are_in_the_journal_once(self):
        with load.ProbeLoad(self.port, clients=2, step=self.bind_new_context,
                            pause_s=0.05 if paths.LONG else 0.002) as clients:
            for turn in range(self.kills):
                clients.await_calls(40 if not paths.LONG else 4)
                if turn % 2 == 0:
                    done = self.group.auxin("checkpoint", self.group.name)
                    self.assertEqual(done.returncode, 0, done.stderr)
                clients.await_calls(20 if not paths.LONG else 2)
                self.group.replace_leader()
                clients.await_calls(20 if not paths.LONG else 2)
        clients.assert_clean(self)
        bound = sorted(f"c{client}-{turn}/" for client, each in enumerate(clients.answers)
                       for turn in range(len(each)))
        self.assertEqual(self.listing(), bound, "each name exactly once")
        self.group.assert_no_mismatch()
        self.group.stop()
        # What the takeovers left on the disk is what a server that begins natively reads.
        with subprocess.Popen([paths.program("omniNames"), "-ignoreport", "-ORBendPoint",
                               f"giop:tcp:127.0.0.1:{self.port}", "-logdir", str(self.data / "0")],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as native:
            try:
                processes.await_true(lambda: processes.listening(self.port), 20, "omniNames")
                giop.await_object(self.port, b"NameService")
                self.assertEqual(self.listing(), bound, "the journal")
            finally:
                native.kill()


if __name__ == "__main__":
    unittest.main()
