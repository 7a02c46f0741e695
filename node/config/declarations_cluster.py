"""Directives about replication, the cluster and who may do what."""

from __future__ import annotations

import re
from typing import Final

from .directive import Declarations, Directive, Trait
from .kinds import (
    INT_MAX,
    LONG_MAX,
    ULONG_MAX,
    boolean,
    enum,
    integer,
    maybe_string,
    memory,
    string,
)
from .special_kinds import ReplicaOfKind

_IMMUTABLE: Final = Trait.IMMUTABLE
_UNSUPPORTED: Final = Trait.UNSUPPORTED
_BACKLOG_MIN_BYTES: Final = 16 * 1024
_HOSTNAME_MAX: Final = 256
_HOSTNAME: Final = re.compile(r"[A-Za-z0-9.-]*")
# These separate the parts of a line of nodes.conf, or might one day.
_FORBIDDEN_IN_NODE_NAMES: Final = frozenset("!#$%&()*+:;<>?@[]^{|}~")
_WHO_MAY: Final = ("no", "yes", "local")


def _hostname_problem(name: str | None) -> str | None:
    if name is None:
        return None
    if len(name) >= _HOSTNAME_MAX:
        return f"Hostnames must be less than {_HOSTNAME_MAX} characters"
    if _HOSTNAME.fullmatch(name) is None:
        return "Hostnames may only contain alphanumeric characters, hyphens or dots"
    return None


def _node_name_problem(name: str | None) -> str | None:
    if name is not None and not _FORBIDDEN_IN_NODE_NAMES.isdisjoint(name):
        return "Announced human node name contained invalid character"
    return None


def _at_least_smallest_backlog(size_bytes: int) -> int:
    return max(_BACKLOG_MIN_BYTES, size_bytes)


class ReplicationDirectives(Declarations):
    """Primaries and their replicas."""

    section = "Replication"

    replicaof = Directive(
        "replicaof",
        ReplicaOfKind(),
        None,
        "Be a replica of that primary; within a cluster CLUSTER REPLICATE does it.",
        _IMMUTABLE,
        alias="slaveof",
    )
    masterauth = maybe_string("masterauth", "Password to show to the primary.", Trait.SENSITIVE)
    masteruser = maybe_string("masteruser", "User to be there.", Trait.SENSITIVE)
    replica_serve_stale_data = boolean(
        "replica-serve-stale-data",
        True,
        "Answer reads while the link to the primary is down.",
        alias="slave-serve-stale-data",
    )
    replica_read_only = boolean(
        "replica-read-only", True, "Refuse writes of clients.", alias="slave-read-only"
    )
    replica_priority = integer(
        "replica-priority",
        100,
        0,
        INT_MAX,
        "Which replica a Sentinel prefers: the lowest, but never 0.",
        alias="slave-priority",
    )
    replica_announced = boolean(
        "replica-announced", True, "Let the primary list this replica to Sentinels."
    )
    replica_announce_ip = maybe_string(
        "replica-announce-ip",
        "Address that the primary is to list.",
        alias="slave-announce-ip",
    )
    replica_announce_port = integer(
        "replica-announce-port",
        0,
        0,
        65535,
        "Port that the primary is to list; 0 for the real one.",
        alias="slave-announce-port",
    )
    replica_ignore_maxmemory = boolean(
        "replica-ignore-maxmemory",
        True,
        "Leave evictions to the primary.",
        alias="slave-ignore-maxmemory",
    )
    replica_ignore_disk_write_errors = boolean(
        "replica-ignore-disk-write-errors",
        False,
        "Go on applying writes that cannot be persisted.",
    )
    replica_lazy_flush = boolean(
        "replica-lazy-flush",
        False,
        "Free the old data in the background when a full copy arrives.",
        alias="slave-lazy-flush",
    )
    repl_ping_replica_period = integer(
        "repl-ping-replica-period",
        10,
        1,
        INT_MAX,
        "Seconds between the primary's pings to its replicas.",
        alias="repl-ping-slave-period",
    )
    repl_timeout = integer(
        "repl-timeout", 60, 1, INT_MAX, "Seconds of silence after which the link counts as broken."
    )
    repl_backlog_size = memory(
        "repl-backlog-size",
        1024**2,
        1,
        LONG_MAX,
        "How much to keep for replicas that come back.",
        normalize=_at_least_smallest_backlog,
    )
    repl_backlog_ttl = integer(
        "repl-backlog-ttl",
        3600,
        0,
        LONG_MAX,
        "Seconds to keep it after the last replica left; 0 for ever.",
    )
    repl_disable_tcp_nodelay = boolean(
        "repl-disable-tcp-nodelay", False, "Save packets to replicas at the cost of delay."
    )
    repl_diskless_sync = boolean(
        "repl-diskless-sync", True, "Send full copies without a file in between."
    )
    repl_diskless_sync_delay = integer(
        "repl-diskless-sync-delay",
        5,
        0,
        INT_MAX,
        "Seconds to wait for more replicas before sending one.",
    )
    repl_diskless_sync_max_replicas = integer(
        "repl-diskless-sync-max-replicas",
        0,
        0,
        INT_MAX,
        "Wait no longer once so many are there; 0 for the whole delay.",
    )
    repl_diskless_load = enum(
        "repl-diskless-load",
        "disabled",
        ("disabled", "on-empty-db", "swapdb"),
        "When a replica loads a full copy without a file in between.",
        Trait.NOT_WHILE_LOADING,
    )
    min_replicas_to_write = integer(
        "min-replicas-to-write",
        0,
        0,
        INT_MAX,
        "Refuse writes with fewer good replicas than this; 0 for never.",
        alias="min-slaves-to-write",
    )
    min_replicas_max_lag = integer(
        "min-replicas-max-lag",
        10,
        0,
        INT_MAX,
        "A replica is good if it was heard of within so many seconds.",
        alias="min-slaves-max-lag",
    )
    propagation_error_behavior = enum(
        "propagation-error-behavior",
        "ignore",
        ("ignore", "panic", "panic-on-replicas"),
        "What to do when a replicated command fails.",
    )


