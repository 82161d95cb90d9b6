# SPDX-License-Identifier: Apache-2.0
"""A stock client of servers/late_orb_device.py, without a retry.

    late_orb_load.py PORT          adds until its standard input is closed; one JSON line at the end
    late_orb_load.py PORT held     prints what the device holds
"""
import json
import select
import sys

import tango


def main():
    device = tango.DeviceProxy(f"tango://127.0.0.1:{sys.argv[1]}/a/b/c#dbase=no")
    device.set_transparency_reconnection(False)
    if "held" in sys.argv:
        print(device.Held())
        return
    print("RUNNING", flush=True)
    calls, errors, wrong = 0, [], 0
    while not errors and not select.select([sys.stdin], [], [], 0)[0]:
        try:
            calls += 1
            wrong += int(device.Add(1).split()[0]) != calls
        except tango.DevFailed as error:
            errors.append(str(error.args[0].desc))
    print(json.dumps({"calls": calls, "wrong": wrong, "errors": errors}), flush=True)


if __name__ == "__main__":
    main()
