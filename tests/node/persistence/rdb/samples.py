"""Payloads as redis-server 7.0.15 dumped them, and what is in them."""

from math import inf
from typing import Any, Final

from attrs import frozen


@frozen
class Sample:
    """One payload."""

    name: str
    hexadecimal: str
    #: The value in plain types; see `plain` in `harness`.
    plain: Any

    @property
    def payload(self) -> bytes:
        """The bytes."""
        return bytes.fromhex(self.hexadecimal)


DUMPED: Final = (
    Sample(
        "embedded string",
        "000568656c6c6f0a006372df766534200a",
        b"hello",
    ),
    Sample(
        "empty string",
        "00000a005d9b5c400f7fa2da",
        b"",
    ),
    Sample(
        "integer of 8 bits",
        "00c09c0a00ff77a3b766addee4",
        b"-100",
    ),
    Sample(
        "integer of 16 bits",
        "00c130750a0049977f92988c365b",
        b"30000",
    ),
    Sample(
        "integer of 32 bits",
        "00c2006cca880a0035ffaebd7f1d7a67",
        b"-2000000000",
    ),
    Sample(
        "integer of 64 bits",
        "0013393030303030303030303030303030303030300a006363afd97a2287b1",
        b"9000000000000000000",
    ),
    Sample(
        "not an integer",
        "00033030370a007258e27b4c69bad9",
        b"007",
    ),
    Sample(
        "compressed string",
        "00c30a40c802616261e0ba010161620a0024a6e84170c0c68c",
        b"ab" * 100,
    ),
    Sample(
        "length of 14 bits",
        "0040467a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a"
        "7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a0a002c388f1eee"
        "4bfa6b",
        b"z" * 70,
    ),
    Sample(
        "list in one node",
        "120102c31e405e165e00000005008161020101f178ec03f270110104e04678e03c000148ff0a00c8"
        "ad04ab60fe90e6",
        [b"a", b"1", b"-5000", b"70000", b"x" * 70],
    ),
    Sample(
        "list in three nodes",
        "1203020d0d0000000200816102816202ff020d0d0000000200816302816402ff020a0a0000000100"
        "816502ff0a00ec5236a76020a1db",
        [b"a", b"b", b"c", b"d", b"e"],
    ),
    Sample(
        "list with a plain node",
        "1202020a0a0000000100816102ff011471717171717171717171717171717171717171710a00271b"
        "99ff147d746d",
        [b"a", b"q" * 20],
    ),
    Sample(
        "intset of 16 bits",
        "0b0e0200000003000000feff01002c010a005b0aa862f794600a",
        {b"1", b"-2", b"300"},
    ),
    Sample(
        "intset of 32 bits",
        "0b10040000000200000001000000a08601000a00d7b548c007796515",
        {b"1", b"100000"},
    ),
    Sample(
        "intset of 64 bits",
        "0b180800000002000000010000000000000000000000000100000a003122f06df542c0b4",
        {b"1099511627776", b"1"},
    ),
    Sample(
        "set of texts",
        "020301610162c0010a0023ff73bdb0f93526",
        {b"1", b"a", b"b"},
    ),
    Sample(
        "zset listpack",
        "11c32c350e350000000800816402942d302e3130e00500173115816102010181620283322e350481"
        "630283696e6604ff0a0037503cbc56ec22b9",
        {b"a": 1.0, b"b": 2.5, b"c": inf, b"d": -0.1},
    ),
    Sample(
        "zset skiplist",
        "0503016200000000000004400161000000000000f03f0163000000000000f0ff0a009a24ca8fdcb1d08c",
        {b"a": 1.0, b"b": 2.5, b"c": -inf},
    ),
    Sample(
        "hash listpack",
        "101a1a000000060081610201018162028474657874058163028001ff0a006ca39ed9ada7b9c8",
        {b"a": b"1", b"b": b"text", b"c": b""},
    ),
    Sample(
        "hash table",
        "04020161c001016204746578740a000a4e34315b62f340",
        {b"a": b"1", b"b": b"text"},
    ),
    Sample(
        "stream",
        "13011000000000000000050000000000000001c3373f113f00000019000301000102018161028162"
        "02400900002001050101817802052016400a201c0079200c800a2019076302817a020601ff030603"
        "0501000003000a007691bf25c0d14bb4",
        [
            ((5, 1), (b"a", b"1", b"b", b"x")),
            ((5, 2), (b"a", b"2", b"b", b"y")),
            ((6, 3), (b"c", b"z")),
        ],
    ),
    Sample(
        "stream with a deletion",
        "13011000000000000000010000000000000001c32a30073000000014000201400007816102000102"
        "0100600102040103200740000004601300022001020401ff0201030101010203000a0024fff62c88"
        "01e26b",
        [((1, 1), (b"a", b"0")), ((1, 3), (b"a", b"2"))],
    ),
)

#: As redis-server 7.4.1 dumped a hash of which two fields have a lifetime, packed and as a table.
DUMPED_WITH_LIFETIMES: Final = (
    "197b409452a30300002f2f00000009008163020301f405409452a3030000098161020101f47b409452a30300000981"
    "62028374776f040001ff0c0089cbcff412cf8acb",
    "1805409452a3030000030001620374776f010163c00340770161c0010c008f8c04ce5dc032db",
)
