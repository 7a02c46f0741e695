"""DUMP payloads: those of real servers, old ones from parts, all kinds there and back."""

from math import inf
from random import Random
from struct import pack
from typing import Any

import pytest

from clustrio.node.persistence.rdb import (
    CorruptSnapshotError,
    PayloadSealError,
    decode_value_untrusted,
    encode_value,
)
from clustrio.node.persistence.rdb import opcodes as op
from clustrio.node.persistence.rdb.lengths import encode_length, encode_string
from clustrio.node.persistence.rdb.listpack import encode_element, join_listpack
from clustrio.node.values.hashvalue import HashValue
from clustrio.node.values.kinds import type_name
from clustrio.node.values.limits import CollectionLimits
from clustrio.node.values.listvalue import ListValue

from .harness import everything, plain, random_value, seal
from .samples import DUMPED, DUMPED_WITH_LIFETIMES, Sample


def text(data: bytes) -> bytes:
    """A string as it stands in a payload."""
    return encode_length(len(data)) + data


def texts(*parts: bytes) -> bytes:
    return b"".join(map(text, parts))


def ziplist(*elements: bytes) -> bytes:
    """A ziplist of encoded elements (without the length of the one before)."""
    body = b""
    tail = 10
    before = 0
    for element in elements:
        tail = 10 + len(body)
        entry = (bytes((before,)) if before < 254 else b"\xfe" + pack("<I", before)) + element
        body += entry
        before = len(entry)
    return pack("<IIH", 11 + len(body), tail, len(elements)) + body + b"\xff"


def as_written(*parts: bytes) -> bytes:
    return b"".join(encode_string(part, False) for part in parts)


def listpack(*elements: bytes) -> bytes:
    return join_listpack(list(map(encode_element, elements)))


_EVERY_ZIPLIST_ELEMENT = ziplist(
    *(b"\x01a", b"\x40\x46" + b"b" * 70, b"\x80\0\0\0\x03ccc", b"\xc0\xff\xfe"),
    *(b"\xd0\0\0\0\x80", b"\xe0" + pack("<q", -(2**40)), b"\xf0\0\0\x80", b"\xfe\x80", b"\xf1"),
    *(b"\xfd", b"\x41\x2c" + b"d" * 300, b"\x00"),
)
_ZIPLIST_TEXTS = [
    *(b"a", b"b" * 70, b"ccc", b"-257", b"-2147483648", b"-1099511627776", b"-8388608", b"-128"),
    *(b"0", b"12", b"d" * 300, b""),
]

#: What Redis 7.0 itself does not write: type, body, plain value.
OLD_AND_NEW: list[tuple[str, int, bytes, Any]] = [
    ("list", op.LIST, b"\x02" + texts(b"a", b"b"), [b"a", b"b"]),
    ("list-ziplist", op.LIST_ZIPLIST, text(_EVERY_ZIPLIST_ELEMENT), _ZIPLIST_TEXTS),
    (
        "quicklist",
        op.LIST_QUICKLIST,
        b"\x02" + text(ziplist(b"\x01a")) + text(ziplist(b"\x01b", b"\x01c")),
        [b"a", b"b", b"c"],
    ),
    (
        "zset",
        op.ZSET,
        b"\x04"
        + text(b"a")
        + b"\x031.5"
        + text(b"b")
        + b"\xfe"
        + text(b"c")
        + b"\xff"
        + text(b"d")
        + b"\x18-3.1415926535897931e-100",
        {b"a": 1.5, b"b": inf, b"c": -inf, b"d": -3.1415926535897931e-100},
    ),
    (
        "zset-ziplist",
        op.ZSET_ZIPLIST,
        text(ziplist(b"\x01a", b"\xf2", b"\x01b", b"\x032.5", b"\x01c", b"\x03inf")),
        {b"a": 1.0, b"b": 2.5, b"c": inf},
    ),
    (
        "zipmap",
        op.HASH_ZIPMAP,
        text(b"\x02\x01a\x03\x00foo\x02bb\x01\x02x!!\xff"),
        {b"a": b"foo", b"bb": b"x"},
    ),
    (
        "zipmap with a long value",
        op.HASH_ZIPMAP,
        text(b"\x01\x01a\xfe\x2c\x01\0\0\0" + b"v" * 300 + b"\xff"),
        {b"a": b"v" * 300},
    ),
    ("hash-ziplist", op.HASH_ZIPLIST, text(ziplist(b"\x01a", b"\xf2")), {b"a": b"1"}),
    ("set-listpack", op.SET_LISTPACK, text(listpack(b"a", b"1")), {b"a", b"1"}),
]


