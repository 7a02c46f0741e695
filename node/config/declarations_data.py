"""Directives about memory, persistence, encodings and what clients may do."""

from __future__ import annotations

from typing import Final

from .directive import Declarations, Directive, Trait
from .kinds import (
    INT_MAX,
    INT_MIN,
    LONG_MAX,
    ULONG_MAX,
    FlagsKind,
    MemoryOrPercent,
    MemoryOrPercentKind,
    boolean,
    enum,
    integer,
    memory,
    string,
)
from .special_kinds import (
    KeyspaceEventsKind,
    OutputLimit,
    OutputLimits,
    OutputLimitsKind,
    PercentilesKind,
    SaveKind,
    SavePoint,
)

_IMMUTABLE: Final = Trait.IMMUTABLE
_UNSUPPORTED: Final = Trait.UNSUPPORTED
_KIB: Final = 1024
_MIB: Final = 1024**2
_GIB: Final = 1024**3
_SHUTDOWN_WAYS: Final = ("default", "save", "nosave", "now", "force")


def _is_path(name: str) -> bool:
    return "/" in name or "\\" in name


def _dump_name_problem(name: str) -> str | None:
    return "dbfilename can't be a path, just a filename" if _is_path(name) else None


def _append_name_problem(name: str) -> str | None:
    if not name:
        return "appendfilename can't be empty"
    return "appendfilename can't be a path, just a filename" if _is_path(name) else None


def _append_directory_problem(name: str) -> str | None:
    if not name:
        return "appenddirname can't be empty"
    return "appenddirname can't be a path, just a dirname" if _is_path(name) else None


def _defragmentation_problem(wanted: bool) -> str | None:
    if not wanted:
        return None
    return (
        "Active defragmentation cannot be enabled: it requires a Redis server compiled with a "
        "modified Jemalloc like the one shipped by default with the Redis source distribution"
    )


def _shutdown_problem(ways: frozenset[str]) -> str | None:
    if {"save", "nosave"} <= ways:
        return "shutdown options SAVE and NOSAVE can't be used simultaneously"
    return None


