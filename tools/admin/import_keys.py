"""Bring the keys of a standalone server into the cluster, with MIGRATE and many keys at a time.

Keys leave the standalone server, unless --copy. A key that the cluster has already is left where it
is and told, unless --replace. Run again after it was broken off, it goes on with what is left.
"""

import argparse
import getpass
import sys
from collections.abc import Iterator, Sequence

from ...slots.hashing import key_slot
from ..wire import Argument
from .connection import Access, Connection, display, parse_address
from .failures import AdminError, ReplyError
from .options import add_action, add_address, add_migrate, natural, open_cluster
from .screen import Report, Screen, count
from .topology import Cluster, Node, require_reachable

_KEYS_SHOWN = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_address(parser)
    parser.add_argument(
        "--from",
        "--cluster-from",
        dest="source",
        required=True,
        metavar="HOST:PORT",
        help="the standalone server",
    )
    parser.add_argument("--from-user", "--cluster-from-user", metavar="USER")
    parser.add_argument("--from-pass", "--cluster-from-pass", metavar="PASSWORD")
    parser.add_argument("--from-askpass", "--cluster-from-askpass", action="store_true")
    parser.add_argument("--from-db", type=natural, default=0, metavar="N")
    parser.add_argument("--copy", "--cluster-copy", action="store_true", help="leave them there")
    parser.add_argument(
        "--replace", "--cluster-replace", action="store_true", help="overwrite keys of the cluster"
    )
    add_migrate(parser)
    add_action(parser)


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Check, scan, migrate."""
    cluster = open_cluster(options)
    source = _source(options, cluster.access)
    try:
        require_reachable(cluster.primaries, "to take keys")
        missing = cluster.uncovered()
        if missing:
            raise AdminError(
                f"{len(missing)} slots have no owner", "repair that first: 'clustrio cluster fix'"
            )
        if source.info("cluster").get("cluster_enabled") == "1":
            raise AdminError(
                f"{display(source.address)} is in cluster mode itself",
                "use 'clustrio cluster backup' and 'restore' between clusters",
            )
        if options.from_db:
            source.call("SELECT", options.from_db)
        total = source.number("DBSIZE")
        verb = "copied" if options.copy else "moved"
        screen.say(f"{count(total, 'key')} are to be {verb} from {display(source.address)}")
        importer = _Importer(cluster, source, options)
        if not options.dry_run and total:
            screen.confirm("go ahead?", is_agreed=options.yes)
            with screen.progress("importing", total) as advance:
                for keys in _batches(source, options.pipeline):
                    importer.take(keys)
                    advance(len(keys), "")
    finally:
        source.close()
        cluster.close()
    if not options.dry_run:
        screen.say(f"{count(importer.done, 'key')} {verb}", "green")
    for key in importer.busy[:_KEYS_SHOWN]:
        screen.say(f"  the cluster has {key!r} already", "red")
    if importer.busy:
        screen.say(f"{count(len(importer.busy), 'key')} left out; give --replace to overwrite")
    fields = {
        "dry_run": options.dry_run,
        "source": display(source.address),
        "source_keys": total,
        "keys": importer.done,
        "left_out": importer.busy,
    }
    return Report(not importer.busy, fields)


def _source(options: argparse.Namespace, access: Access) -> Connection:
    password = options.from_pass
    if options.from_askpass:
        password = getpass.getpass("Password of the standalone server: ", sys.stderr)
    timeout_s = options.migrate_timeout / 1000 + access.timeout_s
    return Connection(
        parse_address(options.source), Access(options.from_user, password, None, timeout_s)
    )


def _batches(source: Connection, keys_at_once: int) -> Iterator[list[bytes]]:
    cursor: bytes = b"0"
    while True:
        reply = source.items("SCAN", cursor, "COUNT", keys_at_once)
        next_cursor, keys = reply
        if isinstance(keys, list) and keys:
            yield [key for key in keys if isinstance(key, bytes)]
        cursor = next_cursor if isinstance(next_cursor, bytes) else b"0"
        if cursor == b"0":
            return


class _Importer:
    """Takes keys in."""

    def __init__(self, cluster: Cluster, source: Connection, options: argparse.Namespace) -> None:
        self._cluster = cluster
        self._source = source
        self._options = options
        self._owners: dict[int, Node] = {}
        self._learn()
        self.done = 0
        self.busy: list[str] = []

    def _learn(self) -> None:
        self._owners = {slot: node for node in self._cluster.primaries for slot in node.line.slots}

    def take(self, keys: Sequence[bytes]) -> None:
        """Some keys, each to its owner."""
        groups: dict[str, list[bytes]] = {}
        for key in keys:
            groups.setdefault(self._owners[key_slot(key)].node_id, []).append(key)
        for node_id, group in groups.items():
            self._migrate(self._cluster.by_id(node_id), group)

    def _migrate(self, node: Node, keys: Sequence[bytes]) -> None:
        place = node.line.address
        access = self._cluster.access
        words: list[Argument] = ["MIGRATE", place.host, place.port, "", 0]
        words.append(self._options.migrate_timeout)
        words += [word for word in ("copy", "replace") if getattr(self._options, word)]
        try:
            self._source.call(*words, *access.migrate_words(), "KEYS", *keys)
        except ReplyError as failure:
            if "BUSYKEY" not in failure.reply:
                raise
            if len(keys) > 1:
                # Which of many keys it was is not told; the good ones are across by now.
                for key in keys:
                    self._migrate(node, [key])
            elif self._is_same(node, keys[0]):
                self.done += 1
            else:
                self.busy.append(keys[0].decode(errors="backslashreplace"))
            return
        self.done += len(keys)

    def _is_same(self, node: Node, key: bytes) -> bool:
        """Whether the cluster has this very value: then an earlier run has brought it."""
        value = self._source.call("DUMP", key)
        if value != node.connection.call("DUMP", key):
            return False
        if not self._options.copy:
            self._source.call("DEL", key)
        return True
