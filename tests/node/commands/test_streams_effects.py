"""Whatever happens to streams: replicas that hear of it, and of nothing else, end up with the same.

Only what a consumer reads again of its own does not reach them, in Redis neither: how often and
when pending entries were delivered may differ. So may the times at which consumers were seen."""

from random import Random

import pytest

from ...differential.dsl import Command, command, constant, one_of, repeat, seq
from ...differential.grammars import GRAMMARS, draw_steps
from ..harness import MemoryNode, Plain

STEPS = 3000


def _ids(random: Random) -> Command:
    """Some IDs behind their number, which may be wrong."""
    ids = [b"%d-%d" % (random.randrange(40), random.randrange(3)) for _ in range(3)]
    return [b"IDS", random.choice((b"3", b"3", b"3", b"2", b"4", b"0", b"x")), *ids]


_STREAM = constant(b"s", b"t", b"long")
_RULE = one_of("KEEPREF", "DELREF", "ACKED")
_THRESHOLD = one_of(
    seq("MAXLEN", constant(b"~", b"="), constant(b"0", b"2", b"9")),
    seq("MINID", constant(b"~", b"="), constant(b"0", b"5-3", b"20")),
)
#: What no 7.0 server knows, and the grammar therefore neither.
NEWER = [
    command("XDELEX", _STREAM, _RULE, _ids, weight=3),
    command("XACKDEL", _STREAM, constant(b"g", b"h"), _RULE, _ids, weight=3),
    command("XTRIM", _STREAM, _THRESHOLD, _RULE, weight=2),
    command("XTRIM", _STREAM, _THRESHOLD, "LIMIT", constant(b"1", b"5"), _RULE),
    command("XADD", _STREAM, _RULE, _THRESHOLD, constant(b"*", b"9-*"), repeat(_STREAM, 2, 2)),
    command("XREAD", "STREAMS", _STREAM, "+"),
]


def _pending(entries: Plain) -> Plain:
    return [[part for part in entry if isinstance(part, bytes)] for entry in entries]


def _stream(node: MemoryNode, key: bytes) -> Plain:
    """Everything about a stream that replicas must know."""
    told = node.call("XINFO", "STREAM", key, "FULL", "COUNT", 0)
    if not isinstance(told, dict):
        return told
    for group in told[b"groups"]:
        group[b"pending"] = _pending(group[b"pending"])
        for consumer in group[b"consumers"]:
            del consumer[b"seen-time"], consumer[b"active-time"]
            consumer[b"pending"] = _pending(consumer[b"pending"])
    return told


@pytest.mark.parametrize("protocol", [2, 3])
def test_replicas_keep_up(seed: int, protocol: int) -> None:
    random = Random(f"stream effects {seed} {protocol}")
    node = MemoryNode(stream_node_max_entries=4)
    replica = MemoryNode(stream_node_max_entries=4)
    node.call("HELLO", protocol)
    writer = node.connect()
    for step in draw_steps(GRAMMARS["stream"] + NEWER, random, STEPS):
        if step.command[0].upper() == b"CONFIG":
            continue
        node.advance(random.randrange(3))
        replica.machine.clock.now_ms = node.machine.clock.now_ms
        node.send(step.command)
        if node.session.wait is not None:
            writer.call("XADD", "s", "*", "wakes", "you")
            node.advance(1)
            node.tick()
            node.take_pushed()
        for words in node.take_propagated():
            reply = replica.send(words)[0]
            assert not isinstance(reply, str) or reply == "OK", (step.command, words, reply)
    node.call("HELLO", 3)
    replica.call("HELLO", 3)
    keys = sorted(node.call("KEYS", "*"))
    assert sorted(replica.call("KEYS", "*")) == keys
    assert {key: _stream(replica, key) for key in keys} == {key: _stream(node, key) for key in keys}
