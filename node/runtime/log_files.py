"""The files of the append-only log: the manifest, bases, increments, and writing to the last one.

Rules: the manifest names a file before the first byte goes into it, and forgets it before it is
removed; what was written for a client is in the file before the reply leaves, and with
`appendfsync always` on the disk. What could not be written waits and is tried again, while writes
are refused.
"""

import os
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from ..persistence.feed import LogFeed
from ..persistence.manifest import Manifest, ManifestError, decode_manifest_untrusted
from ..persistence.status import LogState
from .disk import Disk
from .snapshots import snapshot_pieces, write_file

if TYPE_CHECKING:
    from ..machine import Machine

#: How long writes wait for an fsync that is under way.
_POSTPONED_MAX_S: Final = 2.0
_SYNC_EVERY_S: Final = 1.0
#: A write that takes less is none for the latency history, whatever its threshold.
_NOTABLE_NS: Final = 1_000_000
#: The same trouble is logged once in so long.
_COMPLAINT_EVERY_S: Final = 30.0
_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND


class FatalDiskError(Exception):
    """With `appendfsync always` a node that cannot write must not go on; the text is logged."""


class LogFiles:
    """The log of one node. Paths are relative to `dir`, where the process is."""

    def __init__(self, machine: "Machine", disk: Disk) -> None:
        self._machine = machine
        self._state = machine.persistence
        self.disk = disk
        self.feed = LogFeed(machine.clock, machine.keyspace.effects)
        self.manifest = Manifest(machine.config.appendfilename)
        #: The increment that is written to; None while there is none.
        self.descriptor: int | None = None
        #: Old increments that must get to the disk before they are closed.
        self.retired: list[int] = []
        #: Closes what is left of a removed file. PERFORMANCE: only that gives its blocks back, and
        #: takes long (8 ms for 22 MB); the runtime has another thread do it.
        self.close_removed: Callable[[int], None] = os.close
        self._waiting = b""
        self._increment_bytes = 0
        self._is_synced = True
        self._last_sync_s = monotonic()
        self._postponed_since_s: float | None = None
        self._complained_s = 0.0
        #: How far log and replication stream were when all of it was written last.
        self.written_mark = (0, 0)
        #: An fsync is wanted, which another thread carries out.
        self.wants_sync = False
        self.is_syncing = False

    # --- places ---------------------------------------------------------------------------------

    def path(self, name: str) -> str:
        """Where a file of the log is."""
        return os.path.join(self._machine.config.appenddirname, name)

    @property
    def temporary_increment(self) -> str:
        """Where commands go between switching the log on and the end of the first rewrite."""
        return self.path(f"temp-{self.manifest.stem}.incr")

    def load_manifest(self) -> None:
        """Read the manifest, or take over the one file of old. Raises ManifestError, OSError."""
        config = self._machine.config
        stem = config.appendfilename
        path = self.path(f"{stem}.manifest")
        try:
            with open(path, "rb") as file:
                self.manifest = decode_manifest_untrusted(stem, file.read())
            return
        except FileNotFoundError:
            self.manifest = Manifest(stem)
        # The one file of a version before 7, which a crash may have left in either place.
        is_moved = os.path.exists(self.path(stem))
        if not is_moved and not os.path.exists(stem):
            return
        self.disk.make_directory(config.appenddirname)
        adopted = Manifest(stem)
        adopted.adopt_old_file()
        self.save_manifest(adopted)
        if not is_moved:
            self.disk.rename(stem, self.path(stem))
            self.disk.sync_directory(config.appenddirname)
        self._machine.log.notice(
            f"Successfully migrated an old-style AOF configuration ({stem}) into the AOF directory "
            f"({config.appenddirname})."
        )

    def save_manifest(self, manifest: Manifest) -> None:
        """Have a manifest on disk, and go by it. Raises OSError; then the old one stays."""
        path = self.path(manifest.file_name)
        temporary = self.path(f"temp-{manifest.file_name}")
        disk = self.disk
        descriptor = disk.create(temporary)
        try:
            disk.write_all(descriptor, manifest.encode())
            disk.sync(descriptor)
            disk.rename(temporary, path)
        except OSError:
            disk.discard(temporary)
            raise
        finally:
            os.close(descriptor)
        # From here on a restart goes by the new one: there is no way back.
        self.manifest = manifest
        directory = self._machine.config.appenddirname
        try:
            disk.sync_directory(directory)
        except OSError as failure:
            self._machine.log.warning(
                f"Fail to fsync AOF directory {directory}: {failure.strerror}"
            )

    def _save_manifest_with(self, manifest: Manifest, descriptor: int) -> None:
        """Save it, or close the new file that it names."""
        try:
            self.save_manifest(manifest)
        except OSError:
            os.close(descriptor)
            raise

    # --- opening --------------------------------------------------------------------------------

    def open_at_start(self) -> None:
        """After loading: go on with the last increment, or begin the log. Raises OSError."""
        config = self._machine.config
        log = self._machine.log
        self.disk.make_directory(config.appenddirname)
        manifest = self.manifest.copy()
        is_changed = False
        if manifest.is_empty:
            name = manifest.begin_base(config.aof_use_rdb_preamble)
            log.notice(f"Creating AOF base file {name} on server start")
            self._write_base(self.path(name))
            is_changed = True
        if not manifest.increments:
            name = manifest.begin_increment()
            log.notice(f"Creating AOF incr file {name} on server start")
            is_changed = True
        path = self.path(manifest.increments[-1].name)
        descriptor = self.disk.open(path, _APPEND)
        if is_changed:
            self._save_manifest_with(manifest, descriptor)
        self._use(descriptor)
        self._measure()
        self._state.log_rewritten_bytes = self._state.log_bytes
        self._state.log_state = LogState.ON
        self.remove_history()

    def _write_base(self, path: str) -> None:
        pieces = (
            snapshot_pieces(self._machine, is_aof_base=True)
            if self._machine.config.aof_use_rdb_preamble
            else ()
        )
        write_file(self.disk, path, pieces, syncs_in_portions=True)

    def _use(self, descriptor: int) -> None:
        self.retire()
        self.descriptor = descriptor
        self._increment_bytes = os.fstat(descriptor).st_size
        self._last_sync_s = monotonic()
        self.feed.start_file()
        self.feed.has_timestamps = self._machine.config.aof_timestamp_enabled

    def retire(self) -> None:
        """Write no more to the present increment; the runtime syncs and closes it."""
        if self.descriptor is not None:
            self.retired.append(self.descriptor)
            self.descriptor = None
            self.wants_sync = True
        self._is_synced = True

    def _measure(self) -> None:
        """The size of everything that the manifest names."""
        sizes = {each.name: _size(self.path(each.name)) for each in self.manifest.files()}
        self._state.log_bytes = sum(sizes.values())
        base = self.manifest.base
        self._state.log_base_bytes = sizes[base.name] if base is not None else 0

    def begin_increment(self) -> None:
        """A rewrite starts: what comes from now on goes to a new file. Raises OSError."""
        config = self._machine.config
        log = self._machine.log
        self.disk.make_directory(config.appenddirname)
        if self._state.log_state is LogState.OFF:
            return
        if self._state.log_state is LogState.WAITS_FOR_REWRITE:
            path = self.temporary_increment
            log.notice(f"Creating AOF incr file {os.path.basename(path)} on background rewrite")
            self._use(self.disk.open(path, _APPEND | os.O_TRUNC))
            return
        manifest = self.manifest.copy()
        name = manifest.begin_increment()
        log.notice(f"Creating AOF incr file {name} on background rewrite")
        descriptor = self.disk.open(self.path(name), _APPEND | os.O_TRUNC)
        self._save_manifest_with(manifest, descriptor)
        self._use(descriptor)

    def take_new_base(self, temporary: str, is_snapshot: bool) -> None:
        """A rewrite is done: its file becomes the base. Raises OSError; the old log stays then."""
        state, disk, log = self._state, self.disk, self._machine.log
        manifest = self.manifest.copy()
        name = manifest.begin_base(is_snapshot)
        path = self.path(name)
        disk.rename(temporary, path)
        log.notice(f"Successfully renamed the temporary AOF base file {temporary} into {name}")
        is_waiting = state.log_state is LogState.WAITS_FOR_REWRITE
        manifest.retire_increments(0 if self.descriptor is None or is_waiting else 1)
        increment = ""
        try:
            if is_waiting:
                increment = manifest.begin_increment()
                disk.rename(self.temporary_increment, self.path(increment))
                log.notice(
                    "Successfully renamed the temporary AOF incr file "
                    f"{os.path.basename(self.temporary_increment)} into {increment}"
                )
            self.save_manifest(manifest)
        except OSError:
            disk.discard(path)
            if increment:
                disk.discard(self.path(increment))
            raise
        if is_waiting:
            state.log_state = LogState.ON
            # What was synced until now counts only once it has been again, under its name.
            self._is_synced = False
        self._measure()
        state.log_rewritten_bytes = state.log_bytes
        self.remove_history()

    def remove_history(self) -> None:
        """Remove what is superfluous; what cannot be removed stays listed, to be tried again."""
        manifest, log = self.manifest, self._machine.log
        if not manifest.history or self._machine.config.aof_disable_auto_gc:
            return
        for old in manifest.history:
            log.notice(f"Removing the history file {old.name} in the background")
        cleaned = manifest.copy()
        cleaned.history = []
        try:
            for old in manifest.history:
                if os.path.exists(self.path(old.name)):
                    self._remove(self.path(old.name))
            self.save_manifest(cleaned)
        except OSError as failure:
            log.warning(f"Cannot remove old AOF files: {failure.strerror}")

    def _remove(self, path: str) -> None:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            # We may not read it, or have too much open: removing it just takes longer then.
            self.disk.unlink(path)
            return
        try:
            self.disk.unlink(path)
        except OSError:
            os.close(descriptor)
            raise
        self.close_removed(descriptor)

    # --- writing --------------------------------------------------------------------------------

    @property
    def waiting_bytes(self) -> int:
        """What is not in the file yet."""
        return len(self._waiting) + self.feed.size_bytes

    def flush(self, *, force: bool = False) -> None:
        """Called before replies leave and on every tick. Raises FatalDiskError."""
        descriptor = self.descriptor
        if descriptor is None:
            return
        policy = self._machine.config.appendfsync
        if self.feed.is_empty and not self._waiting:
            if not self._is_synced and policy != "no":
                self._maybe_sync(descriptor, policy)
            return
        if self.is_syncing and policy == "everysec" and not force and self._postpone():
            return
        self._postponed_since_s = None
        if self._write(descriptor, policy):
            self._is_synced = False
            if policy != "no":
                self._maybe_sync(descriptor, policy)

    def _postpone(self) -> bool:
        """A write would have to wait for the fsync under way: better later, but not for ever."""
        now_s = monotonic()
        if self._postponed_since_s is None:
            self._postponed_since_s = now_s
            return True
        if now_s - self._postponed_since_s < _POSTPONED_MAX_S:
            return True
        self._state.delayed_syncs += 1
        self._machine.log.notice(
            "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer "
            "without waiting for fsync to complete, this may slow down Redis."
        )
        return False

    def _write(self, descriptor: int, policy: str) -> bool:
        """Write all that waits; False if some of it has to wait on."""
        feed, timer = self.feed, self._machine.timer
        data = self._waiting + feed.take() if self._waiting else feed.take()
        started_ns = timer()
        try:
            written = self.disk.write(descriptor, data)
        except OSError as failure:
            written, error = 0, failure.strerror or str(failure)
            self._complain(f"Error writing to the AOF file: {error}")
        else:
            error = ""
        elapsed_ns = timer() - started_ns
        if elapsed_ns >= _NOTABLE_NS:
            self._machine.latency.note("aof-write", elapsed_ns // 1_000_000)
        if written != len(data):
            self._on_short_write(descriptor, data, written, error, policy)
            return False
        self._waiting = b""
        self._increment_bytes += written
        state = self._state
        state.log_bytes += written
        self.written_mark = (feed.taken_bytes, self._machine.replication.offset)
        if state.log_write_error is not None:
            self._machine.log.warning("AOF write error looks solved. The server can write again.")
            state.log_write_error = None
            state.recheck()
        return True

    def _on_short_write(
        self, descriptor: int, data: bytes, written: int, error: str, policy: str
    ) -> None:
        if written:
            self._complain(
                "Short write while writing to the AOF file: "
                f"(nwritten={written}, expected={len(data)})"
            )
            error = "No space left on device"
            try:
                self.disk.truncate(descriptor, self._increment_bytes)
                written = 0
            except OSError as failure:
                self._complain(
                    "Could not remove short write from the append-only file. Redis may refuse to "
                    f"load the AOF the next time it starts. ftruncate: {failure.strerror}"
                )
        if policy == "always":
            raise FatalDiskError(
                "Can't recover from AOF write error when the AOF fsync policy is 'always'. "
                "Exiting..."
            )
        self._waiting = data[written:]
        self._increment_bytes += written
        self._state.log_bytes += written
        self._state.log_write_error = error
        self._state.recheck()

    def _complain(self, text: str) -> None:
        now_s = monotonic()
        if now_s - self._complained_s > _COMPLAINT_EVERY_S:
            self._complained_s = now_s
            self._machine.log.warning(text)

    def _maybe_sync(self, descriptor: int, policy: str) -> None:
        is_always = policy == "always"
        if not is_always and (self.is_syncing or monotonic() - self._last_sync_s < _SYNC_EVERY_S):
            return
        if self._machine.config.no_appendfsync_on_rewrite and self._state.child is not None:
            return
        if is_always:
            started_ns = self._machine.timer()
            self.sync_now(descriptor)
            self._machine.latency.note(
                "aof-fsync-always", (self._machine.timer() - started_ns) // 1_000_000
            )
        else:
            self._is_synced = True
            self._last_sync_s = monotonic()
            self.wants_sync = True

    def sync_now(self, descriptor: int) -> None:
        """Return when all is on disk. Raises FatalDiskError."""
        try:
            self.disk.sync(descriptor)
        except OSError as failure:
            raise FatalDiskError(
                "Can't persist AOF for fsync error when the AOF fsync policy is 'always': "
                f"{failure.strerror}. Exiting..."
            ) from None
        self._is_synced = True
        self._last_sync_s = monotonic()
        self._note_synced(self.written_mark)

    def _note_synced(self, mark: tuple[int, int]) -> None:
        """That much would be there after a crash; while the first rewrite runs, nothing is."""
        if self._state.log_state is LogState.ON:
            self._state.synced_position, self._state.synced_offset = mark
            self._state.on_log_synced()

    def on_synced(self, error: str | None, mark: tuple[int, int]) -> None:
        """The other thread is done with what was written at `mark`."""
        if error is not None:
            self._is_synced = False
            self._machine.log.warning(f"Fail to fsync the AOF file: {error}.")
        else:
            self._note_synced(mark)
        if error != self._state.log_sync_error:
            self._state.log_sync_error = error
            self._state.recheck()

    def close(self) -> None:
        """The log is switched off, or the node stops: everything gets to the disk."""
        for descriptor in self.retired:
            os.close(descriptor)
        self.retired.clear()
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None
        self._waiting = b""
        self.feed.take()


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


__all__ = ["FatalDiskError", "LogFiles", "ManifestError"]
