"""All directives together, and the table that finds them by name."""

from __future__ import annotations

from typing import Final

from .declarations_cluster import ClusterDirectives, ReplicationDirectives, SecurityDirectives
from .declarations_data import (
    AppendOnlyDirectives,
    ClientDirectives,
    EncodingDirectives,
    MemoryDirectives,
    SnapshotDirectives,
)
from .declarations_network import NetworkDirectives, ProcessDirectives, TlsDirectives
from .directive import AnyDirective


class AllDirectives(
    NetworkDirectives,
    ClusterDirectives,
    ReplicationDirectives,
    SecurityDirectives,
    MemoryDirectives,
    SnapshotDirectives,
    AppendOnlyDirectives,
    ClientDirectives,
    EncodingDirectives,
    ProcessDirectives,
    TlsDirectives,
):
    """Every directive, section by section, in the order of the example file."""


def _names() -> dict[str, AnyDirective]:
    table: dict[str, AnyDirective] = {}
    for directive in AllDirectives.directives():
        for name in (directive.name, directive.alias):
            if name is not None:
                assert name not in table, f"{name} is declared twice"
                table[name] = directive
    return table


#: Every name that CONFIG knows, old names included, in lower case.
DIRECTIVES: Final = _names()

#: Lines that older versions needed: a file may still have them, but nobody can ask for them.
FORGOTTEN: Final = frozenset(
    {"list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands"},
)

#: Names that a file may use for a directive besides its own: Valkey renamed some of them.
FILE_SYNONYMS: Final = {
    "primaryauth": "masterauth",
    "primaryuser": "masteruser",
    "server-cpulist": "server_cpulist",
    "bio-cpulist": "bio_cpulist",
    "aof-rewrite-cpulist": "aof_rewrite_cpulist",
    "bgsave-cpulist": "bgsave_cpulist",
    "commandlog-execution-slower-than": "slowlog-log-slower-than",
    "commandlog-slow-execution-max-len": "slowlog-max-len",
}

#: Directives of Redis 7.4 and later and of Valkey. A file written for those may be used here, so
#: such lines are passed over with a warning; to CONFIG they do not exist, as in Redis 7.2.
UNKNOWN_TO_CONFIG: Final = frozenset(
    {
        "availability-zone",
        "cluster-announce-client-ipv4",
        "cluster-announce-client-ipv6",
        "cluster-blacklist-ttl",
        "cluster-databases",
        "cluster-manual-failover-timeout",
        "cluster-slot-stats-enabled",
        "dual-channel-replication-enabled",
        "events-per-io-thread",
        "extended-redis-compatibility",
        "hide-user-data-from-log",
        "import-mode",
        "log-format",
        "log-timestamp-format",
        "lua-enable-insecure-api",
        "max-new-connections-per-cycle",
        "max-new-tls-connections-per-cycle",
        "mptcp",
        "prefetch-batch-max-size",
        "rdb-version-check",
        "replica-full-sync-buffer-limit",
        "repl-mptcp",
        "slot-migration-log-max-len",
        "slot-migration-max-failover-repl-bytes",
        "unixsocketgroup",
    },
)

#: What only a file or the command line may say, and with how many arguments (None: any number).
FILE_ONLY: Final[dict[str, tuple[int, int | None]]] = {
    "include": (1, 1),
    "rename-command": (2, 2),
    "user": (1, None),
    "loadmodule": (1, None),
}


def maybe_directive_of_line(name: str) -> AnyDirective | None:
    """The directive that a line of a file is about, by its first word in lower case."""
    return DIRECTIVES.get(FILE_SYNONYMS.get(name, name))
