"""Load a backup into a cluster of any shape: every key goes to whoever owns its slot there.

A key that the cluster has already stops the restore, unless --replace or --skip-existing. Keys
whose lifetime is over are left out. RDB files of any origin can be given, too.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import hiredis

from ...node.persistence.rdb import (
    CorruptSnapshotError,
    ReadOptions,
    SnapshotReader,
    SnapshotSink,
    encode_value,
)
from ...node.persistence.rdb.values_read import ReadValue
from ...slots.hashing import key_slot
from ...slots.slotset import SlotSet
from ..wire import Argument
from .backup import NODES_FILE
from .failures import AdminError, UsageError
from .options import access_of, add_action, seed_address
from .screen import Report, Screen, count
from .topology import Cluster, Node, require_reachable

_PIECE_BYTES: Final = 1 << 18
_BATCH_KEYS: Final = 200
_BATCH_BYTES: Final = 4 << 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("address", nargs="+", metavar="HOST:PORT BACKUP")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--replace", action="store_true", help="overwrite keys of the cluster")
    which.add_argument("--skip-existing", action="store_true", help="keep keys of the cluster")
    add_action(parser)


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Read the files, write the keys."""
    *seed, source = options.address
    if not seed:
        raise UsageError("HOST:PORT of the cluster and a backup directory or file are needed")
    files = _files(Path(source))
    cluster = Cluster(seed_address(seed), access_of(options))
    try:
        if missing := cluster.uncovered():
            raise AdminError(
                f"{len(missing)} slots have no owner", "repair that first: 'clustrio cluster fix'"
            )
        require_reachable(cluster.primaries, "to take keys")
        total = sum(path.stat().st_size for path, _ in files)
        screen.say(f"{count(len(files), 'file')} with {total:,} bytes are to be loaded")
        loader = _Loader(cluster, options)
        if not options.dry_run:
            screen.confirm("go ahead?", is_agreed=options.yes)
        with screen.progress("restoring", total) as advance:
            for path, slots in files:
                for done_bytes in loader.load(path, slots):
                    advance(done_bytes, path.name)
    finally:
        cluster.close()
    verb = "would be restored" if options.dry_run else "restored"
    screen.say(f"{count(loader.done, 'key')} {verb}", "green")
    if loader.skipped or loader.expired:
        screen.say(f"{loader.skipped} existed already, {loader.expired} were out of date")
    fields = {
        "dry_run": options.dry_run,
        "keys": loader.done,
        "skipped": loader.skipped,
        "expired": loader.expired,
        "foreign": loader.foreign,
    }
    return Report(True, fields)


def _files(source: Path) -> list[tuple[Path, SlotSet]]:
    """The RDB files, and the slots that count in each: a node may have held keys of others."""
    if source.is_file():
        return [(source, SlotSet.full())]
    try:
        rows = json.loads((source / NODES_FILE).read_text(encoding="utf-8"))
        files = []
        for row in rows:
            if "file" in row:
                path = source / row["file"]
            else:
                # As redis-cli names them.
                path = next(source.glob(f"*{row['name']}.rdb"))
            slots = SlotSet.of_ranges(tuple(pair) for pair in row.get("slots") or [(0, 16_383)])
            files.append((path, slots))
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        found = sorted(source.glob("*.rdb"))
        if not found:
            raise AdminError(
                f"{source} holds no backup: neither {NODES_FILE} with its files nor any *.rdb",
                "give a directory that 'clustrio cluster backup' has written, or an RDB file",
            ) from None
        return [(path, SlotSet.full()) for path in found]
    return files


class _Loader(SnapshotSink):
    """Takes the keys of snapshots and sends them in batches."""

    def __init__(self, cluster: Cluster, options: argparse.Namespace) -> None:
        self._owners = {slot: node for node in cluster.primaries for slot in node.line.slots}
        self._options = options
        self._slots = SlotSet.full()
        self._batches: dict[str, list[tuple[Argument, ...]]] = {}
        self._sizes: dict[str, int] = {}
        self._nodes: dict[str, Node] = {node.node_id: node for node in cluster.primaries}
        self._functions: list[bytes] = []
        self.done = self.skipped = self.expired = self.foreign = 0

    def load(self, path: Path, slots: SlotSet) -> Iterator[int]:
        """One file; gives how many bytes it has read at each step."""
        self._slots = slots
        reader = SnapshotReader(ReadOptions(), self)
        try:
            with path.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    reader.feed(piece)
                    yield len(piece)
            reader.finish()
        except OSError as failure:
            raise AdminError(f"{path}: {failure.strerror}", "give another backup") from None
        except CorruptSnapshotError as failure:
            way_out = f"look at it with 'clustrio dump --check {path}'; take an older backup"
            raise AdminError(f"{path} is damaged: {failure}", way_out) from None
        for node_id in self._nodes:
            self._send(node_id)
        self._load_functions()

    def on_function(self, code: bytes) -> None:
        """A library: all masters get it."""
        self._functions.append(code)

    def on_key(
        self,
        database: int,
        key: bytes,
        value: ReadValue,
        expire_at_ms: int | None,
        idle_s: int | None,
        frequency: int | None,
    ) -> None:
        """A key: it waits for its batch."""
        slot = key_slot(key)
        if slot not in self._slots or database:
            self.foreign += 1
            return
        if expire_at_ms is not None and expire_at_ms <= time.time() * 1000:
            self.expired += 1
            return
        payload = encode_value(value)
        words: list[Argument] = ["RESTORE", key, expire_at_ms or 0, payload]
        if expire_at_ms is not None:
            words.append("ABSTTL")
        if self._options.replace:
            words.append("REPLACE")
        node_id = self._owners[slot].node_id
        batch = self._batches.setdefault(node_id, [])
        batch.append(tuple(words))
        self._sizes[node_id] = self._sizes.get(node_id, 0) + len(payload)
        if len(batch) >= _BATCH_KEYS or self._sizes[node_id] >= _BATCH_BYTES:
            self._send(node_id)

    def _send(self, node_id: str) -> None:
        batch = self._batches.pop(node_id, [])
        self._sizes[node_id] = 0
        if self._options.dry_run or not batch:
            self.done += len(batch)
            return
        connection = self._nodes[node_id].connection
        for command, reply in zip(batch, connection.replies(batch), strict=True):
            if not isinstance(reply, hiredis.ReplyError):
                self.done += 1
            elif "BUSYKEY" not in str(reply):
                raise connection.refusal(command, reply)
            elif self._options.skip_existing:
                self.skipped += 1
            else:
                raise AdminError(
                    f"the cluster has {_readable(command[1])} already",
                    "give --replace to overwrite such keys, or --skip-existing to keep them",
                )

    def _load_functions(self) -> None:
        codes, self._functions = self._functions, []
        if not self._options.dry_run:
            for code in dict.fromkeys(codes):
                for node in self._nodes.values():
                    node.connection.call("FUNCTION", "LOAD", "REPLACE", code)


def _readable(word: Argument) -> str:
    return repr(word.decode(errors="backslashreplace") if isinstance(word, bytes) else word)
