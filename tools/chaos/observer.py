"""Looks at every node ten times a second: its role, its slots, whether it serves, whom it misses.

Owns the views in a history. Rules: nodes are asked past all faults on links, where there is such a
way; a view lasts from the first answer that said just that to the last question that was answered
so, and no longer: how long answers take on a busy machine makes nobody claim things for longer.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import trio
from attrs import evolve

from ..bench.clusters import Line, parse_nodes
from ..local.clients import Link
from ..wire import Reply
from .client import Address
from .history import ViewSpan
from .recorder import Recorder

LOOK_S: Final = 0.1
_ANSWER_S: Final = 0.4


def ranges_of(words: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Slots as CLUSTER NODES words them; slots on the move are passed over."""
    ranges = []
    for word in words:
        first, _, last = word.partition("-")
        if first.isdigit():
            ranges.append((int(first), int(last or first)))
    return tuple(sorted(ranges))


def view_from(
    node: int, now_ms: float, lines: Mapping[str, Line], info: str, index_of: Mapping[str, int]
) -> ViewSpan:
    """What a node says at this moment; `index_of` knows nodes by `host:port`."""
    own = next(line for line in lines.values() if "myself" in line.flags)
    fields = dict(row.split(":", 1) for row in info.split() if ":" in row)
    owners = sorted((line.node_id, ranges_of(line.slots)) for line in lines.values() if line.slots)
    failed = {
        index_of.get(line.address.partition("@")[0].partition(",")[0], -1)
        for line in lines.values()
        if line.health == "fail"
    }
    return ViewSpan(
        node=node,
        start_ms=now_ms,
        end_ms=now_ms,
        role=own.role,
        is_ok=fields.get("cluster_state") == "ok",
        epoch=own.config_epoch,
        slots=ranges_of(own.slots) if own.role == "master" else (),
        owners=hashlib.blake2b(repr(owners).encode(), digest_size=6).hexdigest(),
        failed=tuple(sorted(failed)),
    )


class Observer:
    """Watches one node."""

    def __init__(
        self, node: int, address: Address, recorder: Recorder, index_of: Mapping[str, int]
    ) -> None:
        self._node = node
        self._address = address
        self._recorder = recorder
        self._index_of = index_of
        self._link: Link | None = None
        self._view: ViewSpan | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                began = trio.current_time()
                asked_ms = self._recorder.now_ms()
                self.on_view(await self._look(), asked_ms)
                await trio.sleep_until(began + LOOK_S)
        finally:
            self.end()
            if self._link is not None:
                with trio.CancelScope(shield=True):
                    await self._link.aclose()

    def on_view(self, view: ViewSpan, asked_ms: float) -> None:
        """Add a look to the view that it continues, or begin another."""
        last = self._view
        if last is not None and evolve(view, start_ms=last.start_ms, end_ms=last.end_ms) == last:
            self._view = evolve(last, end_ms=max(last.end_ms, asked_ms))
            return
        self.end()
        self._view = view

    def end(self) -> None:
        """Write down the present view."""
        if self._view is not None:
            self._recorder.history.views.append(self._view)
        self._view = None

    async def _look(self) -> ViewSpan:
        try:
            with trio.fail_after(_ANSWER_S):
                if self._link is None:
                    self._link = await Link.to(*self._address)
                replies = await self._link.call([["CLUSTER", "NODES"], ["CLUSTER", "INFO"]])
        except (OSError, trio.BrokenResourceError, trio.TooSlowError):
            if self._link is not None:
                await self._link.aclose()
            self._link = None
            return self._unknown()
        return self._understand(replies)

    def _unknown(self) -> ViewSpan:
        now_ms = self._recorder.now_ms()
        return ViewSpan(self._node, now_ms, now_ms, "")

    def _understand(self, replies: Sequence[Reply]) -> ViewSpan:
        nodes, info = replies
        if not isinstance(nodes, bytes) or not isinstance(info, bytes):
            # It is loading, say: it answers, but has nothing to tell.
            return self._unknown()
        lines, now_ms = parse_nodes(nodes.decode()), self._recorder.now_ms()
        return view_from(self._node, now_ms, lines, info.decode(), self._index_of)
