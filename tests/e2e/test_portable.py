# SPDX-License-Identifier: Apache-2.0
"""Portable images: a servant's own get_state, get_update, set_state, set_update. Taken under load,
given to a fresh process, also of another binary."""
import contextlib
import json
import random
import shutil
import signal
import subprocess
import threading
import unittest

from harness import giop, group, paths, processes

KEY = b"Ledger"


def add(connection, name, amount):
    return connection.call(KEY, "add",
                           lambda out: out.string(name).longlong(amount)).longlong()


class Clients:
    """Threads that add to names of their own until they are told to end."""

    def __init__(self, port, count=3):
        self.port, self.ending, self.calls = port, threading.Event(), [0] * count
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(count)]
        self.errors = []

    def run(self, number):
        try:
            with giop.Connection("127.0.0.1", self.port) as connection:
                while not self.ending.is_set():
                    self.calls[number] += 1
                    name = f"client-{number}-{self.calls[number] % 50}"
                    add(connection, name, self.calls[number])
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def await_calls(self, more):
        before = sum(self.calls)
        processes.await_true(lambda: sum(self.calls) > before + more or self.errors, 30,
                             "the clients' calls")


class PortableTest(unittest.TestCase):
    timeout_s = 200

    def setUp(self):
        self.directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.image = self.directory / "ledger.image"
        self.port = paths.free_port()

    def group(self, *arguments, program="ledger_server", options=(), objects=None, every_s=0,
              **more):
        reference = f"corbaloc::127.0.0.1:{self.port}/Ledger"
        config = self.directory / "config.toml"
        config.write_text(f'[checkpoint]\nobjects = {json.dumps(objects or [reference])}\n'
                          f'portable_file = "{self.image}"\nportable_every_s = {every_s}\n',
                          encoding="utf-8")
        command = [paths.program(program), *arguments, "-ORBendPoint",
                   f"giop:tcp:127.0.0.1:{self.port}"]
        return group.Group(self, command, port=self.port, key=KEY,
                           options=["--config", str(config), *options], **more)

    def restored(self, **more):
        self.port = paths.free_port()
        return self.group(options=["--state-from", str(self.image)], **more)

    def take(self, running, *options):
        done = running.auxin("checkpoint", running.name, "--portable", "--json", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def state(self):
        with giop.Connection("127.0.0.1", self.port) as connection:
            return connection.call(KEY, "get_state").octets()

    def state_under_load(self, running):
        """Images while clients work, the last one when they have ended; the state then."""
        with Clients(self.port) as clients:
            updates = []
            for _ in range(4):
                clients.await_calls(100)
                updates.append(self.take(running)["objects"][0]["updates"])
        self.assertEqual(updates[:2], [0, 1])  # later ones may be larger than the state
        self.assertEqual(clients.errors, [])
        self.take(running)
        return self.state()

    @contextlib.contextmanager
    def killed_at_the_end(self, **more):
        running = self.group(expect_orderly_end=False, **more)
        try:
            running.start()
            yield running
            running.kill_everything()
        finally:
            running.destroy()

    def kill_with_state(self, **more):
        with self.killed_at_the_end(**more) as running:
            state = self.state_under_load(running)
        self.assertGreater(len(state), 1000)
        return state

    def test_a_fresh_process_has_the_state_of_the_killed_one(self):
        state = self.kill_with_state()
        with self.restored() as running:
            self.assertEqual(self.state(), state)
            running.replace_leader()
            self.assertEqual(self.state(), state)
            running.await_all_ready()
            running.assert_no_mismatch()

    def test_a_binary_with_another_layout_has_the_same_state(self):
        state = self.kill_with_state()
        with self.restored(program="ledger_server_vector"):
            self.assertEqual(self.state(), state)

    def test_a_server_without_a_log_gives_and_takes_its_state(self):
        style = {"replicas": 1}
        with self.killed_at_the_end(options=["--style", "none"], **style) as running:
            state = self.state_under_load(running)
        self.port = paths.free_port()
        with self.group(options=["--style", "none", "--state-from", str(self.image)], **style):
            self.assertEqual(self.state(), state)

    def test_images_are_listed_with_what_they_hold(self):
        with self.group() as running:
            self.take(running)
            listed = running.auxin("checkpoints", running.name, "--json")
            image, = [each for each in json.loads(listed.stdout) if each.get("portable")]
            self.assertTrue(image["usable"])
            self.assertEqual(image["objects"][0]["interface"], "IDL:omg.org/FT/Updateable:1.0")
            self.assertIn("portable image", running.auxin("checkpoints", running.name).stdout)

    def test_images_are_taken_by_the_group_itself(self):
        with self.group(every_s=1) as running:
            processes.await_true(self.image.exists, 20, f"an image; {running.account()}")

    def test_an_object_without_an_update_gives_its_state(self):
        with self.group("--no-update") as running:
            for _ in range(3):
                self.assertEqual(self.take(running)["objects"][0]["updates"], 0)

    def test_a_running_group_is_given_a_state(self):
        apart = self.directory / "apart.image"

        def restore(running, status, *options):
            done = running.auxin("restore", running.name, "--portable", *options)
            self.assertEqual(done.returncode, status, done.stderr)
            return done.stderr
        with self.group() as running, giop.Connection("127.0.0.1", self.port) as connection:
            for number in range(20):
                add(connection, f"name-{number}", number)
            self.take(running)
            add(connection, "name-1", 100)
            self.assertEqual(self.take(running)["objects"][0]["updates"], 1)
            state = connection.call(KEY, "get_state").octets()
            add(connection, "name-2", 100)
            restore(running, 0)
            self.assertEqual(connection.call(KEY, "get_state").octets(), state)
            # Its updates follow what was given to it, not what was taken from it.
            add(connection, "name-3", 100)
            self.assertEqual(self.take(running)["objects"][0]["updates"], 0)
            self.take(running, "--file", str(apart))
            nobody = f"corbaloc::127.0.0.1:{self.port}/Nobody"
            self.assertIn("OBJECT_NOT_EXIST", restore(running, 2, "--file", str(apart), "--object",
                                                      nobody, "--timeout", "0.2"))
            content = bytearray(apart.read_bytes())
            content[len(content) // 2] ^= 1
            apart.write_bytes(content)
            self.assertIn("damaged", restore(running, 1, "--file", str(apart)))
            running.assert_same_through_each(lambda _: self.state())
            running.assert_no_mismatch()

    def test_a_state_for_a_file_apart_takes_nothing_from_the_groups_own_image(self):
        with self.killed_at_the_end() as running:
            def add_one(name, amount):
                with giop.Connection("127.0.0.1", self.port) as connection:
                    add(connection, name, amount)
            for number in range(20):
                add_one(f"name-{number}", number)
            self.take(running)
            add_one("before", 1)
            self.take(running, "--file", str(self.directory / "apart.image"))
            add_one("after", 2)
            # An update would be of what came after only: "before" is in the file apart.
            self.assertEqual(self.take(running)["objects"][0]["updates"], 0)
            add_one("last", 3)
            self.assertEqual(self.take(running)["objects"][0]["updates"], 1)
            state = self.state()
        with self.restored():
            self.assertEqual(self.state(), state)

    def test_an_object_without_a_state_is_refused_and_the_image_stays(self):
        self.kill_with_state()
        before = self.image.read_bytes()
        with self.group("--no-state") as running:
            done = running.auxin("checkpoint", running.name, "--portable")
            self.assertEqual(done.returncode, 2)
            self.assertIn("NoStateAvailable", done.stderr)
        self.assertEqual(self.image.read_bytes(), before)

    def refused_run(self, status, sentence, arguments=(), **more):
        self.port = paths.free_port()
        running = self.group(*arguments, options=["--state-from", str(self.image)],
                             expect_orderly_end=False, **more)
        try:
            running.launch()
            self.assertEqual(running.supervisor.wait(60), status, running.errors())
            self.assertIn(sentence, running.errors())
            self.assertFalse(running.ready_file.exists())
            processes.await_true(lambda: not processes.tagged(running.tag), 5, "nothing is left")
        finally:
            running.destroy()

    def test_a_damaged_image_is_said_to_be(self):
        self.kill_with_state()
        content = bytearray(self.image.read_bytes())
        content[random.randrange(len(content))] ^= 1
        self.image.write_bytes(content)
        self.refused_run(1, "damaged")

    def test_an_object_that_is_not_there_is_refused(self):
        self.kill_with_state()
        self.refused_run(2, "refused", objects=[f"corbaloc::127.0.0.1:{paths.free_port()}/Nobody"])

    def test_a_state_that_the_object_does_not_take_is_refused(self):
        self.kill_with_state()
        self.refused_run(2, "IDL:omg.org/FT/InvalidState:1.0", arguments=["--refuse-state"])

    def test_takers_that_are_killed_leave_the_last_image_whole(self):
        chance = random.Random(paths.seed())
        with self.killed_at_the_end(every_s=1) as running:
            self.take(running)
            with Clients(self.port) as clients:
                for _ in range(20):
                    taker = running.popen("checkpoint", running.name, "--portable")
                    try:
                        taker.wait(chance.uniform(0, 0.03))
                    except subprocess.TimeoutExpired:
                        processes.kill(taker.pid, signal.SIGKILL)
                        taker.wait()
                    listed = running.auxin("checkpoints", running.name, "--json")
                    image, = [each for each in json.loads(listed.stdout) if each.get("portable")]
                    self.assertTrue(image["usable"], image)
            self.assertEqual(clients.errors, [])
            processes.await_true(lambda: running.auxin(
                "checkpoint", running.name, "--portable").returncode == 0, 20, "an image")
            state = self.state()
            processes.kill(running.supervisor.pid, signal.SIGKILL)
        with self.restored():
            self.assertEqual(self.state(), state)


if __name__ == "__main__":
    unittest.main()
