"""What clients do: which commands a workload sends, and what its answers mean.

Owns the workloads. Rules: every element that is written is unique in its run, so that whoever reads
it knows which write it came from; a key is given up after some writes, so that reading it stays
cheap and checking it possible. Nothing here waits or connects.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import define, frozen

from ..wire import Reply
from .client import Command
from .history import READ, WRITE, Value
from .plan import WorkloadPlan

COUNTER: Final = "counter"


@frozen
class Step:
    """One request that is to be made."""

    action: str
    key: str
    value: Value
    commands: Sequence[Command]


class Counter:
    """Hands out the elements of a run."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """A number that was never handed out."""
        self._last += 1
        return self._last


@define
class _Key:
    name: str
    writes: int = 0


def sides(key: str) -> tuple[str, str]:
    """The two lists of a transaction; its key is a hash tag."""
    return f"{{{key}}}:a", f"{{{key}}}:b"


def write_commands(kind: str, key: str, element: int) -> Sequence[Command]:
    """What writes an element."""
    one, other = sides(key)
    table: Mapping[str, Sequence[Command]] = {
        "register": [["SET", key, element]],
        "counter": [["INCR", key]],
        "append": [["RPUSH", key, element]],
        "set": [["SADD", key, element]],
        "transaction": [["MULTI"], ["RPUSH", one, element], ["RPUSH", other, element], ["EXEC"]],
    }
    return table[kind]


def read_commands(kind: str, key: str) -> Sequence[Command]:
    """What reads all that a key holds."""
    one, other = sides(key)
    table: Mapping[str, Sequence[Command]] = {
        "register": [["GET", key]],
        "counter": [["GET", key]],
        "append": [["LRANGE", key, 0, -1]],
        "set": [["SMEMBERS", key]],
        "transaction": [["MULTI"], ["LRANGE", one, 0, -1], ["LRANGE", other, 0, -1], ["EXEC"]],
    }
    return table[kind]


def value_untrusted(reply: Reply) -> Value:
    """A reply as plain numbers and lists of them; anything else is -1, which nobody wrote."""
    if reply is None or isinstance(reply, int):
        return reply
    if isinstance(reply, list | tuple):
        return [value_untrusted(each) for each in reply]
    if isinstance(reply, bytes) and reply.lstrip(b"-").isdigit():
        return int(reply)
    return -1


def read_value(kind: str, replies: Sequence[Reply]) -> Value:
    """What a read saw; a set in order, whatever the server's."""
    value = value_untrusted(replies[-1])
    if kind == "set" and isinstance(value, list):
        return sorted(value, key=lambda element: element if isinstance(element, int) else -1)
    return value


class Workload:
    """The steps of one workload; its clients share the keys."""

    def __init__(self, number: int, plan: WorkloadPlan, elements: Counter, seed: str) -> None:
        self.plan = plan
        #: Tells it from others of its kind.
        self.name = f"{plan.kind}-{number}"
        self._elements = elements
        self._chance = random.Random(f"workload {seed} {number}")
        self._made = 0
        self._keys = [self._new_key() for _ in range(plan.keys)]
        self.key_names: list[str] = [key.name for key in self._keys]

    def _new_key(self) -> _Key:
        self._made += 1
        return _Key(f"{self.name}:{self._made}")

    def next_step(self) -> Step:
        """What a client does now."""
        kind, index = self.plan.kind, self._chance.randrange(len(self._keys))
        key = self._keys[index]
        if self._chance.random() < self.plan.read_share:
            return Step(READ, key.name, None, read_commands(kind, key.name))
        if key.writes >= self.plan.writes_per_key:
            key = self._keys[index] = self._new_key()
            self.key_names.append(key.name)
        key.writes += 1
        element = self._elements.next()
        return Step(WRITE, key.name, element, write_commands(kind, key.name, element))
