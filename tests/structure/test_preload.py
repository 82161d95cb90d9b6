# SPDX-License-Identifier: Apache-2.0
"""What the library that is preloaded asks of the program's C and C++ runtime."""
import subprocess
import unittest

from harness import paths


class PreloadTest(unittest.TestCase):
    def test_nothing_of_the_preload_is_destroyed_while_threads_go_on(self):
        library = paths.build_dir() / "lib" / "libauxin.so"
        listing = subprocess.run(["nm", "-D", "--undefined-only", library], check=True,
                                 capture_output=True, text=True).stdout
        wanted = {line.split()[-1].partition("@")[0] for line in listing.splitlines()}
        self.assertIn("memcpy", wanted)
        registering = {"__cxa_atexit", "__cxa_thread_atexit", "__cxa_thread_atexit_impl"}
        self.assertFalse(wanted & registering,
                         "an object with a destructor: see libmeta_os/never_destroyed.h")
