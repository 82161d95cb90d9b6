# SPDX-License-Identifier: Apache-2.0
"""bank_load, the bank's own stock load generator, run beside a test that kills leaders.

It calls without retry, checks every acknowledged call against the bank's statements at the end,
and reports as JSON what its clients saw of each kill.
"""
import json
import shutil
import time

from . import paths, processes, stock_client


class BankLoad:
    """with BankLoad(port, clients=4) as load: …; load.kill(pid); load.finish()

    Runs until finish() (at most `seconds`).
    """

    def __init__(self, port, clients=1, mix="mixed", rate_per_s=0, traced=False,
                 seconds=3600 if paths.LONG else 600, options=()):
        self.directory = paths.scratch_dir()
        self.kill_times = self.directory / "kills"
        self.kill_times.write_text("")
        self.json = self.directory / "report.json"
        self.clients = clients
        self.client = stock_client.StockClient(
            [paths.program("bank_load"), f"127.0.0.1:{port}", "--seconds", str(seconds),
             "--clients", str(clients), "--mix", mix, "--rate", str(rate_per_s),
             "--json", str(self.json), "--kill-times-file", str(self.kill_times), *options],
            port, traced=traced)

    def __enter__(self):
        self.client.__enter__()
        return self

    def __exit__(self, *_):
        self.client.__exit__()
        shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self, pid):
        """SIGKILL to a server process, at a moment whose consequences the report will tell."""
        begun_ns = time.monotonic_ns()
        processes.kill(pid)
        with open(self.kill_times, "a") as file:
            file.write(f"{begun_ns}\n")

    def let_run(self, seconds):
        """Lets the load be load for a while; fails if it has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.client.process.poll() is not None:
                raise AssertionError(f"bank_load ended early: {self.finish()}")
            time.sleep(min(0.05, seconds))

    def finish(self, timeout_s=60):
        """Ends the load (SIGINT) and returns its report; `connects` from the trace if traced."""
        if self.client.process.poll() is None:
            self.client.interrupt()
        status, out, err = self.client.finish(timeout_s)
        if not self.json.exists():
            raise AssertionError(f"bank_load ended with {status} and no report: {out} {err}")
        report = json.loads(self.json.read_text())
        report["exit_status"], report["text"] = status, out + err
        if self.client.traced:
            report["connects"] = self.client.connects()
        return report
