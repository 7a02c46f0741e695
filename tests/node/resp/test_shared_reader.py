"""Many clients' single requests: all are as sent, or none is believed."""

from random import Random

import pytest

from clustrio.node.resp.shared_reader import SharedReader
from clustrio.node.resp.stream import RequestStream

from ...support.raw import encode_command

_MARK = 3_141_592_653_589_793_238
_GET = encode_command([b"GET", b"key"])

_ODD = {
    "nothing": b"",
    "cut": _GET[:-3],
    "cut after its last word": _GET[:-2],
    "head alone": b"*2\r\n",
    "one and a bit": _GET + b"*1\r\n",
    "one and a line break": _GET + b"\r\n",
    "inline": b"PING\r\n",
    "no words": b"*0\r\n",
    "null": b"*-1\r\n",
    "number": b":7\r\n",
    "bulk string": b"$4\r\nPING\r\n",
    "status line": b"*1\r\n+PING\r\n",
    "status line after a word": b"*2\r\n$4\r\nECHO\r\n+x\r\n",
    "number as a word": b"*2\r\n$4\r\nECHO\r\n:5\r\n",
    "null as a word": b"*2\r\n$4\r\nECHO\r\n$-1\r\n",
    "nested": b"*1\r\n*1\r\n$4\r\nPING\r\n",
    "set": b"~1\r\n$4\r\nPING\r\n",
    "push": b">1\r\n$4\r\nPING\r\n",
    "map": b"%1\r\n$4\r\nPING\r\n$1\r\nx\r\n",
    "wide": b"*2147483647\r\n$4\r\nPING\r\n",
    "swallows what follows": b"*2\r\n$4\r\nECHO\r\n$60\r\n",
    "swallows a client": b"*3\r\n$4\r\nECHO\r\n$%d\r\n" % (len(b":%d\r\n" % _MARK) + 4),
    "a mark of its own": _GET + b":%d\r\n" % (_MARK - 1) + _GET,
}


def read_singly(reader: SharedReader, chunks: list[bytes]) -> list[list[bytes]] | None:
    """One request of each."""
    read = reader.read(chunks)
    if read is None:
        return None
    requests, ends = read
    assert list(ends) == [*range(1, len(chunks) + 1)]
    return requests


def test_requests_are_those_that_were_sent() -> None:
    reader = SharedReader(_MARK)
    sent = [[b"PING"], [b"SET", b"k", b"a\r\n$1\r\nb"], [b"x" * 999] * 12, [b"", b"a+", b"*1\r\n"]]
    for _ in range(3):
        assert read_singly(reader, [*map(encode_command, sent)]) == sent
    assert read_singly(reader, [_GET]) == [[b"GET", b"key"]]


@pytest.mark.parametrize("counts", [[2, 2, 2], [16], [16] * 50, [1, 3, 2], [3, 1, 1, 3], [1, 2]])
def test_pipelines_end_where_they_ended(counts: list[int]) -> None:
    reader = SharedReader(_MARK)
    pipelines = [
        [[b"SET", b"%d" % client, b"%d" % number] for number in range(count)]
        for client, count in enumerate(counts)
    ]
    for _ in range(2):
        read = reader.read([b"".join(map(encode_command, pipeline)) for pipeline in pipelines])
        assert read is not None
        requests, ends = read
        starts = [0, *ends][:-1]
        parts = [requests[start:end] for start, end in zip(starts, ends, strict=True)]
        assert parts == pipelines


def test_what_could_be_a_status_line_is_left_to_others() -> None:
    reader = SharedReader(_MARK)
    assert reader.read([_GET, encode_command([b"ECHO", b"+1"])]) is None
    assert read_singly(reader, [_GET]) == [[b"GET", b"key"]]


@pytest.mark.parametrize("odd", _ODD.values(), ids=_ODD)
@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize("count", [1, 2])
def test_an_odd_one_spoils_all(odd: bytes, place: int, count: int) -> None:
    reader = SharedReader(_MARK)
    chunks = [_GET * count] * 3
    chunks.insert(place, odd)
    assert reader.read(chunks) is None
    assert read_singly(reader, [_GET] * 3) == [[b"GET", b"key"]] * 3, "nothing is left of it"


def test_nobody_reads_what_another_one_sent(seed: int) -> None:
    random = Random(seed)
    reader = SharedReader(_MARK)
    alphabet = b"*$+:123\r\n-_~x"
    read = 0
    for _ in range(3000):
        chunks = []
        for _ in range(random.randint(1, 5)):
            words = [random.randbytes(random.randrange(12)) for _ in range(random.randint(1, 4))]
            chunk = bytearray(encode_command([b"SET", *words]) * random.choice((1, 1, 2)))
            if not random.randrange(4):
                for _ in range(random.randint(1, 3)):
                    place = random.randrange(len(chunk))
                    end = place + random.randrange(3)
                    chunk[place:end] = random.choices(alphabet, k=random.randrange(3))
            chunks.append(bytes(chunk))
        found = reader.read(chunks)
        if found is None:
            continue
        read += 1
        requests, ends = found
        for sent, start, end in zip(chunks, [0, *ends], ends, strict=False):
            alone = RequestStream(1 << 20)
            own = requests[start:end]
            if alone.read(sent) != own:
                # Zeros in front of a length are let pass, as in long pipelines, and so is a
                # status line where the end of the word before it is damaged, too.
                encoded = b"".join(map(encode_command, own))
                assert alone.failure is not None
                assert encoded != sent
                assert len(encoded) < len(sent) or b"+" in sent
    assert read > 500
