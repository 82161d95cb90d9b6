# SPDX-License-Identifier: Apache-2.0
"""Passive groups whose checkpoints are taken by a method that their configuration forces."""
import os
import shutil
import subprocess
import unittest

from harness import paths, stock_load

from .test_bank import fingerprint
from .test_passive import PassiveCase


class ForkMethodTest(PassiveCase):
    """What a kernel without asynchronous write protection gets by itself."""
    method = "fork"

    def group_options(self):
        file = self.scratch() / "group.toml"
        file.write_text(f'style = "{self.style}"\n[checkpoint]\nmethod = "{self.method}"\n')
        return ["--config", str(file)]

    def test_backups_take_over_under_load(self):
        self.await_backups()
        self.takeovers("mixed", number=3)
        self.assertEqual(self.group.status()["checkpoint"]["method"], self.method)
        self.assertIn("; it stood still for ", self.checkpoint())
        self.assertIn(f", taken by {self.method}\n",
                      self.group.auxin("status", self.group.name).stdout)

    def test_it_goes_back_to_a_checkpoint(self):
        with stock_load.BankLoad(self.port, 2, "deposit", 500) as bank_load:
            bank_load.let_run(0.3)
            self.judge(bank_load)
        then = fingerprint(self.port)
        self.assertIn(f"({self.method})", self.checkpoint())
        done = self.group.auxin("restore", self.group.name)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.await_backups()
        self.assertEqual(fingerprint(self.port), then)


class FullMethodTest(ForkMethodTest):
    method = "full"


class RefusedMethodTest(unittest.TestCase):
    def test_a_method_that_is_not_for_groups_is_refused_before_anything_starts(self):
        for method, words in (("fault", "is not for whole processes"),
                              ("quick", "is no method; there are wp-async, fork and full")):
            directory = paths.scratch_dir()
            self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
            done = subprocess.run(
                [paths.program("auxin"), "run", "--name", "refused-method", "--state-dir",
                 str(directory), "--", "/bin/true"],
                env={**os.environ, "AUXIN_CHECKPOINT_METHOD": method}, capture_output=True,
                text=True, timeout=20)
            self.assertEqual(done.returncode, 2, done)
            self.assertIn(words, done.stderr)
