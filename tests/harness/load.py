# SPDX-License-Identifier: Apache-2.0
"""Load on a probe server by raw GIOP clients that never retry: one connection and thread each.

Each thread runs until stopped, keeps what it was answered, and records the first error. As with a
stock client, one lost, doubled or reset byte on its connection is an error.
"""
import threading
import time

from . import giop


class ProbeLoad:
    """with ProbeLoad(port, clients=4) as load: …   then load.assert_clean(test)

    `step(probe, client, turn)` makes one call (default: add(1)); its results are in
    load.answers[client], its longest wait for an answer in load.longest_gap_s.
    """

    def __init__(self, port, clients=2, step=None, pause_s=0.0):
        self.port, self.clients, self.pause_s = port, clients, pause_s
        self.step = step or (lambda probe, client, turn: probe.add(1))
        self.answers = [[] for _ in range(clients)]
        self.errors = []
        self.names = []
        self.longest_gap_s = 0.0
        self._stop = threading.Event()
        self._threads = []

    def __enter__(self):
        begun = threading.Barrier(self.clients + 1)
        self._threads = [threading.Thread(target=self._run, args=(client, begun), daemon=True)
                         for client in range(self.clients)]
        for thread in self._threads:
            thread.start()
        begun.wait(10)
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(40)
            if thread.is_alive():
                self.errors.append("a client still waits for an answer")

    def _run(self, client, begun):
        try:
            probe = giop.Probe(self.port)
        except OSError as error:
            self.errors.append(f"client {client}: {error!r}")
            begun.wait(10)
            return
        with probe:
            self.names.append(probe.connection.names)
            begun.wait(10)
            turn = 0
            while not self._stop.is_set():
                sent = time.monotonic()
                try:
                    self.answers[client].append(self.step(probe, client, turn))
                except (OSError, giop.GiopError, giop.SystemException, giop.UserException) as error:
                    self.errors.append(f"client {client}, call {turn}: {error!r}")
                    return
                self.longest_gap_s = max(self.longest_gap_s, time.monotonic() - sent)
                turn += 1
                if self.pause_s:
                    self._stop.wait(self.pause_s)
            if probe.connection.socket.getsockname() != probe.connection.names[0]:
                self.errors.append(f"client {client}: its address changed")

    @property
    def calls(self):
        return sum(len(each) for each in self.answers)

    def await_calls(self, number, timeout_s=30):
        """Until `number` more calls were answered."""
        wanted = self.calls + number
        end = time.monotonic() + timeout_s
        while self.calls < wanted and not self.errors:
            if time.monotonic() > end:
                raise AssertionError(f"{self.calls} of {wanted} calls answered in {timeout_s} s")
            time.sleep(0.002)

    def assert_clean(self, test):
        test.assertEqual(self.errors, [], "errors seen by clients")
        test.assertGreater(self.calls, 0, "the load did something")

    def assert_exactly_once(self, test, start=0):
        """For add(1): each answer is another sum, and all together are start+1 … start+calls."""
        self.assert_clean(test)
        sums = sorted(value for each in self.answers for value in each)
        test.assertEqual(sums, list(range(start + 1, start + 1 + len(sums))),
                         "acknowledged additions are there exactly once")
        for each in self.answers:
            test.assertEqual(each, sorted(each), "one client's sums rise")
        return start + len(sums)
