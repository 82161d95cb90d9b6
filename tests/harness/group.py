# SPDX-License-Identifier: Apache-2.0
"""A group of replicas under `auxin run`, as a test sees it: start, look, kill, compare, stop.

    with Group(self, command, port=port) as group:
        group.kill_leader(); group.await_promoted(); …

Everything a group starts carries a tag in its environment, so what it leaves behind is found:
leaving the `with` block stops the group and fails the test if anything of it is left.

Thread safety: one thread controls a group; status() may be called from any.
"""
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import uuid

from . import giop, paths, processes

START_TIMEOUT_S = 30
TAKEOVER_TIMEOUT_S = 20
REJOIN_TIMEOUT_S = 90

_ordinal = itertools.count()


class Group:
    def __init__(self, test, command, *, port=None, replicas=3, environment=None, options=(),
                 name=None, state_dir=None, key=None, expect_orderly_end=True,
                 program=None):
        self.test, self.command, self.port, self.replicas = test, list(command), port, replicas
        self.name = name or f"e2e-{os.getpid()}-{next(_ordinal)}"
        self.tag = uuid.uuid4().hex
        self.environment = {**os.environ, processes.TAG: self.tag, **(environment or {})}
        self.options = list(options)
        self.key = key
        self.program = program or paths.program("auxin")
        self.own_state_dir = state_dir is None
        self.state_dir = pathlib.Path(state_dir) if state_dir else paths.scratch_dir()
        self.ready_file = self.state_dir / "ready"
        self.output_path = self.state_dir / "supervisor.out"
        self.errors_path = self.state_dir / "supervisor.err"
        self.expect_orderly_end = expect_orderly_end
        self.supervisor = None
        self.shared_memory_before = set(os.listdir("/dev/shm"))

    # --- life ---

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, kind, error, _traceback):
        try:
            if kind is None and self.expect_orderly_end and self.supervisor.poll() is None:
                status = self.stop()
                self.test.assertIn(status, (0, 128 + signal.SIGTERM, -signal.SIGTERM),
                                   f"auxin run ended with {status}: {self.errors()[-2000:]}")
            if kind is None:
                self.assert_nothing_left()
        finally:
            if kind is not None and issubclass(kind, Exception):  # not an interruption
                print(self.account())
            self.destroy()

    def run_command(self):
        return [self.program, "run", "--name", self.name, "--replicas",
                str(self.replicas), "--state-dir", str(self.state_dir), "--ready-file",
                str(self.ready_file), *self.options, "--", *self.command]

    def launch(self):
        """Starts `auxin run` and does not wait."""
        with open(self.output_path, "ab") as output, open(self.errors_path, "ab") as errors:
            self.supervisor = subprocess.Popen(
                self.run_command(), env=self.environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=errors, start_new_session=True)

    def start(self, timeout_s=START_TIMEOUT_S):
        self.launch()
        self.await_ready_file(timeout_s)

    def await_ready_file(self, timeout_s=START_TIMEOUT_S):
        def ready():
            if self.supervisor.poll() is not None:
                raise AssertionError(f"auxin run ended with status {self.supervisor.returncode}: "
                                     f"{self.errors()[-2000:]}")
            # One that an earlier supervisor left behind holds that one's pid, or is just removed.
            try:
                return self.ready_file.read_text().split()[:1] == [str(self.supervisor.pid)]
            except FileNotFoundError:
                return False
        try:
            processes.await_true(ready, timeout_s, "")
        except AssertionError as error:
            raise AssertionError(f"no ready file of {self.name} with the supervisor's pid in "
                                 f"{timeout_s} s; {error}; {self.account()}") from None
        if self.key:
            giop.await_object(self.port, self.key)

    def stop(self, timeout_s=15):
        """An orderly end by SIGTERM to the supervisor; returns its exit status."""
        self.supervisor.send_signal(signal.SIGTERM)
        try:
            return self.supervisor.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"auxin run did not end within {timeout_s} s of SIGTERM; "
                                 f"{self.account()}") from None

    def kill_everything(self):
        """SIGKILL to supervisor, replicas and whatever else the group consists of, at once."""
        pids = processes.tagged(self.tag)
        for pid in pids:
            processes.kill(pid, signal.SIGSTOP)
        for pid in pids + processes.tagged(self.tag):
            processes.kill(pid)
        self.supervisor.wait()
        processes.await_true(lambda: not processes.tagged(self.tag), 5, "all of it is dead")

    def destroy(self):
        """Leaves nothing, whatever state the group is in. Never fails."""
        for _ in range(50):
            left = processes.tagged(self.tag)
            if not left:
                break
            for pid in left:
                processes.kill(pid)
            time.sleep(0.02)
        if self.supervisor is not None:
            self.supervisor.wait()
        if self.own_state_dir:
            shutil.rmtree(self.state_dir, ignore_errors=True)

    def assert_nothing_left(self):
        def quiet():
            return not processes.tagged(self.tag)
        try:
            processes.await_true(quiet, 5, "no process left")
        except AssertionError:
            left = {pid: processes.command_line(pid) for pid in processes.tagged(self.tag)}
            raise AssertionError(f"processes left behind: {left}") from None
        if self.port:
            # A process is gone from /proc before all its descriptors are closed.
            processes.await_true(lambda: not processes.listening(self.port), 5,
                                 "the port is not listened on any more")
        new = set(os.listdir("/dev/shm")) - self.shared_memory_before - {self.state_dir.name}
        ours = {name for name in new if "auxin" in name and not name.startswith("auxin-test-")}
        self.test.assertFalse(ours, "files left in /dev/shm")
        self.test.assertFalse(self.ready_file.exists(), "the ready file is removed at the end")
        sockets = [line for line in pathlib.Path("/proc/net/unix").read_text().splitlines()
                   if str(self.state_dir) in line]
        self.test.assertFalse(sockets, "sockets left behind")

    # --- looking ---

    def auxin(self, *arguments, timeout_s=30):
        return subprocess.run(
            [self.program, *arguments, "--state-dir", str(self.state_dir)],
            env=self.environment, capture_output=True, text=True, timeout=timeout_s)

    def popen(self, *arguments):
        """As auxin(), without waiting for it."""
        return subprocess.Popen(
            [self.program, *arguments, "--state-dir", str(self.state_dir)], env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def status(self):
        """`auxin status NAME --json`."""
        done = self.auxin("status", self.name, "--json")
        self.test.assertEqual(done.returncode, 0, f"auxin status: {done.stderr}")
        return json.loads(done.stdout)

    def locks(self):
        done = self.auxin("locks", self.name, "--for", "0", "--json")
        self.test.assertEqual(done.returncode, 0, f"auxin locks: {done.stderr}")
        return json.loads(done.stdout)

    def settled_locks(self):
        """The lock counts once they have stopped changing: the leader publishes them in batches."""
        seen = [None]

        def settled():
            seen.append(self.locks())
            time.sleep(0.2)  # longer than the leader takes between two publications
            return seen[-1] == seen[-2]
        processes.await_true(settled, 10, f"the lock counts settle; {self.account()}")
        return seen[-1]

    def leader(self, status=None):
        """The leader's row of the status, or None while there is none."""
        for replica in (status or self.status())["replicas"]:
            if replica["role"] == "leader" and processes.alive(replica["pid"]):
                return replica
        return None

    def await_leader(self, other_than_pid=None, timeout_s=TAKEOVER_TIMEOUT_S):
        def led():
            leader = self.leader()
            return leader if leader and leader["pid"] != other_than_pid else None
        return processes.await_true(led, timeout_s, f"a leader other than {other_than_pid}; "
                                    f"{self.account()}")

    def followers(self, status=None):
        return [replica for replica in (status or self.status())["replicas"]
                if replica["role"] == "follower"]

    def await_all_ready(self, timeout_s=REJOIN_TIMEOUT_S, followers=None):
        """Until there is a leader and all others follow it closely."""
        wanted = self.replicas - 1 if followers is None else followers

        def complete():
            status = self.status()
            close = [replica for replica in self.followers(status) if replica["lag"] <= 200]
            return status if self.leader(status) and len(close) == wanted else None
        try:
            return processes.await_true(
                complete, timeout_s, f"one leader and {wanted} followers close to it")
        except AssertionError as failure:
            raise AssertionError(f"{failure}; {self.account()}") from None

    def await_caught_up(self, timeout_s=REJOIN_TIMEOUT_S):
        """Until every follower has consumed the whole log (the load must have stopped)."""
        def caught_up():
            status = self.status()
            rows = self.followers(status)
            return status if rows and all(row["lag"] == 0 for row in rows) else None
        return processes.await_true(caught_up, timeout_s, f"lag 0; {self.account()}")

    # --- killing ---

    def kill_leader(self, number=signal.SIGKILL):
        """Kills the leader of this moment; returns its pid."""
        pid = self.await_leader()["pid"]
        processes.kill(pid, number)
        return pid

    def replace_leader(self, timeout_s=TAKEOVER_TIMEOUT_S):
        """Kills the leader and waits for the next; returns the new leader's row."""
        return self.await_leader(other_than_pid=self.kill_leader(), timeout_s=timeout_s)

    def read_through_each(self, read):
        """Promotes each replica in turn and calls read(id) while it leads: {id: what read said}.

        The winner of an election is the group's choice, so leaders are killed until all have led.
        """
        seen = {}
        for _ in range(8 * self.replicas):
            leader = self.await_leader()
            if leader["id"] not in seen:
                seen[leader["id"]] = read(leader["id"])
            if len(seen) == self.replicas:
                return seen
            self.await_all_ready()
            self.replace_leader()
        raise AssertionError(f"only replicas {sorted(seen)} came to lead; {self.account()}")

    # --- judging ---

    def assert_same_through_each(self, read):
        """Every replica, promoted in turn, says the same; returns it."""
        said = self.read_through_each(read)
        values = list(said.values())
        for value in values[1:]:
            self.test.assertEqual(value, values[0], f"the replicas differ: {said}")
        return values[0]

    def assert_no_mismatch(self):
        status = self.status()
        self.test.assertEqual([row["mismatches"] for row in status["replicas"]],
                              [0] * self.replicas, f"{status}")
        self.test.assertNotIn("diverged", [row["role"] for row in status["replicas"]])
        return status

    # --- telling ---

    def errors(self):
        return self.errors_path.read_text(errors="replace") if self.errors_path.exists() else ""

    def output(self):
        return self.output_path.read_text(errors="replace") if self.output_path.exists() else ""

    def account(self):
        """What a failed test's reader wants to know."""
        lines = [f"--- group {self.name}: {' '.join(self.command)}"]
        try:
            done = self.auxin("status", self.name, "--json", timeout_s=5)
            lines.append(done.stdout or done.stderr)
        except (OSError, subprocess.SubprocessError, RuntimeError) as error:
            lines.append(f"no status: {error}")
        lines += [f"{pid}: {processes.command_line(pid)}" for pid in processes.tagged(self.tag)]
        lines += ["--- its standard error:", self.errors()[-4000:]]
        return "\n".join(lines)
