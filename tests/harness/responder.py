# SPDX-License-Identifier: Apache-2.0
"""A CORBA server in a few lines that has every object and answers each request with long 1, late.

How long is drawn between two bounds, so that callers with a time limit there see both outcomes.
"""
import random
import socket
import struct
import threading

from . import giop


class LateResponder:
    """with LateResponder(seed, least_s, most_s) as late: …   it listens at late.port"""

    def __init__(self, seed, least_s, most_s):
        self._random, self._least_s, self._most_s = random.Random(seed), least_s, most_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ended = threading.Event()

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with connection, connection.makefile("rb") as stream:
            while header := stream.read(12):
                order = "<" if header[6] & 1 else ">"
                body = stream.read(struct.unpack(order + "I", header[8:12])[0])
                request_id = struct.unpack(order + "I", body[:4])[0]
                if header[7] == giop.LOCATE_REQUEST:
                    reply = giop.message(giop.LOCATE_REPLY, struct.pack("<II", request_id, 1))
                else:
                    reply = giop.message(giop.REPLY, struct.pack(
                        "<IIIi", request_id, giop.NO_EXCEPTION, 0, 1))
                    if self._ended.wait(self._random.uniform(self._least_s, self._most_s)):
                        return
                try:
                    connection.sendall(reply)
                except OSError:
                    return
