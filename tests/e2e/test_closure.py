# SPDX-License-Identifier: Apache-2.0
"""A set of ordered locks that is not closed: followers that can't go on say so, and do not hang."""
import pathlib
import shutil
import unittest

from harness import group, known_servers, paths, processes

SENTENCE = ("a thread waits in libknown_library.so for a lock that is not ordered, whose holder "
            "waits for its turn at one that is")


class ClosureTest(unittest.TestCase):
    timeout_s = 180

    def setUp(self):
        self.directory = pathlib.Path(paths.scratch_dir())
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def start(self, name, mode, **how):
        known = known_servers.server(name)
        folder = self.directory / name
        folder.mkdir()
        self.ior = folder / "ior-{replica}"
        return self.enterContext(group.Group(
            self, known.command(self.ior, mode), replicas=2,
            environment={"AUXIN_MAPS": str(known.map_directory(folder))}, **how))

    def load(self):
        known_servers.load(str(self.ior).format(replica=0), threads=8, requests=4000)

    def test_a_follower_that_can_not_go_on_is_named_and_replaced(self):
        for mode in known_servers.MODES:
            with self.subTest(mode):
                running = self.start("closure", mode, expect_orderly_end=False)
                running.await_all_ready()
                self.load()
                processes.await_true(lambda: SENTENCE in running.errors(), 40,
                                     "the follower says why it can't go on")
                self.assertIn("`auxin verify` names the two sections", running.errors())
                self.assertTrue(any("libknown_library.so" in line and "followers can stall" in line
                                    for line in running.status()["unsupported"]))
                self.assertEqual(running.stop(), 143)
                shutil.rmtree(self.directory / "closure")

    def test_a_set_that_is_closed_is_not_accused(self):
        running = self.start("closed", next(iter(known_servers.MODES)))
        running.await_all_ready()
        self.load()
        running.await_caught_up()
        running.replace_leader()
        running.await_all_ready()
        running.assert_no_mismatch()
        self.assertEqual(running.status()["unsupported"], [])


if __name__ == "__main__":
    unittest.main()