class MemoryDirectives(Declarations):
    """How much memory the data may take, and what goes when it is full."""

    section = "Memory"

    maxmemory = memory(
        "maxmemory", 0, 0, ULONG_MAX, "The most memory that data may take; 0 for no limit."
    )
    maxmemory_policy = enum(
        "maxmemory-policy",
        "noeviction",
        (
            "volatile-lru",
            "volatile-lfu",
            "volatile-random",
            "volatile-ttl",
            "allkeys-lru",
            "allkeys-lfu",
            "allkeys-random",
            "noeviction",
        ),
        "Which keys to evict at the limit; with noeviction writes fail instead.",
    )
    maxmemory_samples = integer(
        "maxmemory-samples", 5, 1, INT_MAX, "Among how many keys to look for the one to evict."
    )
    maxmemory_eviction_tenacity = integer(
        "maxmemory-eviction-tenacity",
        10,
        0,
        100,
        "How long a command may be kept waiting for evictions (100: as long as it takes).",
    )
    maxmemory_clients = Directive(
        "maxmemory-clients",
        MemoryOrPercentKind(),
        MemoryOrPercent(0),
        "The most memory that the buffers of all clients may take; 0 for no limit.",
    )
    lfu_log_factor = integer(
        "lfu-log-factor", 10, 0, INT_MAX, "How much harder each further use of a key counts up."
    )
    lfu_decay_time = integer(
        "lfu-decay-time", 1, 0, INT_MAX, "Minutes without use that take one off the count."
    )
    active_expire_effort = integer(
        "active-expire-effort", 1, 1, 10, "How eagerly to look for expired keys."
    )
    lazyfree_lazy_eviction = boolean(
        "lazyfree-lazy-eviction", False, "Free evicted values in the background."
    )
    lazyfree_lazy_expire = boolean(
        "lazyfree-lazy-expire", False, "Free expired values in the background."
    )
    lazyfree_lazy_server_del = boolean(
        "lazyfree-lazy-server-del", False, "Free replaced values in the background."
    )
    lazyfree_lazy_user_del = boolean(
        "lazyfree-lazy-user-del", False, "Let DEL do what UNLINK does."
    )
    lazyfree_lazy_user_flush = boolean(
        "lazyfree-lazy-user-flush", False, "Let a bare FLUSHALL mean FLUSHALL ASYNC."
    )
    activerehashing = boolean(
        "activerehashing", True, "Spend idle time on growing hash tables.", _UNSUPPORTED
    )
    activedefrag = boolean(
        "activedefrag",
        False,
        "Move values to close holes in memory.",
        _UNSUPPORTED,
        validate=_defragmentation_problem,
    )
    active_defrag_ignore_bytes = memory(
        "active-defrag-ignore-bytes",
        100 * _MIB,
        1,
        LONG_MAX,
        "Holes that are not worth it.",
        _UNSUPPORTED,
    )
    active_defrag_threshold_lower = integer(
        "active-defrag-threshold-lower", 10, 0, 1000, "Percent of holes to start at.", _UNSUPPORTED
    )
    active_defrag_threshold_upper = integer(
        "active-defrag-threshold-upper",
        100,
        0,
        1000,
        "Percent of holes for full effort.",
        _UNSUPPORTED,
    )
    active_defrag_cycle_min = integer(
        "active-defrag-cycle-min", 1, 1, 99, "Percent of time for least effort.", _UNSUPPORTED
    )
    active_defrag_cycle_max = integer(
        "active-defrag-cycle-max", 25, 1, 99, "Percent of time for full effort.", _UNSUPPORTED
    )
    active_defrag_max_scan_fields = integer(
        "active-defrag-max-scan-fields",
        1000,
        1,
        LONG_MAX,
        "Values with more fields are moved piece by piece.",
        _UNSUPPORTED,
    )
    jemalloc_bg_thread = boolean(
        "jemalloc-bg-thread", True, "Let the allocator tidy up in a thread.", _UNSUPPORTED
    )


class SnapshotDirectives(Declarations):
    """The RDB file."""

    section = "Snapshots"

    save = Directive(
        "save",
        SaveKind(),
        (SavePoint(3600, 1), SavePoint(300, 100), SavePoint(60, 10000)),
        "Save after so many seconds, if there were so many changes.",
    )
    stop_writes_on_bgsave_error = boolean(
        "stop-writes-on-bgsave-error", True, "Refuse writes while saving fails."
    )
    rdbcompression = boolean("rdbcompression", True, "Compress long strings.")
    rdbchecksum = boolean("rdbchecksum", True, "Put a checksum at the end.", _IMMUTABLE)
    sanitize_dump_payload = enum(
        "sanitize-dump-payload",
        "no",
        ("no", "yes", "clients"),
        "Check values of RESTORE and of RDB files in depth.",
    )
    dbfilename = string(
        "dbfilename", "dump.rdb", "The file's name.", Trait.PROTECTED, validate=_dump_name_problem
    )
    rdb_del_sync_files = boolean(
        "rdb-del-sync-files",
        False,
        "Without persistence, delete files that only served a replica.",
    )
    rdb_save_incremental_fsync = boolean(
        "rdb-save-incremental-fsync", True, "Write to disk in portions while saving."
    )
    rdb_key_save_delay = integer(
        "rdb-key-save-delay",
        0,
        INT_MIN,
        INT_MAX,
        "Microseconds to rest after each saved key, for tests.",
        Trait.HIDDEN,
    )
    key_load_delay = integer(
        "key-load-delay",
        0,
        INT_MIN,
        INT_MAX,
        "Microseconds to rest after each loaded key, for tests.",
        Trait.HIDDEN,
    )
    loading_process_events_interval_bytes = integer(
        "loading-process-events-interval-bytes",
        2 * _MIB,
        1024,
        INT_MAX,
        "While loading, look after clients each time so many bytes are read.",
        Trait.HIDDEN,
    )
    shutdown_on_sigint = Directive(
        "shutdown-on-sigint",
        FlagsKind(_SHUTDOWN_WAYS),
        frozenset(),
        "How to shut down on SIGINT.",
        validate=_shutdown_problem,
    )
    shutdown_on_sigterm = Directive(
        "shutdown-on-sigterm",
        FlagsKind(_SHUTDOWN_WAYS),
        frozenset(),
        "How to shut down on SIGTERM.",
        validate=_shutdown_problem,
    )


