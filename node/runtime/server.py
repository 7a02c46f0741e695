"""One server process: listeners, data plane, timer, signals, order of start and stop."""

import os
import signal
import socket
from functools import partial
from time import perf_counter, perf_counter_ns, sleep, time, time_ns
from typing import Final

import trio

from ...gossip.core import TICK_MS
from ..cluster import Cluster
from ..cluster_options import bus_port
from ..config import Config
from ..errors import CommandError
from ..lazyfree import lazy_free_of
from ..machine import Machine
from ..version import REDIS_VERSION
from .bus import Bus
from .clock import set_clock
from .dataplane import DataPlane
from .disk import Disk
from .facts import SystemFacts
from .full_sync import FullSync
from .garbage import collect_young_garbage
from .key_transfer import KeyCarrier
from .listeners import (
    CannotListenError,
    is_loopback,
    open_tcp_listeners,
    open_unix_listener,
    tune_client,
)
from .live_settings import LiveSettings, ServerConfigFile, possible_clients
from .log import RedisLog
from .nodes_file import NodesFile, NodesFileError
from .persistence import ServerPersistence
from .randomness import PooledRandom
from .replica_link import ReplicaLink
from .slot_transfer import SlotCarrier
from .tls_listener import TlsServer
from .user_file import load_user_file

_PORT_MAX: Final = 65_535

#: While anything waits to be freed: a tenth of the time goes into it.
_FREED_EVERY_S: Final = 0.005
#: The longest that active expiry may hold up the clients at a time.
_EXPIRY_PIECE_S: Final = 0.01

_DENIED: Final = (
    "-DENIED Clustrio is in protected mode: it has no password for the default user and therefore "
    "serves only clients on its own machine. To serve others, do one of these: 1) on this machine, "
    "send CONFIG SET protected-mode no (and CONFIG REWRITE to keep it). 2) Write 'protected-mode "
    "no' into the configuration file and restart. 3) For a test, start the server with "
    "--protected-mode no. 4) Set a password for the default user, which is the safe way.\r\n"
)


