"""Draw a map of who owns what: each cell stands for some neighbouring slots.

A letter names the owner; + is a cell with several owners, ! one with an open slot, ? one with a
slot that nobody owns.
"""

import argparse
import shutil
import string
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from ...slots.hashing import SLOT_COUNT
from ...slots.slotset import SlotSet
from .diagnosis import open_slots
from .options import add_address, open_cluster
from .screen import Json, Report, Screen, count, is_colourful
from .topology import Node

_LETTERS: Final = string.ascii_uppercase + string.ascii_lowercase
_COLOURS: Final = (32, 34, 33, 35, 36, 92, 94, 93, 95, 96)
_WIDTHS: Final = (128, 64, 32)


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_address(parser)


def cells_of(owner_of: Mapping[int, int], opened: SlotSet, slots_per_cell: int) -> list[int | str]:
    """The cells: the number of the owner, or a sign."""
    cells: list[int | str] = []
    for first in range(0, SLOT_COUNT, slots_per_cell):
        span = range(first, first + slots_per_cell)
        owners = {owner_of.get(slot, -1) for slot in span}
        if any(slot in opened for slot in span):
            cells.append("!")
        elif -1 in owners:
            cells.append("?")
        else:
            cells.append(owners.pop() if len(owners) == 1 else "+")
    return cells


def drawn(cells: Sequence[int | str], width: int, *, is_colourful: bool) -> list[str]:
    """The rows of the map, each with the slot that it begins with."""
    slots_per_cell = SLOT_COUNT // len(cells)
    rows = []
    for start in range(0, len(cells), width):
        text, colour = "", ""
        for cell in cells[start : start + width]:
            wanted = _colour(cell) if is_colourful else ""
            if wanted != colour:
                text += wanted
                colour = wanted
            text += letter(cell) if isinstance(cell, int) else cell
        rows.append(f"{start * slots_per_cell:>5} {text}" + ("\033[0m" if colour else ""))
    return rows


def letter(owner: int) -> str:
    """What stands for an owner."""
    return _LETTERS[owner % len(_LETTERS)]


def _colour(cell: int | str) -> str:
    if isinstance(cell, int):
        return f"\033[0;{_COLOURS[cell % len(_COLOURS)]}m"
    return "\033[0m" if cell == "+" else "\033[1;31m"


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Look and draw."""
    cluster = open_cluster(options)
    cluster.close()
    owners = [node for node in cluster.primaries if node.line.slots]
    owner_of = {slot: index for index, node in enumerate(owners) for slot in node.line.slots}
    opened, uncovered = open_slots(cluster), cluster.uncovered()
    columns = shutil.get_terminal_size().columns
    width = next((width for width in _WIDTHS if width + 7 <= columns), _WIDTHS[-1])
    cells = cells_of(owner_of, opened, 16)
    colours = is_colourful(sys.stdout)
    for row in drawn(cells, width, is_colourful=colours):
        screen.say(row)
    screen.say()
    for index, node in enumerate(owners):
        sign = drawn([index] * SLOT_COUNT, 1, is_colourful=colours)[0].split(" ")[-1]
        ranges = node.line.slots.text()
        room = max(20, columns - 44)
        shown = ranges if len(ranges) <= room else ranges[: room - 3].rpartition(" ")[0] + " ..."
        screen.say(f"{sign} {node.name:<22} {count(len(node.line.slots), 'slot'):>12}  {shown}")
    if opened:
        screen.say(f"! open: {opened.text()}", "yellow")
    if uncovered:
        screen.say(f"? without an owner: {uncovered.text()}", "red")
    fields: dict[str, Json] = {
        "masters": [_row(node) for node in owners],
        "open": opened.text(),
        "uncovered": uncovered.text(),
    }
    return Report(not uncovered, fields)


def _row(node: Node) -> dict[str, Json]:
    return {
        "address": node.name,
        "id": node.node_id,
        "slots": len(node.line.slots),
        "slot_ranges": node.line.slots.text(),
        "migrating": {str(slot): other for slot, other in node.line.migrating.items()},
        "importing": {str(slot): other for slot, other in node.line.importing.items()},
    }
