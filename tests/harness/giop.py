# SPDX-License-Identifier: Apache-2.0
"""A small GIOP client over raw sockets: says exactly what it sends, keeps exactly what it gets.

The tests use it where a stock ORB would hide something: request ids, fragments, several requests
outstanding on one connection, byte order, half a message, the bytes of a reply. GIOP 1.0 to 1.2.

Thread safety: none; one Connection per thread.
"""
import socket
import struct
import time

REQUEST, REPLY, CANCEL, LOCATE_REQUEST, LOCATE_REPLY, CLOSE, ERROR, FRAGMENT = range(8)
NO_EXCEPTION, USER_EXCEPTION, SYSTEM_EXCEPTION, LOCATION_FORWARD = range(4)


class GiopError(Exception):
    """The connection ended, or what came is not GIOP."""


class UserException(Exception):
    pass


class SystemException(Exception):
    def __init__(self, name, minor, completed):
        super().__init__(f"{name} minor {minor:#x} completed {completed}")
        self.name, self.minor, self.completed = name, minor, completed


class Encoder:
    """CDR output. `offset` is where the first byte will stand, for alignment."""

    def __init__(self, little=True, offset=0):
        self.bytes, self.order, self.offset = bytearray(), "<" if little else ">", offset
        self.little = little

    def align(self, size):
        self.bytes += bytes(-(self.offset + len(self.bytes)) % size)

    def put(self, code, value):
        self.align(struct.calcsize("=" + code))
        self.bytes += struct.pack(self.order + code, value)
        return self

    def octet(self, value):
        return self.put("B", value)

    boolean = octet

    def long(self, value):
        return self.put("i", value)

    def ulong(self, value):
        return self.put("I", value)

    def longlong(self, value):
        return self.put("q", value)

    def octets(self, value):
        self.ulong(len(value))
        self.bytes += value
        return self

    def string(self, value):
        return self.octets(value.encode("latin-1") + b"\0")

    def reference(self, reference):
        """An object reference as it was received (see Decoder.reference)."""
        self.string(reference.type_id).ulong(len(reference.profiles))
        for tag, data in reference.profiles:
            self.ulong(tag).octets(data)
        return self


class Decoder:
    def __init__(self, data, little=True, position=0):
        self.data, self.position, self.little = data, position, little
        self.order = "<" if little else ">"

    def align(self, size):
        self.position += -self.position % size

    def get(self, code):
        size = struct.calcsize("=" + code)
        self.align(size)
        value, = struct.unpack_from(self.order + code, self.data, self.position)
        self.position += size
        return value

    def octet(self):
        return self.get("B")

    def long(self):
        return self.get("i")

    def ulong(self):
        return self.get("I")

    def longlong(self):
        return self.get("q")

    def ulonglong(self):
        return self.get("Q")

    def double(self):
        return self.get("d")

    def octets(self):
        size = self.ulong()
        value = bytes(self.data[self.position:self.position + size])
        if len(value) != size:
            raise GiopError("a sequence is longer than its message")
        self.position += size
        return value

    def string(self):
        return self.octets()[:-1].decode("latin-1")

    def words(self):
        return [self.ulong() for _ in range(self.ulong())]

    def reference(self):
        type_id = self.string()
        return Reference(type_id, [(self.ulong(), self.octets()) for _ in range(self.ulong())])


class Reference:
    """An object reference: type, tagged profiles; host, port and key of the first IIOP profile."""

    def __init__(self, type_id, profiles):
        self.type_id, self.profiles = type_id, profiles
        self.host = self.port = self.key = None
        for tag, data in profiles:
            if tag == 0:
                inside = Decoder(data, little=bool(data[0]), position=1)
                inside.octet(), inside.octet()  # version
                self.host = inside.string()
                self.port = inside.get("H")
                self.key = inside.octets()
                break

    @staticmethod
    def of_key(host, port, key, type_id=""):
        """The reference that corbaloc:iiop:HOST:PORT/KEY stands for."""
        inside = Encoder()
        inside.octet(1).octet(1).octet(2).string(host).put("H", port).octets(key).ulong(0)
        return Reference(type_id, [(0, bytes(inside.bytes))])

    @staticmethod
    def of_string(text):
        """From IOR:…"""
        data = bytes.fromhex(text.strip()[4:])
        return Decoder(data, little=bool(data[0]), position=1).reference()


def message(kind, body, little=True, version=(1, 2), more=False):
    flags = (1 if little else 0) | (2 if more else 0)
    return (b"GIOP" + bytes([version[0], version[1], flags, kind]) +
            struct.pack("<I" if little else ">I", len(body)) + body)


def request(request_id, key, operation, arguments=None, *, response=True, little=True,
            version=(1, 2)):
    """The bytes of a Request message. `arguments` is called with the Encoder of the body."""
    out = Encoder(little, 12)
    if version >= (1, 2):
        out.ulong(request_id).octet(3 if response else 0)
        out.bytes += b"\0\0\0"
        out.put("H", 0)
        out.octets(key).string(operation).ulong(0)
        if arguments:
            out.align(8)
    else:
        out.ulong(0).ulong(request_id).octet(1 if response else 0)
        if version == (1, 1):
            out.bytes += b"\0\0\0"
        out.octets(key).string(operation).octets(b"")
    if arguments:
        arguments(out)
    return message(REQUEST, bytes(out.bytes), little, version)


