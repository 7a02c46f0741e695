"""Append-only files: what commands are in them, whether they are whole, and cutting off a bad end.

Understands a manifest (all files that it names, in order), a single increment, and a file that
begins with a snapshot. Like redis-check-aof, it takes everything behind the first damage for lost.
"""

import json
import os
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from attrs import define, field

from ...node.persistence.log_reader import LogFormatError, LogReader
from ...node.persistence.manifest import ManifestError, decode_manifest_untrusted
from ...node.persistence.rdb import (
    CorruptSnapshotError,
    ReadOptions,
    SnapshotReader,
    SnapshotSink,
)

if TYPE_CHECKING:
    from .cli import Request

_PIECE_BYTES: Final = 1 << 20
_MANIFEST_HEAD: Final = b"file "
_SNAPSHOT_HEAD: Final = b"REDIS"


def is_log(head: bytes) -> bool:
    """Whether a file with these first bytes is an append-only file or a manifest."""
    return head[:1] in (b"*", b"#") or head.startswith(_MANIFEST_HEAD)


@define
class LogReport:
    """What was found in one file."""

    path: Path
    size_bytes: int = 0
    #: Everything before this is whole.
    good_bytes: int = 0
    has_snapshot: bool = False
    commands: Counter[str] = field(factory=Counter)
    problem: str = ""


def check_log(path: Path) -> LogReport:
    """Read one file to its end or its first damage. Raises OSError."""
    report = LogReport(path, path.stat().st_size)
    try:
        with path.open("rb") as file:
            _read(file, report)
    except LogFormatError as failure:
        report.problem = f"damaged at offset {failure.offset}"
    except CorruptSnapshotError as failure:
        report.problem = f"snapshot damaged at offset {failure.offset}: {failure.reason}"
    return report


def _read(file: IO[bytes], report: LogReport) -> None:
    piece = file.read(_PIECE_BYTES)
    offset = 0
    if piece.startswith(_SNAPSHOT_HEAD):
        report.has_snapshot = True
        snapshot = SnapshotReader(ReadOptions(skips_modules=True), SnapshotSink())
        while piece and not snapshot.is_done:
            snapshot.feed(piece)
            piece = file.read(_PIECE_BYTES) if not snapshot.is_done else b""
        snapshot.finish()
        piece = snapshot.remainder
        offset = file.tell() - len(piece)
    report.good_bytes = offset
    reader = LogReader(offset)
    #: Where the transaction begins that waits for its EXEC.
    begun: int | None = None
    while True:
        is_over = not piece and not (piece := file.read(_PIECE_BYTES))
        commands = reader.finish() if is_over else reader.feed(piece)
        piece = b""
        for index, args in enumerate(commands):
            name = args[0].decode("latin-1").upper()
            report.commands[name] += 1
            if name == "MULTI" and begun is None:
                begun = reader.start_of(index)
            elif name == "EXEC":
                begun = None
        report.good_bytes = reader.offset if begun is None else begun
        if is_over and not commands:
            break
    if begun is not None:
        report.problem = f"a transaction that begins at offset {begun} has no end"
    elif reader.rest_bytes:
        report.problem = f"cut off: the last command begins at offset {reader.offset}"


def dump_log(request: "Request") -> bool:
    """Show or check a file or a manifest with all its files; returns whether all is sound."""
    try:
        paths = _paths(request.path)
    except ManifestError as failure:
        request.out.write(f"{request.path}: {failure}\n")
        return False
    reports: list[LogReport] = []
    for path in paths:
        if not path.exists():
            reports.append(LogReport(path, problem="missing"))
            continue
        report = check_log(path)
        if report.problem and request.fixes and path == paths[-1]:
            _cut(report)
        reports.append(report)
    if request.as_json:
        request.out.write(json.dumps([_as_json(each) for each in reports], indent=2) + "\n")
    else:
        for each in reports:
            _write(request, each)
    return not any(each.problem for each in reports)


def _paths(path: Path) -> list[Path]:
    with path.open("rb") as file:
        head = file.read(len(_MANIFEST_HEAD))
    if head != _MANIFEST_HEAD:
        return [path]
    stem = path.name.removesuffix(".manifest")
    manifest = decode_manifest_untrusted(stem, path.read_bytes())
    return [path.parent / each.name for each in manifest.files()]


def _cut(report: LogReport) -> None:
    """Keep what is whole."""
    os.truncate(report.path, report.good_bytes)
    report.size_bytes = report.good_bytes
    report.problem = ""


def _as_json(report: LogReport) -> dict[str, object]:
    return {
        "file": str(report.path),
        "bytes": report.size_bytes,
        "good_bytes": report.good_bytes,
        "snapshot": report.has_snapshot,
        "commands": dict(report.commands.most_common()),
        "problem": report.problem or None,
    }


def _write(request: "Request", report: LogReport) -> None:
    verdict = report.problem or "ok"
    request.out.write(f"{report.path}: {report.size_bytes} bytes, {verdict}\n")
    if report.problem:
        request.out.write(f"  whole up to offset {report.good_bytes}\n")
    if not request.only_checks:
        if report.has_snapshot:
            request.out.write("  begins with a snapshot\n")
        for name, count in report.commands.most_common():
            request.out.write(f"  {name} {count}\n")
