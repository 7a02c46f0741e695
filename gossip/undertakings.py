"""What a node may have under way: its own candidature, a failover that an operator asked for.

Owns the records; `election` and `manual_failover` own what becomes of them.
"""

from attrs import Factory, define

from .messages import NodeId


@define(eq=False)
class Election:
    """Our own candidature."""

    starts_at: int
    rank: int
    failed_rank: int
    is_manual: bool
    epoch: int | None = None
    """Set when the votes were asked for."""
    asked_at: int = 0
    votes: set[NodeId] = Factory(set)
    has_rival: bool = False
    is_overtaken: bool = False
    """Another shard's candidate asks in the same epoch, or in a later one (and no sibling does)."""
    early_retries: int = 0


@define(eq=False)
class ManualFailover:
    """A failover that an operator asked for: at the replica, or at the primary that pauses."""

    ends_at: int
    replica_id: NodeId | None = None
    """At the primary: who asked. None at the replica."""
    primary_offset: int | None = None
    """At the replica: where the paused primary stands still."""
    can_start: bool = False
