# SPDX-License-Identifier: Apache-2.0
"""What scripts/demo shows, once everything is built. See there."""
import argparse
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from harness import giop, group, paths, stock_load  # noqa: E402

RATE = 2000  # calls a second, of all clients together
STEADY_S = 1.5  # of load before each kill


def say(text=""):
    print(text, flush=True)


def fingerprint(port):
    with giop.Connection("127.0.0.1", port) as connection:
        return connection.call(b"Bank", "fingerprint").string()


def show_locks(bank_group):
    done = bank_group.auxin("locks", bank_group.name, "--for", "0")
    say(done.stdout.rstrip() or done.stderr.rstrip())


def run(kills, clients):
    """Returns the list of what was wrong; empty is success."""
    wrong = []
    judge = unittest.TestCase()
    judge.maxDiff = None
    port = paths.free_port()
    command = [paths.program("bank_server"), "-ORBendPoint", f"giop:tcp:127.0.0.1:{port}"]
    say(f"auxin run --replicas 3 -- {' '.join(command)}")
    with group.Group(judge, command, port=port, key=b"Bank", name="bank") as bank_group:
        for row in bank_group.status()["replicas"]:
            say(f"  replica {row['id']}  pid {row['pid']}  {row['role']}")
        say(f"bank_load 127.0.0.1:{port} --clients {clients} --mix mixed --rate {RATE}   "
            "(stock clients: not preloaded, no retry)")
        with stock_load.BankLoad(port, clients, "mixed", rate_per_s=RATE) as bank_load:
            for turn in range(kills):
                bank_load.let_run(STEADY_S)
                leader = bank_group.await_leader()
                bank_load.kill(leader["pid"])
                successor = bank_group.await_leader(other_than_pid=leader["pid"])
                say(f"  kill {turn + 1} of {kills}: SIGKILL to replica {leader['id']} "
                    f"(pid {leader['pid']}); replica {successor['id']} leads")
                bank_group.await_all_ready()
            bank_load.let_run(STEADY_S / 2)
            say("the load ends; its calls are checked against every account's statement ...")
            report = bank_load.finish()

        say(f"\ncalls made               {report['calls']}  "
            f"({report['acknowledged_per_s']:.0f} a second)")
        say(f"errors seen by clients   {report['errors']}")
        say(f"lost or doubled          {report['violations']}")
        first_ms = [kill["first_reply_us"] / 1000 for kill in report["kills"] if kill["covered"]]
        said = ", ".join(f"{each:.1f}" for each in first_ms)
        say(f"first reply after kill   {said} ms  (median {statistics.median(first_ms):.1f} ms)"
            if first_ms else "first reply after kill   none")
        if report["errors"] or report["violations"] or not report["good"]:
            wrong.append("the clients saw something: " + report["text"])
        if len(first_ms) != kills:
            wrong.append(f"replies came after {len(first_ms)} of {kills} kills")

        say("\nthe replicas' state, each read while it leads:")
        states = bank_group.read_through_each(lambda _: fingerprint(port))
        for replica, state in sorted(states.items()):
            say(f"  replica {replica}  {state.splitlines()[0]}")
        if len(set(states.values())) != 1:
            wrong.append("the replicas' states differ")
        status = bank_group.status()
        compared = sum(row["compared"] for row in status["replicas"])
        mismatched = sum(row["mismatches"] for row in status["replicas"])
        say(f"  replies compared by followers {compared}, different {mismatched}")
        if mismatched:
            wrong.append("a follower's replies differed")
        if set(states.values()) != {report["fingerprint"]}:
            wrong.append("the state is not the one that the load left behind")

        say("\nintercepted against total locks (auxin locks bank):")
        show_locks(bank_group)
    return wrong


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--clients", type=int, default=4)
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    try:
        wrong = run(arguments.kills, arguments.clients)
    except KeyboardInterrupt:
        say("\ninterrupted; nothing is left behind")
        return 130
    except (AssertionError, RuntimeError, OSError, subprocess.SubprocessError,
            giop.GiopError, json.JSONDecodeError) as error:
        wrong = [str(error)]
    for each in wrong:
        say(f"WRONG: {each}")
    say("\n" + ("the demo failed" if wrong else
                "no client noticed that its server died " + str(arguments.kills) + " times"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
