"""Which part of the node obeys which directive: the values at start, and every CONFIG SET after."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from .eviction import Policy

if TYPE_CHECKING:
    from .machine import Machine

#: What `machine.limits` has under the names of directives.
_COLLECTION_LIMITS: Final = (
    "hash_max_listpack_entries",
    "hash_max_listpack_value",
    "list_max_listpack_size",
    "set_max_intset_entries",
    "set_max_listpack_entries",
    "set_max_listpack_value",
    "zset_max_listpack_entries",
    "zset_max_listpack_value",
    "stream_node_max_bytes",
    "stream_node_max_entries",
)


def apply_settings(machine: "Machine") -> None:
    """Hand the configuration to the parts of `machine`, and keep them up to date."""
    config = machine.config

    def slowlog() -> None:
        machine.slowlog.threshold_us = config.slowlog_log_slower_than
        machine.slowlog.set_max_length(config.slowlog_max_len)
        # Only the gate times every single command, which such a low threshold needs.
        machine.require_gate("slowlog", 0 <= config.slowlog_log_slower_than < 1000)

    def latency() -> None:
        machine.latency.threshold_ms = config.latency_monitor_threshold
        machine.require_gate("latency", 0 < config.latency_monitor_threshold <= 1)

    def memory_policy() -> None:
        machine.memory.set_policy(Policy(config.maxmemory_policy))

    def memory_limit() -> None:
        machine.memory.set_limit(config.maxmemory)

    def samples() -> None:
        machine.evictor.samples = config.maxmemory_samples

    def bulk_length() -> None:
        for session in machine.sessions.values():
            session.stream.set_bulk_max(config.proto_max_bulk_len)

    def collection_limits() -> None:
        limits = machine.limits
        for name in _COLLECTION_LIMITS:
            setattr(limits, name, getattr(config, name))

    for names, apply in (
        (("slowlog-log-slower-than", "slowlog-max-len"), slowlog),
        (("latency-monitor-threshold",), latency),
        (("maxmemory-policy", "lfu-log-factor", "lfu-decay-time"), memory_policy),
        (("maxmemory",), memory_limit),
        (("maxmemory-samples",), samples),
        (("proto-max-bulk-len",), bulk_length),
        (tuple(name.replace("_", "-") for name in _COLLECTION_LIMITS), collection_limits),
    ):
        apply()
        for name in names:
            config.on_change(name, _never_refusing(apply))


def _never_refusing(apply: Callable[[], None]) -> Callable[[], str | None]:
    """A hook for values that are always acceptable once they are well formed."""

    def hook() -> None:
        apply()

    return hook
