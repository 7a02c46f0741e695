"""Save every master's data set as an RDB file, and who owned what in nodes.json.

The files are those of `redis-cli --cluster backup`. Each is a snapshot of its own moment: writes
between the first and the last may be in one file and not in another.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .connection import Connection
from .failures import AdminError, UnreachableError, UsageError
from .options import access_of, positive, seed_address
from .screen import Json, Report, Screen, count, size
from .topology import Cluster, Node, require_reachable

NODES_FILE: Final = "nodes.json"
_MARK_BYTES: Final = 40
_PARTIAL: Final = ".partial"


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("address", nargs="+", metavar="HOST:PORT DIRECTORY")
    parser.add_argument(
        "--from-replicas", action="store_true", help="where a master has any: spares the masters"
    )
    parser.add_argument(
        "--timeout",
        type=positive,
        default=600.0,
        metavar="SECONDS",
        help="for a node to begin sending (default: %(default)g)",
    )


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Fetch them one after the other."""
    *seed, directory = options.address
    if not seed:
        raise UsageError("HOST:PORT and a directory are needed")
    folder = Path(directory)
    cluster = Cluster(seed_address(seed), access_of(options))
    files: list[Json] = []
    try:
        if missing := cluster.uncovered():
            raise AdminError(
                f"{len(missing)} slots have no owner: the backup would lack their keys",
                "repair that first: 'clustrio cluster fix'",
            )
        primaries = [node for node in cluster.primaries if node.line.slots]
        require_reachable(primaries, "for the backup")
        folder.mkdir(parents=True, exist_ok=True)
        for primary in primaries:
            node = _source(cluster, primary) if options.from_replicas else primary
            path = folder / f"redis-node-{node.line.address.host}-{node.line.address.port}-"
            path = path.with_name(f"{path.name}{primary.node_id}.rdb")
            written = _save(node, path, options.timeout, screen)
            screen.say(f"{node.name}: {size(written)} in {path}")
            files.append(
                {
                    "name": str(primary.node_id),
                    "host": primary.line.address.host,
                    "port": primary.line.address.port,
                    "slots": [list(pair) for pair in primary.line.slots.ranges()],
                    "slots_count": len(primary.line.slots),
                    "file": path.name,
                    "bytes": written,
                }
            )
        (folder / NODES_FILE).write_text(json.dumps(files, indent=1) + "\n", encoding="utf-8")
    except OSError as failure:
        raise AdminError(f"{folder}: {failure.strerror}", "give another directory") from None
    finally:
        cluster.close()
    screen.say(f"{count(len(files), 'file')} saved in {folder}", "green")
    return Report(True, {"directory": str(folder), "files": files})


def _source(cluster: Cluster, primary: Node) -> Node:
    replicas = [node for node in cluster.replicas_of(primary) if node.is_reachable]
    in_sync = [
        node
        for node in replicas
        if node.connection.info("replication").get("master_link_status") == "up"
    ]
    return in_sync[0] if in_sync else primary


def _save(node: Node, path: Path, timeout_s: float, screen: Screen) -> int:
    """Write a node's snapshot; the file has its name only when it is complete."""
    partial = path.with_name(path.name + _PARTIAL)
    connection = Connection(node.line.address, node.connection.access.within(timeout_s))
    written = 0
    try:
        with partial.open("wb") as file, screen.progress(f"saving {node.name}", 0) as advance:
            for piece in snapshot_pieces(connection, node.name):
                file.write(piece)
                written += len(piece)
                advance(len(piece), size(written))
        partial.rename(path)
    finally:
        connection.close()
        partial.unlink(missing_ok=True)
    return written


def snapshot_pieces(connection: Connection, name: str) -> Iterator[bytes]:
    """What a node sends to a new replica, without what surrounds it."""
    connection.send_only("SYNC")
    data = b""
    # While the node prepares its snapshot, it sends line breaks to say that it lives.
    while b"\n" not in (data := data.lstrip(b"\r\n")):
        data += connection.receive()
    head, _, data = data.partition(b"\n")
    head = head.strip()
    if not head.startswith(b"$"):
        raise AdminError(
            f"{name} sends no snapshot: {head.decode(errors='replace').lstrip('-')}",
            "see the node's log; the account must be allowed to SYNC",
        )
    if head.startswith(b"$EOF:"):
        yield from _until_mark(connection, data, head[5:])
        return
    left = int(head[1:])
    while left:
        piece = data or connection.receive()
        data = b""
        yield piece[:left]
        left -= len(piece[:left])


def _until_mark(connection: Connection, data: bytes, mark: bytes) -> Iterator[bytes]:
    """A snapshot whose length the node did not know when it began."""
    if len(mark) != _MARK_BYTES:
        raise UnreachableError(f"the end mark {mark!r} is no mark", "see the node's log")
    while not data.endswith(mark):
        # The mark may arrive in pieces, so that its length is always held back.
        if len(data) > _MARK_BYTES:
            yield data[:-_MARK_BYTES]
            data = data[-_MARK_BYTES:]
        data += connection.receive()
    yield data[:-_MARK_BYTES]
