"""A node's server as a local cluster runs it: no signals of its own, and it can be crashed.

Owns the difference to `clustrio-server`. Rules: the working directory and signal handlers belong to
the caller, so neither is touched; a crash closes everything that the kernel would close.
"""

import os
import random
from collections.abc import Sequence
from time import monotonic

import trio

from ...gossip.health import serve_at_once
from ...node.config import Config
from ...node.runtime.disk import Disk
from ...node.runtime.files import DiskFiles
from ...node.runtime.log import RedisLog
from ...node.runtime.server import Server
from .scripted import Script


class QuietFiles(DiskFiles):
    """The disk for a node that shares its process: `dir` is looked at, not entered."""

    def enter_directory(self, path: str) -> str:
        """Its absolute path."""
        if not os.path.isdir(path):
            raise FileNotFoundError(2, "No such file or directory", path)
        return os.path.abspath(path)


class LocalServer(Server):
    """One node of a local cluster."""

    def __init__(
        self,
        options: Sequence[tuple[str, str]],
        seed: str,
        *,
        own_process: bool,
        disk: Disk | None = None,
    ) -> None:
        config = Config(DiskFiles() if own_process else QuietFiles(), directory=os.getcwd())
        config.load("\n".join(f'{name} "{value}"' for name, value in options))
        if not own_process:
            # What is relative to the working directory of a node must be told apart here.
            for directive in (Config.dbfilename, Config.appenddirname):
                config.put(
                    directive, os.path.join(config.dir, getattr(config, directive.attribute))
                )
        super().__init__(config, RedisLog(config.logfile, config.loglevel), disk=disk)
        # Elections and gossip draw from here; chance in commands stays chance.
        self.machine.rng = random.Random(seed)
        self._own_process = own_process

    def prepare(self, *, is_fresh: bool) -> None:
        """Bind everything and read nodes.conf."""
        self.open_listeners()
        self.script = Script(self.machine)
        cluster = self.machine.cluster
        if is_fresh and cluster is not None:
            serve_at_once(cluster.core.state, int(monotonic() * 1000))

    async def _watch_signals(self) -> None:
        if self._own_process:
            await super()._watch_signals()
        else:
            await trio.sleep_forever()

    def crash(self) -> None:
        """Close what a killed process loses; to be called when nothing runs any more."""
        for listener in self.listeners:
            self.plane.stop_listening(listener)
            listener.close()
        for listener in self._bus_listeners:
            listener.close()
        self.plane.close_all()
        self.forget_files()

    def forget_files(self) -> None:
        """Let go of the lock on nodes.conf, which lives as long as the process otherwise."""
        if self.bus is not None:
            self.bus._nodes_file.close()
