"""Loading the data of a server: at start, a piece at a time between clients, or again at once."""

import os
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Final

import trio

from ..persistence.manifest import ManifestError
from .loader import LoadError, load_log, load_snapshot
from .log import RedisLog
from .log_files import LogFiles

if TYPE_CHECKING:
    from ..machine import Machine

#: How long loading may go on before clients and bus get a turn.
_LOADING_SLICE_S: Final = 0.005
#: What takes no longer than this is loaded before anybody is listened to.
_LOADING_ALONE_S: Final = 0.03


class _Once:
    """Calls a function the first time only."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def __call__(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()


class DataLoader:
    """Fills the data set of one machine from its files."""

    def __init__(self, machine: "Machine", files: LogFiles, log: RedisLog) -> None:
        self._machine = machine
        self.files = files
        self._log = log

    async def load_at_start(self, on_long: Callable[[], None]) -> bool:
        """Read the data, then open the log; False if the server must not go on.

        `on_long` is called when it takes long (or is over): others may then have their turn.
        """
        started = _Once(on_long)
        is_loaded = await self._load_everything(started)
        started()
        return is_loaded

    async def _load_everything(self, on_long: Callable[[], None]) -> bool:
        machine, config = self._machine, self._machine.config
        try:
            if config.appendonly:
                self.files.load_manifest()
            await self._load_in_turns(self._everything(config.dbfilename), on_long)
            if config.appendonly:
                self.files.open_at_start()
        except (LoadError, ManifestError) as failure:
            self._log.warning(str(failure))
            self._log.warning("Fatal error loading the DB, check server logs. Exiting.")
            return False
        except OSError as failure:
            self._log.warning(f"Fatal error loading the DB: {failure}. Exiting.")
            return False
        finally:
            if machine.loading.is_active:
                machine.loading.end()
        return True

    def _everything(self, path: str) -> Iterator[None]:
        """Load whatever there is, as the configuration says where it is."""
        machine, config, files = self._machine, self._machine.config, self.files
        if config.appendonly:
            total_bytes = sum(
                os.path.getsize(files.path(each.name))
                for each in files.manifest.files()
                if os.path.exists(files.path(each.name))
            )
            if not files.manifest.is_empty:
                machine.loading.begin(total_bytes, config.appenddirname)
                yield from load_log(machine, files.manifest, config.appenddirname, self.files.disk)
                self._log.notice(
                    f"DB loaded from append only file: {self._elapsed_s():.3f} seconds"
                )
        elif os.path.exists(path):
            machine.loading.begin(os.path.getsize(path), path)
            is_primary = config.replicaof is None and not machine.keyspace.is_replica
            yield from load_snapshot(machine, path, drop_expired=is_primary)
            self._log.notice(f"DB loaded from disk: {self._elapsed_s():.3f} seconds")

    def _elapsed_s(self) -> float:
        return self._machine.unix_time_us() / 1e6 - self._machine.loading.started_ms / 1e3

    async def _load_in_turns(self, steps: Iterator[None], on_long: Callable[[], None]) -> None:
        slice_ends = perf_counter() + _LOADING_ALONE_S
        dirty_before = self._machine.keyspace.effects.dirty
        for _ in steps:
            if perf_counter() >= slice_ends:
                on_long()
                await trio.lowlevel.checkpoint()
                slice_ends = perf_counter() + _LOADING_SLICE_S
        # What was read is no change to what is on disk.
        self._machine.keyspace.effects.dirty = dirty_before

    def load_again(self, load: Callable[[], Iterator[None]], flush: bool) -> bool:
        """Load while everybody waits, after emptying the data set if wanted; False if it failed."""
        machine = self._machine
        effects = machine.keyspace.effects
        consumers = tuple(effects.consumers)
        for each in consumers:
            effects.remove_consumer(each)
        dirty_before = effects.dirty
        try:
            if flush:
                self._clear()
            machine.loading.begin(0, "DEBUG")
            for _ in load():
                pass
        except (LoadError, OSError) as failure:
            self._log.warning(f"Error loading the data: {failure}")
            return False
        finally:
            machine.loading.end()
            for each in consumers:
                effects.add_consumer(each)
            effects.dirty = dirty_before
        return True

    def _clear(self) -> None:
        self._machine.functions.clear()
        for database in self._machine.keyspace.existing():
            # Freed at once: everybody waits anyway, and what is loaded can take the same memory.
            database.clear()