@pytest.mark.parametrize("sample", DUMPED, ids=lambda sample: sample.name)
def test_what_redis_dumped_is_read(sample: Sample) -> None:
    value = decode_value_untrusted(sample.payload)
    assert plain(value) == sample.plain


@pytest.mark.parametrize("sample", DUMPED, ids=lambda sample: sample.name)
def test_what_is_not_compressed_is_written_as_redis_does(sample: Sample) -> None:
    value = decode_value_untrusted(sample.payload)
    written = encode_value(value)
    if b"\xc3" in sample.payload[:40] or sample.name in ("list in three nodes",):
        # Compressed, or divided as another configuration has it; only the type is the same.
        assert written[0] == sample.payload[0]
    elif sample.name == "list with a plain node":
        assert plain(decode_value_untrusted(written)) == sample.plain
    elif isinstance(sample.plain, set | dict):
        # The order is not the same.
        assert (
            len(written) == len(sample.payload) or "table" in sample.name or "skip" in sample.name
        )
    else:
        assert written == sample.payload


@pytest.mark.parametrize(
    ("type_number", "body", "expected"),
    [case[1:] for case in OLD_AND_NEW],
    ids=[case[0] for case in OLD_AND_NEW],
)
def test_other_encodings_are_read(type_number: int, body: bytes, expected: Any) -> None:
    assert plain(decode_value_untrusted(seal(type_number, body))) == expected


#: Lifetimes 5000 and 7000, none for the third field.
_FIELDS = {b"a": b"1", b"b": b"2", b"c": b"3"}
_LIFETIMES = {b"a": 5000, b"b": 7000, b"c": None}
EXPIRING: dict[int, bytes] = {
    op.HASH_EXPIRING_PRE_GA: b"\x03"
    + encode_length(5000)
    + as_written(b"a", b"1")
    + encode_length(7000)
    + as_written(b"b", b"2")
    + b"\0"
    + as_written(b"c", b"3"),
    op.HASH_EXPIRING: pack("<q", 5000)
    + b"\x03"
    + b"\x01"
    + as_written(b"a", b"1")
    + encode_length(2001)
    + as_written(b"b", b"2")
    + b"\0"
    + as_written(b"c", b"3"),
    op.HASH_LISTPACK_EXPIRING_PRE_GA: text(
        listpack(*(b"a", b"1", b"5000", b"b", b"2", b"7000", b"c", b"3", b"0"))
    ),
    op.HASH_LISTPACK_EXPIRING: pack("<q", 5000)
    + text(listpack(*(b"a", b"1", b"5000", b"b", b"2", b"7000", b"c", b"3", b"0"))),
}


@pytest.mark.parametrize("type_number", EXPIRING, ids=op.TYPE_NAMES.__getitem__)
def test_lifetimes_of_fields_are_read(type_number: int) -> None:
    value = decode_value_untrusted(seal(type_number, EXPIRING[type_number], 12))
    assert everything(value) == (_FIELDS, _LIFETIMES)


