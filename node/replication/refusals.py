"""What a node refuses because of its part in replication: the gate asks.

A primary with too few good replicas and a read-only replica take no writes; a replica that lost its
primary and must not serve old data takes next to nothing.
"""

from typing import TYPE_CHECKING

from ..errors import MASTER_DOWN, NOT_ENOUGH_REPLICAS, READ_ONLY_REPLICA
from ..registry import Command, Flag
from ..session import Session

if TYPE_CHECKING:
    from ..machine import Machine
    from .state import Replication


class Refusals:
    """The two checks of one node."""

    def __init__(self, machine: "Machine", replication: "Replication") -> None:
        self._machine = machine
        self._replication = replication
        for name in ("replica-read-only", "replica-serve-stale-data", "min-replicas-to-write"):
            machine.config.on_change(name, self.on_role)

    def on_role(self) -> None:
        """The role, or a directive, has changed: be asked, or not."""
        machine, is_replica = self._machine, self._replication.is_replica
        wanted = is_replica or machine.config.min_replicas_to_write > 0
        machine.gate.check_replication = self._check_write if wanted else None
        machine.gate.check_stale = self._check_stale if is_replica else None
        machine.require_gate("replication", wanted)

    def _check_write(self, session: Session, command: Command, args: list[bytes]) -> None:
        is_write = Flag.WRITE in command.flags
        if not is_write and command.full_name == "exec" and session.queue is not None:
            is_write = any(Flag.WRITE in queued.flags for queued, _ in session.queue)
        if not is_write:
            return
        replication, config = self._replication, self._machine.config
        if replication.is_replica:
            if config.replica_read_only:
                raise READ_ONLY_REPLICA
        elif (
            config.min_replicas_max_lag > 0
            and replication.good_replicas() < config.min_replicas_to_write
        ):
            raise NOT_ENOUGH_REPLICAS

    def _check_stale(self, session: Session, command: Command, args: list[bytes]) -> None:
        if (
            not self._replication.is_link_up
            and not self._machine.config.replica_serve_stale_data
            and Flag.STALE not in command.flags
        ):
            raise MASTER_DOWN
