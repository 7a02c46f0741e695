"""Find the biggest keys of the whole cluster, by elements or bytes, or with --memory by what they
cost. Runs while the cluster is in use.
"""

import argparse
from typing import Final

from attrs import define

from ..wire import Argument
from .options import add_address, add_scanning, open_cluster
from .scanning import Leaders, scanned
from .screen import Json, Report, Screen, count, size
from .topology import Node

_MEASURES: Final = {
    b"string": ("STRLEN", "byte"),
    b"list": ("LLEN", "element"),
    b"set": ("SCARD", "member"),
    b"zset": ("ZCARD", "member"),
    b"hash": ("HLEN", "field"),
    b"stream": ("XLEN", "entry"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_address(parser)
    add_scanning(parser, 5, "of each type")
    parser.add_argument("--memory", action="store_true", help="by MEMORY USAGE, of all types")


@define
class _Kind:
    """What was seen of one type."""

    biggest: Leaders
    keys: int = 0
    total: int = 0

    def add(self, amount: int, key: bytes, place: str) -> None:
        self.keys += 1
        self.total += amount
        self.biggest.add(amount, key, place)


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Scan, measure, tell."""
    cluster = open_cluster(options)
    kinds: dict[bytes, _Kind] = {}
    try:
        for node, keys in scanned(
            cluster, screen, "scanning", keys_at_once=options.keys_at_once, pause_s=options.pause
        ):
            _measure(node, keys, kinds, options)
    finally:
        cluster.close()
    documents: dict[str, Json] = {}
    for name, kind in sorted(kinds.items()):
        word = name.decode(errors="replace")
        unit = "byte" if options.memory else _MEASURES.get(name, ("", "byte"))[1]
        ordered = kind.biggest.ordered()
        screen.say(
            f"{word}: {count(kind.keys, 'key')}, {_amount(kind.total, unit)}, "
            f"{kind.total / kind.keys:,.1f} on average",
            "bold",
        )
        for amount, key, place in ordered:
            text = key.decode(errors="backslashreplace")
            screen.say(f"  {_amount(amount, unit):>16}  {text}  ({place})")
        documents[word] = {
            "keys": kind.keys,
            "total": kind.total,
            "unit": unit,
            "biggest": [
                {"key": key.decode(errors="backslashreplace"), "size": amount, "node": place}
                for amount, key, place in ordered
            ],
        }
    total = sum(kind.keys for kind in kinds.values())
    screen.say(f"{count(total, 'key')} seen")
    return Report(True, {"keys": total, "types": documents})


def _amount(number: int, unit: str) -> str:
    return size(number) if unit == "byte" else count(number, unit)


def _measure(
    node: Node, keys: list[bytes], kinds: dict[bytes, _Kind], options: argparse.Namespace
) -> None:
    types = node.connection.replies([("TYPE", key) for key in keys])
    commands: list[tuple[Argument, ...]] = []
    measured: list[tuple[bytes, bytes]] = []
    for key, name in zip(keys, types, strict=True):
        if not isinstance(name, bytes) or name == b"none":
            # Gone since the scan saw it.
            continue
        if options.memory or name not in _MEASURES:
            commands.append(("MEMORY", "USAGE", key))
        else:
            commands.append((_MEASURES[name][0], key))
        measured.append((key, name))
    for (key, name), amount in zip(measured, node.connection.replies(commands), strict=True):
        if isinstance(amount, int):
            kind = kinds.get(name)
            if kind is None:
                kind = kinds[name] = _Kind(Leaders(options.top))
            kind.add(amount, key, node.name)
