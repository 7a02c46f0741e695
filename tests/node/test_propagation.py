"""The command stream: databases are said once, transactions stay whole."""

from clustrio.node.effects import EffectBatch, Propagated
from clustrio.node.propagation import CommandStream


def batch(*commands: tuple[int, list[bytes]]) -> EffectBatch:
    return EffectBatch(tuple(Propagated(*command) for command in commands), (), (), ())


def words(data: bytes) -> list[bytes]:
    return [line for line in data.split(b"\r\n") if line and line[:1] not in b"*$"]


def test_a_batch_without_commands_is_nothing() -> None:
    assert CommandStream().encode(batch()) == b""


def test_the_database_is_said_first_and_at_each_change() -> None:
    stream = CommandStream()
    assert words(stream.encode(batch((0, [b"DEL", b"a"])))) == [b"SELECT", b"0", b"DEL", b"a"]
    assert words(stream.encode(batch((0, [b"DEL", b"b"])))) == [b"DEL", b"b"]
    assert words(stream.encode(batch((3, [b"DEL", b"c"])))) == [b"SELECT", b"3", b"DEL", b"c"]
    stream.forget_database()
    assert words(stream.encode(batch((3, [b"DEL", b"d"])))) == [b"SELECT", b"3", b"DEL", b"d"]


def test_several_commands_are_one_transaction_even_across_databases() -> None:
    stream = CommandStream()
    data = stream.encode(batch((0, [b"INCR", b"a"]), (1, [b"INCR", b"b"])))
    assert words(data) == [
        b"SELECT", b"0", b"MULTI", b"INCR", b"a", b"SELECT", b"1", b"INCR", b"b", b"EXEC",
    ]  # fmt: skip
    assert stream.database == 1
