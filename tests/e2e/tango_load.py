# SPDX-License-Identifier: Apache-2.0
"""A stock TANGO client as a program: python3-tango, no retry, one DeviceProxy.

    tango_load.py PORT [commands] [TURNS]

Writes one JSON line when connected and one at the end. Each turn sends a number and a text through
commands and back, and writes attributes unless it is told to call commands only; it ends when its
standard input is closed, or after so many turns. It waits for a device that does not exist yet.
"""
import json
import select
import sys
import time

import tango


def proxy(port, patience_s=30):
    """TANGO listens before it has made its devices."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return tango.DeviceProxy(f"tango://127.0.0.1:{port}/a/b/c#dbase=no")
        except tango.DevFailed:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def main():
    device = proxy(sys.argv[1])
    turns = next((int(word) for word in sys.argv[2:] if word.isdigit()), None)
    device.set_transparency_reconnection(False)
    device.set_source(tango.DevSource.DEV)
    print(json.dumps({"state": str(device.state())}), flush=True)
    calls, errors, wrong, last = 0, [], 0, {}
    turn = 0
    while turn != turns and (turns or not select.select([sys.stdin], [], [], 0)[0]):
        turn += 1
        try:
            wrong += device.command_inout("DevLong", turn) != turn
            wrong += device.command_inout("DevString", f"s{turn}") != f"s{turn}"
            calls += 2
            if "commands" in sys.argv:
                continue
            for name, value in (("ampli", turn / 2), ("long_scalar_w", turn),
                                ("string_scalar", f"text {turn}")):
                device.write_attribute(name, value)
                calls += 1
                last[name] = value
            wrong += device.read_attribute("long_scalar_w").w_value != turn
            calls += 1
        except tango.DevFailed as error:
            errors.append(str(error.args[0].desc))
            break
    print(json.dumps({"calls": calls, "errors": errors, "wrong": wrong, "last": last}), flush=True)


if __name__ == "__main__":
    main()
