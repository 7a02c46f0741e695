"""What an operator sees of atomic slot migrations: one job for each, on both nodes."""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum

from attrs import define, field

from ...slots.hashing import SLOT_COUNT


class Operation(Enum):
    """Which end of a migration a job is."""

    EXPORT = "EXPORT"
    IMPORT = "IMPORT"


class State(Enum):
    """How far a job is."""

    CONNECTING = "connecting"
    AUTHENTICATING = "authenticating"
    ESTABLISHING = "establishing"
    SNAPSHOTTING = "snapshotting"
    STREAMING = "streaming"
    #: Requests for the slots wait.
    PAUSED = "failover-paused"
    #: The target may have taken the slots: there is no way back but to find out.
    GRANTED = "failover-granted"
    RECEIVING = "receiving-snapshot"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


_FINAL = frozenset({State.SUCCESS, State.FAILED, State.CANCELLED})


def _nothing() -> None:
    """Nobody carries this job yet."""


@define(eq=False)
class SlotJob:
    """One migration of some slots, as one node sees it."""

    name: str
    operation: Operation
    ranges: Sequence[tuple[int, int]]
    source_id: str
    target_id: str
    created_ms: int
    state: State
    updated_ms: int = 0
    acked_ms: int = 0
    message: str = ""
    #: Bytes that the target has not acknowledged yet.
    unacknowledged_bytes: int = 0
    #: How long requests had to wait at the hand-over.
    pause_ms: float = 0.0
    key_count: int = 0
    byte_count: int = 0
    #: Ends what is going on for it (a task, a connection).
    stop: Callable[[], None] = field(default=_nothing, repr=False)

    def __attrs_post_init__(self) -> None:
        self.updated_ms = self.acked_ms = self.created_ms

    @property
    def slots(self) -> list[int]:
        """All slots, in the order of the ranges."""
        return [slot for first, last in self.ranges for slot in range(first, last + 1)]

    @property
    def ranges_text(self) -> str:
        """`0-9 20-29`."""
        return " ".join(f"{first}-{last}" for first, last in self.ranges)

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in _FINAL

    def fields(self) -> list[tuple[str, str | int]]:
        """What CLUSTER GETSLOTMIGRATIONS shows."""
        return [
            ("name", self.name),
            ("operation", self.operation.value),
            ("slot_ranges", self.ranges_text),
            ("target_node", self.target_id),
            ("source_node", self.source_id),
            ("create_time", self.created_ms // 1000),
            ("last_update_time", self.updated_ms // 1000),
            ("last_ack_time", self.acked_ms // 1000),
            ("state", self.state.value),
            ("message", self.message),
            ("cow_size", 0),
            ("remaining_repl_size", self.unacknowledged_bytes),
        ]


class JobLog:
    """The jobs of one node, the latest first; those that are over are kept up to a number."""

    def __init__(self, length: int) -> None:
        self._length = length
        self.jobs: list[SlotJob] = []

    def add(self, job: SlotJob) -> None:
        """A job begins."""
        self.jobs.insert(0, job)
        excess = sum(job.is_over for job in self.jobs) - self._length
        if excess > 0:
            finished = [job for job in self.jobs if job.is_over][-excess:]
            self.jobs = [job for job in self.jobs if job not in finished]

    def active(self, operation: Operation) -> list[SlotJob]:
        """The jobs of one kind that go on."""
        return [job for job in self.jobs if job.operation is operation and not job.is_over]

    def maybe_find(self, name: str, operation: Operation) -> SlotJob | None:
        """The job of that name."""
        for job in self.jobs:
            if job.name == name and job.operation is operation:
                return job
        return None


def mask_of(slots: Iterable[int]) -> bytearray:
    """One byte for each slot: 1 for those given."""
    mask = bytearray(SLOT_COUNT)
    for slot in slots:
        mask[slot] = 1
    return mask
