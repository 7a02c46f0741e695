"""The stream must read whatever is sent, however it is cut, as the exact parser does."""

import random
from itertools import pairwise

import pytest

from clustrio.node.errors import ProtocolError
from clustrio.node.resp.exact_parser import ExactParser, split_inline
from clustrio.node.resp.stream import RequestStream

LIMIT = 1 << 20
Outcome = tuple[list[list[bytes]], bytes | None]


def encode(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def read_exactly(data: bytes) -> Outcome:
    parser = ExactParser(stranger=False)
    parser.feed(data)
    requests: list[list[bytes]] = []
    try:
        while (request := parser.gets(LIMIT)) is not False:
            if request:
                requests.append(request)
    except ProtocolError as failure:
        return requests, failure.text
    return requests, None


def read_in_pieces(pieces: list[bytes]) -> Outcome:
    """What the stream makes of these packets, empty requests left out."""
    stream = RequestStream(LIMIT)
    requests: list[list[bytes]] = []
    for piece in pieces:
        for request in stream.settled(stream.read(piece), piece):
            assert type(request) is list
            assert all(type(word) is bytes for word in request)
            if request:
                requests.append(request)
        if stream.failure is not None:
            return requests, stream.failure.text
    return requests, None


def cut(data: bytes, rng: random.Random) -> list[bytes]:
    points = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(6)))
    edges = [0, *points, len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


WORDS = (
    b"GET",
    b"",
    b"key",
    b"*12345",
    b"\r\n*99999\r\n",
    b"$3\r\nfoo\r\n",
    b"x" * 3000,
    b"*1\r\n$4\r\nPING\r\n",
    b"$99999999\r\n",
    b"PING\r\n",
)
PARTS = (
    *[encode(b"SET", word, other) for word in WORDS for other in WORDS[:4]],
    encode(b"PING"),
    b"PING\r\n",
    b"ECHO \"a b\" 'c'\r\n",
    b"\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    encode(*[b"w"] * 12),
    encode(*[b"v"] * 10_001),
)


def test_pipelines_cut_anywhere_read_the_same() -> None:
    rng = random.Random(11)
    for _ in range(1500):
        data = b"".join(rng.choice(PARTS) for _ in range(rng.randrange(1, 7)))
        pieces = cut(data, rng)
        assert read_in_pieces(pieces) == read_exactly(data), pieces


@pytest.mark.parametrize("part", PARTS)
def test_each_request_byte_by_byte(part: bytes) -> None:
    if len(part) > 5000:
        pytest.skip("long ones are cut at random above")
    data = part + encode(b"PING")
    pieces = [data[i : i + 1] for i in range(len(data))]
    assert read_in_pieces(pieces) == read_exactly(data)


ERRORS = {
    b"*abc\r\n": b"Protocol error: invalid multibulk length",
    b"*1048577\r\n": b"Protocol error: invalid multibulk length",
    b"*01\r\n": b"Protocol error: invalid multibulk length",
    b"*+1\r\n": b"Protocol error: invalid multibulk length",
    b"*1\r\n$-1\r\n": b"Protocol error: invalid bulk length",
    b"*1\r\n$abc\r\n": b"Protocol error: invalid bulk length",
    b"*2\r\n$4\r\nECHO\r\n$99999999999\r\n": b"Protocol error: invalid bulk length",
    b"*2\r\n$4\r\nECHO\r\n$1048577\r\n": b"Protocol error: invalid bulk length",
    b"*1\r\n:5\r\n": b"Protocol error: expected '$', got ':'",
    b"*2\r\n$4\r\nECHO\r\n+hi\r\n": b"Protocol error: expected '$', got '+'",
    b"*1\r\n*1\r\n$4\r\nPING\r\n": b"Protocol error: expected '$', got '*'",
    b"*1\r\nPING\r\n": b"Protocol error: expected '$', got 'P'",
    b'foo "bar\r\n': b"Protocol error: unbalanced quotes in request",
    b'"foo"bar\r\n': b"Protocol error: unbalanced quotes in request",
    b"PING" + b" " * 70_000: b"Protocol error: too big inline request",
    b"*" + b"1" * 70_000: b"Protocol error: too big mbulk count string",
    b"*1\r\n$" + b"1" * 70_000: b"Protocol error: too big bulk count string",
}


@pytest.mark.parametrize("data", ERRORS, ids=repr)
@pytest.mark.parametrize("before", [b"", encode(b"GET", b"k"), encode(b"GET", b"k") * 9])
def test_protocol_errors_come_after_the_requests_before_them(data: bytes, before: bytes) -> None:
    if b"+hi" in data and before.count(b"GET") > 5:
        # In a long pipeline hiredis takes a status line for a string: lenient, and harmless.
        assert read_in_pieces([before + data])[1] is None
        return
    requests, failure = read_in_pieces([before + data])
    assert len(requests) == before.count(b"GET")
    assert failure == ERRORS[data]


def test_a_wide_array_header_is_not_taken_from_payload() -> None:
    payload = b"x" * 100 + b"*99999\r\n" + b"y" * 100
    request = encode(b"SET", b"k", payload)
    for point in range(1, len(request)):
        assert read_in_pieces([request[:point], request[point:]]) == (
            [[b"SET", b"k", payload]],
            None,
        )


def test_a_cut_wide_header_never_reaches_the_fast_parser() -> None:
    stream = RequestStream(LIMIT)
    assert stream.read(encode(b"PING") + b"*9999") == [[b"PING"]]
    assert stream.read(b"999999\r\n") == []
    assert stream.failure is not None
    assert stream.failure.text == b"Protocol error: invalid multibulk length"


@pytest.mark.parametrize("before", [b"", encode(b"PING")])
@pytest.mark.parametrize("head", [b"*2\r\n", b"*2\r\n$1\r\nx\r\n", b"*12\r\n"])
def test_a_wide_array_inside_a_request_takes_neither_room_nor_time(
    before: bytes, head: bytes
) -> None:
    requests, failure = read_in_pieces([before + head + b"*2147483647\r\n"])
    assert len(requests) == bool(before)
    assert failure == b"Protocol error: expected '$', got '*'"


def test_strangers_get_one_request_at_a_time_and_small_limits() -> None:
    stream = RequestStream(LIMIT, stranger=True)
    assert stream.read(encode(b"AUTH", b"pw") + encode(*[b"MSET"] * 20)) == [[b"AUTH", b"pw"]]
    assert stream.unread
    stream.logged_in()
    assert stream.read(b"") == [[b"MSET"] * 20]

    stream = RequestStream(LIMIT, stranger=True)
    assert stream.read(encode(*[b"MSET"] * 20)) == []
    assert stream.failure is not None
    assert stream.failure.text == b"Protocol error: unauthenticated multibulk length"

    stream = RequestStream(LIMIT, stranger=True)
    assert stream.read(encode(b"AUTH", b"x" * 16_385)) == []
    assert stream.failure is not None
    assert stream.failure.text == b"Protocol error: unauthenticated bulk length"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b"  a  b ", [b"a", b"b"]),
        (b"'a\\'b' c", [b"a'b", b"c"]),
        (b'"\\x41\\n\\q"', [b"A\nq"]),
        (b'a"b"', [b"ab"]),
        (b'"a', None),
        (b"'a'b", None),
        (b'"\\x4"', [b"x4"]),
    ],
)
def test_inline_words(line: bytes, words: list[bytes] | None) -> None:
    assert split_inline(line) == words


