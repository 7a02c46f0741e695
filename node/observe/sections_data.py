"""INFO memory and keyspace."""

from collections.abc import Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from attrs import frozen

from ..lazyfree import LazyFree
from ..memory import LIFETIME_BYTES
from ..values.numbers import format_bytes_for_humans
from .registry import Field
from .traffic import EMPTY_NODE_BYTES, clients_memory, memory_in_use

if TYPE_CHECKING:
    from ..database import Database
    from ..machine import Machine

#: Lifetimes looked at for the mean of all.
_LIFETIME_SAMPLES: Final = 100


@frozen
class MemoryReport:
    """The figures that INFO memory and MEMORY STATS share."""

    used: int
    peak: int
    #: What is no data: tables, lifetimes, buffers of clients.
    overhead: int
    clients: int
    resident: int

    @property
    def dataset(self) -> int:
        """What the keys and values take."""
        return max(0, self.used - self.overhead)

    @property
    def dataset_percentage(self) -> float:
        """The part of the data in what is used beyond the empty node."""
        beyond = self.used - EMPTY_NODE_BYTES
        return 100.0 * self.dataset / beyond if beyond > 0 else 0.0

    @property
    def peak_percentage(self) -> float:
        """What is used now, of the highest amount ever."""
        return 100.0 * self.used / self.peak

    @property
    def fragmentation_ratio(self) -> float:
        """How much more the process occupies than is accounted for; the interpreter is in it."""
        return self.resident / self.used


def memory_report(machine: "Machine") -> MemoryReport:
    """Measure the node."""
    used = memory_in_use(machine)
    waiting = clients_memory(machine)
    lifetimes = sum(database.volatile_count for database in machine.keyspace.existing())
    return MemoryReport(
        used=used,
        peak=machine.traffic.note_memory(used),
        overhead=EMPTY_NODE_BYTES + waiting + lifetimes * LIFETIME_BYTES,
        clients=waiting,
        resident=machine.process.resident_bytes(),
    )


def memory(machine: "Machine") -> Sequence[Field]:
    """How much memory is used, and by what; features that do not exist take nothing."""
    report = memory_report(machine)
    config = machine.config
    total = machine.process.total_memory_bytes
    surplus = report.resident - report.used
    scripts, functions = machine.scripts, machine.functions
    vm_total = scripts.lua_bytes + functions.lua_bytes
    kept = scripts.size_bytes + functions.size_bytes
    pending = sum(hook.pending for hook in machine.on_tick if isinstance(hook, LazyFree))
    return [
        ("used_memory", report.used),
        ("used_memory_human", _human(report.used)),
        ("used_memory_rss", report.resident),
        ("used_memory_rss_human", _human(report.resident)),
        ("used_memory_peak", report.peak),
        ("used_memory_peak_human", _human(report.peak)),
        ("used_memory_peak_perc", f"{report.peak_percentage:.2f}%"),
        ("used_memory_overhead", report.overhead),
        ("used_memory_startup", EMPTY_NODE_BYTES),
        ("used_memory_dataset", report.dataset),
        ("used_memory_dataset_perc", f"{report.dataset_percentage:.2f}%"),
        ("allocator_allocated", report.used),
        ("allocator_active", report.resident),
        ("allocator_resident", report.resident),
        ("total_system_memory", total),
        ("total_system_memory_human", _human(total)),
        ("used_memory_lua", scripts.lua_bytes),
        ("used_memory_vm_eval", scripts.lua_bytes),
        ("used_memory_lua_human", _human(scripts.lua_bytes)),
        ("used_memory_scripts_eval", scripts.size_bytes),
        ("number_of_cached_scripts", len(scripts)),
        ("number_of_functions", len(functions)),
        ("number_of_libraries", len(functions.libraries)),
        ("used_memory_vm_functions", functions.lua_bytes),
        ("used_memory_vm_total", vm_total),
        ("used_memory_vm_total_human", _human(vm_total)),
        ("used_memory_functions", functions.size_bytes),
        ("used_memory_scripts", kept),
        ("used_memory_scripts_human", _human(kept)),
        ("maxmemory", config.maxmemory),
        ("maxmemory_human", _human(config.maxmemory)),
        ("maxmemory_policy", config.maxmemory_policy),
        ("allocator_frag_ratio", f"{report.fragmentation_ratio:.2f}"),
        ("allocator_frag_bytes", surplus),
        ("allocator_rss_ratio", "1.00"),
        ("allocator_rss_bytes", 0),
        ("rss_overhead_ratio", "1.00"),
        ("rss_overhead_bytes", 0),
        ("mem_fragmentation_ratio", f"{report.fragmentation_ratio:.2f}"),
        ("mem_fragmentation_bytes", surplus),
        ("mem_not_counted_for_evict", EMPTY_NODE_BYTES + report.clients),
        ("mem_replication_backlog", 0),
        ("mem_total_replication_buffers", 0),
        ("mem_clients_slaves", 0),
        ("mem_clients_normal", report.clients),
        ("mem_cluster_links", 0),
        ("mem_aof_buffer", machine.persistence.log_buffer_bytes()),
        ("mem_allocator", "python"),
        ("active_defrag_running", 0),
        ("lazyfree_pending_objects", pending),
        ("lazyfreed_objects", 0),
    ]


def _human(size_bytes: int) -> str:
    return format_bytes_for_humans(size_bytes).decode()


def keyspace(machine: "Machine") -> Sequence[Field]:
    """How many keys each database holds; empty ones are left out."""
    now_ms = machine.clock.now_ms
    fields: list[Field] = []
    for database in machine.keyspace.existing():
        keys = database.key_count()
        if keys or database.volatile_count:
            text = (
                f"keys={keys},expires={database.volatile_count},"
                f"avg_ttl={_mean_lifetime_ms(database, now_ms)}"
            )
            fields.append((f"db{database.index}", text))
    return fields


def _mean_lifetime_ms(database: "Database", now_ms: int) -> int:
    """How long keys have left to live, judged by some of them."""
    if not database.volatile_count:
        return 0
    ends = chain.from_iterable(lifetimes.values() for lifetimes in database.volatile)
    sample = [max(0, end - now_ms) for end in islice(ends, _LIFETIME_SAMPLES)]
    return sum(sample) // len(sample)
