"""Keeps a server's data: snapshots by a forked child, the append-only log, loading, the last save.

Everything that is decided purely (when, whether, what INFO says) is `machine.persistence`; here
stands what needs processes, files and time. One child at a time does the writing.
"""

import contextlib
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

import trio

from ..persistence.manifest import ManifestError
from ..persistence.rewriting import write_commands
from ..persistence.status import ChildKind, LogState
from .child import EXIT_ORDERED, Child, ChildResult, PipeWriter, copied_bytes
from .data_loader import DataLoader
from .disk import Disk
from .gentle import gently
from .loader import load_log, load_snapshot
from .log import RedisLog
from .log_files import FatalDiskError, LogFiles
from .one_child import OneChild
from .snapshots import save_snapshot, snapshot_pieces, temporary_snapshot_path, write_file

if TYPE_CHECKING:
    from ..machine import Machine

_MIB: Final = 1024 * 1024


class Sender(Protocol):
    """Whoever sends the replies: the data plane."""

    before_sending: Callable[[], None] | None


class ServerPersistence:
    """The files of one server."""

    def __init__(
        self, machine: "Machine", plane: Sender, log: RedisLog, disk: Disk | None = None
    ) -> None:
        self._machine = machine
        self._state = machine.persistence
        self._plane = plane
        self._log = log
        self.disk = disk or Disk()
        self.files = LogFiles(machine, self.disk)
        self.files.close_removed = self._close_apart
        self._loader = DataLoader(machine, self.files, log)
        self.child = OneChild(machine, log)
        self._sync_wanted = trio.Event()
        state = self._state
        state.save_now = self.save_now
        state.start_background_save = self.start_background_save
        state.start_rewrite = self.start_rewrite
        state.reload = self.reload
        state.reload_log = self.reload_log
        state.prepare_shutdown = self.prepare_shutdown
        state.log_buffer_bytes = lambda: self.files.waiting_bytes
        state.stop_child = self.child.stop
        state.log_position = lambda: self.files.feed.position
        machine.on_tick.append(self._on_tick)
        machine.config.on_change("appendonly", self._on_appendonly)
        machine.config.on_change("appendfsync", self._on_policy)
        machine.config.on_change("aof-timestamp-enabled", self._on_timestamps)

    # --- life -----------------------------------------------------------------------------------

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Waits for children, and syncs the log in a thread; until cancelled."""
        async with trio.open_nursery() as nursery:
            self.child.nursery = nursery
            task_status.started()
            while True:
                await self._sync_wanted.wait()
                self._sync_wanted = trio.Event()
                await self._sync_log()

    async def load_at_start(self, on_long: Callable[[], None]) -> bool:
        """Read the data, then go on with the log; False if the server must not go on.

        `on_long` is called when it takes long (or is over): others may then have their turn.
        """
        if not await self._loader.load_at_start(on_long):
            return False
        if self.files.descriptor is not None:
            self._write_log(True)
        return True

    def _on_tick(self) -> None:
        if self.files.descriptor is not None:
            self._write_log(False)

    # --- snapshots ------------------------------------------------------------------------------

    def save_now(self) -> bool:
        """SAVE: write a snapshot while everybody waits."""
        if self._state.child is not None:
            return False
        return self._save_in_foreground()

    def _save_in_foreground(self) -> bool:
        try:
            save_snapshot(self._machine, self.disk, self._machine.config.dbfilename)
        except OSError as failure:
            self._log.warning(f"Write error saving DB on disk: {failure.strerror}")
            self._state.on_save_failed()
            return False
        self._log.notice("DB saved on disk")
        self._state.save_count += 1
        self._state.on_saved()
        return True

    def start_background_save(self) -> bool:
        """BGSAVE: let a child write a snapshot; False if none could be started."""
        if self._state.child is not None:
            return False
        self._state.save_count += 1
        started = self.child.start(ChildKind.SNAPSHOT, self._save_in_child, self._on_saved)
        if started is None:
            self._state.last_try_ms = self._machine.clock.now_ms
            self._state.on_save_failed()
            return False
        self._log.notice(f"Background saving started by pid {started.pid}")
        return True

    def _save_in_child(self, pipe: PipeWriter) -> int:
        try:
            save_snapshot(
                self._machine, self.disk, self._machine.config.dbfilename, in_background=True
            )
        except OSError as failure:
            self._log.warning(f"Write error saving DB on disk: {failure.strerror}")
            return 1
        self._log.notice("DB saved on disk")
        self._report(pipe, "RDB")
        return 0

    def _report(self, pipe: PipeWriter, what: str) -> None:
        copied = copied_bytes()
        pipe.write(b"%d\n" % copied)
        self._log.notice(
            f"Fork CoW for {what}: current {copied // _MIB} MB, peak "
            f"{copied // _MIB} MB, average {copied // _MIB} MB"
        )

    def _on_saved(self, child: Child, result: ChildResult) -> None:
        state = self._state
        if result.is_success:
            self._log.notice("Background saving terminated with success")
            state.on_background_saved(_reported(child))
            return
        if result.signal:
            self._log.warning(f"Background saving terminated by signal {result.signal}")
            self.disk.discard(temporary_snapshot_path(self._machine.config.dbfilename, child.pid))
        else:
            self._log.warning("Background saving error")
        state.on_background_save_failed(was_ordered=child.was_ordered_to_stop)

    # --- the log --------------------------------------------------------------------------------

    def start_rewrite(self) -> bool:
        """BGREWRITEAOF: let a child write a new base; False if none could be started."""
        state, files = self._state, self.files
        if state.child is not None:
            return False
        try:
            self._write_log(True)
            files.begin_increment()
        except OSError as failure:
            self._log.warning(f"Can't rewrite append only file in background: {failure.strerror}")
            state.last_rewrite_failed = True
            state.failed_rewrites += 1
            return False
        self._wake_sync()
        state.rewrite_count += 1
        is_snapshot = self._machine.config.aof_use_rdb_preamble
        child = self.child.start(
            ChildKind.REWRITE, partial(self._rewrite_in_child, is_snapshot), self._on_rewritten
        )
        if child is None:
            state.last_rewrite_failed = True
            state.failed_rewrites += 1
            return False
        if state.log_state is LogState.WAITS_FOR_REWRITE:
            self._observe(True)
        self._rewrite_is_snapshot = is_snapshot
        self._log.notice(f"Background append only file rewriting started by pid {child.pid}")
        return True

    def _rewrite_in_child(self, is_snapshot: bool, pipe: PipeWriter) -> int:
        machine = self._machine
        temporary = _temporary_base(machine.config.appenddirname, os.getpid())
        pieces = (
            snapshot_pieces(machine, is_aof_base=True)
            if is_snapshot
            else write_commands(machine.keyspace, machine.persistence.function_sources())
        )
        try:
            write_file(
                self.disk,
                temporary,
                gently(pieces),
                syncs_in_portions=machine.config.aof_rewrite_incremental_fsync,
            )
        except OSError as failure:
            self._log.warning(f"Write error writing append only file on disk: {failure.strerror}")
            return 1
        self._log.notice(f"Successfully created the temporary AOF base file {temporary}")
        self._report(pipe, "AOF rewrite")
        return 0

    def _on_rewritten(self, child: Child, result: ChildResult) -> None:
        state = self._state
        temporary = _temporary_base(self._machine.config.appenddirname, child.pid)
        if result.is_success and not child.was_ordered_to_stop:
            self._log.notice("Background AOF rewrite terminated with success")
            try:
                self.files.take_new_base(temporary, self._rewrite_is_snapshot)
            except OSError as failure:
                self._log.warning(
                    f"Error trying to put the rewritten AOF in its place: {failure.strerror}"
                )
                self.disk.discard(temporary)
                self._on_rewrite_failed(was_ordered=False)
                return
            self._log.notice("Background AOF rewrite finished successfully")
            state.on_rewritten(_reported(child))
            return
        if result.signal:
            self._log.warning(f"Background AOF rewrite terminated by signal {result.signal}")
        elif result.exit_code != EXIT_ORDERED:
            self._log.warning("Background AOF rewrite terminated with error")
        self.disk.discard(temporary)
        self._on_rewrite_failed(was_ordered=child.was_ordered_to_stop)

    def _on_rewrite_failed(self, *, was_ordered: bool) -> None:
        state = self._state
        state.on_rewrite_failed(was_ordered=was_ordered)
        if state.log_state is LogState.WAITS_FOR_REWRITE:
            # Nothing counts yet: the next try begins from nothing.
            self._observe(False)
            self.files.close()
            self.disk.discard(self.files.temporary_increment)
            state.is_rewrite_scheduled = True

    def _observe(self, wanted: bool) -> None:
        """Collect what commands do, and write it before replies leave."""
        machine, feed = self._machine, self.files.feed
        is_observed = feed in machine.keyspace.effects.consumers
        if wanted and not is_observed:
            machine.add_consumer(feed)
        elif not wanted and is_observed:
            machine.remove_consumer(feed)
        self._plane.before_sending = self._before_sending if wanted else None

    def _before_sending(self) -> None:
        files = self.files
        if not files.feed.is_empty:
            try:
                files.flush()
            except FatalDiskError as failure:
                self._end_at_once(failure)
            if files.wants_sync:
                self._sync_wanted.set()

    def _write_log(self, force: bool) -> None:
        files = self.files
        is_open = files.descriptor is not None and self._state.log_state is LogState.ON
        if is_open and self._plane.before_sending is None:
            self._observe(True)
        try:
            files.flush(force=force)
        except FatalDiskError as failure:
            self._end_at_once(failure)
        self._wake_sync()

    def _end_at_once(self, failure: FatalDiskError) -> NoReturn:
        """A reply that promises what is not on disk must not leave."""
        self._log.warning(str(failure))
        self.disk.give_up()

    def _wake_sync(self) -> None:
        if self.files.wants_sync:
            self._sync_wanted.set()

    async def _sync_log(self) -> None:
        """fsync in a thread, so that only the disk waits for the disk."""
        files = self.files
        files.wants_sync = False
        retired, files.retired = files.retired, []
        descriptor = files.descriptor
        current = os.dup(descriptor) if descriptor is not None else None
        files.is_syncing = True
        self._state.pending_syncs += 1
        error: str | None = None
        mark = files.written_mark
        try:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._sync_all, retired, current)
        except OSError as failure:
            error = failure.strerror or str(failure)
        finally:
            files.is_syncing = False
            self._state.pending_syncs -= 1
            for each in (*retired, *((current,) if current is not None else ())):
                os.close(each)
        files.on_synced(error, mark)

    def _sync_all(self, retired: list[int], current: int | None) -> None:
        for descriptor in retired:
            self.disk.sync(descriptor)
        if current is not None:
            self.disk.sync(current)

    def _close_apart(self, descriptor: int) -> None:
        nursery = self.child.nursery
        if nursery is None:
            os.close(descriptor)
        else:
            nursery.start_soon(_close_in_thread, descriptor)

    # --- switching the log on and off -----------------------------------------------------------

    def _on_appendonly(self) -> str | None:
        wanted = self._machine.config.appendonly
        state = self._state
        if wanted == (state.log_state is not LogState.OFF):
            return None
        if not wanted:
            self.stop_log()
            return None
        if self.child.nursery is None:
            return None  # Not running yet: the start will see to it.
        state.log_state = LogState.WAITS_FOR_REWRITE
        if state.child is ChildKind.REWRITE:
            self._log.warning(
                "AOF was enabled but there is already an AOF rewriting in background. Stopping "
                "background AOF and starting a rewrite now."
            )
            self.child.stop()
        if state.child is not None:
            state.is_rewrite_scheduled = True
            self._log.warning(
                "AOF was enabled but there is already another background operation. An AOF "
                "background was scheduled to start when possible."
            )
            return None
        with contextlib.suppress(ManifestError, OSError):
            self.files.load_manifest()
        if not self.start_rewrite():
            state.log_state = LogState.OFF
            return "Unable to turn on AOF. Check server logs."
        state.log_write_error = state.log_sync_error = None
        state.recheck()
        return None

    def stop_log(self) -> None:
        """CONFIG SET appendonly no: what is written stays, nothing is added."""
        state = self._state
        self._write_log(True)
        if self.files.descriptor is not None:
            with contextlib.suppress(OSError):
                self.disk.sync(self.files.descriptor)
        state.log_state = LogState.OFF
        state.is_rewrite_scheduled = False
        self._observe(False)
        if state.child is ChildKind.REWRITE:
            self._log.notice("Killing running AOF rewrite child")
            self.child.stop()
        self.files.close()
        state.log_write_error = state.log_sync_error = None
        state.recheck()
        state.on_log_synced()

    def begin_log_anew(self) -> None:
        """The data is another: the log begins again with a rewrite, as soon as one is possible.

        Until then the old log stays on disk, whole in itself.
        """
        state = self._state
        if self._machine.config.appendonly and state.log_state is LogState.OFF:
            state.log_state = LogState.WAITS_FOR_REWRITE
            if state.child is not None or not self.start_rewrite():
                state.is_rewrite_scheduled = True

    def _on_policy(self) -> None:
        # What was written under another policy must be as safe as what follows.
        self._write_log(True)

    def _on_timestamps(self) -> None:
        self.files.feed.has_timestamps = self._machine.config.aof_timestamp_enabled

    # --- loading again, and the end -------------------------------------------------------------

    def reload(self, flush: bool, save: bool, merge: bool) -> bool:
        """DEBUG RELOAD: save, empty the data set, and load, while everybody waits."""
        if save and not self._save_in_foreground():
            return False
        return self._loader.load_again(
            partial(
                load_snapshot,
                self._machine,
                self._machine.config.dbfilename,
                drop_expired=False,
                replaces=merge,
            ),
            flush,
        )

    def reload_log(self) -> bool:
        """DEBUG LOADAOF: the same with the log."""
        self._write_log(True)
        files = self.files
        directory = self._machine.config.appenddirname
        return self._loader.load_again(
            partial(load_log, self._machine, files.manifest, directory, self.disk), True
        )

    def prepare_shutdown(self, save: bool | None, force: bool) -> bool:
        """Bring everything to the disk; False if that failed, and the node must live on.

        `save` is what the operator said of a last snapshot; None: if there are save points.
        """
        machine, state, log = self._machine, self._state, self._log
        wants_save = bool(machine.config.save) if save is None else save
        if state.child is ChildKind.SNAPSHOT:
            log.warning("There is a child saving an .rdb. Killing it!")
            self.child.stop()
        if state.log_state is LogState.WAITS_FOR_REWRITE and not force:
            log.warning("Writing initial AOF, can't exit.")
            return False
        if state.child is not None:
            log.warning("There is a child rewriting the AOF. Killing it!")
            self.child.stop()
        if self.files.descriptor is not None:
            log.notice("Calling fsync() on the AOF file.")
            self._write_log(True)
            try:
                for descriptor in (*self.files.retired, self.files.descriptor):
                    self.disk.sync(descriptor)
            except OSError as failure:
                log.warning(f"Fail to fsync the AOF file: {failure.strerror}.")
        if wants_save and not machine.loading.is_active:
            log.notice("Saving the final RDB snapshot before exiting.")
            if not self._save_in_foreground() and not force:
                log.warning("Error trying to save the DB, can't exit.")
                return False
        return True

    def close(self) -> None:
        """The node stops: no child goes on, and nothing is held any more."""
        self.child.stop()
        if self.files.descriptor is not None:
            self._write_log(True)
        self.files.close()


async def _close_in_thread(descriptor: int) -> None:
    with trio.CancelScope(shield=True):
        await trio.to_thread.run_sync(os.close, descriptor)


def _temporary_base(directory: str, pid: int) -> str:
    """Where a rewrite is written: beside the directory of the log."""
    return os.path.join(os.path.dirname(directory), f"temp-rewriteaof-bg-{pid}.aof")


def _reported(child: Child) -> int:
    """How much memory the child said it had copied."""
    text = child.read_rest().strip()
    return int(text) if text.isdigit() else 0