@pytest.mark.parametrize("size", [777, 1000, 4096, 16_384])
def test_long_pipelines_in_chunks_of_one_size(size: int) -> None:
    rng = random.Random(size)
    for _ in range(40):
        count = rng.randrange(300, 1500)
        values = (b"value", b"v\r\n" * rng.randrange(4), b"*1\r\n$1\r\na\r\n")
        data = b"".join(
            encode(b"SET", b"key:%d" % number, rng.choice(values)) for number in range(count)
        )
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        requests, failure = read_in_pieces(pieces)
        assert failure is None
        assert len(requests) == count
        assert all(words[1] == b"key:%d" % n for n, words in enumerate(requests))


@pytest.mark.parametrize("count", [9, 10, 99, 100, 101, 999, 1000, 9999])
def test_wide_requests_are_read_by_the_fast_parser(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [b"%d" % number for number in range(count)]
    sent = encode(*words)

    def refuse(self: ExactParser, data: bytes) -> None:
        raise AssertionError("the exact parser takes 20 times as long")

    monkeypatch.setattr(ExactParser, "feed", refuse)
    stream = RequestStream(LIMIT)
    assert stream.read(sent) == [words]
    assert stream.settled(stream.read(sent * 3), sent * 3) == [words] * 3
    assert stream.exact is None


@pytest.mark.parametrize(
    "head", [b"*0100", b"*+100", b"*100\n", b"*1000000", b"*10000", b"*100 ", b"*1_000", b"*999x"]
)
@pytest.mark.parametrize("width", [1, 100, 10_000])
def test_odd_wide_heads_are_read_exactly(head: bytes, width: int) -> None:
    words = [b"word"] * width
    sent = head + encode(*words)[len(b"*%d" % width) :] + encode(b"PING")
    assert read_in_pieces([sent]) == read_exactly(sent)


def test_a_wide_request_that_is_cut_anywhere() -> None:
    words = [b"GET"] + [b"%d" % number for number in range(150)]
    sent = encode(b"PING") + encode(*words) + encode(b"PING")
    for place in range(1, len(sent)):
        assert read_in_pieces([sent[:place], sent[place:]]) == read_exactly(sent)
