"""INFO server, clients, cpu, modules, replication of a node by itself, and cluster."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ..session import ClientKind
from ..version import CLUSTRIO_VERSION, REDIS_VERSION
from .registry import Field

if TYPE_CHECKING:
    from ..machine import Machine

_DAY_S: Final = 86_400
#: Redis' clock for LRU: seconds in 24 bits.
_LRU_CLOCK_MASK: Final = (1 << 24) - 1
_NO_ID: Final = "0" * 40


def server(machine: "Machine") -> Sequence[Field]:
    """What runs here, and since when."""
    config = machine.config
    facts = machine.process
    now_ms = machine.clock.now_ms
    uptime_s = (now_ms - machine.started_ms) // 1000
    fields: list[Field] = [
        ("redis_version", REDIS_VERSION),
        ("redis_git_sha1", "00000000"),
        ("redis_git_dirty", 0),
        ("redis_build_id", f"clustrio-{CLUSTRIO_VERSION}"),
        ("redis_mode", "cluster" if config.cluster_enabled else "standalone"),
        ("os", facts.system_name),
        ("arch_bits", 64),
        ("monotonic_clock", "POSIX clock_gettime"),
        ("multiplexing_api", facts.polling),
        ("atomicvar_api", "none"),
        ("gcc_version", facts.compiler_version),
        ("process_id", facts.process_id),
        ("process_supervised", "systemd" if config.supervised == "systemd" else "no"),
        ("run_id", machine.run_id.decode()),
        ("tcp_port", config.port),
        ("server_time_usec", machine.unix_time_us()),
        ("uptime_in_seconds", uptime_s),
        ("uptime_in_days", uptime_s // _DAY_S),
        ("hz", config.hz),
        ("configured_hz", config.hz),
        ("lru_clock", now_ms // 1000 & _LRU_CLOCK_MASK),
        ("executable", facts.executable),
        ("config_file", machine.config_file.path if machine.config_file is not None else ""),
        ("io_threads_active", 0),
        ("clustrio_version", CLUSTRIO_VERSION),
    ]
    listeners = []
    if config.port:
        addresses = "".join(f"bind={address}," for address in config.bind)
        listeners.append(f"name=tcp,{addresses}port={config.port}")
    if config.tls_port:
        addresses = "".join(f"bind={address}," for address in config.bind)
        listeners.append(f"name=tls,{addresses}port={config.tls_port}")
    if config.unixsocket:
        listeners.append(f"name=unix,bind={config.unixsocket}")
    fields += [(f"listener{number}", text) for number, text in enumerate(listeners)]
    return fields


def clients(machine: "Machine") -> Sequence[Field]:
    """Who is connected, and who waits."""
    sessions = list(machine.sessions.values())
    waits = [session.wait for session in sessions if session.wait is not None]
    return [
        ("connected_clients", sum(session.kind is not ClientKind.REPLICA for session in sessions)),
        ("cluster_connections", 0),
        ("maxclients", machine.config.maxclients),
        (
            "client_recent_max_input_buffer",
            max((session.stream.pending_bytes for session in sessions), default=0),
        ),
        (
            "client_recent_max_output_buffer",
            max((session.output_bytes for session in sessions), default=0),
        ),
        ("blocked_clients", len(waits)),
        ("tracking_clients", sum("tracking" in session.flags for session in sessions)),
        ("clients_in_timeout_table", sum(wait.deadline_ms is not None for wait in waits)),
    ]


def cpu(machine: "Machine") -> Sequence[Field]:
    """How much processor time was used."""
    times = machine.process.cpu_times()
    return [
        ("used_cpu_sys", f"{times.system_s:.6f}"),
        ("used_cpu_user", f"{times.user_s:.6f}"),
        ("used_cpu_sys_children", f"{times.children_system_s:.6f}"),
        ("used_cpu_user_children", f"{times.children_user_s:.6f}"),
        ("used_cpu_sys_main_thread", f"{times.main_thread_system_s:.6f}"),
        ("used_cpu_user_main_thread", f"{times.main_thread_user_s:.6f}"),
    ]


def replication(machine: "Machine") -> Sequence[Field]:
    """A primary without replicas."""
    return [
        ("role", "master"),
        ("connected_slaves", 0),
        ("master_failover_state", "no-failover"),
        ("master_replid", machine.replication_id.decode()),
        ("master_replid2", _NO_ID),
        ("master_repl_offset", 0),
        ("second_repl_offset", -1),
        ("repl_backlog_active", 0),
        ("repl_backlog_size", machine.config.repl_backlog_size),
        ("repl_backlog_first_byte_offset", 0),
        ("repl_backlog_histlen", 0),
    ]


def cluster(machine: "Machine") -> Sequence[Field]:
    """Whether this is a node of a cluster."""
    return [("cluster_enabled", int(machine.config.cluster_enabled))]
