# SPDX-License-Identifier: Apache-2.0
"""Prints as one JSON object what a TangoTest device holds: every value a client ever wrote to it.

    tango_state.py PORT
"""
import json
import sys

import tango


def plain(value):
    return value.tolist() if hasattr(value, "tolist") else value


def main():
    device = tango.DeviceProxy(f"tango://127.0.0.1:{sys.argv[1]}/a/b/c#dbase=no")
    device.set_source(tango.DevSource.DEV)
    held = {"state": str(device.state()), "status": device.status()}
    for info in device.attribute_list_query():
        if info.writable in (tango.AttrWriteType.WRITE, tango.AttrWriteType.READ_WRITE,
                             tango.AttrWriteType.READ_WITH_WRITE):
            try:
                held[info.name] = plain(device.read_attribute(info.name).w_value)
            except tango.DevFailed as error:
                held[info.name] = error.args[0].reason
    print(json.dumps(held, sort_keys=True, default=str))


if __name__ == "__main__":
    main()
