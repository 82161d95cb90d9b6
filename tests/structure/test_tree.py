# SPDX-License-Identifier: Apache-2.0
"""The source tree itself: who may include whom, how long lines are, nothing dead, nothing stray."""
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# docs/ARCHITECTURE.md: a room may use itself and these.
MAY_USE = {
    "metamarkers": set(),
    "stmemu": set(),
    "libmeta_os": {"metamarkers"},
    "checkpoint": {"stmemu", "libmeta_os"},
    "libmeta_req": {"libmeta_os", "metamarkers"},
    "recording": {"libmeta_os", "metamarkers"},
    "replication": {"metamarkers", "stmemu", "libmeta_os", "checkpoint", "libmeta_req",
                    "recording"},
    "analysis": {"recording", "libmeta_os", "stmemu", "metamarkers"},
    "cli": {"metamarkers", "stmemu", "libmeta_os", "checkpoint", "libmeta_req", "recording",
            "replication", "analysis"},
    "corba_demo": set(),
}
CODE = {".h", ".cpp", ".c", ".cc", ".S"}
# (.def files are tables: one row, one line.)
TEXT = CODE | {".py", ".cmake", ".txt", ".md", ".toml", ".idl", ".map", ".sh", ".in", ".js", ".css",
               ".html"}


def tracked():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True)
    return [pathlib.PurePath(name) for name in listed.stdout.decode().split("\0")
            if name and (ROOT / name).exists()]


def text_of(path):
    return (ROOT / path).read_text(errors="replace")


class TreeTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if not (ROOT / ".git").exists():
            raise unittest.SkipTest("not a clone: there is no list of tracked files")
        cls.files = tracked()

    def code(self):
        return [path for path in self.files if path.suffix in CODE]

    def test_includes_point_one_way_only(self):
        wrong = []
        for path in self.code():
            room = path.parts[0]
            if room not in MAY_USE:
                continue
            for included in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text_of(path), re.MULTILINE):
                target = included.split("/")[0]
                if target in MAY_USE and target != room and target not in MAY_USE[room]:
                    wrong.append(f"{path} includes {included}")
        self.assertEqual(wrong, [])

    def test_the_demo_knows_nothing_of_auxin(self):
        wrong = [str(path) for path in self.files if path.parts[0] == "corba_demo"
                 and path.suffix in CODE | {".idl"} and "auxin" in text_of(path).lower()]
        self.assertEqual(wrong, [])

    def test_no_line_is_longer_than_100_columns(self):
        wrong = []
        for path in self.files:
            if path.suffix not in TEXT and path.parts[0] not in ("scripts", ".ci"):
                continue
            for number, line in enumerate(text_of(path).splitlines(), 1):
                table_or_link = path.suffix == ".md" and ("|" in line or "](" in line)
                if len(line) > 100 and not table_or_link:
                    wrong.append(f"{path}:{number}")
        self.assertEqual(wrong, [])

    def test_every_code_file_says_its_licence_first(self):
        wrong = [str(path) for path in self.files
                 if path.suffix in CODE | {".py", ".cmake", ".def", ".js", ".css"}
                 or path.name == "CMakeLists.txt"
                 if "SPDX-License-Identifier: Apache-2.0" not in text_of(path)[:300]]
        self.assertEqual(wrong, [])

    def test_no_code_file_is_dead(self):
        """Each source is named by some CMakeLists.txt, each header is included by some file."""
        lists = "\n".join(text_of(path) for path in self.files
                          if path.name == "CMakeLists.txt" or path.suffix == ".cmake")
        included = "\n".join(text_of(path) for path in self.files
                             if path.suffix in CODE | {".def", ".md", ".in", ".py"})
        dead = []
        for path in self.code():
            if path.suffix == ".h":
                if not re.search(rf'[<"/]{re.escape(path.name)}[>"]', included):
                    dead.append(str(path))
            elif not re.search(rf"\b{re.escape(path.name)}\b", lists + included) and \
                    not re.search(rf"\b{re.escape(path.stem)}\b", lists):
                dead.append(str(path))
        self.assertEqual(dead, [])

    def test_no_large_or_binary_file_is_tracked(self):
        wrong = []
        for path in self.files:
            data = (ROOT / path).read_bytes()
            may_be_binary = "corpus" in path.parts or path.match("docs/images/*.png")
            if len(data) > 200_000 or (b"\0" in data and not may_be_binary):
                wrong.append(str(path))
        self.assertEqual(wrong, [])

    def test_nothing_is_left_undone_or_disabled(self):
        marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|\bDISABLED_\w|#i" r"f 0\b")
        wrong = [f"{path}:{number}" for path in self.files if path.suffix in TEXT
                 for number, line in enumerate(text_of(path).splitlines(), 1) if marks.search(line)]
        self.assertEqual(wrong, [])

    def test_tests_signal_one_process_at_a_time(self):
        """kill(0) and kill(-1) would reach the test runner: tests/harness/kill_one.h instead."""
        bare = re.compile(r"(?<![\w.>:])(?:::)?kill\((?!\)|getpid|\w+, 0\)|size_t)")
        for path in (p for p in tracked() if p.suffix in CODE and p.parts[0] != "tests"
                     and (p.name.endswith("_test.cpp") or "tests" in p.parts)):
            self.assertNotRegex(text_of(path), bare, f"{path}: kill_one()")

    def test_scripts_are_executable_and_pass_the_shells_check(self):
        for path in self.files:
            if path.parts[0] in ("scripts", ".ci") and path.suffix == "":
                self.assertTrue((ROOT / path).stat().st_mode & 0o100, f"{path} is executable")
                if text_of(path).startswith("#!/bin/bash"):
                    done = subprocess.run(["bash", "-n", ROOT / path], capture_output=True)
                    self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_room_has_a_readme(self):
        rooms = {path.parts[0] for path in self.code()} - {"include"}
        missing = [room for room in sorted(rooms) if not (ROOT / room / "README.md").exists()]
        self.assertEqual(missing, [])


class LabelsTest(unittest.TestCase):
    def test_every_label_is_documented(self):
        lists = [path for path in ROOT.rglob("CMakeLists.txt") if "build" not in path.parts]
        used = set()
        for path in lists:
            text = path.read_text()
            used |= set(re.findall(r"auxin_unit_test\(\s*\S+\s+([a-z]\w*)", text))
            used |= set(re.findall(r"auxin_python_tests\(\s*\S+\s+([a-z]\w*)", text))
            used |= set(re.findall(r"\bLABELS\s+\"?([a-z]\w*)", text))
        documented = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/testing.md").read_text(),
                                    re.MULTILINE))
        self.assertEqual(used - {"label"} - documented, set())


if __name__ == "__main__":
    unittest.main()
