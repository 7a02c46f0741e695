"""A real redis-server to compare with: started on a unix socket, always killed."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hiredis

EXECUTABLE = shutil.which("redis-server")


class Oracle:
    def __init__(self, directory: Path, connection: socket.socket) -> None:
        self.directory = directory
        self._connection = connection
        self._reader = hiredis.Reader()

    def call(self, *words: str | bytes) -> object:
        """The reply; an error comes back as `hiredis.ReplyError`."""
        request = b"*%d\r\n" % len(words)
        for word in words:
            data = word if isinstance(word, bytes) else word.encode("utf-8", "surrogateescape")
            request += b"$%d\r\n%b\r\n" % (len(data), data)
        self.send(request)
        return self.receive()

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def receive(self) -> object:
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._connection.recv(65536))
        return reply

    def config(self, *patterns: str) -> dict[str, str]:
        reply = self.call("CONFIG", "GET", *patterns)
        assert isinstance(reply, list)
        words = [word.decode("utf-8", "surrogateescape") for word in reply]
        return dict(zip(words[0::2], words[1::2], strict=True))


@contextmanager
def running_server(*options: str, config: str | None = None) -> Iterator[Oracle]:
    """Run a server in a directory of its own; `config` is the text of its file `redis.conf`."""
    assert EXECUTABLE is not None
    directory = Path(tempfile.mkdtemp(prefix="conf"))
    path = directory / "socket"
    arguments = [EXECUTABLE]
    if config is not None:
        (directory / "redis.conf").write_text(config)
        arguments.append(str(directory / "redis.conf"))
    arguments += ["--port", "0", "--unixsocket", str(path), "--dir", str(directory), *options]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            _connect(connection, path, process)
            yield Oracle(directory, connection)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(directory)


def _connect(connection: socket.socket, path: Path, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        try:
            connection.connect(str(path))
        except OSError:
            assert process.poll() is None, "redis-server gave up"
            time.sleep(0.02)
        else:
            connection.settimeout(20)
            return
    raise AssertionError("redis-server does not come up")


def fatal_text(directory: Path, *arguments: str) -> str:
    """What a redis-server writes to standard error that cannot start; it must not be able to."""
    assert EXECUTABLE is not None
    done = subprocess.run(
        [EXECUTABLE, *arguments],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1, done
    return done.stderr.decode("utf-8", "surrogateescape")
