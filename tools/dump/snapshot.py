"""Snapshots (RDB), for people and for programs: keys, types, sizes, lifetimes, the biggest keys.

A file is read piece by piece and its keys are written as they come, so that its size is no matter.
"""

import heapq
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from attrs import frozen

from ...node.persistence.rdb import (
    CorruptSnapshotError,
    ReadOptions,
    SnapshotReader,
    SnapshotSink,
)
from ...node.persistence.rdb.opcodes import MAGIC, TYPE_NAMES
from ...node.persistence.rdb.values_read import ReadValue
from ...node.values.kinds import element_count, type_name

if TYPE_CHECKING:
    from .cli import Request

_PIECE_BYTES: Final = 1 << 20
#: No time is printed beyond the year 9999.
_LAST_DATE_MS: Final = 253_402_300_799_999
_COLUMNS: Final = "{:>3}  {:<7} {:<24} {:>11} {:>9}  {:<20}  {}"


def is_snapshot(head: bytes) -> bool:
    """Whether a file with these first bytes is a snapshot."""
    return head.startswith(MAGIC)


@frozen
class KeyEntry:
    """One key."""

    #: How many bytes of the file it takes.
    size_bytes: int
    database: int
    key: bytes
    type_name: str
    encoding: str
    elements: int
    expire_at_ms: int | None = None
    idle_s: int | None = None
    frequency: int | None = None

    def as_json(self) -> Mapping[str, object]:
        """For programs; attributes that the file does not tell are left out."""
        fields = {
            "db": self.database,
            "key": readable(self.key),
            "type": self.type_name,
            "encoding": self.encoding,
            "bytes": self.size_bytes,
            "elements": self.elements,
            "expire_at_ms": self.expire_at_ms,
            "idle_s": self.idle_s,
            "frequency": self.frequency,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def as_line(self) -> str:
        """For people."""
        return _COLUMNS.format(
            self.database,
            self.type_name,
            self.encoding,
            self.size_bytes,
            self.elements,
            "" if self.expire_at_ms is None else time_text(self.expire_at_ms),
            readable(self.key),
        )


def readable(data: bytes) -> str:
    """Bytes as text; what is no text is escaped, and so is what would break a line."""
    text = data.decode("utf-8", "backslashreplace")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def time_text(unix_ms: int) -> str:
    """A time in UTC, to the second."""
    if not 0 <= unix_ms <= _LAST_DATE_MS:
        return f"{unix_ms} ms"
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


class _Collector(SnapshotSink):
    """Counts everything, and hands on each key."""

    wants_types = True

    def __init__(self, request: "Request") -> None:
        self._request = request
        self.version = 0
        self.facts: dict[str, str] = {}
        self.functions: list[str] = []
        self.modules: Counter[str] = Counter()
        self.empty_count = 0
        self.key_count = 0
        self.expiring_count = 0
        self.databases: Counter[int] = Counter()
        #: By type: keys, elements, bytes.
        self.types: dict[str, list[int]] = {}
        #: A heap: size, minus the number of the key (the first of equals wins), entry.
        self._biggest: list[tuple[int, int, KeyEntry]] = []
        self._written = (0, 0)

    def on_version(self, version: int) -> None:
        """Kept."""
        self.version = version

    def on_aux(self, name: bytes, value: bytes) -> None:
        self.facts[readable(name)] = readable(value)

    def on_function(self, code: bytes) -> None:
        self.functions.append(code.decode("utf-8", "backslashreplace"))

    def on_module(self, name: str, key: bytes | None) -> None:
        self.modules[name] += 1

    def on_empty(self, database: int, key: bytes) -> None:
        self.empty_count += 1

    def on_type(self, database: int, key: bytes, type_number: int, size: int) -> None:
        self._written = (type_number, size)

    def on_key(
        self,
        database: int,
        key: bytes,
        value: ReadValue,
        expire_at_ms: int | None,
        idle_s: int | None,
        frequency: int | None,
    ) -> None:
        type_number, size = self._written
        name = type_name(value).decode()
        elements = element_count(value)
        entry = KeyEntry(
            *(size, database, key, name, TYPE_NAMES[type_number], elements),
            *(expire_at_ms, idle_s, frequency),
        )
        self.key_count += 1
        self.databases[database] += 1
        self.expiring_count += expire_at_ms is not None
        totals = self.types.setdefault(name, [0, 0, 0])
        totals[0] += 1
        totals[1] += elements
        totals[2] += size
        request = self._request
        if len(self._biggest) < request.top:
            heapq.heappush(self._biggest, (size, -self.key_count, entry))
        elif request.top:
            heapq.heappushpop(self._biggest, (size, -self.key_count, entry))
        if request.lists_keys and not request.only_checks:
            self._show(entry)

    def biggest(self) -> list[KeyEntry]:
        """The biggest keys, the biggest first."""
        return [entry for _, _, entry in sorted(self._biggest, reverse=True)]

    def _show(self, entry: KeyEntry) -> None:
        out = self._request.out
        if self._request.as_json:
            separator = ",\n  " if self.key_count > 1 else "\n  "
            out.write(separator + json.dumps(entry.as_json()))
            return
        if self.key_count == 1:
            out.write(
                _COLUMNS.format("db", "type", "written as", "bytes", "elements", "expires", "key")
                + "\n"
            )
        out.write(entry.as_line() + "\n")


def dump_snapshot(request: "Request") -> bool:
    """Show or check a snapshot; returns whether it is sound."""
    collector = _Collector(request)
    size = request.path.stat().st_size
    options = ReadOptions(total_bytes=size, skips_modules=True)
    reader = SnapshotReader(options, collector)
    failure: CorruptSnapshotError | None = None
    if request.as_json and request.lists_keys and not request.only_checks:
        request.out.write('{"keys": [')
    try:
        with request.path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                reader.feed(piece)
                if reader.is_done:
                    break
        reader.finish()
    except CorruptSnapshotError as problem:
        failure = problem
    trailing_bytes = size - reader.consumed_bytes if failure is None else 0
    if request.as_json:
        _finish_json(request, collector, failure, size, trailing_bytes)
    elif request.only_checks:
        print(_verdict(request, collector, failure, trailing_bytes), file=request.out)
    else:
        _print_summary(request, collector, size)
        print(_verdict(request, collector, failure, trailing_bytes), file=request.out)
    return failure is None


def _finish_json(
    request: "Request",
    collector: _Collector,
    failure: CorruptSnapshotError | None,
    size: int,
    trailing_bytes: int,
) -> None:
    document: dict[str, object] = {
        "file": str(request.path),
        "format": "rdb",
        "version": collector.version,
        "bytes": size,
        "trailing_bytes": trailing_bytes,
        "sound": failure is None,
        "error": failure and {"offset": failure.offset, "reason": failure.reason},
        "facts": collector.facts,
        "functions": collector.functions,
        "modules": collector.modules,
        "key_count": collector.key_count,
        "expiring_count": collector.expiring_count,
        "empty_count": collector.empty_count,
        "databases": {str(number): count for number, count in collector.databases.items()},
        "types": {
            name: {"keys": keys, "elements": elements, "bytes": total}
            for name, (keys, elements, total) in sorted(collector.types.items())
        },
        "biggest": [entry.as_json() for entry in collector.biggest()],
    }
    text = json.dumps(document, indent=1)
    if request.lists_keys and not request.only_checks:
        # The keys were written already, within the same object.
        text = "],\n" + text.removeprefix("{\n")
    print(text, file=request.out)


def _print_summary(request: "Request", collector: _Collector, size: int) -> None:
    lines = ["", f"{request.path}: RDB version {collector.version}, {size} bytes"]
    lines += [f"  {name}: {value}" for name, value in collector.facts.items()]
    lines += [f"  function library of {len(code)} bytes" for code in collector.functions]
    lines += [f"  {count} x module {name}" for name, count in collector.modules.items()]
    lines.append(
        f"{collector.key_count} keys, {collector.expiring_count} of them with a lifetime"
        + (f"; {collector.empty_count} empty ones" if collector.empty_count else "")
    )
    if len(collector.databases) > 1:
        lines += [
            f"  db {number}: {count}" for number, count in sorted(collector.databases.items())
        ]
    for name, (keys, elements, total) in sorted(collector.types.items()):
        lines.append(f"  {name}: {keys} keys, {elements} elements, {total} bytes")
    if biggest := collector.biggest():
        lines.append("the biggest:")
        lines += [entry.as_line() for entry in biggest]
    print("\n".join(lines), file=request.out)


def _verdict(
    request: "Request",
    collector: _Collector,
    failure: CorruptSnapshotError | None,
    trailing_bytes: int,
) -> str:
    if failure is not None:
        return (
            f"{request.path}: damaged at offset {failure.offset}: {failure.reason}"
            f" ({collector.key_count} keys were read before)"
        )
    behind = f", followed by {trailing_bytes} bytes of something else" if trailing_bytes else ""
    return f"{request.path}: sound, {collector.key_count} keys{behind}"
