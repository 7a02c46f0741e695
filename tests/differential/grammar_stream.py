"""The stream group.

IDs that `*` makes of the clock would differ for good, so it is only used behind IDs of a far
future. Consumers are given entries with idle times of days, or none at all."""

from random import Random
from typing import Final

from .dsl import (
    Command,
    Part,
    command,
    constant,
    integer,
    key,
    maybe,
    member,
    mostly,
    one_of,
    options,
    repeat,
    seq,
    value,
    word,
)
from .stream_agreement import (
    added,
    busy_consumers,
    consumer_counts,
    pending,
    read,
    set_id,
    told,
)

#: Keys of its own: other groups put values of other types under the usual ones.
_STREAMS: Final = (b"s", b"s", b"t", b"long")
_ODD_IDS: Final = (
    *(b"0", b"0-0", b"-", b"+", b"$", b">", b"0-*", b"1-2-3", b"a-1", b"1-a", b"-1", b"1-"),
    *(
        b"-5-1",
        b"+1",
        b" 7",
        b"007-01",
        b"1--2",
        b"18446744073709551615",
        b"5-18446744073709551615",
    ),
    *(
        b"18446744073709551616",
        b"18446744073709551615-18446744073709551614",
        b"1\x00-2",
        b"9" * 130,
    ),
)


def _stream(random: Random) -> Command:
    return [random.choice(_STREAMS)] if random.random() < 0.95 else key(random)


def _id(random: Random) -> Command:
    """An ID: low ones are met often."""
    chance = random.random()
    if chance < 0.75:
        return [b"%d-%d" % (random.randint(0, 40), random.randint(0, 3))]
    if chance < 0.9:
        return [b"%d" % random.randint(0, 45)]
    return [random.choice(_ODD_IDS)]


def _new_id(random: Random) -> Command:
    """An ID to add: rising in most histories."""
    chance = random.random()
    if chance < 0.5:
        return [b"%d-*" % random.randint(0, 10 ** random.randint(0, 2))]
    if chance < 0.9:
        return [b"%d-%d" % (random.randint(0, 10 ** random.randint(0, 2)), random.randint(0, 3))]
    return [random.choice(_ODD_IDS)]


def _bound(random: Random) -> Command:
    """One end of a range."""
    chance = random.random()
    if chance < 0.4:
        return [random.choice((b"-", b"+"))]
    text = _id(random)[0]
    return [b"(" + text if chance > 0.8 else text]


_FIELDS: Final = mostly(repeat(seq(member, value), 1, 3), repeat(value, 1, 3))
_GROUP: Final = mostly(constant(b"g", b"g", b"h"), constant(b"", b"gone", b"nul\x00\r\n"))
_CONSUMER: Final = mostly(constant(b"alice", b"bob"), constant(b"", b"nul\x00"))
_COUNT: Final = mostly(constant(b"1", b"2", b"5", b"100"), integer, 0.9)
_MINIMUM_IDLE: Final = mostly(
    constant(b"0", b"0", b"500000000"), constant(b"-5", b"x", b"9223372036854775807")
)
_THRESHOLD: Final = one_of(
    seq("MAXLEN", maybe(constant(b"~", b"=")), mostly(constant(b"0", b"1", b"4", b"9"), integer)),
    seq("MINID", maybe(constant(b"~", b"=")), _id),
)
_TRIM: Final = seq(
    _THRESHOLD, maybe(seq("LIMIT", mostly(constant(b"0", b"3", b"7"), integer)), 0.2)
)
_ENTRIES_READ: Final = seq("ENTRIESREAD", mostly(constant(b"0", b"3", b"-1"), integer))
_CLAIM_OPTIONS: Final = options(
    seq("IDLE", mostly(constant(b"1000000000", b"2000000000"), constant(b"-1", b"x", b"0"))),
    seq("TIME", constant(b"0", b"1000", b"-1", b"9223372036854775807", b"x")),
    seq("RETRYCOUNT", mostly(constant(b"0", b"7"), integer)),
    "FORCE",
    "FORCE",
    "JUSTID",
    seq("LASTID", _id),
)
_READ_ID: Final = mostly(one_of(_id, constant(b"0", b"$")), constant(b">"))
_GROUP_READ_ID: Final = mostly(one_of(constant(b">", b">", b"0"), _id), constant(b"$", b"x"))


def _streams(id_part: Part) -> Part:
    """One or two streams with their IDs; now and then one ID too few."""

    def draw(random: Random) -> Command:
        count = random.choice((1, 1, 1, 2))
        words = [b"STREAMS"]
        for _ in range(count):
            words += _stream(random)
        for _ in range(count if random.random() < 0.97 else count + 1):
            # 7.0 does not know what `+` means here.
            words += [b"-" if text == b"+" else text for text in id_part(random)]
        return words

    return draw


