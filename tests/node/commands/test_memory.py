"""MEMORY."""

import pytest

from clustrio.node.memory import LIFETIME_BYTES

from ..harness import MemoryNode


def test_usage_grows_with_key_value_and_lifetime() -> None:
    node = MemoryNode()
    node.call("SET", "a", "x")
    small = node.call("MEMORY", "USAGE", "a")
    assert 50 < small < 200
    node.call("SET", "a", b"x" * 1000)
    assert 950 < node.call("MEMORY", "USAGE", "a") - small < 1010
    plain = node.call("MEMORY", "USAGE", "a")
    node.call("EXPIRE", "a", 100)
    assert node.call("MEMORY", "USAGE", "a") == plain + LIFETIME_BYTES
    assert node.call("MEMORY", "USAGE", "missing") is None


def test_usage_looks_at_so_many_elements() -> None:
    node = MemoryNode()
    node.call("RPUSH", "l", *[b"x" * 10] * 500, *[b"y" * 1000] * 500)
    exact = node.call("MEMORY", "USAGE", "l", "SAMPLES", 0)
    assert exact > 500_000
    assert node.call("MEMORY", "USAGE", "l", "samples", 1000) >= exact * 0.9


def test_usage_is_no_use_of_the_key() -> None:
    node = MemoryNode(maxmemory_policy="allkeys-lru")
    node.call("SET", "a", "x")
    node.advance(5000)
    node.call("MEMORY", "USAGE", "a")
    assert node.call("OBJECT", "IDLETIME", "a") == 5
    assert (node.session.db.hits, node.session.db.misses) == (1, 0)  # OBJECT's own look


def test_statistics_agree_with_info() -> None:
    node = MemoryNode()
    node.call("HELLO", 3)
    node.call("SET", "a", b"x" * 1000, "EX", 100)
    node.call("SELECT", 2)
    node.call("SET", "b", b"x")
    figures = node.call("MEMORY", "STATS")
    assert figures[b"keys.count"] == 2
    assert figures[b"db.0"][b"overhead.hashtable.expires"] == LIFETIME_BYTES
    assert figures[b"db.2"][b"overhead.hashtable.expires"] == 0
    assert isinstance(figures[b"dataset.percentage"], float)
    assert figures[b"total.allocated"] == (figures[b"dataset.bytes"] + figures[b"overhead.total"])
    assert f"used_memory:{figures[b'total.allocated']}\r\n" in node.call("INFO", "memory").decode()


def test_statistics_of_an_empty_node() -> None:
    figures = MemoryNode().call("MEMORY", "STATS")
    assert dict(zip(figures[::2], figures[1::2], strict=True))[b"keys.bytes-per-key"] == 0


def test_the_doctor_has_nothing_to_say_of_little_data() -> None:
    assert b"hardly any data" in MemoryNode().call("MEMORY", "DOCTOR")


@pytest.mark.parametrize(
    ("resident", "peak_extra", "waiting", "finding"),
    [
        (12_000_000, 0, 0, b"Nothing is wrong"),
        (50_000_000, 0, 0, b"Fragmentation: "),
        (12_000_000, 20_000_000, 0, b"Peak: "),
        (12_000_000, 0, 300_000, b"Clients: "),
    ],
)
def test_the_doctor_finds_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, resident: int, peak_extra: int, waiting: int, finding: bytes
) -> None:
    node = MemoryNode()
    node.call("SET", "big", b"x" * 8_000_000)
    monkeypatch.setattr(node.machine.process, "resident_bytes", lambda: resident)
    if peak_extra:
        node.call("SET", "other", b"x" * peak_extra)
        node.call("MEMORY", "STATS")
        node.call("DEL", "other")
    node.session.output_bytes = waiting
    reply = node.call("MEMORY", "DOCTOR")
    assert finding in reply
    assert reply.count(b" * ") == (0 if finding.startswith(b"Nothing") else 1)


def test_the_allocator() -> None:
    node = MemoryNode()
    assert node.call("MEMORY", "PURGE") == "OK"
    assert b"Python" in node.call("MEMORY", "MALLOC-STATS")
