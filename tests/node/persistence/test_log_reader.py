"""Commands out of the bytes of a log, wherever they are cut, and where damage begins."""

import pytest

from clustrio.node.persistence.log_reader import LogFormatError, LogReader
from clustrio.node.propagation import encode_command

COMMANDS = [
    [b"SELECT", b"0"],
    [b"SET", b"key", b"value"],
    [b"SET", b"empty", b""],
    [b"SET", b"odd", b"\r\n$3\r\n#*1\r\n"],
    [b"RPUSH", b"list", *(b"%d" % number for number in range(300))],
]
DATA = b"".join(map(encode_command, COMMANDS))


def read_all(pieces: list[bytes]) -> tuple[list[list[bytes]], LogReader]:
    reader = LogReader()
    found: list[list[bytes]] = []
    for piece in pieces:
        found += reader.feed(piece)
    while more := reader.finish():
        found += more
    return found, reader


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 1 << 20])
def test_however_it_is_cut(size: int) -> None:
    pieces = [DATA[start : start + size] for start in range(0, len(DATA), size)]
    found, reader = read_all(pieces)
    assert found == COMMANDS
    assert reader.offset == len(DATA)
    assert not reader.rest_bytes


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_missing_end_is_no_damage(cut: int) -> None:
    found, reader = read_all([DATA[:cut]])
    ends = [sum(len(encode_command(each)) for each in COMMANDS[:count]) for count in range(6)]
    whole = max(count for count in range(6) if ends[count] <= cut)
    assert found == COMMANDS[:whole]
    assert reader.offset == ends[whole]
    assert reader.rest_bytes == cut - ends[whole]


def test_lines_with_the_time_are_passed_over() -> None:
    data = b"#TS:1700000000\r\n" + DATA + b"#TS:1700000001\r\n" + DATA + b"#TS:17000"
    found, reader = read_all([data[start : start + 50] for start in range(0, len(data), 50)])
    assert found == COMMANDS * 2
    assert reader.rest_bytes == len(b"#TS:17000")


def test_where_commands_begin() -> None:
    reader = LogReader(1000)
    reader.feed(DATA)
    starts = [reader.start_of(index) for index in range(3)]
    assert starts == [1000, 1023, 1056]
    annotated = LogReader()
    annotated.feed(b"#TS:1\r\n" + DATA)
    assert annotated.start_of(1) == 7 + 23


def read_until_damage(data: bytes) -> tuple[list[list[bytes]], bytes, int | None]:
    """The commands, what is left, and where the damage is."""
    try:
        found, reader = read_all([data])
    except LogFormatError as failure:
        return [], b"", failure.offset
    return found, data[len(data) - reader.rest_bytes :], None


def test_every_flipped_byte_of_the_framing_is_found_or_harmless() -> None:
    head = encode_command([b"SET", b"key", b"value"])
    tail = encode_command([b"DEL", b"key"])
    data = head + tail
    offsets = set()
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            found, rest, offset = read_until_damage(bytes(changed))
            if offset is not None:
                offsets.add(offset)
            elif 0x23 not in (changed[0], changed[len(head)]):
                # What was read is what stands there, to the byte.
                assert b"".join(map(encode_command, found)) + rest == bytes(changed)
    assert offsets == {0, 13, 22, len(head)}


@pytest.mark.parametrize(
    "data",
    [
        b"*0\r\n",
        b"*-1\r\n",
        b"*x\r\n",
        b"+OK\r\n",
        b"*1\r\n:3\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$1\r\nab\r\n",
        b"*99999999999999999999\r\n",
        b"*1\r\n$3\r\nabcde",
        b"PING\r\n",
        b"\r\n",
        b"*" + b"1" * 200,
        b"#" + b"x" * 2000,
    ],
)
def test_what_is_no_command(data: bytes) -> None:
    good = encode_command([b"SET", b"a", b"b"])
    reader = LogReader()
    found = reader.feed(good + data)
    assert found == [[b"SET", b"a", b"b"]]
    with pytest.raises(LogFormatError) as caught:
        reader.finish()
    assert caught.value.offset == len(good)


def test_a_huge_command_is_not_parsed_over_and_over() -> None:
    data = encode_command([b"SET", b"key", bytes(4_000_000)])
    reader = LogReader()
    found: list[list[bytes]] = []
    for start in range(0, len(data), 1000):
        found += reader.feed(data[start : start + 1000])
    found += reader.finish()
    assert found == [[b"SET", b"key", bytes(4_000_000)]]
