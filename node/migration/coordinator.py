"""Atomic slot migration on one node: `machine.slot_migration`.

Slots go from a source to a target with all their keys, while the source serves them; then they
change hands in one moment. The source's runtime talks to the target (`runtime/slot_transfer`), the
target's end is what CLUSTER SYNCSLOTS does here. Until the hand-over is granted, whatever happens
to either node only ends the job: the source has lost nothing, and the target forgets what it got.
From then on there is no way back but to find out whether the target has taken the slots.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from ...gossip.commands import (
    Answer,
    Done,
    GiveSlots,
    HoldEpoch,
    ProposeEpoch,
    ReclaimSlots,
    Refused,
    Request,
    TakeSlots,
)
from ..errors import CommandError
from .exports import Export
from .guard import SlotGuard
from .imports import Import
from .jobs import JobLog, Operation, SlotJob, State
from .marks import MarkTeller
from .trimming import SlotTrimmer

if TYPE_CHECKING:
    from ..cluster import Cluster
    from ..machine import Machine
    from ..session import Session

_LOG_LENGTH: Final = 1000
#: A source from which nothing came for so long is gone.
_SILENCE_MS: Final = 60_000
_FEATURE: Final = "slot import"
_NOT_PRIMARY: Final = CommandError(b"ERR Slot migration can only be used on primary nodes.")
_OPEN_IMPORTS: Final = CommandError(b"ERR Slots are being manually imported")
_OPEN_EXPORTS: Final = CommandError(b"ERR Slots are being manually migrated")
_NO_JOB: Final = CommandError(b"ERR No such slot migration job")
FLUSHED: Final = "Data was flushed"
MOVED_AWAY: Final = "Slots are no longer owned by source node"
DEMOTED: Final = "The node is no primary any more"
CANCELLED: Final = "Cancelled by an operator"


class JobOverError(Exception):
    """Whoever carries a job comes too late: it was ended from elsewhere."""


class ImportLink:
    """What a session that brings slots holds: when it ends, so does its job."""

    def __init__(self, migration: "SlotMigration", job: SlotJob) -> None:
        self._migration = migration
        self.job = job

    def on_disconnect(self, session: "Session") -> None:
        """The source is gone."""
        self._migration.fail(self.job, "Connection lost to source")


class SlotMigration:
    """All migrations of one node."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self.log = JobLog(_LOG_LENGTH)
        self.guard = SlotGuard(machine)
        self.trimmer = SlotTrimmer(machine)
        self.marks = MarkTeller(machine)
        #: The runtime carries out an export; None without a runtime.
        self.on_wanted: Callable[[SlotJob], None] | None = None
        self._exports: dict[SlotJob, Export] = {}
        self._imports: dict[SlotJob, Import] = {}
        #: The job whose slots are being given or taken in this very call.
        self._settling: SlotJob | None = None
        machine.on_tick.append(self._on_tick)

    @property
    def _cluster(self) -> "Cluster":
        cluster = self._machine.cluster
        assert cluster is not None
        return cluster

    def _ask(self, request: Request) -> Answer:
        return self._cluster.command(request)

    # --- what an operator asks for ---------------------------------------------------------------

    def check_startable(self) -> None:
        """Raises CommandError where no slot can move."""
        cluster = self._cluster
        if cluster.my_primary is not None:
            raise _NOT_PRIMARY
        if cluster.view.table.importing:
            raise _OPEN_IMPORTS
        if cluster.view.table.migrating:
            raise _OPEN_EXPORTS

    def start(self, moves: Sequence[tuple[Sequence[tuple[int, int]], str]]) -> None:
        """Begin to move slots: (ranges, id of the target), all checked."""
        assert self.on_wanted is not None
        machine = self._machine
        for ranges, target_id in moves:
            job = SlotJob(
                name=f"{machine.rng.getrandbits(160):040x}",
                operation=Operation.EXPORT,
                ranges=ranges,
                source_id=self._cluster.view.my_id,
                target_id=target_id,
                created_ms=machine.clock.now_ms,
                state=State.CONNECTING,
            )
            self.log.add(job)
            machine.log.notice(
                f"Slot migration {job.name} of {job.ranges_text} to {target_id} begins"
            )
            machine.maintenance.announce_migrating(job.slots)
            self.on_wanted(job)

    def is_exporting(self, slot: int) -> bool:
        """Whether a slot is on its way to another node."""
        return any(
            first <= slot <= last
            for job in self.log.active(Operation.EXPORT)
            for first, last in job.ranges
        )

    def cancel_all(self) -> bool:
        """End all exports that can still be ended; False if there is none at all."""
        jobs = self.log.active(Operation.EXPORT)
        for job in jobs:
            if job.state is not State.GRANTED:
                self._end(job, State.CANCELLED, CANCELLED)
        return bool(jobs)

    def info_fields(self) -> dict[str, int]:
        """What CLUSTER INFO says of migrations, under the names of Redis 8.4."""
        trimmer = self.trimmer
        running = trimmer.running_count
        fields = {
            "active_tasks": sum(not job.is_over for job in self.log.jobs),
            "active_trim_running": running,
            "active_trim_current_job_keys": trimmer.untold_count
            + trimmer.told_count * (running > 0),
            "active_trim_current_job_trimmed": trimmer.told_count if running else 0,
            "stats_active_trim_started": trimmer.started_count,
            "stats_active_trim_completed": trimmer.completed_count,
            "stats_active_trim_cancelled": trimmer.cancelled_count,
        }
        return {f"cluster_slot_migration_{name}": value for name, value in fields.items()}

    # --- what happens to the node ----------------------------------------------------------------

    def on_slots_moved(self, slots: Sequence[int], owner_id: str | None) -> None:
        """Slots have another owner now."""
        cluster = self._machine.cluster
        if cluster is None:
            return  # The node is just being made.
        if owner_id == cluster.view.my_id:
            self.trimmer.flush(slots)
        if not (self._exports or self._imports or self.log.active(Operation.EXPORT)):
            return
        moved = set(slots)
        for job in self.log.jobs:
            if job.is_over or job is self._settling or moved.isdisjoint(job.slots):
                continue
            if job.operation is Operation.IMPORT:
                if owner_id != job.source_id:
                    self.fail(job, MOVED_AWAY)
            elif job.state is State.GRANTED and owner_id == job.target_id:
                self._end(job, State.SUCCESS, "")
            elif owner_id != job.source_id:
                self._end(job, State.FAILED, MOVED_AWAY)

    def on_demoted(self) -> None:
        """The node is a replica from now on."""
        for job in self.log.jobs:
            if not job.is_over and job is not self._settling:
                self._end(job, State.FAILED, DEMOTED)
        self.trimmer.forget()

    def drop_foreign_keys(self) -> None:
        """After a start or a promotion: keys in slots of others, which nobody can ask for here.

        They are what is left of a migration that was not to be. Slots that an operator has opened,
        and slots without an owner, are not touched.
        """
        table, my_id = self._cluster.view.table, self._cluster.view.my_id
        database = self._machine.keyspace.database(0)
        foreign = [
            slot
            for slot, values in enumerate(database.slots)
            if values and table.owner(slot) not in (None, my_id) and slot not in table.importing
        ]
        if foreign:
            count = self.trimmer.drop(database, foreign)
            self._machine.log.warning(
                f"Removed {count} keys in {len(foreign)} slots that belong to other nodes"
            )

    def _on_tick(self) -> None:
        now_ms = self._machine.clock.now_ms
        for job in [*self._imports]:
            if now_ms - job.acked_ms > _SILENCE_MS:
                self.fail(job, "Nothing was heard of the source")

    # --- how jobs end ----------------------------------------------------------------------------

    def fail(self, job: SlotJob, message: str) -> None:
        """A job that goes on ends without success."""
        self._end(job, State.FAILED, message)

    def _end(self, job: SlotJob, state: State, message: str) -> None:
        if job.is_over:
            return
        self.note(job, state)
        job.message = message
        job.unacknowledged_bytes = 0
        machine = self._machine
        if job.operation is Operation.EXPORT:
            self.release(job)
        else:
            staged = self._imports.pop(job, None)
            if staged is not None:
                staged.drop(self.trimmer)
        text = f"Slot migration {job.name} of {job.ranges_text}: {state.value}. {message}"
        (machine.log.notice if state is State.SUCCESS else machine.log.warning)(text.strip())
        job.stop()

    def note(self, job: SlotJob, state: State) -> None:
        """A job has come so far; raises JobOverError if somebody has ended it meanwhile."""
        if job.is_over:
            raise JobOverError
        job.state = state
        job.updated_ms = self._machine.clock.now_ms

    # --- the source, for the runtime -------------------------------------------------------------

    def open_export(self, job: SlotJob) -> Export:
        """Begin to read the slots."""
        self.note(job, State.SNAPSHOTTING)
        self.trimmer.flush(job.slots)
        export = Export(self._machine, job.slots, lambda: self.fail(job, FLUSHED))
        self._exports[job] = export
        return export

    def close_slots(self, job: SlotJob) -> bool:
        """Hold the requests for the slots; False if keys of theirs are just being sent away."""
        if self._machine.transfers.locks:
            return False
        self.note(job, State.PAUSED)
        self.guard.begin(job.slots)
        return True

    def grant(self, job: SlotJob, limit_ms: int) -> None:
        """The target may take the slots: from here on we only find out whether it did."""
        self.note(job, State.GRANTED)
        self._ask(HoldEpoch(self._machine.clock.monotonic_ms + limit_ms))

    def withdraw(self, job: SlotJob) -> None:
        """The target has refused to take the slots: it is as if nothing had been granted."""
        self.note(job, State.STREAMING)
        self._ask(HoldEpoch(None))
        self.guard.end(job.slots)

    def settle(self, job: SlotJob) -> None:
        """The target has taken the slots."""
        if job.is_over:
            return
        # Nobody needs to be told of the deletions that follow as of changes.
        self._exports[job].close()
        self._settling = job
        try:
            self._ask(GiveSlots(tuple(job.slots), job.target_id))
        finally:
            self._settling = None
        self._end(job, State.SUCCESS, "")

    def reclaim(self, job: SlotJob, epoch: int) -> None:
        """Nobody knows whether the target took the slots; from now on that does not matter."""
        answer = self._ask(ReclaimSlots(tuple(job.slots), epoch))
        if isinstance(answer, Refused):
            self.fail(job, MOVED_AWAY)
            return
        self.fail(job, "The target did not say whether it took the slots; they stay here")

    def release(self, job: SlotJob) -> None:
        """Let everything go that an export holds; clients go on."""
        export = self._exports.pop(job, None)
        if export is None:
            return
        export.close()
        job.key_count = export.key_count
        if job.slots[0] in self.guard:
            self.guard.end(job.slots)
        if not any(other.state is State.GRANTED for other in self._exports):
            self._ask(HoldEpoch(None))

    # --- the target ------------------------------------------------------------------------------

    def establish(
        self, session: "Session", name: str, source_id: str, ranges: Sequence[tuple[int, int]]
    ) -> None:
        """A source wants to send slots; raises CommandError."""
        machine = self._machine
        self.check_startable()
        job = SlotJob(
            name=name,
            operation=Operation.IMPORT,
            ranges=ranges,
            source_id=source_id,
            target_id=self._cluster.view.my_id,
            created_ms=machine.clock.now_ms,
            state=State.RECEIVING,
        )
        slots = job.slots
        taken = {slot for other in self._imports for slot in other.slots}
        if not taken.isdisjoint(slots):
            raise CommandError(
                b"ERR Slot is already being imported on the target by a different migration"
            )
        if any(self._cluster.view.table.owner(slot) != source_id for slot in slots):
            raise CommandError(b"ERR Target node does not agree about current slot ownership")
        self.trimmer.flush(slots)
        self.trimmer.drop(machine.keyspace.database(0), slots)
        self.trimmer.flush(slots)
        self.log.add(job)
        self._imports[job] = Import(machine, slots)
        session.features[_FEATURE] = ImportLink(self, job)
        machine.regate(session)
        job.stop = lambda: _hang_up(session)
        machine.log.notice(f"Slot migration {name} of {job.ranges_text} from {source_id} begins")

    def import_of(self, session: "Session") -> SlotJob:
        """The job that a session brings keys for; raises CommandError."""
        link = session.features.get(_FEATURE)
        if not isinstance(link, ImportLink) or link.job not in self._imports:
            raise _NO_JOB
        link.job.acked_ms = self._machine.clock.now_ms
        return link.job

    def receive(self, session: "Session", words: list[bytes]) -> None:
        """Some keys of the slots, as `Export.next_piece` made them; raises CommandError."""
        job = self.import_of(session)
        try:
            self._imports[job].apply(words)
        except CommandError as failure:
            self.fail(job, failure.text.decode("latin-1"))
            raise

    def propose_epoch(self, session: "Session") -> int:
        """The epoch that we would take the slots with; raises CommandError."""
        self.import_of(session)
        return self._settled(self._ask(ProposeEpoch()))

    def take(self, session: "Session", epoch: int) -> None:
        """The slots are to be ours with that epoch, now; raises CommandError if they are not."""
        job = self.import_of(session)
        self._settling = job
        try:
            request = TakeSlots(tuple(job.slots), job.source_id, epoch)
            self._settled(self._ask(request))
        finally:
            self._settling = None
        job.key_count = self._imports.pop(job).reveal()
        job.stop = _nothing
        self._end(job, State.SUCCESS, "")

    @staticmethod
    def _settled(answer: Answer) -> int:
        if isinstance(answer, Refused):
            raise CommandError(b"ERR " + answer.text.encode())
        assert isinstance(answer, Done)
        assert isinstance(answer.value, int)
        return answer.value

    def outcome(self, name: str, slots: Iterable[int]) -> str:
        """For a source that lost its connection: `success`, or `failed`, which is then for good."""
        view = self._cluster.view
        if all(view.table.owner(slot) == view.my_id for slot in slots):
            return State.SUCCESS.value
        job = self.log.maybe_find(name, Operation.IMPORT)
        if job is not None:
            self.fail(job, "The source began anew")
        return State.FAILED.value


def _nothing() -> None:
    """There is nothing to stop any more."""


def _hang_up(session: "Session") -> None:
    session.features.pop(_FEATURE, None)
    session.close(after_reply=True)
