"""A whole node in memory, for tests: commands in as words, plain values and effects out.

    node = MemoryNode()
    assert node.call("SET", "key", "value") == "OK"
    assert node.call("GET", "key") == b"value"
    assert node.take_events() == [("$", b"set", b"key")]

Replies are plain values: status lines are `str`, bulk strings `bytes`, integers `int`, nulls
`None`, arrays `list`, maps `dict` (or a list of pairs if a key cannot be one), sets `Several`,
doubles `float`, and errors `Failure`. A command that fails in any other way fails the test.
"""

from collections.abc import Sequence
from random import Random
from typing import Any

from clustrio.node.config import Config
from clustrio.node.effects import EffectBatch
from clustrio.node.machine import Machine
from clustrio.node.session import Session

from ..support.raw import encode_command

#: What a test may write for a word.
Word = bytes | str | int | float
#: What a reply decodes to; tests compare it with literals, so that there is no narrower type.
Plain = Any

START_MS = 1_700_000_000_000


class Failure(str):
    """An error reply: everything between `-` and the line break."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Failure({super().__repr__()})"


class Several(list[Plain]):
    """The members of a RESP3 set, in the order in which they came."""


class _RaisingLog:
    """Lets what the node would only log as its own bug fail the test."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def debug(self, text: str) -> None:
        self.lines.append(text)

    verbose = notice = warning = debug

    def exception(self, text: str, failure: BaseException) -> None:
        raise AssertionError(text) from failure


class MemoryClient:
    """One client of a node in memory."""

    def __init__(self, machine: Machine, address: str) -> None:
        self.machine = machine
        self.session: Session = machine.connect(address, "127.0.0.1:6379")

    def call(self, *words: Word) -> Plain:
        """Send one command; return its reply."""
        replies = self.send(words)
        assert len(replies) == 1, f"{len(replies)} replies to {words}"
        return replies[0]

    def send(self, *commands: Sequence[Word]) -> list[Plain]:
        """Send commands in one go; return whatever comes back."""
        return decode_replies(self.receive(*commands))

    def receive(self, *commands: Sequence[Word]) -> bytes:
        """Send commands in one go; return the bytes that come back."""
        data = b"".join(encode_command([*map(as_bytes, words)]) for words in commands)
        return self.machine.receive(self.session, data)

    def take_pushed(self) -> list[Plain]:
        """What came outside the order of request and reply, since the last time."""
        data = b"".join(self.session.outbox)
        self.session.outbox.clear()
        return decode_replies(data)


class MemoryNode(MemoryClient):
    """A node with a first client, an observer of its effects, and a clock that only tests move."""

    def __init__(self, **settings: str | int) -> None:
        config = Config()
        lines = (f"{name.replace('_', '-')} {value}\n" for name, value in settings.items())
        config.load("".join(lines))
        self.log = _RaisingLog()
        self._timer_ns = 0
        self._batches: list[EffectBatch] = []
        machine = Machine(config, self.log, Random(1), self._tick_timer, START_MS)
        super().__init__(machine, "127.0.0.1:50000")
        self._clients = 1
        self.observe(True)

    def _tick_timer(self) -> int:
        self._timer_ns += 1000
        return self._timer_ns

    def connect(self) -> MemoryClient:
        """Another client."""
        self._clients += 1
        return MemoryClient(self.machine, f"127.0.0.1:{50000 + self._clients}")

    def observe(self, wanted: bool) -> None:
        """Record effects, as with a replica; otherwise commands run as on a plain cache."""
        effects = self.machine.keyspace.effects
        if wanted:
            effects.add_consumer(self)
        else:
            effects.remove_consumer(self)
        self.machine.require_gate("test", wanted)

    def advance(self, milliseconds: int) -> None:
        """Let time pass; nothing is expired by that alone."""
        self.machine.clock.now_ms += milliseconds

    def tick(self) -> None:
        """Let the node do what is due."""
        self.machine.tick(lambda: False)

    # --- effects ----------------------------------------------------------------------------------

    def on_effects(self, batch: EffectBatch) -> None:
        """Called by the node."""
        self._batches.append(batch)

    def take_batches(self) -> list[EffectBatch]:
        """All effects since the last time."""
        batches = self._batches
        self._batches = []
        return batches

    def take_effects(self) -> tuple[list[list[bytes]], list[tuple[str, bytes, bytes]]]:
        """What was propagated, and the keyspace events, since the last time.

        Events of new and of missing keys (classes n and m) accompany others and are left out; see
        `take_batches` for them.
        """
        batches = self.take_batches()
        propagated = [list(command.args) for batch in batches for command in batch.commands]
        events = [
            (event.kind, event.name, event.key)
            for batch in batches
            for event in batch.events
            if event.kind not in "nm"
        ]
        return propagated, events

    def take_propagated(self) -> list[list[bytes]]:
        """What replicas and the append-only file were sent since the last time."""
        return self.take_effects()[0]

    def take_events(self) -> list[tuple[str, bytes, bytes]]:
        """The keyspace events since the last time: class letter, name, key."""
        return self.take_effects()[1]


def as_bytes(word: Word) -> bytes:
    """A word as it is sent."""
    return word if isinstance(word, bytes) else str(word).encode()


def decode_replies(data: bytes) -> list[Plain]:
    """Plain values of the replies in `data`, which must end with the last of them."""
    replies: list[Plain] = []
    position = 0
    while position < len(data):
        reply, position = _decode(data, position)
        replies.append(reply)
    return replies


_CONSTANTS = {b"_": None, b"#t": True, b"#f": False}


def _decode(data: bytes, position: int) -> tuple[Plain, int]:
    end = data.index(b"\r\n", position)
    kind, line = data[position : position + 1], data[position + 1 : end]
    position = end + 2
    match kind:
        case b"+":
            return line.decode(), position
        case b"-":
            return Failure(line.decode("utf-8", "backslashreplace")), position
        case b":" | b"(":
            return int(line), position
        case b",":
            return float(line), position
        case b"_" | b"#":
            return _CONSTANTS[kind + line], position
        case b"$" | b"=" | b"!":
            return _decode_bulk(kind, data, position, int(line))
        case b"*" | b"~" | b">" | b"%" | b"|":
            return _decode_aggregate(kind, data, position, int(line))
    raise AssertionError(f"not RESP: {kind + line!r}")


def _decode_bulk(kind: bytes, data: bytes, position: int, length: int) -> tuple[Plain, int]:
    if length < 0:
        return None, position
    end = position + length
    assert data[end : end + 2] == b"\r\n", "a bulk string does not end where it says"
    text = data[position:end]
    if kind == b"!":
        return Failure(text.decode()), end + 2
    return text.partition(b":")[2] if kind == b"=" else text, end + 2


def _decode_aggregate(kind: bytes, data: bytes, position: int, count: int) -> tuple[Plain, int]:
    if count < 0:
        return None, position
    is_map = kind in b"%|"
    items: list[Plain] = []
    for _ in range(count * 2 if is_map else count):
        item, position = _decode(data, position)
        items.append(item)
    if not is_map:
        return Several(items) if kind == b"~" else items, position
    pairs = list(zip(items[::2], items[1::2], strict=True))
    can_be_dict = not any(isinstance(key, list | dict) for key, _ in pairs)
    return dict(pairs) if can_be_dict else pairs, position
