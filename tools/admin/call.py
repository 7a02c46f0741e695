"""Run a command on all nodes; exit code 1 if any refuses it or does not answer.

Words that begin with a dash and belong to the command go behind `--`.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor

import hiredis

from ..wire import Reply
from .connection import parse_address
from .failures import AdminError
from .options import access_of
from .screen import Json, Report, Screen
from .topology import Cluster, Node


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("address", metavar="HOST:PORT", help="any node of the cluster")
    parser.add_argument("words", nargs="*", metavar="COMMAND", help="the command and its words")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--only-masters",
        "--cluster-only-masters",
        "--only-primaries",
        "--cluster-only-primaries",
        action="store_true",
        dest="only_primaries",
    )
    which.add_argument("--only-replicas", "--cluster-only-replicas", action="store_true")


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Ask all, then tell in the order of the nodes."""
    seed = parse_address(options.address)
    words: list[str] = options.words
    if not words:
        raise AdminError("there is no command", "give one behind HOST:PORT, such as PING")
    cluster = Cluster(seed, access_of(options))
    try:
        nodes = cluster.nodes
        if options.only_primaries:
            nodes = cluster.primaries
        elif options.only_replicas:
            nodes = cluster.replicas

        def ask(node: Node) -> tuple[Reply, str | None]:
            try:
                return node.connection.call(*words), None
            except AdminError as failure:
                return None, getattr(failure, "reply", failure.text)

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(ask, nodes))
    finally:
        cluster.close()
    for node, (reply, failure) in zip(nodes, answers, strict=True):
        text = f"(error) {failure}" if failure is not None else shown(reply)
        separator = "\n" if "\n" in text else " "
        screen.say(f"{node.name}:{separator}{text}", "red" if failure is not None else "")
    rows: list[Json] = [
        {
            "address": node.name,
            "id": node.node_id,
            "role": "master" if node.is_primary else "replica",
            "reply": as_json(reply),
            "error": failure,
        }
        for node, (reply, failure) in zip(nodes, answers, strict=True)
    ]
    return Report(all(failure is None for _, failure in answers), {"replies": rows})


def shown(reply: Reply, indent: str = "") -> str:
    """A reply for people."""
    if reply is None:
        return f"{indent}(nil)"
    if isinstance(reply, bytes):
        return indent + reply.decode(errors="backslashreplace").rstrip("\r\n")
    if isinstance(reply, list):
        if not reply:
            return f"{indent}(empty)"
        parts = [shown(item, "  ").lstrip() for item in reply]
        return "\n".join(f"{indent}{number}) {part}" for number, part in enumerate(parts, 1))
    return f"{indent}{reply}"


def as_json(reply: Reply) -> Json:
    """A reply for programs; bytes that are no text are escaped."""
    if isinstance(reply, bytes):
        return reply.decode(errors="backslashreplace")
    if isinstance(reply, hiredis.ReplyError):
        return {"error": str(reply)}
    if isinstance(reply, list):
        return [as_json(item) for item in reply]
    return reply
