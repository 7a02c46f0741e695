"""Requests that look alike are cut, not parsed: never anything else than a parser would read."""

import random
from itertools import accumulate

import pytest

from clustrio.node.errors import ProtocolError
from clustrio.node.resp.alike import Alike, maybe_alike, maybe_alike_of_several, maybe_name
from clustrio.node.resp.exact_parser import ExactParser

from ...support.raw import encode_command

_GET = encode_command([b"GET", b"key:1"])
#: A word that looks like the end of one request and the head of the next.
_DECEIVING = b"\r\n*2\r\n$3\r\nGET\r\n$20\r\n"


def gets(*keys: bytes) -> bytes:
    return b"".join(encode_command([b"GET", key]) for key in keys)


def test_equally_long_words_are_cut_out() -> None:
    keys = [b"key:%d" % number for number in range(10)]
    requests = maybe_alike(gets(*keys), 6)
    assert requests is not None
    assert (requests.name, requests.columns, len(requests)) == (b"GET", [keys], 10)
    assert requests.data == gets(*keys)
    rows = [[b"GET", key] for key in keys]
    assert list(requests) == rows
    assert requests[3:] == rows[3:]
    assert (requests[0], requests[-1]) == (rows[0], rows[-1])
    # What a request did is noted under its list.
    assert all(one is other for one, other in zip(requests, requests[:], strict=True))


def sets(*pairs: tuple[bytes, bytes]) -> bytes:
    return b"".join(encode_command([b"SET", *pair]) for pair in pairs)


def test_two_words_are_cut_out() -> None:
    pairs = [(b"key:%d" % number, b"%04d" % number) for number in range(10)]
    requests = maybe_alike(sets(*pairs), 6)
    assert requests is not None
    assert requests.columns == [[key for key, _ in pairs], [value for _, value in pairs]]
    assert list(requests) == [[b"SET", *pair] for pair in pairs]
    assert requests.data == sets(*pairs)


_SET = sets((b"key:1", b"value"))
_OTHERS = {
    "nothing": b"",
    "too few": _GET * 5,
    "inline": b"GET key:1\r\n" * 9,
    "other lengths": gets(*[b"%d" % number for number in range(5, 15)]),
    "lengths that add up": gets(*[b"aaa", b"bb", b"cccc"] * 3),
    "other names": (_GET + encode_command([b"SET", b"key:1"])) * 5,
    "names of other lengths": _GET * 8 + encode_command([b"MGET", b"key:"]),
    "one word": encode_command([b"PING"]) * 9,
    "four words": encode_command([b"HSET", b"key:1", b"field", b"value"]) * 9,
    "other lengths of third words": sets(*[(b"k", b"%d" % number) for number in range(5, 15)]),
    "lengths of two words that add up": sets(*[(b"aaa", b"b"), (b"aa", b"bb"), (b"a", b"bbb")] * 3),
    "lengths of two words that add up later": _SET * 4 + sets((b"key:", b"value1")) + _SET * 4,
    "a third word without its length": _SET * 4
    + _SET.replace(b"\r\n$5\r\nva", b"\r\n+5\r\nva")
    + _SET,
    "another end of a second word": _SET * 6 + _SET.replace(b"1\r\n$", b"1\n\r$") + _SET,
    "a third word that is cut": (_SET * 9)[:-7],
    "zero in front of the third": _SET.replace(b"$5\r\nv", b"$05\r\nv") * 9,
    "two words, then three": _GET * 6 + _SET * 6,
    "three words, then two": _SET * 6 + _GET * 6,
    "cut": (_GET * 9)[:-1],
    "a bit more": _GET * 9 + b"*",
    "another end": (_GET * 9)[:-2] + b"xx",
    "another end of line between": _GET * 4 + _GET[:-2] + b"\n\r" + _GET * 4,
    "empty words": gets(*[b""] * 9),
    "zero in front": _GET.replace(b"$5", b"$05") * 9,
    "plus in front": _GET.replace(b"$5", b"$+5") * 9,
    "underscore": gets(*[b"x" * 10] * 9).replace(b"$10", b"$1_0"),
    "negative": _GET.replace(b"$5", b"$-5") * 9,
    "other digits": _GET.replace(b"$5", "$٥".encode()) * 9,
    "wrong length of the name": _GET.replace(b"$3", b"$4") * 9,
    "wrong length of the word": _GET.replace(b"$5", b"$6") * 9,
    "line end within the name": encode_command([b"G\r\nT", b"key:1"]) * 9,
    "status line": _GET.replace(b"$3\r\nGET", b"+GET") * 9,
    "deceiving word": gets(*[_DECEIVING] * 9),
}


@pytest.mark.parametrize("data", _OTHERS.values(), ids=_OTHERS.keys())
def test_everything_else_is_left_to_a_parser(data: bytes) -> None:
    assert maybe_alike(data, 6) is None


def test_what_is_cut_is_what_a_parser_reads() -> None:
    rng = random.Random(5)
    found = 0
    for _ in range(4_000):
        length = rng.choice((1, 3, len(_DECEIVING)))
        words = [bytes(rng.choices(b"a\r\n$*2", k=length)) for _ in range(rng.randrange(1, 6))]
        if length > 3 and rng.random() < 0.5:
            words[rng.randrange(len(words))] = _DECEIVING
        if rng.random() < 0.5:
            data = bytearray(gets(*words))
        else:
            data = bytearray(sets(*[(word, word[: length // 2]) for word in words]))
        for _ in range(rng.choice((0, 0, 1, 2))):
            data[rng.randrange(len(data))] = rng.choice(b"0123456789\r\n$*G")
        requests = maybe_alike(bytes(data), 1)
        if requests is not None:
            found += 1
            assert list(requests) == _read_exactly(bytes(data)), data
    assert found > 500


def _read_exactly(data: bytes) -> list[list[bytes]] | None:
    parser = ExactParser(stranger=False)
    parser.feed(data)
    requests: list[list[bytes]] = []
    try:
        while (request := parser.gets(1 << 20)) is not False:
            requests.append(request)
    except ProtocolError:
        return None
    return requests if parser.at_boundary else None


def test_those_of_several_clients_keep_their_places() -> None:
    counts = [2, 1, 16, 3]
    chunks = [gets(*[b"k%d" % client] * count) for client, count in enumerate(counts)]
    several = maybe_alike_of_several(chunks)
    assert several is not None
    requests, ends = several
    assert list(ends) == [*accumulate(counts)]
    assert requests.columns[0] == [
        b"k%d" % client for client in range(4) for _ in range(counts[client])
    ]


@pytest.mark.parametrize(
    "chunks",
    [
        [_GET, _GET[:-1], _GET[-1:]],
        [_GET + _GET[:7], _GET[7:]],
        [_GET, encode_command([b"SET", b"key:1"])],
        [_GET, _GET, b"x" * len(_GET)],
        [b"PING\r\n", _GET],
    ],
)
def test_no_client_gets_bytes_of_another(chunks: list[bytes]) -> None:
    assert maybe_alike_of_several(chunks) is None


def test_one_name_for_all_or_none() -> None:
    assert maybe_name(Alike(b"", b"GET", [[b"a"]])) == b"GET"
    assert maybe_name([[b"GET", b"a"], [b"GET"]]) == b"GET"
    assert maybe_name([[b"GET", b"a"], [b"get", b"a"]]) is None
    assert maybe_name([[b"GET"], []]) is None
    assert maybe_name([]) is None
