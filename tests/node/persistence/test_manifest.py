"""The manifest: its text, its changes, and what is refused."""

import pytest

from clustrio.node.persistence.manifest import (
    LogFile,
    Manifest,
    ManifestError,
    decode_manifest_untrusted,
)

REDIS = (
    b"file appendonly.aof.2.base.rdb seq 2 type b\n"
    b"file appendonly.aof.1.incr.aof seq 1 type h\n"
    b"file appendonly.aof.2.incr.aof seq 2 type i\n"
    b"file appendonly.aof.3.incr.aof seq 3 type i\n"
)


def test_text_goes_both_ways() -> None:
    manifest = decode_manifest_untrusted("appendonly.aof", REDIS)
    assert manifest.base == LogFile("appendonly.aof.2.base.rdb", 2, "b")
    assert [each.sequence for each in manifest.increments] == [2, 3]
    assert [each.name for each in manifest.history] == ["appendonly.aof.1.incr.aof"]
    assert (manifest.base_sequence, manifest.increment_sequence) == (2, 3)
    assert manifest.encode() == REDIS


def test_odd_names_are_quoted() -> None:
    manifest = Manifest('my "log"')
    manifest.begin_base(is_snapshot=True)
    text = manifest.encode()
    assert text == b'file "my \\"log\\".1.base.rdb" seq 1 type b\n'
    assert decode_manifest_untrusted('my "log"', text).base == manifest.base


def test_a_rewrite_leaves_one_base_and_the_last_increment() -> None:
    manifest = Manifest("log")
    assert manifest.is_empty
    assert manifest.begin_base(is_snapshot=True) == "log.1.base.rdb"
    assert manifest.begin_increment() == "log.1.incr.aof"
    before = manifest.copy()
    assert manifest.begin_increment() == "log.2.incr.aof"
    assert manifest.begin_base(is_snapshot=False) == "log.2.base.aof"
    manifest.retire_increments(1)
    assert [each.name for each in manifest.files()] == ["log.2.base.aof", "log.2.incr.aof"]
    assert {each.name for each in manifest.history} == {"log.1.base.rdb", "log.1.incr.aof"}
    assert [each.name for each in before.files()] == ["log.1.base.rdb", "log.1.incr.aof"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "empty"),
        (b"file a seq 1 type b", "too long"),
        (b"file a seq 1 type b\n" * 2, "duplicate base"),
        (b"file a seq 2 type i\nfile b seq 1 type i\n", "non-monotonic"),
        (b"file a seq 1 type i\nfile b seq 1 type i\n", "non-monotonic"),
        (b"file ../a seq 1 type b\n", "path"),
        (b"file a seq 1 type x\n", "Unknown"),
        (b"file a seq one type b\n", "Invalid"),
        (b"file a seq 0 type b\n", "Invalid"),
        (b"file a type b\n", "Invalid"),
        (b"\n", "Invalid"),
        (b'file "a seq 1 type b\n', "Invalid"),
        (b"file a seq 1 type b more\n", "Invalid"),
    ],
)
def test_what_makes_no_sense_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(ManifestError, match=reason):
        decode_manifest_untrusted("log", text)


def test_comments_and_unknown_words_are_passed_over() -> None:
    text = b"# made by hand\nfile a seq 1 type b colour blue\n"
    assert decode_manifest_untrusted("log", text).base == LogFile("a", 1, "b")