@pytest.mark.parametrize(
    ("entries", "type_number"), [(128, op.HASH_LISTPACK_EXPIRING), (0, op.HASH_EXPIRING)]
)
def test_lifetimes_of_fields_are_written_as_redis_7_4_does(entries: int, type_number: int) -> None:
    value = HashValue(CollectionLimits(hash_max_listpack_entries=entries))
    for field, content in _FIELDS.items():
        value.put(field, content)
    # The field that dies last was given its lifetime first: a listpack is in order all the same.
    value.expire_at(b"b", 7000)
    value.expire_at(b"a", 5000)
    assert encode_value(value) == seal(type_number, EXPIRING[type_number], 12)


@pytest.mark.parametrize("hexadecimal", DUMPED_WITH_LIFETIMES)
def test_what_redis_7_4_dumped(hexadecimal: str) -> None:
    payload = bytes.fromhex(hexadecimal)
    value = decode_value_untrusted(payload)
    assert everything(value) == (
        {b"a": b"1", b"b": b"two", b"c": b"3"},
        {b"a": 4_000_000_000_123, b"b": None, b"c": 4_000_000_000_005},
    )
    if payload[0] == op.HASH_LISTPACK_EXPIRING:
        # A table has no order to be compared. When the first field dies, Redis only estimates.
        assert encode_value(value)[9:-8] == payload[9:-8]


@pytest.mark.parametrize("seed", range(150))
def test_every_value_comes_back(seed: int) -> None:
    random = Random(seed)
    value = random_value(random)
    for compress in (True, False):
        payload = encode_value(value, compress=compress)
        again = decode_value_untrusted(payload)
        assert everything(again) == everything(value)
        assert type_name(again) == type_name(value)
        again_payload = encode_value(again, compress=compress)
        assert everything(decode_value_untrusted(again_payload)) == everything(value)


def test_lists_are_cut_into_nodes_and_large_elements_stand_alone() -> None:
    elements = [b"%d" % number * 20 for number in range(1000)]
    elements[500] = b"y" * 10_000
    payload = encode_value(ListValue(elements), compress=False)
    # Three nodes before the large element, its own, and three behind it.
    assert payload[1] > 4
    assert plain(decode_value_untrusted(payload)) == elements


def test_encodings_follow_the_limits_of_the_reader() -> None:
    small = CollectionLimits(
        hash_max_listpack_entries=1,
        set_max_intset_entries=1,
        zset_max_listpack_entries=1,
        list_max_listpack_size=1,
        set_max_listpack_entries=1,
    )
    names = {sample.name: sample for sample in DUMPED}
    for name, before, after in (
        ("hash listpack", b"listpack", b"hashtable"),
        ("intset of 16 bits", b"intset", b"hashtable"),
        ("zset listpack", b"listpack", b"skiplist"),
        ("list in one node", b"listpack", b"quicklist"),
        ("set of texts", b"listpack", b"hashtable"),
    ):
        payload = names[name].payload
        assert decode_value_untrusted(payload).encoding == before
        assert decode_value_untrusted(payload, small).encoding == after


# --- refusals
# ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "too short"),
        (b"\0" * 9, "too short"),
        (seal(0, b"\x01a", 13), "version 13"),
        (seal(0, b"\x01a")[:-1] + b"\x99", "checksum"),
    ],
)
def test_wrong_seals_are_told_from_damage(payload: bytes, reason: str) -> None:
    with pytest.raises(PayloadSealError, match=reason):
        decode_value_untrusted(payload)