def fragments(whole, size):
    """A GIOP 1.2 Request message cut into a first part and Fragment messages of `size` bytes."""
    little = bool(whole[6] & 1)
    body, request_id = whole[12:], whole[12:16]
    size -= size % 8
    yield message(whole[7], body[:size], little, more=len(body) > size)
    position = size
    while position < len(body):
        part = body[position:position + size]
        position += size
        yield message(FRAGMENT, request_id + part, little, more=position < len(body))


class Connection:
    """One TCP connection to a server."""

    def __init__(self, host, port, timeout_s=30.0):
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.next_id = 2
        self.names = (self.socket.getsockname(), self.socket.getpeername())
        self.received_bytes = 0

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def read_exactly(self, size):
        parts = bytearray()
        while len(parts) < size:
            part = self.socket.recv(size - len(parts))
            if not part:
                raise GiopError(f"end of file after {len(parts)} of {size} bytes")
            parts += part
        self.received_bytes += size
        return bytes(parts)

    def read_raw(self):
        """One message: header and body, as they came."""
        header = self.read_exactly(12)
        if header[:4] != b"GIOP":
            raise GiopError(f"not GIOP: {header!r}")
        size, = struct.unpack("<I" if header[6] & 1 else ">I", header[8:12])
        return header + self.read_exactly(size)

    def read_message(self):
        """A message, its fragments joined: (kind, version, little, bytes from the header on)."""
        whole = self.read_raw()
        little = bool(whole[6] & 1)
        more = whole[6] & 2
        joined = bytearray(whole)
        while more:
            part = self.read_raw()
            if part[7] != FRAGMENT:
                raise GiopError("a fragment was expected")
            joined += part[16 if tuple(part[4:6]) >= (1, 2) else 12:]
            more = part[6] & 2
        return whole[7], (whole[4], whole[5]), little, bytes(joined)

    def send_request(self, key, operation, arguments=None, **options):
        """Sends a request and returns its id."""
        request_id = options.pop("request_id", None)
        if request_id is None:
            request_id, self.next_id = self.next_id, self.next_id + 2
        self.send(request(request_id, key, operation, arguments, **options))
        return request_id

    def read_reply(self):
        """The next Reply: (request id, Decoder at its result). Exceptions are raised."""
        kind, version, little, data = self.read_message()
        if kind != REPLY:
            raise GiopError(f"a Reply was expected, message {kind} came")
        inside = Decoder(data, little, 12)
        if version >= (1, 2):
            request_id, status = inside.ulong(), inside.ulong()
        for _ in range(inside.ulong()):
            inside.ulong(), inside.octets()
        if version < (1, 2):
            request_id, status = inside.ulong(), inside.ulong()
        elif inside.position < len(data):
            inside.align(8)
        if status == NO_EXCEPTION:
            return request_id, inside
        name = inside.string()
        if status == SYSTEM_EXCEPTION:
            raise SystemException(name, inside.ulong(), inside.ulong())
        if status == USER_EXCEPTION:
            raise UserException(name)
        raise GiopError(f"reply status {status}")

    def call(self, key, operation, arguments=None, **options):
        """A request and its reply."""
        wanted = self.send_request(key, operation, arguments, **options)
        request_id, inside = self.read_reply()
        if request_id != wanted:
            raise GiopError(f"reply to request {request_id} instead of {wanted}")
        return inside


def await_object(port, key, timeout_s=20, host="127.0.0.1"):
    """Until the server knows the object: servers listen before they have activated theirs."""
    end = time.monotonic() + timeout_s
    body = struct.pack("<IHHI", 0, 0, 0, len(key)) + key
    while True:
        with Connection(host, port) as connection:
            connection.send(message(LOCATE_REQUEST, body))
            _, _, _, data = connection.read_message()
            if struct.unpack_from("<I", data, 16)[0] == 1:
                return
        if time.monotonic() > end:
            raise AssertionError(f"no object {key!r} at port {port} within {timeout_s} s")
        time.sleep(0.002)


class Probe:
    """The operations of tests/servers/probe.idl that have one number as argument and result."""

    KEY = b"probe"

    def __init__(self, port, host="127.0.0.1", **options):
        self.connection = Connection(host, port, **options)

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def number(self, operation, *arguments, code="i"):
        """Calls an operation with numbers (long or unsigned long) and returns its number."""
        def encode(out):
            for value in arguments:
                out.put("i" if value < 0 else "I", value)
        return self.connection.call(self.KEY, operation, encode if arguments else None).get(code)

    def nothing(self, operation, *arguments):
        def encode(out):
            for value in arguments:
                out.put("i" if value < 0 else "I", value)
        self.connection.call(self.KEY, operation, encode if arguments else None)

    def oneway(self, operation, *arguments):
        self.connection.send_request(
            self.KEY, operation, lambda out: [out.long(value) for value in arguments],
            response=False)

    def add(self, amount):
        return self.number("add", amount)

    def state(self):
        return self.connection.call(self.KEY, "state").string()

    def history(self):
        return self.connection.call(self.KEY, "history").words()

    def echo(self, data):
        return self.connection.call(self.KEY, "echo", lambda out: out.octets(data)).octets()

    def fill(self, size, seed):
        return self.connection.call(
            self.KEY, "fill", lambda out: out.ulong(size).octet(seed)).octets()

    def activate(self):
        return self.connection.call(self.KEY, "activate").reference()

    def random_number(self, source):
        return self.connection.call(
            self.KEY, "random_number", lambda out: out.string(source)).ulonglong()