GRAMMAR: Final = [
    command(
        "XADD",
        _stream,
        maybe("NOMKSTREAM", 0.1),
        maybe(_TRIM, 0.2),
        _new_id,
        _FIELDS,
        agree=added,
        weight=9,
    ),
    command(
        "XADD",
        constant(b"long"),
        maybe(_TRIM, 0.1),
        constant(b"5-*"),
        _FIELDS,
        agree=added,
        weight=6,
    ),
    command(
        "XADD",
        constant(b"future"),
        constant(b"9999999999999-*"),
        _FIELDS,
        agree=added,
        takes_damage=False,
    ),
    command(
        "XADD",
        constant(b"future"),
        "NOMKSTREAM",
        constant(b"*"),
        _FIELDS,
        agree=added,
        takes_damage=False,
    ),
    command(
        "XADD",
        key,
        options("NOMKSTREAM", _TRIM, _TRIM, _new_id),
        _FIELDS,
        agree=added,
        takes_damage=False,
    ),
    command("XTRIM", _stream, _TRIM, weight=2),
    command("XTRIM", _stream, options(_TRIM, "LIMIT", "NOMKSTREAM")),
    command("XDEL", _stream, repeat(_id), weight=3),
    command("XLEN", _stream),
    command("XRANGE", _stream, _bound, _bound, options(seq("COUNT", _COUNT)), weight=3),
    command("XREVRANGE", _stream, _bound, _bound, options(seq("COUNT", _COUNT)), weight=3),
    # On keys of its own: 7.0 lets the last ID fall below that of a deleted entry.
    command("XADD", constant(b"set"), constant(b"5-*"), _FIELDS),
    command(
        "XSETID",
        mostly(constant(b"set"), constant(b"nothing", b"{a}d")),
        constant(b"5-1", b"5-9", b"6-0", b"7", b"0", b"x", b"+"),
        options(
            seq("ENTRIESADDED", mostly(constant(b"2", b"100"), integer)),
            seq("MAXDELETEDID", constant(b"1-0", b"4-9", b"99-0", b"x")),
        ),
        agree=set_id,
        takes_damage=False,
    ),
    command("XINFO", "STREAM", constant(b"set")),
    command("XGROUP", "CREATE", _stream, _GROUP, one_of(_id, constant(b"$", b"0")), weight=3),
    command(
        *("XGROUP", "CREATE", _stream, _GROUP, constant(b"$", b"0", b"3-1")),
        options("MKSTREAM", _ENTRIES_READ),
        weight=2,
    ),
    command(
        "XGROUP", "SETID", _stream, _GROUP, one_of(_id, constant(b"$", b"0")), maybe(_ENTRIES_READ)
    ),
    command("XGROUP", "DESTROY", _stream, _GROUP),
    command("XGROUP", "CREATECONSUMER", _stream, _GROUP, _CONSUMER, agree=consumer_counts),
    command("XGROUP", "DELCONSUMER", _stream, _GROUP, _CONSUMER),
    command("XGROUP", one_of("CREATE", "SETID", "nonsense"), repeat(_stream, 0, 3)),
    command("XACK", _stream, _GROUP, repeat(_id), weight=2),
    command("XREAD", maybe(seq("COUNT", _COUNT)), _streams(_READ_ID), agree=read, weight=4),
    command(
        "XREAD", options("NOACK", seq("GROUP", _GROUP, _CONSUMER)), _streams(_READ_ID), agree=read
    ),
    command(
        *(
            "XREAD",
            seq("BLOCK", constant(b"1", b"-1", b"x", b"1.5")),
            _streams(constant(b"$", b"0")),
        ),
        agree=read,
        takes_damage=False,
    ),
    command(
        *("XREADGROUP", "GROUP", _GROUP, _CONSUMER, maybe(seq("COUNT", _COUNT))),
        *(maybe("NOACK", 0.1), _streams(_GROUP_READ_ID)),
        agree=read,
        weight=9,
    ),
    command(
        *("XREADGROUP", "GROUP", _GROUP, _CONSUMER, "BLOCK", constant(b"1")),
        _streams(constant(b">")),
        agree=read,
        takes_damage=False,
    ),
    command(
        *("XCLAIM", _stream, _GROUP, _CONSUMER, _MINIMUM_IDLE, repeat(_id), _CLAIM_OPTIONS),
        weight=4,
    ),
    command(
        *("XAUTOCLAIM", _stream, _GROUP, _CONSUMER, _MINIMUM_IDLE, _bound),
        options(
            seq("COUNT", mostly(constant(b"1", b"2", b"9"), constant(b"0", b"-1", b"x"))), "JUSTID"
        ),
        weight=3,
    ),
    command("XPENDING", _stream, _GROUP, weight=2),
    command(
        *("XPENDING", _stream, _GROUP, maybe(seq("IDLE", _MINIMUM_IDLE), 0.3)),
        *(_bound, _bound, _COUNT, maybe(_CONSUMER, 0.3)),
        agree=pending,
        weight=3,
    ),
    command("XPENDING", _stream, _GROUP, repeat(_bound, 1, 6), agree=pending),
    command("XINFO", "STREAM", _stream, weight=2),
    command("XINFO", "STREAM", _stream, "FULL", maybe(seq("COUNT", _COUNT)), agree=told, weight=2),
    command("XINFO", "GROUPS", _stream, agree=told),
    command("XINFO", "CONSUMERS", _stream, _GROUP, agree=busy_consumers),
    command("XINFO", word("STREAM"), _stream, options("FULL", "COUNT", "MORE", _COUNT), agree=told),
    command("CONFIG", "SET", "stream-node-max-entries", constant(b"3", b"10"), takes_damage=False),
    command("DEL", _stream),
    command("COPY", _stream, _stream, maybe("REPLACE")),
]