class AppendOnlyDirectives(Declarations):
    """The append-only file."""

    section = "Append-only file"

    appendonly = boolean(
        "appendonly", False, "Log every write, to replay it at start.", Trait.NOT_WHILE_LOADING
    )
    appendfilename = string(
        "appendfilename",
        "appendonly.aof",
        "What the files' names begin with.",
        _IMMUTABLE,
        validate=_append_name_problem,
    )
    appenddirname = string(
        "appenddirname",
        "appendonlydir",
        "The directory they are in.",
        _IMMUTABLE,
        validate=_append_directory_problem,
    )
    appendfsync = enum(
        "appendfsync",
        "everysec",
        ("everysec", "always", "no"),
        "When writes have to be on disk: after a second, before the reply, or some time.",
    )
    no_appendfsync_on_rewrite = boolean(
        "no-appendfsync-on-rewrite", False, "Do not fsync while the file is rewritten."
    )
    auto_aof_rewrite_percentage = integer(
        "auto-aof-rewrite-percentage",
        100,
        0,
        INT_MAX,
        "Rewrite the file when it has grown by so many percent; 0 for never.",
    )
    auto_aof_rewrite_min_size = memory(
        "auto-aof-rewrite-min-size", 64 * _MIB, 0, LONG_MAX, "But not below this size."
    )
    aof_load_truncated = boolean(
        "aof-load-truncated", True, "Start even though the end of the file is missing."
    )
    aof_use_rdb_preamble = boolean(
        "aof-use-rdb-preamble", True, "Begin a rewritten file with a snapshot."
    )
    aof_timestamp_enabled = boolean(
        "aof-timestamp-enabled", False, "Note the time now and then, to restore up to a moment."
    )
    aof_rewrite_incremental_fsync = boolean(
        "aof-rewrite-incremental-fsync", True, "Write to disk in portions while rewriting."
    )
    aof_disable_auto_gc = boolean(
        "aof-disable-auto-gc",
        False,
        "Keep files that a rewrite made superfluous.",
        Trait.HIDDEN,
    )


