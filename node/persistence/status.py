"""What a node knows about its files: when it saved last, what runs now, and what went wrong.

Pure state. The runtime writes it as things happen; INFO, LASTSAVE, the save points and the check
that refuses writes read it. It also asks for what is to be done (`on_tick`): the runtime hangs its
own functions in.
"""

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Final

from ..errors import CommandError
from ..registry import Command, Flag
from ..session import Session

if TYPE_CHECKING:
    from ..machine import Machine

_CANNOT_SAVE: Final = CommandError(
    b"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to "
    b"disk. Commands that may modify the data set are disabled, because this instance is "
    b"configured to report errors during writes if RDB snapshotting fails "
    b"(stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB "
    b"error."
)
#: After a snapshot that failed, the save points wait so long.
SAVE_RETRY_MS: Final = 5_000
#: After so many failed rewrites in a row, further automatic ones wait, longer each time.
REWRITE_FAILURES_FREE: Final = 3
_REWRITE_DELAY_MAX_MINUTES: Final = 60


class ChildKind(Enum):
    """What the one child process is doing; the values are Redis' words."""

    SNAPSHOT = "RDB"
    REWRITE = "AOF"


class LogState(Enum):
    """Whether commands are written to the append-only file."""

    OFF = "off"
    ON = "on"
    #: Switched on while running: it counts once the first rewrite is done.
    WAITS_FOR_REWRITE = "wait"


