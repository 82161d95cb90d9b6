# SPDX-License-Identifier: Apache-2.0
"""The POSIX thread, synchronisation and signal programs give the same verdict with and without.

A program whose own verdict varies from run to run (several race by design) may give any verdict
that it also gives plainly.
"""
import unittest

from harness import paths

from . import suite


class ConformanceTest(unittest.TestCase):
    timeout_s = 1500

    @classmethod
    def setUpClass(cls):
        try:
            programs = suite.built_programs()
        except RuntimeError as error:
            raise unittest.SkipTest(f"the suite's source cannot be had: {error}") from error
        cls.programs = programs

    def assert_same(self, programs, how):
        self.assertGreater(len(programs), 100, "the suite was built")
        plain = suite.verdicts(programs, suite.plainly)
        other = suite.verdicts(programs, how)
        different = {}
        for name in programs:
            seen = {plain[name]}
            got = other[name]
            for _ in range(3):
                if got in seen:
                    break
                # Alone, so that load explains nothing.
                seen.add(suite.verdict(programs[name], suite.plainly))
                got = suite.verdict(programs[name], how)
            if got not in seen:
                different[name] = f"{got}, plainly {'/'.join(sorted(seen))}"
        print(f"{len(programs)} programs, {sum(v == 'pass' for v in plain.values())} pass plainly")
        self.assertEqual(different, {})

    def test_the_same_verdicts_under_the_bare_preload(self):
        self.assert_same(self.programs, suite.preloaded)

    def test_the_same_verdicts_as_a_group_of_one_replica(self):
        names = list(self.programs) if paths.LONG else list(self.programs)[::5]
        self.assert_same({name: self.programs[name] for name in names}, suite.as_group_of_one)


if __name__ == "__main__":
    unittest.main()
