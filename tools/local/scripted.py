"""Replies written beforehand: the next command on a slot hears what a test wants it to hear.

Owns the rules and their place in a node, in front of its router. Each rule answers so many requests
and is then gone.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from attrs import define

from ...node.errors import CommandError
from ...slots.hashing import key_slot

if TYPE_CHECKING:
    # A caller whose nodes are processes pays for no node of its own.
    from ...node.machine import Machine
    from ...node.registry import Command
    from ...node.session import Session

_TEXTS: Final = {
    "TRYAGAIN": "TRYAGAIN Multiple keys request during rehashing of slot",
    "CLUSTERDOWN": "CLUSTERDOWN The cluster is down",
    "LOADING": "LOADING Clustrio is loading the dataset in memory",
    "MASTERDOWN": "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is no.",
    "READONLY": "READONLY You can't write against a read only replica.",
}


def reply_text(kind: str, slot: int | None, address: str) -> str:
    """The words of an error: `kind` is one of the known ones, or the whole text."""
    if kind in ("ASK", "MOVED"):
        return f"{kind} {slot or 0} {address}"
    return _TEXTS.get(kind, kind)


@define
class ScriptedReply:
    """One rule."""

    text: str
    command: str | None
    """Lower case; None is any."""
    slot: int | None
    """None is any."""
    times: int


class Script:
    """The rules of one node."""

    def __init__(self, machine: "Machine") -> None:
        self.rules: list[ScriptedReply] = []
        self._route = machine.gate.route
        machine.gate.route = self._check
        machine.require_gate("script", True)

    def add(self, rule: ScriptedReply) -> None:
        """One rule more; the oldest that fits answers."""
        self.rules.append(rule)

    def clear(self) -> None:
        """Forget all rules."""
        self.rules.clear()

    def _check(self, session: "Session", command: "Command", args: list[bytes]) -> None:
        if self.rules:
            self._answer(command, args)
        if self._route is not None:
            self._route(session, command, args)

    def _answer(self, command: "Command", args: Sequence[bytes]) -> None:
        keys = command.keys_of(list(args)) if command.keys_of is not None else []
        slots = {key_slot(key) for key in keys}
        for rule in self.rules:
            fits_command = rule.command is None or rule.command == command.full_name
            if fits_command and slots and (rule.slot is None or rule.slot in slots):
                rule.times -= 1
                if rule.times <= 0:
                    self.rules.remove(rule)
                raise CommandError(rule.text.encode())
