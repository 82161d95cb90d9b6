# SPDX-License-Identifier: Apache-2.0
"""A whole process, saved from inside and restored in a new one (checkpoint/process).

The subject checks all it has once a round: threads in seven kinds of wait, memory that it knows by
heart, descriptors. It says what it finds wrong on its standard error, and ends.

The method is that of AUXIN_CHECKPOINT_METHOD; without tracking (fork, full) each segment is a base.
"""
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import unittest

from harness import paths, processes

GENERATIONS = 200 if paths.LONG else 12
KERNEL = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
METHOD = os.environ.get("AUXIN_CHECKPOINT_METHOD", "wp-async" if KERNEL >= (6, 7) else "fork")
TRACKS = METHOD == "wp-async"


class Subject:
    """One process after the other, each restored from the image of the one before."""

    def __init__(self, test, threads=9, megabytes=4, deltas=False):
        self.test = test
        self.directory = paths.scratch_dir()
        self.errors = open(self.directory / "errors", "w+")
        test.addCleanup(self.destroy)
        self.round = 0
        self.process = self.start([paths.program("image_subject"), self.directory, threads,
                                   megabytes, *(["deltas"] if deltas else [])])

    def start(self, words):
        return subprocess.Popen([str(word) for word in words], stderr=self.errors,
                                stdin=subprocess.DEVNULL)

    def said(self):
        return (self.directory / "errors").read_text()

    def await_file(self, name, timeout_s=30):
        def there():
            self.test.assertIsNone(self.process.poll(), f"it ended: {self.said()}")
            return (self.directory / name).exists()
        processes.await_true(there, timeout_s, f"{name}; {self.said()}")
        return (self.directory / name).read_text()

    def save(self):
        """A round of checks, and an image; the process runs on. Returns the image's path."""
        (self.directory / f"go.{self.round}").touch()
        *_, self.sequence, method = self.await_file(f"saved.{self.round}").split()
        self.test.assertEqual(method, METHOD)
        self.round += 1
        return self.directory / f"image.{self.round - 1}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restore(self, *segments):
        self.process = self.start([paths.program("auxin-restore"), *segments])
        self.await_file(f"restored.{self.round - 1}")

    def destroy(self):
        self.kill()
        self.errors.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Standby:
    """A restorer with segments in its memory: it takes more of them until it is told to begin."""

    def __init__(self, test, subject, segments):
        waited, self.begins = os.pipe()
        taken, adding = os.pipe()
        self.updates = open(adding, "wb", buffering=0)
        test.addCleanup(self.updates.close)
        self.process = subprocess.Popen(
            [str(paths.program("auxin-restore")), "--wait-for", str(waited), "--updates-from",
             str(taken), *map(str, segments)],
            stderr=subject.errors, stdin=subprocess.DEVNULL, pass_fds=(waited, taken))
        os.close(waited)
        os.close(taken)
        test.addCleanup(self.end)

    def add(self, segment):
        self.updates.write(bytes(segment) + b"\0")

    def begin(self):
        os.close(self.begins)
        self.begins = -1
        return self.process

    def end(self):
        self.process.kill()
        self.process.wait()
        if self.begins >= 0:
            os.close(self.begins)


