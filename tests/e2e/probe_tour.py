#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A load for the probe server: comes by whatever a join-point map has to know of.

    probe_tour.py PORT
"""
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import giop, paths, server  # noqa: E402

CLIENTS, ROUNDS = 4, 12


def tour(port, other_port, number):
    other = giop.Reference.of_key("127.0.0.1", other_port, giop.Probe.KEY,
                                  "IDL:probe.test/probing/Probe:1.0")
    giop.await_object(port, giop.Probe.KEY)  # by a LocateRequest
    with giop.Probe(port) as probe:
        for round_number in range(ROUNDS):
            probe.add(number)
            cell = probe.activate()
            probe.connection.call(probe.KEY, "deactivate",
                                  lambda out, cell=cell: out.reference(cell))
            probe.echo(bytes(100 * round_number))
            probe.number("by_recursive_mutex", number)
            probe.number("by_omni_semaphore", number)
            probe.connection.call(probe.KEY, "call_out",
                                  lambda out: out.reference(other).long(1))
            probe.state()


def main():
    port, other_port = int(sys.argv[1]), paths.free_port()
    with server.plain_probe(other_port):
        clients = [threading.Thread(target=tour, args=(port, other_port, number))
                   for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()


if __name__ == "__main__":
    main()
