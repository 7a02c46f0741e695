"""For the differential tests: a real redis-server for each test process, and random numbers."""

from __future__ import annotations

import math
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hiredis
import pytest

Reply = object


class Oracle:
    """A connection to the real server, with pipelining."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = hiredis.Reader()

    def __call__(self, *words: bytes | str | int) -> Reply:
        return self.pipeline([words])[0]

    def pipeline(self, commands: list[tuple[bytes | str | int, ...]]) -> list[Reply]:
        replies: list[Reply] = []
        for start in range(0, len(commands), 200):
            batch = commands[start : start + 200]
            # hiredis declares a command as a tuple of a single word.
            packed = [hiredis.pack_command(words) for words in batch]  # type: ignore[arg-type]
            self._connection.sendall(b"".join(packed))
            wanted = len(replies) + len(batch)
            while len(replies) < wanted:
                reply = self._reader.gets()
                if reply is not False:
                    replies.append(str(reply) if isinstance(reply, Exception) else reply)
                    continue
                data = self._connection.recv(1 << 16)
                assert data, "the server hung up"
                self._reader.feed(data)
        return replies


def _connect(path: Path, deadline: float) -> socket.socket:
    while True:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(20)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.01)
        else:
            return connection


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server on PATH")
    # A socket in a directory of our own: a port could belong to somebody else by now, whose data
    # these tests would flush. pytest's own directories may be too long for the path of a socket.
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "redis.sock"
        options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--dir", directory]
        process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
        try:
            with _connect(path, time.monotonic() + 10) as connection:
                yield Oracle(connection)
        finally:
            process.kill()
            process.wait()


EDGE_NUMBERS = (
    b"0x10 0X1.8p3 -0x.8P-1 inf +INF -iNfinity 1e308 1e309 -1e309 1e-400 4.9e-324 2e-324 0e99999 "
    b"0x1p1024 0x1p-1080 0x0p-1080 .5 5. . + 1e 1e+ 0x 0x1p 1_0 nan nan(1) infin 00012 -00 -01 --1"
).split()
EDGE_NUMBERS += [b"", b" ", b" 1", b"\t1", b"1 ", b"1\n", b"1\x00", b"1\x00junk", b"\x00junk"]


def random_double(generator: random.Random) -> float:
    kind = generator.randrange(4)
    if kind == 0:
        return float(generator.randrange(-(10**18), 10**18))
    if kind == 1:
        return generator.randrange(-(10**6), 10**6) / 10.0 ** generator.randrange(12)
    value: float = struct.unpack("<d", generator.randbytes(8))[0]
    return value if math.isfinite(value) else 0.0


def random_number_text(generator: random.Random) -> bytes:
    kind = generator.randrange(5)
    if kind == 0:
        alphabet = [b"0", b"1", b"9", b".", b"e", b"-", b"+", b"x", b"p", b" ", b"_", b"\x00", b"f"]
        return b"".join(generator.choice(alphabet) for _ in range(generator.randrange(7)))
    if kind == 1:
        return b"%d" % generator.randrange(-(10 ** generator.randrange(1, 21)), 10**20)
    if kind == 2:
        digits = generator.randrange(10 ** generator.randrange(1, 25))
        return b"%s%d.%de%d" % (
            generator.choice([b"", b"-", b"+"]),
            digits,
            generator.randrange(10**9),
            generator.randrange(-340, 320),
        )
    if kind == 3:
        return generator.choice(EDGE_NUMBERS)
    return float(random_double(generator)).hex().encode()


def random_long_text(generator: random.Random) -> bytes:
    kind = generator.randrange(6)
    if kind == 0:
        return random_number_text(generator)
    if kind == 1:
        return b"%.*f" % (generator.randrange(20), generator.uniform(-1e9, 1e9))
    if kind == 2:
        return b"%d.%de%d" % (
            generator.randrange(-(10**20), 10**20),
            generator.randrange(10**9),
            generator.randrange(-4990, 4940),
        )
    if kind == 3:
        return b"%d" % generator.randrange(-(2**70), 2**70)
    if kind == 4:
        return b"0x%x.%xp%d" % (
            generator.getrandbits(70),
            generator.getrandbits(40),
            generator.randrange(-16600, 16400),
        )
    return b"%.17g" % generator.uniform(-10, 10)
