"""What an operator can ask of the cluster brain: the CLUSTER subcommands that change something.

Owns one frozen record for each, and the answers. Rules: a request comes with its arguments parsed
(numbers are numbers, slots are in range); the text of a refusal goes to the client behind `-ERR `.
What they do is in `command_handlers`.
"""

from typing import TypeAlias

from attrs import frozen

from .messages import NodeId

# ---- requests ------------------------------------------------------------------------------------


@frozen
class MeetNode:
    """CLUSTER MEET ip port [cport]."""

    ip: str
    port: int
    cport: int


@frozen
class ForgetNode:
    """CLUSTER FORGET id."""

    node_id: NodeId


@frozen
class Replicate:
    """CLUSTER REPLICATE id."""

    node_id: NodeId


@frozen
class AddSlots:
    """CLUSTER ADDSLOTS and ADDSLOTSRANGE; in the order given, repetitions included."""

    slots: tuple[int, ...]


@frozen
class DelSlots:
    """CLUSTER DELSLOTS and DELSLOTSRANGE."""

    slots: tuple[int, ...]


@frozen
class FlushSlots:
    """CLUSTER FLUSHSLOTS."""


@frozen
class SetSlotMigrating:
    """CLUSTER SETSLOT slot MIGRATING id."""

    slot: int
    node_id: NodeId


@frozen
class SetSlotImporting:
    """CLUSTER SETSLOT slot IMPORTING id."""

    slot: int
    node_id: NodeId


@frozen
class SetSlotStable:
    """CLUSTER SETSLOT slot STABLE."""

    slot: int


@frozen
class SetSlotNode:
    """CLUSTER SETSLOT slot NODE id."""

    slot: int
    node_id: NodeId


@frozen
class BumpEpoch:
    """CLUSTER BUMPEPOCH; answers `BUMPED n` or `STILL n`."""


@frozen
class SetConfigEpoch:
    """CLUSTER SET-CONFIG-EPOCH n."""

    epoch: int


@frozen
class Failover:
    """CLUSTER FAILOVER [FORCE|TAKEOVER]; TAKEOVER implies FORCE."""

    force: bool = False
    takeover: bool = False


@frozen
class Reset:
    """CLUSTER RESET [SOFT|HARD]."""

    hard: bool = False


@frozen
class SaveConfig:
    """CLUSTER SAVECONFIG."""


@frozen
class CountFailureReports:
    """CLUSTER COUNT-FAILURE-REPORTS id; answers a number."""

    node_id: NodeId


@frozen
class PublishToNodes:
    """Passes PUBLISH to all nodes, SPUBLISH to the nodes of our shard."""

    channel: bytes
    message: bytes
    sharded: bool = False


@frozen
class DropPacketTypes:
    """DEBUG DROP-CLUSTER-PACKET-FILTER: received messages of these types are dropped."""

    types: frozenset[int]


@frozen
class CloseOnDrop:
    """DEBUG CLOSE-CLUSTER-LINK-ON-PACKET-DROP: whether the link of such a message ends with it."""

    closes: bool


@frozen
class KillLinks:
    """DEBUG CLUSTERLINK KILL: ends our link to a node, and its own to us."""

    node_id: NodeId
    to_node: bool = True
    from_node: bool = True


@frozen
class ClaimKeySlots:
    """After loading: slots with keys that nobody owns become ours, others' are marked importing."""


@frozen
class ProposeEpoch:
    """At the target of a hand-over: answers an epoch that it could take the slots with."""


@frozen
class HoldEpoch:
    """At the source: take no new epoch until then (None: from now on again)."""

    until: int | None


@frozen
class TakeSlots:
    """At the target: take all these slots from their owner with exactly this epoch."""

    slots: tuple[int, ...]
    source_id: NodeId
    epoch: int


@frozen
class GiveSlots:
    """At the source: the target has said that it took the slots."""

    slots: tuple[int, ...]
    target_id: NodeId


@frozen
class ReclaimSlots:
    """At the source: nobody knows whether the target took them with this epoch; keep them."""

    slots: tuple[int, ...]
    epoch: int


@frozen
class NoteOpenSlots:
    """At a replica: its primary says which slots it has on the move, as (slot, other node)."""

    migrating_to: tuple[tuple[int, NodeId], ...]
    importing_from: tuple[tuple[int, NodeId], ...]
    taken: tuple[int, ...] = ()
    """Slots that the primary is about to take; it waits for us to know it."""


Request: TypeAlias = (
    MeetNode
    | ForgetNode
    | Replicate
    | AddSlots
    | DelSlots
    | FlushSlots
    | SetSlotMigrating
    | SetSlotImporting
    | SetSlotStable
    | SetSlotNode
    | BumpEpoch
    | SetConfigEpoch
    | Failover
    | Reset
    | SaveConfig
    | CountFailureReports
    | PublishToNodes
    | DropPacketTypes
    | CloseOnDrop
    | KillLinks
    | ClaimKeySlots
    | ProposeEpoch
    | HoldEpoch
    | TakeSlots
    | GiveSlots
    | ReclaimSlots
    | NoteOpenSlots
)


@frozen
class Done:
    """It is done; `value` is the answer if that is more than OK."""

    value: int | str | None = None


@frozen
class Refused:
    """It is not; the text for the client, without `-ERR `."""

    text: str


Answer: TypeAlias = Done | Refused
