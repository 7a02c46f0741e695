"""Totals, rates and peaks: what INFO tells of a node's past.

Totals are what the node counts anyway, less what it had counted when CONFIG RESETSTAT was said.
Rates are the mean of the latest sixteen samples, one taken every 100 ms, as in Redis.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..registry import Command, Statistics
from .data_size import data_bytes

if TYPE_CHECKING:
    from ..machine import Machine

_SAMPLES: Final = 16
_SAMPLE_EVERY_MS: Final = 100
#: Measuring a database takes a part of a millisecond: it is done this seldom for each of them.
_MEASURE_EVERY_MS: Final = 1000


class Rate:
    """How fast a total grows."""

    __slots__ = ("_last_ms", "_last_total", "_samples", "_total")

    def __init__(self, total: Callable[[], int], now_ms: int) -> None:
        self._total = total
        self._samples: deque[float] = deque([0.0] * _SAMPLES, maxlen=_SAMPLES)
        self._last_ms = now_ms
        self._last_total = 0

    def sample(self, now_ms: int) -> None:
        """Note how much it grew since the last sample."""
        total = self._total()
        elapsed_ms = now_ms - self._last_ms
        if elapsed_ms > 0:
            self._samples.append(max(0, total - self._last_total) * 1000 / elapsed_ms)
        self._last_ms = now_ms
        self._last_total = total

    def restart(self, now_ms: int) -> None:
        """The total was set back."""
        self._samples.extend([0.0] * _SAMPLES)
        self._last_ms = now_ms
        self._last_total = self._total()

    @property
    def per_second(self) -> float:
        """The mean of the latest samples."""
        return sum(self._samples) / _SAMPLES


class Traffic:
    """The totals and rates of one machine; a tick hook of it."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        now_ms = machine.clock.now_ms
        #: All counts of calls. Each is changed in place only: ten times a second is too often to
        #: look all commands up.
        self._histograms = [command.statistics.histogram for command in all_commands(machine)]
        self._input_before = 0
        self._output_before = 0
        #: Reads from and writes to client sockets; the data plane counts them.
        self.reads = 0
        self.writes = 0
        self.peak_memory_bytes = 0
        self.commands_rate = Rate(self.commands_total, now_ms)
        self.input_rate = Rate(self.input_bytes_total, now_ms)
        self.output_rate = Rate(self.output_bytes_total, now_ms)
        self._next_sample_ms = now_ms
        self._measured_ms = self._next_measure_ms = now_ms

    def __call__(self) -> None:
        """A tick of the machine."""
        now_ms = self._machine.clock.now_ms
        if now_ms >= self._next_sample_ms or now_ms < self._next_sample_ms - _SAMPLE_EVERY_MS:
            self._next_sample_ms = now_ms + _SAMPLE_EVERY_MS
            for rate in (self.commands_rate, self.input_rate, self.output_rate):
                rate.sample(now_ms)
        if self._machine.persistence.child is not None:
            return  # Whatever is looked at now, the system has to copy first.
        if now_ms >= self._next_measure_ms or now_ms < self._measured_ms:
            databases = len(self._machine.keyspace.existing())
            self._measured_ms = now_ms
            self._next_measure_ms = now_ms + _MEASURE_EVERY_MS * max(1, databases)
            self.note_memory(memory_in_use(self._machine))

    def note_memory(self, used_bytes: int) -> int:
        """Remember the highest amount ever; returns it."""
        self.peak_memory_bytes = max(self.peak_memory_bytes, used_bytes)
        return self.peak_memory_bytes

    def commands_total(self) -> int:
        """How many commands ran."""
        return sum(map(sum, self._histograms))

    def input_bytes_total(self) -> int:
        """How much clients sent."""
        return self._input_ever() - self._input_before

    def output_bytes_total(self) -> int:
        """How much clients were sent."""
        return self._output_ever() - self._output_before

    def _input_ever(self) -> int:
        machine = self._machine
        return machine.past_input_bytes + sum(
            session.input_bytes for session in machine.sessions.values()
        )

    def _output_ever(self) -> int:
        machine = self._machine
        return machine.past_output_bytes + sum(
            session.sent_bytes for session in machine.sessions.values()
        )

    def reset(self) -> None:
        """CONFIG RESETSTAT: start all counting anew."""
        machine = self._machine
        self._input_before = self._input_ever()
        self._output_before = self._output_ever()
        self.reads = self.writes = 0
        machine.connections_total = machine.connections_rejected = 0
        machine.keyspace.expired_count = 0
        machine.evictor.evicted_count = 0
        for database in machine.keyspace.existing():
            database.hits = database.misses = 0
        machine.gate.error_counts.clear()
        machine.gate.error_total = 0
        for command in all_commands(machine):
            _clear(command.statistics)
        for rate in (self.commands_rate, self.input_rate, self.output_rate):
            rate.restart(machine.clock.now_ms)


def _clear(statistics: Statistics) -> None:
    """Set counters to zero in place: the dispatch loop may hold them."""
    statistics.nanoseconds = statistics.rejected = statistics.failed = 0
    statistics.histogram[:] = [0] * len(statistics.histogram)


def all_commands(machine: "Machine") -> list[Command]:
    """Every command and sub-command of a node, with its counters."""
    found: list[Command] = []
    for command in machine.gate.commands.values():
        found.append(command)
        found += command.subcommands.values()
    return found


def memory_in_use(machine: "Machine") -> int:
    """`used_memory`: what the keys and the clients take, and the tables of the empty node.

    The interpreter itself is not counted: like this the figure is the one that `maxmemory` limits.
    """
    return EMPTY_NODE_BYTES + data_bytes(machine) + clients_memory(machine)


def clients_memory(machine: "Machine") -> int:
    """What waits in the buffers of the clients, in both directions."""
    return sum(
        session.stream.pending_bytes + session.output_bytes for session in machine.sessions.values()
    )


#: An empty database: two lists of 16384 empty dicts.
EMPTY_NODE_BYTES: Final = 2 * 16_384 * (64 + 8)