class ClusterDirectives(Declarations):
    """The cluster and its bus."""

    section = "Cluster"

    cluster_enabled = boolean("cluster-enabled", False, "Be a node of a cluster.", _IMMUTABLE)
    cluster_config_file = string(
        "cluster-config-file",
        "nodes.conf",
        "File that the node keeps its view of the cluster in; nobody else may write it.",
        _IMMUTABLE,
    )
    cluster_node_timeout = integer(
        "cluster-node-timeout",
        15000,
        0,
        LONG_MAX,
        "Milliseconds of silence after which a node is held to be failing.",
    )
    cluster_port = integer(
        "cluster-port", 0, 0, 65535, "Port of the bus; 0 for the client port + 10000.", _IMMUTABLE
    )
    cluster_ping_interval = integer(
        "cluster-ping-interval",
        0,
        0,
        LONG_MAX,
        "Accepted for compatibility with test suites.",
        Trait.HIDDEN | _UNSUPPORTED,
    )
    cluster_replica_validity_factor = integer(
        "cluster-replica-validity-factor",
        10,
        0,
        INT_MAX,
        "A replica out of touch for longer than so many node timeouts does not stand for"
        " election; 0 for always.",
        alias="cluster-slave-validity-factor",
    )
    cluster_replica_no_failover = boolean(
        "cluster-replica-no-failover",
        False,
        "Never stand for election, unless told to by CLUSTER FAILOVER.",
        alias="cluster-slave-no-failover",
    )
    cluster_allow_replica_migration = boolean(
        "cluster-allow-replica-migration", True, "Let replicas move to primaries without any."
    )
    cluster_migration_barrier = integer(
        "cluster-migration-barrier",
        1,
        0,
        INT_MAX,
        "How many replicas must stay behind when one moves.",
    )
    cluster_require_full_coverage = boolean(
        "cluster-require-full-coverage", True, "Serve nothing unless every slot is served."
    )
    cluster_allow_reads_when_down = boolean(
        "cluster-allow-reads-when-down", False, "Answer reads even while the cluster is down."
    )
    cluster_allow_pubsubshard_when_down = boolean(
        "cluster-allow-pubsubshard-when-down",
        True,
        "Serve sharded publish and subscribe even while the cluster is down.",
    )
    cluster_link_sendbuf_limit = memory(
        "cluster-link-sendbuf-limit",
        0,
        0,
        ULONG_MAX,
        "Close a bus link that has more waiting to be sent; 0 for no limit.",
    )
    cluster_announce_ip = maybe_string(
        "cluster-announce-ip", "Address that others are to reach this node at."
    )
    cluster_announce_port = integer(
        "cluster-announce-port", 0, 0, 65535, "Client port to announce; 0 for the real one."
    )
    cluster_announce_tls_port = integer(
        "cluster-announce-tls-port", 0, 0, 65535, "TLS port to announce; 0 for the real one."
    )
    cluster_announce_bus_port = integer(
        "cluster-announce-bus-port", 0, 0, 65535, "Bus port to announce; 0 for the real one."
    )
    cluster_announce_hostname = maybe_string(
        "cluster-announce-hostname",
        "Host name to announce besides the address.",
        validate=_hostname_problem,
    )
    cluster_announce_human_nodename = maybe_string(
        "cluster-announce-human-nodename",
        "A name for people, for the log.",
        validate=_node_name_problem,
    )
    cluster_preferred_endpoint_type = enum(
        "cluster-preferred-endpoint-type",
        "ip",
        ("ip", "hostname", "unknown-endpoint"),
        "What redirections tell clients to connect to.",
    )
    cluster_refuse_empty_primary = boolean(
        "cluster-refuse-empty-primary",
        True,
        "When a primary comes back without its data, let a replica that has it take over."
        " (Redis does not know this directive.)",
    )


class SecurityDirectives(Declarations):
    """Passwords, users and protected commands."""

    section = "Security"

    requirepass = maybe_string("requirepass", "Password of the default user.", Trait.SENSITIVE)
    aclfile = string(
        "aclfile", "", "File of users; it excludes `user` lines in this one.", _IMMUTABLE
    )
    acl_pubsub_default = enum(
        "acl-pubsub-default",
        "resetchannels",
        ("allchannels", "resetchannels"),
        "Whether new users may use all channels or none.",
    )
    acllog_max_len = integer(
        "acllog-max-len", 128, 0, LONG_MAX, "How many denials ACL LOG remembers."
    )
    enable_protected_configs = enum(
        "enable-protected-configs",
        "no",
        _WHO_MAY,
        "Who may set `dir` and `dbfilename` at run time.",
        _IMMUTABLE,
    )
    enable_debug_command = enum(
        "enable-debug-command", "no", _WHO_MAY, "Who may use DEBUG.", _IMMUTABLE
    )
    enable_module_command = enum(
        "enable-module-command", "no", _WHO_MAY, "Who may use MODULE.", _IMMUTABLE | _UNSUPPORTED
    )
