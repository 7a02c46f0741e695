"""What a script or function declares about itself, and whether it may begin.

A script without a shebang line declares nothing, and older rules hold for it: what it may do is
asked command by command. Flags that are declared count for EVAL and FCALL as those of a command do,
in the gate as well as here.
"""

import copy
from typing import TYPE_CHECKING, Final

from attrs import frozen

from ..errors import MASTER_DOWN, NOT_ENOUGH_REPLICAS, CommandError
from ..registry import Command, Flag
from ..session import ClientKind

if TYPE_CHECKING:
    from ..session import Session

#: In the order in which FUNCTION LIST shows them.
FLAG_NAMES: Final = (
    b"no-writes",
    b"allow-oom",
    b"allow-stale",
    b"no-cluster",
    b"allow-cross-slot-keys",
)
_NO_CLUSTER: Final = CommandError(b"ERR Can not run script on cluster, 'no-cluster' flag is set.")
_STALE: Final = CommandError(
    b"MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and "
    b"'allow-stale' flag is not set on the script."
)
_REPLICA: Final = CommandError(b"READONLY Can not run script with write flag on readonly replica")
_MAY_WRITE: Final = CommandError(
    b"ERR Can not execute a script with write flag using *_ro command."
)
_NO_MEMORY: Final = CommandError(
    b"OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
)


@frozen
class Rules:
    """What commands of a script may do."""

    read_only: bool
    allow_oom: bool
    allow_cross_slot: bool


@frozen
class Declaration:
    """The flags of a script or function; None: it declares nothing."""

    flags: frozenset[bytes] | None

    def rules(self, *, read_only: bool) -> Rules:
        """The rules for its commands; `read_only` if the command that runs it is."""
        flags = self.flags
        if flags is None:
            return Rules(read_only, allow_oom=False, allow_cross_slot=True)
        return Rules(
            read_only or b"no-writes" in flags,
            b"allow-oom" in flags,
            b"allow-cross-slot-keys" in flags,
        )

    def command_flags(self, flags: Flag) -> Flag:
        """The flags of a command that runs it, as the gate must see them."""
        own = self.flags
        if own is None:
            return flags
        flags &= ~(Flag.STALE | Flag.DENYOOM | Flag.WRITE | Flag.MAY_REPLICATE)
        if b"no-writes" not in own:
            flags |= Flag.WRITE
            if b"allow-oom" not in own:
                flags |= Flag.DENYOOM
        if b"allow-stale" in own:
            flags |= Flag.STALE
        return flags


UNDECLARED: Final = Declaration(None)


def check_start(session: "Session", declaration: Declaration, *, read_only: bool) -> None:
    """Whether the state of the node lets it run at all; raises the refusal.

    Most of this the gate has asked before; inside EXEC things may have changed since.
    """
    flags = declaration.flags
    if flags is None and not session.gated:
        # A replica has every client pass the gate.
        return
    machine = session.machine
    replication, config = machine.replication, machine.config
    is_stale = (
        replication.is_replica
        and not replication.is_link_up
        and not config.replica_serve_stale_data
    )
    if flags is None:
        if is_stale:
            raise MASTER_DOWN
        return
    if config.cluster_enabled and b"no-cluster" in flags:
        raise _NO_CLUSTER
    if is_stale and b"allow-stale" not in flags:
        raise _STALE
    if b"no-writes" not in flags:
        if (
            replication.is_replica
            and config.replica_read_only
            and session.kind is not ClientKind.MASTER
        ):
            raise _REPLICA
        if read_only:
            raise _MAY_WRITE
        if (
            not replication.is_replica
            and config.min_replicas_max_lag
            and config.min_replicas_to_write
            and replication.good_replicas() < config.min_replicas_to_write
        ):
            raise NOT_ENOUGH_REPLICAS
        limit_bytes = machine.memory.limit_bytes
        if (
            limit_bytes
            and b"allow-oom" not in flags
            and machine.keyspace.metered_bytes() > limit_bytes
        ):
            raise _NO_MEMORY


class StandIns:
    """Commands that run scripts, with the flags that some script declares."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Flag], Command] = {}

    def get(self, command: Command, declaration: Declaration) -> Command:
        """The command, as the gate must see it for that script."""
        flags = declaration.command_flags(command.flags)
        if flags == command.flags:
            return command
        place = (command.full_name, flags)
        found = self._known.get(place)
        if found is None:
            found = self._known[place] = copy.copy(command)
            found.flags = flags
        return found
