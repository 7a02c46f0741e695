"""What is known of values by their class."""

from collections.abc import Callable

import pytest

from clustrio.node.config import Config
from clustrio.node.values.hashvalue import HashValue
from clustrio.node.values.kinds import (
    copy_value,
    element_count,
    encoding_name,
    is_shared_integer,
    type_name,
)
from clustrio.node.values.listvalue import ListValue
from clustrio.node.values.setvalue import SetValue
from clustrio.node.values.streamvalue import StreamValue
from clustrio.node.values.zsetvalue import ZSetValue

CONFIG = Config()


def a_hash() -> HashValue:
    value = HashValue()
    value.put(b"field", b"value")
    return value


def a_set() -> SetValue:
    value = SetValue()
    value.insert(b"member")
    return value


def a_sorted_set() -> ZSetValue:
    value = ZSetValue()
    value.put(b"member", 1.5)
    return value


@pytest.mark.parametrize(
    ("make", "name", "encoding", "count"),
    [
        (lambda: b"text", b"string", b"embstr", 1),
        (lambda: b"17", b"string", b"int", 1),
        (lambda: bytearray(b"17"), b"string", b"raw", 1),
        (lambda: ListValue([b"a", b"b"]), b"list", b"listpack", 2),
        (a_hash, b"hash", b"listpack", 1),
        (a_set, b"set", b"listpack", 1),
        (a_sorted_set, b"zset", b"listpack", 1),
        (StreamValue, b"stream", b"stream", 0),
    ],
)
def test_every_class_is_known(
    make: Callable[[], object], name: bytes, encoding: bytes, count: int
) -> None:
    value = make()
    assert type_name(value) == name
    assert encoding_name(value, CONFIG) == encoding
    assert element_count(value) == count
    copy = copy_value(value)
    assert type(copy) is type(value)
    assert (copy is value) == isinstance(value, bytes)
    assert encoding_name(copy, CONFIG) == encoding


def test_a_copy_shares_nothing_that_changes() -> None:
    text, fields, members, scores = bytearray(b"ab"), a_hash(), a_set(), a_sorted_set()
    copy_value(text).extend(b"c")
    copy_value(fields).put(b"other", b"value")
    copy_value(members).insert(b"other")
    copy_value(scores).put(b"other", 2.5)
    assert (bytes(text), len(fields), len(members), len(scores)) == (b"ab", 1, 1, 1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"0", True),
        (b"9999", True),
        (b"10000", False),
        (b"-1", False),
        (b"01", False),
        (bytearray(b"1"), False),
        (a_set(), False),
    ],
)
def test_shared_integers(value: object, expected: bool) -> None:
    assert is_shared_integer(value) is expected


def test_a_class_that_nobody_entered_is_an_error() -> None:
    with pytest.raises(KeyError):
        type_name("text")
