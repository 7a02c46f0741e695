"""Protocol errors and odd framing, exactly as a real server answers them.

Every case is sent whole, byte by byte, and in two halves; all bytes that come back until the server
closes must be the real server's. A PING behind each case shows whether the connection went on.
"""

import socket
from collections.abc import Iterator

import pytest

from ..support.raw import encode_command
from ..support.servers import ServerProcess, require_redis, start_clustrio, start_redis
from .test_client_port import assert_same_answer

pytestmark = [pytest.mark.redis_server, pytest.mark.slow]

AFTER = b"*1\r\n$4\r\nPING\r\n"
CASES = {
    "unbalanced double quotes": b'ECHO "hello\r\n',
    "unbalanced single quotes": b"ECHO 'hello\r\n",
    "text right after a closing quote": b'ECHO "a"b\r\n',
    "escapes in quotes": b'ECHO "\\x41\\n\\r\\t\\b\\a\\"\\\\\\q\\xzz"\r\n',
    "escapes in single quotes": b"ECHO 'it\\'s \\n'\r\n",
    "quotes inside a word": b'ECHO a"b c"\r\n',
    "empty quotes": b'ECHO ""\r\n',
    "inline with tabs and spaces": b"  ECHO \t hello  \r\n",
    "inline with a bare newline": b"ECHO hello\n",
    "inline with a zero byte": b"ECHO a\x00b\r\n",
    "inline with high bytes": b"ECHO \xff\xfe\r\n",
    "inline with a lone carriage return": b"ECHO a\rb\r\n",
    "empty lines": b"\r\n\r\n\n\r\n",
    "a line of spaces": b"    \r\n",
    "inline, then an array, in one packet": b"PING\r\n*1\r\n$4\r\nPING\r\nECHO x\r\n",
    "multibulk count below zero": b"*-5\r\n",
    "multibulk count minus one": b"*-1\r\n",
    "multibulk count zero": b"*0\r\n",
    "multibulk count not a number": b"*abc\r\n",
    "multibulk count empty": b"*\r\n",
    "multibulk count with a space": b"* 1\r\n",
    "multibulk count with a plus": b"*+1\r\n",
    "multibulk count with a zero in front": b"*01\r\n",
    "multibulk count at 2147483648": b"*2147483648\r\n",
    "multibulk count over 64 bits": b"*99999999999999999999\r\n",
    "bulk length minus one": b"*1\r\n$-1\r\n",
    "bulk length minus five": b"*1\r\n$-5\r\n",
    "bulk length not a number": b"*1\r\n$abc\r\n",
    "bulk length empty": b"*1\r\n$\r\n",
    "bulk length over the limit": b"*1\r\n$99999999999\r\n",
    "bulk length one over 512 MB": b"*1\r\n$536870913\r\n",
    "bulk of length zero as a command": b"*1\r\n$0\r\n\r\n",
    "bulk of length zero as an argument": b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
    "bulk without its end": b"*1\r\n$4\r\nPINGxx",
    "bulk with a wrong end": b"*2\r\n$4\r\nECHOxx$1\r\na\r\n",
    "another letter in place of the dollar": b"*1\r\nx4\r\nPING\r\n",
    "a newline in place of the dollar": b"*1\r\n\r\n",
    "an unprintable in place of the dollar": b"*1\r\n\x01\r\n",
    "a high byte in place of the dollar": b"*1\r\n\xff\r\n",
    "a zero byte in place of the dollar": b"*1\r\n\x00\r\n",
    "an integer as an argument": b"*2\r\n$4\r\nECHO\r\n:5\r\n",
    "a simple string as an argument": b"*2\r\n$4\r\nECHO\r\n+five\r\n",
    "an array as an argument": b"*2\r\n$4\r\nECHO\r\n*1\r\n$1\r\na\r\n",
    "a null as an argument": b"*2\r\n$4\r\nECHO\r\n_\r\n",
    "a map in place of an array": b"%1\r\n$1\r\na\r\n$1\r\nb\r\n",
    "a bulk string in place of an array": b"$4\r\nPING\r\n",
    "an integer in place of an array": b":1\r\n",
    "an HTTP POST": b"POST / HTTP/1.1\r\nHost: example\r\n\r\n",
    "a Host: line": b"Host: example\r\n",
    "a post in lower case": b"post / HTTP/1.1\r\n",
    "an unknown command with arguments": b"*3\r\n$5\r\nNOSUC\r\n$1\r\n\n\r\n$3\r\na'b\r\n",
    "a command cut off in its header": b"*2\r\n$4\r\nECHO\r\n$1",
    "a command cut off in its text": b"*2\r\n$4\r\nECHO\r\n$10\r\nabc",
    "an error after good commands": AFTER + b"*2\r\n$4\r\nECHO\r\n$1\r\na\r\n*x\r\n" + AFTER,
    "good commands after QUIT": b"*1\r\n$4\r\nQUIT\r\n" + AFTER,
    "an inline QUIT": b"QUIT\r\nPING\r\n",
    "lone newlines as line ends of an array": b"*1\n$4\nPING\n",
    "spaces in front of an array": b"  *1\r\n$4\r\nPING\r\n",
}
LARGE_CASES = {
    "an inline request without an end": b"a" * (64 * 1024 + 100),
    "an inline request of exactly 64 KB": b"ECHO " + b"a" * (64 * 1024 - 7) + b"\r\n",
    "a multibulk count without an end": b"*" + b"1" * (64 * 1024 + 100),
    "a bulk length without an end": b"*1\r\n$" + b"1" * (64 * 1024 + 100),
    "a long unknown command": b"*2\r\n$300\r\n"
    + b"n" * 300
    + b"\r\n$300\r\n"
    + b"a" * 300
    + b"\r\n",
    "many arguments": encode_command([b"x"] * 300),
    "a hundred thousand bytes": encode_command([b"ECHO", b"v" * 100_000]),
}


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[ServerProcess, ServerProcess]]:
    require_redis()
    with start_clustrio() as ours, start_redis() as theirs:
        yield ours, theirs


def _ways(data: bytes) -> list[list[bytes]]:
    """Whole, with more behind it in the same packet and in the next, in halves, byte by byte."""
    middle = len(data) // 2
    return [
        [data],
        [data + AFTER],
        [data, AFTER],
        [data[:middle], data[middle:] + AFTER],
        [bytes([byte]) for byte in data],
    ]


@pytest.mark.parametrize("case", CASES)
def test_the_answer_is_the_real_one(case: str, pair: tuple[ServerProcess, ServerProcess]) -> None:
    for parts in _ways(CASES[case]):
        assert_same_answer(*pair, parts)


@pytest.mark.parametrize("case", LARGE_CASES)
def test_the_answer_to_large_input_is_the_real_one(
    case: str, pair: tuple[ServerProcess, ServerProcess]
) -> None:
    data = LARGE_CASES[case]
    pieces = [data[start : start + 4000] for start in range(0, len(data), 4000)]
    for parts in ([data], pieces):
        assert_same_answer(*pair, parts)


def test_more_than_a_million_arguments_are_refused(
    pair: tuple[ServerProcess, ServerProcess],
) -> None:
    """7.0.15 would take 2^31 of them; nobody needs that, and each costs memory."""
    ours, _ = pair
    with socket.create_connection(("127.0.0.1", ours.port), timeout=30) as client:
        client.sendall(b"*1048577\r\n")
        reply = client.makefile("rb").read()
    assert reply == b"-ERR Protocol error: invalid multibulk length\r\n"