class Server:
    """Runs one machine on real sockets."""

    def __init__(
        self, config: Config, log: RedisLog, config_path: str = "", disk: Disk | None = None
    ) -> None:
        self.config = config
        #: The configuration file, for CONFIG REWRITE; empty if there was none.
        self.config_path = config_path
        self.log = log
        self.machine = Machine(
            config, log, PooledRandom(), perf_counter_ns, now_ms=int(time() * 1000)
        )
        load_user_file(self.machine)
        self.plane = DataPlane(self.machine)
        self.machine.breathe = self.plane.serve_while_busy
        self.persistence = ServerPersistence(self.machine, self.plane, log, disk)
        self.bus: Bus | None = None
        self._bus_listeners: list[socket.socket] = []
        self.listeners: list[socket.socket] = []
        self._unix_listener: socket.socket | None = None
        self._stop = trio.Event()
        self._signals_seen = 0
        self.exit_code = 0
        self.machine.on_shutdown = self.request_stop
        self.machine.process = SystemFacts()
        self.machine.sleep = sleep
        self.machine.unix_time_us = _unix_time_us
        if config_path:
            self.machine.config_file = ServerConfigFile(config_path)
        self.live_settings = LiveSettings(self)
        self.tls = TlsServer(self)
        self.key_carrier = KeyCarrier(self.machine, self.plane, self.tls.maybe_bus_contexts)
        self.slot_carrier = SlotCarrier(self.machine, self.plane, self.tls.maybe_bus_contexts)
        self.full_sync = FullSync(self.plane, log, self.persistence.disk, self.persistence.child)
        self.replica_link = ReplicaLink(
            self.plane, log, self.persistence, self.tls.maybe_replication_contexts
        )

    def request_stop(self, exit_code: int = 0) -> None:
        """Begin an orderly end."""
        self.exit_code = exit_code
        self._stop.set()

    def open_listeners(self) -> None:
        """Bind everything; raises CannotListenError or ConfigError."""
        config = self.config
        if config.port:
            self.listeners += open_tcp_listeners(config, config.port, self.log)
        if config.unixsocket:
            self._unix_listener = open_unix_listener(
                config.unixsocket, config.unixsocketperm, config.tcp_backlog
            )
            self.listeners.append(self._unix_listener)
        self.tls.open()
        if not (self.listeners or self.tls.is_listening):
            raise CannotListenError("Configured to not listen anywhere, exiting.")
        if config.cluster_enabled:
            self._join_cluster()

    def _join_cluster(self) -> None:
        """Read nodes.conf, bind the bus port, and wake the brain; raises CannotListenError."""
        port = bus_port(self.machine)
        if port > _PORT_MAX:
            raise CannotListenError(
                f"Redis port number too high for cluster mode: the bus would need port {port}. Use "
                f"a port below {_PORT_MAX - 9_999}, or set cluster-port.",
            )
        nodes_file = NodesFile(self.config.cluster_config_file, self.persistence.disk)
        try:
            stored = nodes_file.load()
            self.bus = Bus(self.machine, self.log, nodes_file)
            set_clock(self.machine.clock)
            if stored is None:
                self.log.notice("No cluster configuration found, I'm a new node")
            cluster = Cluster(self.machine, self.bus, stored)
        except NodesFileError as failure:
            raise CannotListenError(str(failure)) from None
        except OSError as failure:
            raise CannotListenError(
                f"Could not save the cluster config file: {failure.strerror}"
            ) from None
        self.bus.cluster = cluster
        self.bus.tls_contexts = self.tls.maybe_bus_contexts
        self.machine.cluster = cluster
        self.log.notice(f"Node configuration loaded, I'm {cluster.core.node_id}")
        self._bus_listeners = open_tcp_listeners(self.config, port, self.log)
        for listener in self._bus_listeners:
            listener.setblocking(False)

    def admit(self, client: socket.socket) -> str | None:
        """Why a client cannot be served; None lets it in."""
        if len(self.machine.sessions) >= self.config.maxclients:
            return "-ERR max number of clients reached\r\n"
        if self.config.protected_mode and self.machine.accounts.is_open and not is_loopback(client):
            return _DENIED
        tune_client(client, self.config.tcp_keepalive)
        return None

    async def run(self) -> int:
        """Serve until told to stop; returns the process' exit code."""
        self._raise_descriptor_limit()
        self.log.role = "M"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_signals)
            await nursery.start(self.persistence.run)
            await nursery.start(self._load_and_announce)
            for listener in self.listeners:
                self.plane.listen(listener, self.admit)
            nursery.start_soon(self.plane.run)
            nursery.start_soon(self.tls.run)
            nursery.start_soon(self.key_carrier.run)
            nursery.start_soon(self.slot_carrier.run)
            if self.bus is not None:
                nursery.start_soon(self.bus.run, self._bus_listeners)
                nursery.start_soon(self._tick_cluster)
            nursery.start_soon(self._tick)
            nursery.start_soon(self._free_garbage)
            nursery.start_soon(self.full_sync.run)
            nursery.start_soon(self._replicate)
            await self._stop.wait()
            nursery.cancel_scope.cancel()
        self._shut_down()
        return self.exit_code

    async def _load_and_announce(self, task_status: trio.TaskStatus[None]) -> None:
        """Read the data; if it is much, clients and bus are answered meanwhile."""
        is_loaded = await self.persistence.load_at_start(task_status.started)
        if not is_loaded:
            self.request_stop(1)
            return
        if not self.config.appendonly:
            # What the log added to its base, the facts of the base know nothing of.
            loaded = self.machine.loading
            facts = self.machine.persistence.loaded_facts
            self.machine.replication.restore(facts, is_whole=not loaded.keys_expired)
        if self.machine.cluster is not None:
            self.machine.cluster.settle_loaded_keys()
        self._announce_ready()

    async def _replicate(self) -> None:
        """Follow a primary, once our own data is there."""
        while self.machine.loading.is_active:  # noqa: ASYNC110
            await trio.sleep(TICK_MS / 1000)
        replication, wanted = self.machine.replication, self.config.replicaof
        if wanted is not None:
            replication.follow(wanted.host, wanted.port)
        await self.replica_link.run()

    def _announce_ready(self) -> None:
        if self.config.port:
            self.log.notice("Ready to accept connections tcp")
        if self.tls.is_listening:
            self.log.notice("Ready to accept connections tls")
        if self.config.unixsocket:
            self.log.notice("Ready to accept connections unix")
        if not self.config.port and self.config.unixsocket:
            self.log.notice(
                f"The server is now ready to accept connections at {self.config.unixsocket}"
            )
        notify_supervisor(self.config, "READY=1\nSTATUS=Ready to accept connections\n")

    def _shut_down(self) -> None:
        """What is left to do when nobody is served any more."""
        notify_supervisor(self.config, "STOPPING=1\n")
        for listener in self.listeners:
            self.plane.stop_listening(listener)
            listener.close()
        self.tls.close()
        for listener in self._bus_listeners:
            listener.close()
        self.plane.close_all()
        self.persistence.close()
        if self._unix_listener is not None and self.config.unixsocket:
            self.log.notice("Removing the unix socket file.")
            _remove(self.config.unixsocket)
        if self.config.pidfile:
            self.log.notice("Removing the pid file.")
            _remove(self.config.pidfile)
        self.log.warning("Redis is now ready to exit, bye bye...")

    async def _watch_signals(self) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as arrivals:
            async for number in arrivals:
                self._signals_seen += 1
                if self._signals_seen > 1 and number == signal.SIGINT:
                    self.log.warning("You insist... exiting now.")
                    os._exit(1)
                name = "SIGTERM" if number == signal.SIGTERM else "SIGINT"
                self.log.warning(f"Received {name} scheduling shutdown...")
                self.log.warning("User requested shutdown...")
                config = self.config
                ways = config.shutdown_on_sigterm
                if number == signal.SIGINT:
                    ways = config.shutdown_on_sigint
                save = True if "save" in ways else False if "nosave" in ways else None
                try:
                    self.machine.shutdown.begin(
                        save, is_forced="force" in ways, is_now="now" in ways
                    )
                except CommandError:
                    self.log.warning(
                        f"{name} received but errors trying to shut down the server, check the "
                        "logs for more information"
                    )

    async def _tick(self) -> None:
        """The timer: `hz` times a second, and on time for the next blocked client."""
        machine = self.machine
        while True:
            pause_s = 1 / max(1, self.config.hz)
            deadline_ms = machine.next_deadline_ms()
            if deadline_ms is not None:
                pause_s = min(pause_s, max(0.001, deadline_ms / 1000 - time()))
            await trio.sleep(pause_s)
            set_clock(self.machine.clock)
            ends = perf_counter() + min(0.25 / max(1, self.config.hz), _EXPIRY_PIECE_S)
            machine.tick(partial(_is_past, ends))
            self.plane.flush_awake()
            collect_young_garbage()

    async def _free_garbage(self) -> None:
        """Free what was taken out of the data set a bit more often than the timer does."""
        machine, garbage = self.machine, lazy_free_of(self.machine)
        while True:
            is_wanted = garbage.is_busy and not (
                machine.debug_switches.cron_is_paused or machine.loading.is_active
            )
            await trio.sleep(_FREED_EVERY_S if is_wanted else TICK_MS / 1000)
            if is_wanted:
                garbage()

    async def _tick_cluster(self) -> None:
        """The brain's own timer."""
        cluster = self.machine.cluster
        assert cluster is not None
        while True:
            await trio.sleep(TICK_MS / 1000)
            set_clock(self.machine.clock)
            cluster.tick()
            self.plane.flush_awake()

    def _raise_descriptor_limit(self) -> None:
        """Make room for `maxclients` sockets, or lower `maxclients` to the room there is."""
        wanted = self.config.maxclients
        possible = possible_clients(wanted)
        if possible < wanted:
            self.log.warning(
                f"You requested maxclients of {wanted}, but the limit of open files does not allow "
                f"as many. maxclients has been reduced to {possible} to compensate for low ulimit.",
            )
            self.config.set([("maxclients", str(possible))])


def _unix_time_us() -> int:
    return time_ns() // 1000


def _is_past(moment_s: float) -> bool:
    return perf_counter() >= moment_s


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def notify_supervisor(config: Config, state: str) -> None:
    """Tell systemd how far we are, if it supervises us."""
    address = os.environ.get("NOTIFY_SOCKET")
    if config.supervised not in ("systemd", "auto") or not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as messenger:
        messenger.sendto(state.encode(), address)


def banner(config: Config) -> str:
    """What a person sees first; harnesses look for ` PID: N`."""
    mode = "cluster" if config.cluster_enabled else "standalone"
    return (
        "\n"
        f"     o---o      Clustrio, as Redis {REDIS_VERSION}, 64 bit\n"
        f"    / \\ / \\     Running in {mode} mode\n"
        f"   o---o---o    Port: {config.port}\n"
        f"    \\ / \\ /     PID: {os.getpid()}\n"
        "     o---o\n\n"
    )
