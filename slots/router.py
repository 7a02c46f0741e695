"""Where a command must be served: a decision, worded by somebody else.

Owns the rules of redirection. They look at the keys of one command, or at those of all commands
queued by a MULTI, and at nothing else of the command but the few facts in `Request`.

Rules, in the order in which they decide:
1. No key: serve.
2. The slot of the first key has no owner: down. A later key in another slot: CROSSSLOT.
3. The cluster is down: refuse, but for what the switches allow.
4. MIGRATE moves keys of an open slot wherever they are: serve.
5. A migrating slot serves the keys that are still here. None of them: ASK. Some of them: TRYAGAIN.
6. An importing slot serves who said ASKING; several keys of which one is missing: TRYAGAIN.
7. A replica serves reads of its primary's slots to sessions in READONLY mode.
8. Otherwise the owner serves: us, or MOVED.

The caller may skip all this when there is one key, its slot is ours and not open, and the cluster
is healthy. A replica knows of open slots only if its primary replicated SETSLOT to it; then it
redirects readers as the primary would.
"""

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Final

from attrs import define, frozen

from .hashing import key_slot
from .table import SlotTable


class DownReason(Enum):
    """Why the cluster does not serve."""

    SLOT_UNASSIGNED = auto()
    CLUSTER_DOWN = auto()
    CLUSTER_DOWN_READS_ONLY = auto()


@frozen
class Serve:
    """Serve it here. `slot` is None if the command has no keys."""

    slot: int | None


@frozen
class Moved:
    """The slot belongs to another node, for good."""

    slot: int
    node_id: str


@frozen
class Ask:
    """This once, another node must be asked: the slot is on its way there."""

    slot: int
    node_id: str


@frozen
class TryAgain:
    """The keys are torn between two nodes at this moment."""


@frozen
class CrossSlot:
    """The keys are not all in one slot."""


@frozen
class Down:
    """Nobody serves this now."""

    reason: DownReason


Decision = Serve | Moved | Ask | TryAgain | CrossSlot | Down

_SERVE_WITHOUT_KEYS: Final = Serve(None)
_TRY_AGAIN: Final = TryAgain()
_CROSS_SLOT: Final = CrossSlot()


@frozen
class Request:
    """What routing must know of a command, or of EXEC with all that was queued."""

    keys: Sequence[bytes]
    is_write: bool = False
    #: EXEC itself writes nothing, but one of the queued commands does.
    is_queued_write: bool = False
    #: SPUBLISH, SSUBSCRIBE, SUNSUBSCRIBE: channels are routed, but nobody looks whether they exist.
    is_pubsub_shard: bool = False
    is_migrate: bool = False
    #: RESTORE-ASKING and its like carry their own ASKING.
    implies_asking: bool = False


@define
class View:
    """What this node knows. The node keeps one and changes it; routing only reads it."""

    table: SlotTable
    my_id: str
    #: The node we replicate from; None for a primary.
    primary_id: str | None = None
    #: The cluster state; whether uncovered slots bring it down was decided by who set it.
    is_healthy: bool = True
    allow_reads_when_down: bool = False
    allow_pubsubshard_when_down: bool = True

    @property
    def is_replica(self) -> bool:
        """Whether we follow a primary."""
        return self.primary_id is not None


def route(
    view: View,
    request: Request,
    has_key: Callable[[bytes], bool],
    *,
    is_asking: bool = False,
    is_readonly: bool = False,
) -> Decision:
    """Decide where a request is served. `has_key` must neither touch a key nor expire it."""
    keys = request.keys
    if not keys:
        return _SERVE_WITHOUT_KEYS
    slot = key_slot(keys[0])
    owner = view.table.owner(slot)
    if owner is None:
        return Down(DownReason.SLOT_UNASSIGNED)
    for key in keys[1:]:
        if key_slot(key) != slot:
            return _CROSS_SLOT
    if not view.is_healthy:
        refusal = _maybe_refuse_while_down(view, request)
        if refusal is not None:
            return refusal
    open_slot = _maybe_route_open_slot(view, request, slot, owner, has_key, is_asking, is_readonly)
    if open_slot is not None:
        return open_slot
    if owner == view.my_id:
        return Serve(slot)
    may_read_here = is_readonly or request.is_pubsub_shard
    writes = request.is_write or request.is_queued_write
    if may_read_here and not writes and owner == view.primary_id:
        return Serve(slot)
    return Moved(slot, owner)


def _maybe_refuse_while_down(view: View, request: Request) -> Down | None:
    if request.is_pubsub_shard:
        if view.allow_pubsubshard_when_down:
            return None
        return Down(DownReason.CLUSTER_DOWN)
    if not view.allow_reads_when_down:
        return Down(DownReason.CLUSTER_DOWN)
    # EXEC was let through by its own flags even if it writes; each queued command was looked at
    # when it was queued. This is how Redis behaves.
    return Down(DownReason.CLUSTER_DOWN_READS_ONLY) if request.is_write else None


def _maybe_route_open_slot(
    view: View,
    request: Request,
    slot: int,
    owner: str,
    has_key: Callable[[bytes], bool],
    is_asking: bool,
    is_readonly: bool,
) -> Decision | None:
    """The decision for a slot on its way; None if being on its way does not matter."""
    if view.is_replica and not is_readonly:
        return None
    target = view.table.migrating.get(slot) if owner == (view.primary_id or view.my_id) else None
    if target is None and slot not in view.table.importing:
        return None
    if request.is_migrate and not view.is_replica:
        return Serve(slot)
    missing_count = 0
    # A shard channel is served by the source until the slot has changed hands.
    if not request.is_pubsub_shard:
        missing_count = sum(not has_key(key) for key in request.keys)
    if target is not None:
        if not missing_count:
            return None
        return Ask(slot, target) if missing_count == len(request.keys) else _TRY_AGAIN
    if not (is_asking or request.implies_asking):
        return None
    has_several_keys = any(key != request.keys[0] for key in request.keys)
    return _TRY_AGAIN if has_several_keys and missing_count else Serve(slot)


def route_blocked(
    view: View, key: bytes, *, is_write: bool, is_readonly: bool
) -> Moved | Down | None:
    """Whether a client that waits for keys must be sent away; None lets it wait on.

    All keys it waits for are in one slot, so one of them is enough. While the cluster is down the
    client is freed even where reads are allowed: the write it waits for may never come.
    """
    if not view.is_healthy:
        return Down(DownReason.CLUSTER_DOWN)
    slot = key_slot(key)
    owner = view.table.owner(slot)
    if owner == view.my_id or slot in view.table.importing:
        return None
    if owner is None:
        return Down(DownReason.SLOT_UNASSIGNED)
    if is_readonly and not is_write and owner == view.primary_id:
        return None
    return Moved(slot, owner)