@pytest.mark.parametrize(
    ("type_number", "body", "reason"),
    [
        (op.STRING, b"\x05abc", "too early"),
        (op.STRING, b"\x81" + b"\xff" * 8, "string of"),
        (op.STRING, b"\x82", "no length"),
        (op.STRING, b"\xc4", "unknown encoding"),
        (op.STRING, b"\xc3\x02\x7f\xff\x00a", "impossible length"),
        (op.STRING, b"\xc3\x03\x04\x00a\x20", "within a copy"),
        (op.STRING, b"\xc3\x05\x04\x00a\x20\x05\x00", "before it"),
        (op.STRING, b"\xc3\x02\x05\x00a", "shorter"),
        (op.STRING, b"\xc3\x03\x01\x01ab", "longer"),
        (8, b"", "unknown type 8"),
        (26, b"", "unknown type 26"),
        (op.LIST, b"\x00", "empty"),
        (op.LIST, b"\x81" + b"\xff" * 8, "too early"),
        (op.LIST_QUICKLIST_2, b"\x01\x03\x01a", "unknown kind 3"),
        (op.SET, b"\x02" + texts(b"a", b"a"), "twice"),
        (op.SET_LISTPACK, text(listpack(b"a", b"a")), "twice"),
        (op.SET_INTSET, text(pack("<IIhh", 2, 2, 5, 5)), "order"),
        (op.SET_INTSET, text(pack("<IIhh", 2, 2, 6, 5)), "order"),
        (op.SET_INTSET, text(pack("<IIhh", 3, 2, 5, 6)), "impossible length"),
        (op.SET_INTSET, text(pack("<IIh", 2, 2**31, 5)), "impossible length"),
        (op.ZSET_2, b"\x01" + text(b"a") + pack("<d", float("nan")), "no number"),
        (op.ZSET, b"\x01" + text(b"a") + b"\xfd", "no number"),
        (op.ZSET_LISTPACK, text(listpack(b"a", b"x")), "no number"),
        (op.ZSET_LISTPACK, text(listpack(b"a", b"1", b"b")), "without a score"),
        (op.HASH_LISTPACK, text(listpack(b"a", b"1", b"b")), "without a value"),
        (op.HASH_LISTPACK, text(listpack(b"a", b"1", b"a", b"2")), "twice"),
        (op.HASH, b"\x02" + texts(b"a", b"1", b"a", b"2"), "twice"),
        (op.HASH_ZIPMAP, text(b"\x01\x01a\xff"), "zipmap"),
        (op.HASH_LISTPACK_EXPIRING, pack("<q", 1) + text(listpack(b"a", b"1", b"-5")), "lifetime"),
        (op.HASH_EXPIRING, pack("<q", 2**62) + b"\x01\x05" + texts(b"a", b"1"), "lifetime"),
        (op.MODULE_PRE_GA, b"\x01", "modules"),
        (op.STREAM_2, b"\x01\x03abc", "ID"),
    ],
)
def test_damage_has_a_reason(type_number: int, body: bytes, reason: str) -> None:
    with pytest.raises(CorruptSnapshotError, match=reason):
        decode_value_untrusted(seal(type_number, body))


def test_the_type_of_a_module_is_named() -> None:
    # Nine letters of six bits and ten bits of a version.
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    number = 0
    for letter in b"ReJSON-RL":
        number = number << 6 | letters.index(letter)
    with pytest.raises(CorruptSnapshotError, match="ReJSON-RL version 3"):
        decode_value_untrusted(seal(op.MODULE_2, encode_length(number << 10 | 3) + b"\0"))


def test_what_cannot_be_compressed_stays_as_it_is() -> None:
    noise = Random(1).randbytes(5000)
    assert encode_string(noise, True) == encode_length(5000) + noise
    assert len(encode_string(b"x" * 5000, True)) < 100
    assert encode_string(b"x" * 5000, False) == encode_length(5000) + b"x" * 5000


@pytest.mark.parametrize("size", [0, 1, 63, 64, 255, 256, 16_383, 16_384, 100_000])
def test_plain_strings_of_all_sizes_come_back_and_must_be_whole(size: int) -> None:
    text = bytes(number % 251 for number in range(size))
    payload = encode_value(text, compress=False)
    assert decode_value_untrusted(payload) == text
    if size:
        with pytest.raises(CorruptSnapshotError, match="too early"):
            decode_value_untrusted(payload[:-11] + payload[-10:], check_checksum=False)
    # What is left over is passed over.
    longer = payload[:-10] + b"rest" + payload[-10:]
    assert decode_value_untrusted(longer, check_checksum=False) == text
