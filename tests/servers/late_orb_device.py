#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A TANGO device in Python: the interpreter loads the ORB long after it has begun to run, and the
clock is read by a program that was there before it.

    late_orb_device.py INSTANCE -nodb -dlist a/b/c -ORBendPoint giop:tcp::PORT
"""
import hashlib
import time

from tango.server import Device, command, run


class Counter(Device):
    def init_device(self):
        super().init_device()
        self.total = 0
        self.journal = hashlib.sha256()

    @command(dtype_in=int, dtype_out=str)
    def Add(self, amount):
        self.total += amount
        self.journal.update(f"{self.total} at {time.time()}".encode())
        return f"{self.total} {time.time()}"

    @command(dtype_out=str)
    def Held(self):
        return f"{self.total} {self.journal.hexdigest()}"


if __name__ == "__main__":
    run((Counter,))
