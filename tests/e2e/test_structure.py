# SPDX-License-Identifier: Apache-2.0
"""`auxin discover --sources`: what the sources of the bank say, also beside a recording of it."""
import json
import unittest

from e2e.test_recordings import RecordingCase
from harness import paths


def demo_sources():
    """The demo's sources, and the stubs that the build generates from its IDL."""
    return ["--sources", paths.build_dir(), "--sources-under", paths.ROOT / "corba_demo",
            "--sources-under", paths.build_dir() / "corba_demo"]


class StructureTest(RecordingCase):
    timeout_s = 240

    def test_the_sources_alone(self):
        done = self.auxin("discover", "--structure", "--json", *demo_sources())
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual(told["failures"], [])
        account, = [one for one in told["classes"] if one["name"] == "bank::AccountServant"]
        self.assertEqual([(member["name"], member["synchronisation"])
                          for member in account["members"] if "synchronisation" in member],
                         [("mutex_", "mutex")])
        base, = [one for one in told["classes"] if one["key"] == account["bases"][0]]
        self.assertEqual(base["name"], "POA_Bank::Account")
        deposit, = [one for one in told["functions"]
                    if one["name"] == "bank::AccountServant::deposit"]
        self.assertEqual(deposit["place"]["file"], str(paths.ROOT / "corba_demo" / "account.cpp"))
        self.assertEqual([mention["object"] for mention in deposit["mentions"]],
                         ["bank::AccountServant::mutex_"])
        text = self.auxin("discover", "--structure", *demo_sources())
        self.assertEqual(text.returncode, 0, text.stderr)
        self.assertRegex(text.stdout,
                         r"bank::OrderQueue::not_empty_ +condition +\S+ +order_queue.h")

    def test_beside_a_recording(self):
        kept, dot = self.directory / "kept", self.directory / "graph.dot"
        done = self.auxin("discover", "--record", kept, "--load", self.load("deposit"),
                          *self.server())
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.auxin("discover", "--json", "--unseen", "--dot", dot, "--trace", kept,
                          *demo_sources(), "--op", "filter derived:omniServant derived:bank::*")
        self.assertEqual(done.returncode, 0, done.stderr)
        graph = json.loads(done.stdout)
        nodes = graph["nodes"]
        deposit, = [node for node in nodes if node["name"].startswith("bank::AccountServant::dep")]
        self.assertEqual(deposit["class"], "bank::AccountServant")
        self.assertEqual(deposit["place"]["file"], str(paths.ROOT / "corba_demo" / "account.cpp"))
        self.assertIn("POA_Bank::Account", deposit["ancestors"])
        # Every lock that a deposit takes is the account's, and is said to be.
        taken = {edge["to"] for edge in graph["edges"]
                 if edge["from"] == deposit["id"] and edge["kind"] == "takes"}
        self.assertTrue(taken)
        for lock in taken:
            self.assertEqual(len(nodes[lock]["declared"]), 1)
            self.assertRegex(nodes[lock]["declared"][0],
                             r"^bank::AccountServant::mutex_ account\.h:\d+$")
        # The load makes deposits only: what else an account can do was not seen.
        unseen = {(use["function"], use["object"]) for use in graph["structure"]["unseen_uses"]}
        for operation in ("withdraw", "note", "transfer"):
            self.assertIn((f"bank::AccountServant::{operation}", "bank::AccountServant::mutex_"),
                          unseen)
        self.assertNotIn(("bank::AccountServant::deposit", "bank::AccountServant::mutex_"), unseen)
        self.assertIn("bank::TellerServant::random_mutex_",
                      [one["name"] for one in graph["structure"]["unseen_objects"]])
        withdraw, = [node for node in nodes if node["name"] == "bank::AccountServant::withdraw"]
        self.assertLessEqual(taken, {edge["to"] for edge in graph["edges"]
                                     if edge["from"] == withdraw["id"]
                                     and edge["kind"] == "may-take"})
        self.assertIn("bank::AccountServant::mutex_ account.h:", dot.read_text())
        text = self.auxin("discover", "--trace", kept, *demo_sources(), "--op", "group class")
        self.assertEqual(text.returncode, 0, text.stderr)
        self.assertRegex(text.stdout, r"bank::AccountServant::mutex_ ×\d+")
        self.assertRegex(text.stdout, r"random_token +teller\.cpp:\d+")

        found = self.directory / "found.toml"
        done = self.auxin("discover", "--json", "--write-map", found, "--trace", kept,
                          *demo_sources())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(any("bank::TellerServant::random_mutex_ (teller.h:" in what
                            for what in json.loads(done.stdout)["missing"]), done.stdout)
        self.assertIn("bank::TellerServant::random_mutex_", found.read_text())

    def test_of_programs_that_share_a_tree_the_recorded_one_is_told_apart(self):
        """Each of the known servers is one file with its own main, class and lock."""
        kept = self.directory / "kept"
        ior = self.directory / "ior"
        load = (f"{paths.program('known_load')} --ior {ior} --threads 2 --requests 40 "
                "> /dev/null")
        done = self.auxin("discover", "--record", kept, "--load", load, "--",
                          paths.program("known_correct"), "--ior", ior)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.auxin("discover", "--json", "--trace", kept, "--sources", paths.build_dir(),
                          "--sources-under", paths.ROOT / "tests" / "servers" / "known")
        self.assertEqual(done.returncode, 0, done.stderr)
        graph = json.loads(done.stdout)
        self.assertEqual(graph["structure"]["failures"], [])
        main, = [node for node in graph["nodes"] if node["name"] == "main"]
        self.assertEqual(main["place"]["file"],
                         str(paths.ROOT / "tests" / "servers" / "known" / "correct.cpp"))
        declared = {name.split()[0] for node in graph["nodes"] if node["kind"] == "lock"
                    for name in node.get("declared", [])}
        self.assertIn("known::Correct::ledger_lock_", declared)
        for name in declared:
            self.assertTrue(name.startswith("known::"), name)

    def test_options_that_do_not_fit_are_refused(self):
        sources = demo_sources()
        for sentence, words in (
                ("give both", ["--structure", *self.server()]),
                ("give both", ["--sources-under", "/tmp", *self.server()]),
                ("give both", ["--unseen", *self.server()]),
                ("one recording", ["--unseen", *sources, "--trace", "a", "--trace", "b"]),
                ("give one of them", ["--unseen", *sources, "--write-map", "m", *self.server()]),
                ("leave out the server", ["--structure", *sources, *self.server()]),
                ("as text or with --json", ["--structure", *sources, "--dot", "/dev/null"]),
                ("No such file", ["--structure", "--sources", "/nowhere"]),
                ("is no directory", ["--structure", "--sources", paths.build_dir(),
                                     "--sources-under", "/nowhere"]),
                ("none of its units", ["--structure", "--sources", paths.build_dir(),
                                       "--sources-under", "/etc"])):
            self.assertIn(sentence, self.refused("discover", *words))

    def test_units_that_cannot_be_read_are_named(self):
        bad = self.directory / "bad.cpp"
        bad.write_text("void works() {}\nvoid does_not( {}\n")
        (self.directory / "compile_commands.json").write_text(json.dumps([
            {"directory": ".", "file": "bad.cpp", "command": "ccache c++ -c bad.cpp"},
            {"directory": ".", "file": "gone.cpp", "command": "c++ -c gone.cpp"}]))
        done = self.auxin("discover", "--structure", "--json", "--sources", self.directory)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("bad.cpp:2: error", done.stderr)
        self.assertIn("gone.cpp: the file is not there", done.stderr)
        self.assertIn("works", [one["name"] for one in json.loads(done.stdout)["functions"]])


if __name__ == "__main__":
    unittest.main()