class Persistence:
    """The state of one node's files."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        now_ms = machine.clock.now_ms
        # Snapshots
        self.last_save_s = now_ms // 1000
        self.last_try_ms = 0
        self.last_save_failed = False
        self.save_count = 0
        #: Seconds; -1 before the first time.
        self.last_save_took_s = -1
        self.last_save_copied_bytes = 0
        self.is_save_scheduled = False
        self.dirty_before_child = 0
        # The child
        self.child: ChildKind | None = None
        #: A snapshot that is sent to replicas, not kept.
        self.child_feeds_replicas = False
        self.child_started_ms = 0
        self.child_copied_bytes = 0
        self.child_keys_total = 0
        self.last_fork_us = 0
        self.fork_count = 0
        # What a snapshot says beyond the keys, and what the latest one that was read said.
        #: Replication id, offset and database that a snapshot is to carry; None for none.
        self.replication_facts: Callable[[], tuple[bytes, int, int] | None] = _no_history
        #: Sources of the libraries of functions.
        self.function_sources: Callable[[], list[bytes]] = _no_functions
        self.load_function: Callable[[bytes], object] | None = None
        self.loaded_facts: dict[bytes, bytes] = {}
        # The append-only file
        self.log_state = LogState.OFF
        self.rewrite_count = 0
        self.last_rewrite_failed = False
        self.failed_rewrites = 0
        self.last_rewrite_took_s = -1
        self.last_rewrite_copied_bytes = 0
        self.is_rewrite_scheduled = False
        self.log_bytes = 0
        self.log_base_bytes = 0
        #: The size after the latest rewrite or load, which growth is measured from.
        self.log_rewritten_bytes = 0
        self.pending_syncs = 0
        self.delayed_syncs = 0
        #: What the system said when the log could not be written or synced; None while all is well.
        self.log_write_error: str | None = None
        self.log_sync_error: str | None = None
        self._last_rewrite_try_ms = 0
        #: The runtime's doings; without one, nothing is ever saved.
        self.save_now: Callable[[], bool] = _nothing_to_do
        self.start_background_save: Callable[[], bool] = _nothing_to_do
        self.start_rewrite: Callable[[], bool] = _nothing_to_do
        self.stop_child: Callable[[], None] = _nothing_to_stop
        #: Takes what was said of a last snapshot (None: nothing) and whether to end in any case.
        self.prepare_shutdown: Callable[[bool | None, bool], bool] = _ready_without_files
        #: Takes whether to empty the data set, to save before, and to replace keys.
        self.reload: Callable[[bool, bool, bool], bool] = _nothing_to_reload
        self.reload_log: Callable[[], bool] = _nothing_to_do
        #: How much of the log waits to be written.
        self.log_buffer_bytes: Callable[[], int] = _nothing_buffered
        #: How much was ever given to the log, and how much of that is on disk; bytes.
        self.log_position: Callable[[], int] = _nothing_buffered
        self.synced_position = 0
        #: How far the replication stream was when it last was on disk.
        self.synced_offset = 0
        self.on_log_synced: Callable[[], None] = _nothing_to_stop
        machine.on_tick.append(self.on_tick)

    # --- snapshots ------------------------------------------------------------------------------

    @property
    def dirty(self) -> int:
        """Changes since the latest snapshot."""
        return self._machine.keyspace.effects.dirty

    def on_saved(self) -> None:
        """A snapshot written in the foreground is on disk."""
        self._machine.keyspace.effects.dirty = 0
        self.last_save_s = self._machine.clock.now_ms // 1000
        self.last_save_failed = False
        self.recheck()

    def on_save_failed(self) -> None:
        """A snapshot could not be written."""
        self.last_save_failed = True
        self.recheck()

    def on_flush_all(self) -> None:
        """Everything was deleted: with save points, the snapshot on disk follows at once."""
        if self.child is ChildKind.SNAPSHOT and not self.child_feeds_replicas:
            self.stop_child()
        if self._machine.config.save and not self._machine.loading.is_active:
            self.save_now()

    def prepare_child(self) -> None:
        """A child process is about to be started.

        What is counted now costs little; once there is a child, the system first copies each page
        that the counting touches.
        """
        existing = self._machine.keyspace.existing()
        self.child_keys_total = sum(each.key_count() for each in existing)

    def begin_child(self, kind: ChildKind, *, feeds_replicas: bool = False) -> None:
        """A child process was started."""
        machine = self._machine
        self.child = kind
        self.child_feeds_replicas = feeds_replicas
        self.child_started_ms = machine.clock.now_ms
        self.child_copied_bytes = 0
        if kind is ChildKind.SNAPSHOT:
            self.dirty_before_child = self.dirty
            self.last_try_ms = machine.clock.now_ms
            self.is_save_scheduled = False
        else:
            self.is_rewrite_scheduled = False
            self._last_rewrite_try_ms = machine.clock.now_ms

    def end_child(self) -> int:
        """The child is gone; returns how many seconds it took."""
        self.child = None
        return max(0, self._machine.clock.now_ms - self.child_started_ms) // 1000

    def on_background_saved(self, copied_bytes: int) -> None:
        """The child has written its snapshot, and it is in its place."""
        effects = self._machine.keyspace.effects
        effects.dirty = max(0, effects.dirty - self.dirty_before_child)
        self.last_save_took_s = self.end_child()
        self.last_save_s = self._machine.clock.now_ms // 1000
        self.last_save_copied_bytes = copied_bytes
        self.last_save_failed = False
        self.recheck()

    def on_background_save_failed(self, *, was_ordered: bool = False) -> None:
        """The child has failed; one that was killed on purpose is no reason to refuse writes."""
        self.last_save_took_s = self.end_child()
        if not was_ordered:
            self.last_save_failed = True
        self.recheck()

    def on_rewritten(self, copied_bytes: int) -> None:
        """The log consists of a new base and what came after it."""
        self.last_rewrite_took_s = self.end_child()
        self.last_rewrite_copied_bytes = copied_bytes
        self.last_rewrite_failed = False
        self.failed_rewrites = 0

    def on_rewrite_failed(self, *, was_ordered: bool = False) -> None:
        """The log stays as it was."""
        self.last_rewrite_took_s = self.end_child()
        if not was_ordered:
            self.last_rewrite_failed = True
            self.failed_rewrites += 1

    def on_snapshot_read(self, keys: int, expired: int, facts: dict[bytes, bytes]) -> None:
        """A snapshot was read to its end."""
        self._machine.loading.keys_loaded = keys
        self._machine.loading.keys_expired = expired
        self.loaded_facts = facts

    # --- what is due ----------------------------------------------------------------------------

    def on_tick(self) -> None:
        """Start what is due: scheduled work first, then save points, then growth of the log."""
        if self.child is not None:
            return
        if self.is_rewrite_scheduled and not self._must_rewrite_wait():
            self.is_rewrite_scheduled = False
            self._last_rewrite_try_ms = self._machine.clock.now_ms
            if not self.start_rewrite() and self.log_state is LogState.WAITS_FOR_REWRITE:
                # Without it there is no log.
                self.is_rewrite_scheduled = True
        elif self._due_save_point():
            self.start_background_save()
        elif self._has_log_grown() and not self._must_rewrite_wait():
            self.start_rewrite()
        elif self.is_save_scheduled and self._may_try_saving():
            self.is_save_scheduled = False
            self.start_background_save()

    def _may_try_saving(self) -> bool:
        now_ms = self._machine.clock.now_ms
        return not self.last_save_failed or now_ms - self.last_try_ms > SAVE_RETRY_MS

    def _due_save_point(self) -> bool:
        """Whether enough changed for long enough."""
        machine = self._machine
        dirty = self.dirty
        if not dirty or not machine.config.save:
            return False
        since_s = machine.clock.now_ms // 1000 - self.last_save_s
        for point in machine.config.save:
            if dirty >= point.changes and since_s > point.seconds and self._may_try_saving():
                machine.log.notice(f"{point.changes} changes in {point.seconds} seconds. Saving...")
                return True
        return False

    def _has_log_grown(self) -> bool:
        config = self._machine.config
        percentage = config.auto_aof_rewrite_percentage
        if (
            self.log_state is not LogState.ON
            or not percentage
            or self.log_bytes <= config.auto_aof_rewrite_min_size
        ):
            return False
        growth = self.log_bytes * 100 // (self.log_rewritten_bytes or 1) - 100
        if growth < percentage:
            return False
        if not self._must_rewrite_wait():
            self._machine.log.notice(f"Starting automatic rewriting of AOF on {growth}% growth")
        return True

    def _must_rewrite_wait(self) -> bool:
        """After several failures in a row, tries become rare."""
        over = self.failed_rewrites - REWRITE_FAILURES_FREE
        if over < 0:
            return False
        delay_minutes = min(1 << min(over, 10), _REWRITE_DELAY_MAX_MINUTES)
        return self._machine.clock.now_ms - self._last_rewrite_try_ms < delay_minutes * 60_000

    # --- refusing writes ------------------------------------------------------------------------

    def recheck(self) -> None:
        """Something failed, or is well again: refuse writes, or let them through."""
        machine = self._machine
        is_wanted = self._refusal() is not None
        machine.gate.check_disk = self._check if is_wanted else None
        machine.require_gate("disk", is_wanted)

    def _refusal(self) -> CommandError | None:
        config = self._machine.config
        if config.stop_writes_on_bgsave_error and config.save and self.last_save_failed:
            return _CANNOT_SAVE
        if self.log_state is not LogState.OFF:
            reason = self.log_write_error or self.log_sync_error
            if reason is not None:
                return CommandError(f"MISCONF Errors writing to the AOF file: {reason}".encode())
        return None

    def _check(self, session: Session, command: Command, args: list[bytes]) -> None:
        """What `gate.check_disk` is while something is wrong."""
        is_write = Flag.WRITE in command.flags or command.full_name == "ping"
        if not is_write and command.full_name == "exec" and session.queue is not None:
            is_write = any(Flag.WRITE in queued.flags for queued, _ in session.queue)
        if is_write:
            refusal = self._refusal()
            if refusal is not None:
                raise refusal


def _nothing_to_do() -> bool:
    """A machine without a runtime has no files."""
    return False


def _nothing_to_reload(flush: bool, save: bool, merge: bool) -> bool:
    return False


def _nothing_buffered() -> int:
    return 0


def _nothing_to_stop() -> None:
    return


def _ready_without_files(save: bool | None, force: bool) -> bool:
    return not save or force


def _no_history() -> tuple[bytes, int, int] | None:
    return None


def _no_functions() -> list[bytes]:
    return []