class ProcessImageTest(unittest.TestCase):
    timeout_s = 900 if paths.LONG else 120

    def test_generation_after_generation(self):
        subject = Subject(self, threads=21)
        for _ in range(GENERATIONS):
            image = subject.save()
            subject.kill()
            subject.restore(image)
            image.unlink()
        self.assertEqual(subject.said(), "")

    def test_a_number_of_the_saved_process_given_to_a_new_thread(self):
        own = ["unshare", "--pid", "--fork", "--mount-proc"]
        own += [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        done = subprocess.run(
            [*own, sys.executable, "-m", "unittest",
             "e2e.test_process_image.ProcessImageTest.test_generation_after_generation"],
            env={**os.environ, "AUXIN_OWN_NUMBERS": "1"}, cwd=paths.ROOT / "tests",
            capture_output=True, text=True, timeout=self.timeout_s - 10)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_bases_and_deltas_of_memory_that_is_mapped_anew_all_the_time(self):
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        print(f"seed {seed}")
        subject = Subject(self, threads=7, megabytes=8, deltas=True)
        for _ in range(GENERATIONS):
            segments = []
            for number in range(chance.randrange(1, 9)):
                segments.append(subject.save())
                self.assertEqual(subject.sequence, str(number if TRACKS else 0))
            subject.kill()
            subject.restore(*segments[0 if TRACKS else -1:])
            for segment in segments:
                segment.unlink()
        self.assertEqual(subject.said(), "", f"seed {seed}")

    @unittest.skipUnless(TRACKS, "without tracking there are no deltas")
    def test_a_standby_takes_deltas_as_they_come(self):
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        print(f"seed {seed}")
        subject = Subject(self, threads=7, megabytes=8, deltas=True)
        for _ in range(max(GENERATIONS // 2, 3)):
            segments = [subject.save() for _ in range(chance.randrange(1, 4))]
            standby = Standby(self, subject, segments)
            for _ in range(chance.randrange(0, 7)):
                segments.append(subject.save())
                standby.add(segments[-1])
            subject.kill()
            subject.process = standby.begin()
            subject.await_file(f"restored.{subject.round - 1}")
            for segment in segments:
                segment.unlink()
        self.assertEqual(subject.said(), "", f"seed {seed}")

    @unittest.skipUnless(TRACKS, "without tracking there are no deltas")
    def test_a_standby_ends_at_a_delta_that_is_no_good(self):
        subject = Subject(self, megabytes=1, deltas=True)
        base, second, third = (subject.save() for _ in range(3))
        damaged = subject.directory / "damaged"
        content = bytearray(second.read_bytes())
        content[100] ^= 1
        damaged.write_bytes(content)
        damaged.chmod(0o600)
        for path, code in ((third, 2), (damaged, 1), (subject.directory / "nothing", 2)):
            standby = Standby(self, subject, [base])
            standby.add(path)
            self.assertEqual(standby.process.wait(timeout=20), code, subject.said())
        standby = Standby(self, subject, [base])
        standby.updates.close()  # who sent them has ended: it stands by all the same
        subject.kill()
        for name in subject.directory.glob("restored.*"):
            name.unlink()
        subject.process = standby.begin()
        subject.await_file("restored.0")

    def test_a_chain_with_a_segment_missing_or_twice_is_refused(self):
        subject = Subject(self, megabytes=1, deltas=True)
        base, second, third = (subject.save() for _ in range(3))
        subject.kill()
        if TRACKS:
            self.refused([second], 2, "not the first segment")
        self.refused([base, third], 2, "does not follow")
        self.refused([base, second, second], 2, "does not follow")
        self.refused([base, third, second], 2, "does not follow")
        other = Subject(self, megabytes=1, deltas=True)
        other.save()
        self.refused([base, other.save()], 2, "does not follow")
        subject.restore(*((base, second, third) if TRACKS else (third,)))

    def test_who_owns_its_files_appends_to_them_from_where_it_was(self):
        subject = Subject(self, megabytes=1)
        image = subject.save()
        subject.save()
        subject.kill()
        journal = subject.directory / "journal"
        self.assertEqual(journal.read_text(), "round 0\nround 1\n")
        (subject.directory / "owns").touch()
        subject.round = 1
        (subject.directory / "saved.1").unlink()
        subject.restore(image)
        subject.await_file("saved.1")
        self.assertEqual(journal.read_text(), "round 0\nround 1\n", "each round once")
        subject.kill()
        journal.rename(subject.directory / "older")
        journal.write_text("another file, not shorter than the one that it was")
        self.refused([image], 2, "journal is not the file that it was")

    def test_a_file_whose_name_is_anothers_by_now_is_put_back(self):
        subject = Subject(self, megabytes=1)
        (subject.directory / "owns").touch()
        image = subject.save()
        subject.kill()
        journal = subject.directory / "journal"
        journal.rename(subject.directory / "older")
        journal.write_text("another file, not shorter than the one that it was")
        subject.restore(image)
        subject.save()
        self.assertEqual(journal.read_text(), "round 0\nround 1\n")

    def test_a_copy_lives_beside_its_donor(self):
        subject = Subject(self)
        image = subject.save()
        donor = subject.process
        self.addCleanup(lambda: (donor.kill(), donor.wait()))
        subject.restore(image)
        # A round of each, one after the other: they would write the same files.
        copy = subject.process
        copy.kill()
        copy.wait()
        subject.process = donor
        subject.save().unlink()
        (subject.directory / "saved.1").unlink()
        (subject.directory / "go.2").unlink(missing_ok=True)
        subject.process = subject.start([paths.program("auxin-restore"), image])
        subject.await_file("saved.1")
        self.assertIsNone(donor.poll())
        self.assertEqual(subject.said(), "")

    def test_a_method_that_is_not_for_whole_processes_is_refused(self):
        directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        (directory / "go.0").touch()
        done = subprocess.run([paths.program("image_subject"), directory, "3", "1"],
                              env={**os.environ, "AUXIN_CHECKPOINT_METHOD": "fault"},
                              capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 70)
        self.assertIn("method fault is not for whole processes", done.stderr)
        self.assertFalse((directory / "image.0").exists())

    def test_what_the_kernel_shows_of_it(self):
        subject = Subject(self)
        image = subject.save()
        def shown():
            proc = pathlib.Path(f"/proc/{subject.process.pid}")
            threads = sorted((task / "comm").read_text() for task in (proc / "task").iterdir())
            names = {fd.name: os.readlink(fd).split(":")[0].split("/")[-1]
                     for fd in (proc / "fd").iterdir()}
            # The saver's own, which it opens again for the next save.
            ours = [name for name, what in names.items() if int(name) >= 502]
            self.assertLessEqual(len(ours), 2 if TRACKS else 0)
            descriptors = sorted((name, what) for name, what in names.items() if name not in ours)
            status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
            return {"command": (proc / "cmdline").read_bytes(), "threads": threads,
                    "descriptors": descriptors, "comm": (proc / "comm").read_text(),
                    "directory": os.readlink(proc / "cwd"), "mask": status["Umask"],
                    "caught": status["SigCgt"], "ignored": status["SigIgn"]}
        before = shown()
        subject.kill()
        subject.restore(image)
        self.assertEqual(shown(), before)

    def refused(self, segments, status, *words):
        done = subprocess.run([paths.program("auxin-restore"), *map(str, segments)],
                              capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, status, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_a_damaged_image_is_never_restored(self):
        subject = Subject(self, megabytes=1)
        image = subject.save()
        subject.kill()
        whole = image.read_bytes()
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        for _ in range(400 if paths.LONG else 60):
            with self.subTest(seed=seed):
                bad = bytearray(whole)
                kind = chance.randrange(3)
                if kind == 0:     # one bit
                    at = chance.randrange(len(bad))
                    bad[at] ^= 1 << chance.randrange(8)
                elif kind == 1:   # the end is missing
                    del bad[chance.randrange(len(bad)):]
                else:             # a page of zeros, as a hole leaves it
                    at = chance.randrange(len(bad) // 4096) * 4096
                    if not any(bad[at:at + 4096]):
                        continue
                    bad[at:at + 4096] = bytes(4096)
                image.write_bytes(bad)
                done = subprocess.run([paths.program("auxin-restore"), str(image)],
                                      capture_output=True, text=True, timeout=20)
                self.assertIn(done.returncode, (1, 2), f"{kind}: {done.stderr}")
                self.assertTrue(done.stderr.startswith("auxin-restore: "), done.stderr)
        image.write_bytes(whole)
        subject.restore(image)

    def test_an_image_that_others_can_write_is_refused(self):
        subject = Subject(self, megabytes=1)
        image = subject.save()
        self.assertEqual(image.stat().st_mode & 0o777, 0o600)
        image.chmod(0o620)
        self.refused([image], 2, "not writable by anybody else")

    def test_no_image(self):
        self.refused(["/nowhere/image"], 2, "/nowhere/image", "can't be opened")
        self.refused(["/etc/hostname"], 1, "cut short")

    def test_an_image_of_a_binary_that_was_replaced(self):
        subject = Subject.__new__(Subject)
        subject.test, subject.round = self, 0
        subject.directory = paths.scratch_dir()
        subject.errors = open(subject.directory / "errors", "w+")
        self.addCleanup(subject.destroy)
        binary = subject.directory / "subject"
        shutil.copy(paths.program("image_subject"), binary)
        subject.process = subject.start([binary, subject.directory, 3, 1])
        image = subject.save()
        subject.kill()
        content = bytearray(binary.read_bytes())
        note = content.find(struct.pack("<III4s", 4, 20, 3, b"GNU\0"))
        self.assertGreater(note, 0, "a build-id")
        content[note + 16] ^= 1
        binary.write_bytes(content)
        self.refused([image], 2, str(binary), "replaced")

    def test_a_full_disk_leaves_the_process_and_no_image(self):
        # A tmpfs of its own, in a mount namespace that ends with the test's shell.
        script = (
            'mount --make-rprivate / && mount -t tmpfs -o size=700k,mode=700 none "$0" && '
            '"$1" "$0" 3 4 2>"$0/errors" & subject=$!; cd /; sleep 0.5; touch "$0/go.0"; '
            'wait $subject; echo "status $?"; cat "$0/errors"; ls "$0"')
        directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script, str(directory),
             paths.program("image_subject")], capture_output=True, text=True, timeout=60)
        if "Operation not permitted" in done.stderr:
            self.skipTest("no mount namespaces here")
        self.assertIn("can't be written: No space left on device", done.stdout + done.stderr)
        self.assertNotIn("image.0", done.stdout.split("status")[-1].split("errors")[-1])