class ClientDirectives(Declarations):
    """What clients may send, wait for and watch."""

    section = "Clients"

    client_output_buffer_limit = Directive(
        "client-output-buffer-limit",
        OutputLimitsKind(),
        OutputLimits(
            normal=OutputLimit(0, 0, 0),
            replica=OutputLimit(256 * _MIB, 64 * _MIB, 60),
            pubsub=OutputLimit(32 * _MIB, 8 * _MIB, 60),
        ),
        "Close a client that has more output waiting than this; 0 for no limit.",
    )
    client_query_buffer_limit = memory(
        "client-query-buffer-limit", _GIB, _MIB, LONG_MAX, "The most that a client may send ahead."
    )
    proto_max_bulk_len = memory(
        "proto-max-bulk-len", 512 * _MIB, _MIB, LONG_MAX, "The longest single string."
    )
    tracking_table_max_keys = integer(
        "tracking-table-max-keys",
        1_000_000,
        0,
        LONG_MAX,
        "How many keys to watch for clients with a cache; 0 for any number.",
    )
    notify_keyspace_events = Directive(
        "notify-keyspace-events",
        KeyspaceEventsKind(),
        frozenset(),
        "Which changes to publish, and how (K by key, E by event).",
    )
    busy_reply_threshold = integer(
        "busy-reply-threshold",
        5000,
        0,
        LONG_MAX,
        "After how many milliseconds of a script others hear BUSY.",
        alias="lua-time-limit",
    )
    slowlog_log_slower_than = integer(
        "slowlog-log-slower-than",
        10000,
        -1,
        LONG_MAX,
        "Microseconds from which a command is slow; 0 logs all, -1 none.",
    )
    slowlog_max_len = integer(
        "slowlog-max-len", 128, 0, LONG_MAX, "How many slow commands to remember."
    )
    commandlog_request_larger_than = integer(
        "commandlog-request-larger-than",
        -1,
        -1,
        LONG_MAX,
        "Bytes from which COMMANDLOG holds a request as large; -1: none, and no cost.",
    )
    commandlog_reply_larger_than = integer(
        "commandlog-reply-larger-than",
        -1,
        -1,
        LONG_MAX,
        "Bytes from which COMMANDLOG holds a reply as large; -1: none, and no cost.",
    )
    commandlog_large_request_max_len = integer(
        *("commandlog-large-request-max-len", 128, 0, LONG_MAX),
        "How many large requests to remember.",
    )
    commandlog_large_reply_max_len = integer(
        *("commandlog-large-reply-max-len", 128, 0, LONG_MAX),
        "How many large replies to remember.",
    )
    latency_monitor_threshold = integer(
        "latency-monitor-threshold",
        0,
        0,
        LONG_MAX,
        "Milliseconds from which an event is recorded by LATENCY; 0 records none.",
    )
    latency_tracking = boolean(
        "latency-tracking", True, "Keep a histogram of times for every command."
    )
    latency_tracking_info_percentiles = Directive(
        "latency-tracking-info-percentiles",
        PercentilesKind(),
        (50.0, 99.0, 99.9),
        "Which percentiles INFO shows.",
    )


class EncodingDirectives(Declarations):
    """Up to which size values have the compact encoding that OBJECT ENCODING shows."""

    section = "Encodings"

    hash_max_listpack_entries = integer(
        "hash-max-listpack-entries",
        512,
        0,
        LONG_MAX,
        "Fields of a compact hash.",
        alias="hash-max-ziplist-entries",
    )
    hash_max_listpack_value = memory(
        "hash-max-listpack-value",
        64,
        0,
        LONG_MAX,
        "Length of its fields and values.",
        alias="hash-max-ziplist-value",
    )
    list_max_listpack_size = integer(
        "list-max-listpack-size",
        -2,
        INT_MIN,
        INT_MAX,
        "Elements of a list's node, or, from -1 to -5, its size from 4kb to 64kb.",
        alias="list-max-ziplist-size",
    )
    list_compress_depth = integer(
        "list-compress-depth",
        0,
        0,
        INT_MAX,
        "How many nodes at each end of a list stay uncompressed; 0 for all.",
    )
    set_max_intset_entries = integer(
        "set-max-intset-entries", 512, 0, LONG_MAX, "Members of a compact set of numbers."
    )
    set_max_listpack_entries = integer(
        "set-max-listpack-entries", 128, 0, LONG_MAX, "Members of a compact set."
    )
    set_max_listpack_value = integer(
        "set-max-listpack-value", 64, 0, LONG_MAX, "Length of its members."
    )
    zset_max_listpack_entries = integer(
        "zset-max-listpack-entries",
        128,
        0,
        LONG_MAX,
        "Members of a compact sorted set.",
        alias="zset-max-ziplist-entries",
    )
    zset_max_listpack_value = memory(
        "zset-max-listpack-value",
        64,
        0,
        LONG_MAX,
        "Length of its members.",
        alias="zset-max-ziplist-value",
    )
    hll_sparse_max_bytes = memory(
        "hll-sparse-max-bytes", 3000, 0, LONG_MAX, "Size of a sparse HyperLogLog."
    )
    stream_node_max_bytes = memory(
        "stream-node-max-bytes", 4 * _KIB, 0, LONG_MAX, "Size of a stream's node; 0 for any."
    )
    stream_node_max_entries = integer(
        "stream-node-max-entries", 100, 0, LONG_MAX, "Entries of a stream's node; 0 for any."
    )
