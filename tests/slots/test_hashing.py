"""Keys and their slots, checked against another implementation and against Redis."""

import crcmod.predefined
import pytest

from clustrio.slots.hashing import SLOT_COUNT, hash_tag, key_slot

from ..support.servers import client_of, start_redis

#: Key and the part of it that is hashed, after the cluster specification.
TAGS = [
    (b"plain", b"plain"),
    (b"{user1000}.following", b"user1000"),
    (b"foo{}{bar}", b"foo{}{bar}"),
    (b"foo{{bar}}zap", b"{bar"),
    (b"foo{bar}{zap}", b"bar"),
    (b"foo{bar", b"foo{bar"),
    (b"}foo{bar}", b"bar"),
    (b"}{", b"}{"),
    (b"{}", b"{}"),
    (b"", b""),
    (b"{\x00\xff}", b"\x00\xff"),
]


def test_the_check_value_of_the_checksum() -> None:
    assert key_slot(b"123456789") == 0x31C3 % SLOT_COUNT == 12739


@pytest.mark.parametrize(("key", "tag"), TAGS)
def test_the_tag_is_hashed(key: bytes, tag: bytes) -> None:
    assert hash_tag(key) == tag
    assert key_slot(key) == crcmod.predefined.mkCrcFun("xmodem")(tag) % SLOT_COUNT


@pytest.mark.redis_server
@pytest.mark.slow
def test_redis_agrees() -> None:
    keys = [key for key, _ in TAGS] + [b"key:%d" % number for number in range(500)]
    with start_redis("--cluster-enabled", "yes") as server, client_of(server) as client:
        assert [client.call("CLUSTER", "KEYSLOT", key).number for key in keys] == [
            key_slot(key) for key in keys
        ]
