"""The records themselves: their numbers, their sharing, their looks."""

import attrs
import pytest

from clustrio.gossip.messages import (
    NO_SLOTS,
    Message,
    MessageFlag,
    MessageType,
    NodeFlag,
    message_type,
    slot_ranges,
    slots_text,
)

from .test_wire import HEADER, MESSAGES


def test_flags_have_the_values_of_the_wire() -> None:
    assert [(name, bit) for name, bit in vars(NodeFlag).items() if name.isupper()] == [
        ("NONE", 0),
        ("PRIMARY", 1),
        ("REPLICA", 2),
        ("PFAIL", 4),
        ("FAIL", 8),
        ("MYSELF", 16),
        ("HANDSHAKE", 32),
        ("NOADDR", 64),
        ("MEET", 128),
        ("MIGRATE_TO", 256),
        ("NOFAILOVER", 512),
        ("EXTENSIONS_SUPPORTED", 1024),
    ]
    assert [bit for name, bit in vars(MessageFlag).items() if name.isupper()] == [0, 1, 2, 4]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("ping", 0),
        ("pong with nothing", 1),
        ("meet with all extensions", 2),
        ("fail", 3),
        ("publish", 4),
        ("light publish", 4),
        ("auth request", 5),
        ("auth ack", 6),
        ("update", 7),
        ("mfstart", 8),
        ("module", 9),
        ("publish to a shard", 10),
        ("unknown type", 4000),
    ],
)
def test_every_message_knows_its_number(name: str, number: int) -> None:
    assert message_type(MESSAGES[name]) == number


def test_every_type_has_a_message() -> None:
    assert set(MessageType) <= {message_type(message) for message in MESSAGES.values()}


def test_only_what_came_without_a_header_is_light() -> None:
    light = {name for name, message in MESSAGES.items() if message.header is None}
    assert light == {"light publish", "light publish to a shard", "light module"}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
def test_records_are_frozen_and_hashable(message: Message) -> None:
    assert hash(message) == hash(attrs.evolve(message))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        message.header = None  # type: ignore[misc]


@pytest.mark.parametrize(
    ("slots", "ranges", "text"),
    [
        ((), [], ""),
        ((0,), [(0, 0)], "0"),
        ((16383,), [(16383, 16383)], "16383"),
        ((0, 1, 2, 8, 9, 100), [(0, 2), (8, 9), (100, 100)], "0-2 8-9 100"),
        (range(16384), [(0, 16383)], "0-16383"),
    ],
)
def test_bitmaps_as_ranges(slots: range, ranges: list[tuple[int, int]], text: str) -> None:
    bitmap = bytearray(NO_SLOTS)
    for slot in slots:
        bitmap[slot // 8] |= 1 << (slot % 8)
    assert list(slot_ranges(bytes(bitmap))) == ranges
    assert slots_text(bytes(bitmap)) == text


def test_a_record_can_be_read_by_people() -> None:
    assert "slots=<0 16383>" in repr(HEADER)
    assert all(len(repr(message)) < 3000 for message in MESSAGES.values())
