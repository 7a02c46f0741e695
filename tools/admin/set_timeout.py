"""Set cluster-node-timeout on all nodes, and write it into their configuration files."""

import argparse

from .connection import Connection
from .failures import AdminError, ReplyError, UsageError
from .options import access_of, seed_address
from .screen import Json, Report, Screen
from .topology import Cluster

_TIMEOUT_MIN_MS = 100


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("address", nargs="+", metavar="HOST:PORT MILLISECONDS")


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Tell all nodes."""
    *seed, text = options.address
    if not text.isdecimal() or not seed:
        raise UsageError("HOST:PORT and a number of milliseconds are needed")
    if int(text) < _TIMEOUT_MIN_MS:
        raise UsageError(f"a timeout below {_TIMEOUT_MIN_MS} ms makes nodes fail for nothing")
    cluster = Cluster(seed_address(seed), access_of(options))
    rows: list[Json] = []
    is_well = True
    try:
        for node in cluster.nodes:
            failure, is_kept = None, False
            try:
                node.connection.call("CONFIG", "SET", "cluster-node-timeout", text)
                is_kept = _rewrite(node.connection)
            except AdminError as refused:
                failure, is_well = refused.text, False
            kept = "" if is_kept else ", but it has no configuration file to keep that"
            screen.say(failure or f"{node.name}: {text} ms{kept}", "red" if failure else "")
            rows.append({"address": node.name, "error": failure, "kept": is_kept})
    finally:
        cluster.close()
    return Report(is_well, {"timeout_ms": int(text), "nodes": rows})


def _rewrite(connection: Connection) -> bool:
    try:
        connection.call("CONFIG", "REWRITE")
    except ReplyError:
        return False
    return True
