"""INFO stats, commandstats, errorstats and latencystats."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..acl.denials import Reason
from .percentiles import percentile_us
from .registry import Field
from .traffic import all_commands

if TYPE_CHECKING:
    from ..machine import Machine


_DENIALS = {
    "auth": Reason.AUTH,
    "cmd": Reason.COMMAND,
    "key": Reason.KEY,
    "channel": Reason.CHANNEL,
}


def stats(machine: "Machine") -> Sequence[Field]:
    """Totals since the start (or CONFIG RESETSTAT), and rates; what does not exist counts 0."""
    traffic = machine.traffic
    databases = machine.keyspace.existing()
    return [
        ("total_connections_received", machine.connections_total),
        ("total_commands_processed", traffic.commands_total()),
        ("instantaneous_ops_per_sec", int(traffic.commands_rate.per_second)),
        ("total_net_input_bytes", traffic.input_bytes_total()),
        ("total_net_output_bytes", traffic.output_bytes_total()),
        ("total_net_repl_input_bytes", 0),
        ("total_net_repl_output_bytes", 0),
        ("instantaneous_input_kbps", f"{traffic.input_rate.per_second / 1024:.2f}"),
        ("instantaneous_output_kbps", f"{traffic.output_rate.per_second / 1024:.2f}"),
        ("instantaneous_input_repl_kbps", "0.00"),
        ("instantaneous_output_repl_kbps", "0.00"),
        ("rejected_connections", machine.connections_rejected),
        ("sync_full", 0),
        ("sync_partial_ok", 0),
        ("sync_partial_err", 0),
        ("expired_keys", machine.keyspace.expired_count),
        ("expired_stale_perc", "0.00"),
        ("expired_time_cap_reached_count", 0),
        ("expire_cycle_cpu_milliseconds", 0),
        ("evicted_keys", machine.evictor.evicted_count),
        ("evicted_clients", machine.client_eviction.evicted_count),
        ("total_eviction_exceeded_time", 0),
        ("current_eviction_exceeded_time", 0),
        ("keyspace_hits", sum(database.hits for database in databases)),
        ("keyspace_misses", sum(database.misses for database in databases)),
        ("pubsub_channels", len(machine.pubsub.channels.listeners)),
        ("pubsub_patterns", len(machine.pubsub.patterns.listeners)),
        ("pubsubshard_channels", len(machine.pubsub.shard_channels.listeners)),
        ("latest_fork_usec", machine.persistence.last_fork_us),
        ("total_forks", machine.persistence.fork_count),
        ("migrate_cached_sockets", machine.transfers.count_connections()),
        ("slave_expires_tracked_keys", 0),
        ("active_defrag_hits", 0),
        ("active_defrag_misses", 0),
        ("active_defrag_key_hits", 0),
        ("active_defrag_key_misses", 0),
        ("total_active_defrag_time", 0),
        ("current_active_defrag_time", 0),
        ("tracking_total_keys", len(machine.tracking.table)),
        ("tracking_total_items", machine.tracking.item_count),
        ("tracking_total_prefixes", len(machine.tracking.prefixes)),
        ("unexpected_error_replies", 0),
        ("total_error_replies", machine.gate.error_total),
        ("dump_payload_sanitizations", 0),
        ("total_reads_processed", traffic.reads),
        ("total_writes_processed", traffic.writes),
        ("io_threaded_reads_processed", 0),
        ("io_threaded_writes_processed", 0),
        ("reply_buffer_shrinks", 0),
        ("reply_buffer_expands", 0),
        *(
            (f"acl_access_denied_{name}", machine.accounts.log.totals[reason])
            for name, reason in _DENIALS.items()
        ),
    ]


def commandstats(machine: "Machine") -> Sequence[Field]:
    """What each command cost; those that nobody sent are left out."""
    fields: list[Field] = []
    for command in all_commands(machine):
        counted = command.statistics
        if not (counted.calls or counted.rejected or counted.failed):
            continue
        microseconds = counted.nanoseconds // 1000
        mean = microseconds / counted.calls if counted.calls else 0.0
        text = (
            f"calls={counted.calls},usec={microseconds},usec_per_call={mean:.2f},"
            f"rejected_calls={counted.rejected},failed_calls={counted.failed}"
        )
        fields.append((f"cmdstat_{command.full_name}", text))
    return fields


def errorstats(machine: "Machine") -> Sequence[Field]:
    """How often each kind of error was sent."""
    return [
        (f"errorstat_{code}", f"count={count}")
        for code, count in sorted(machine.gate.error_counts.items())
    ]


def latencystats(machine: "Machine") -> Sequence[Field]:
    """How long each command took, by percentiles."""
    config = machine.config
    if not config.latency_tracking:
        return []
    fields: list[Field] = []
    for command in all_commands(machine):
        histogram = command.statistics.histogram
        if not any(histogram):
            continue
        shown = ",".join(
            f"p{_plain(percentile)}={percentile_us(histogram, percentile):.3f}"
            for percentile in config.latency_tracking_info_percentiles
        )
        fields.append((f"latency_percentiles_usec_{command.full_name}", shown))
    return fields


def _plain(number: float) -> str:
    """Without zeros that say nothing: 99.9, 50."""
    return f"{number:.6f}".rstrip("0").rstrip(".")
