"""Reading all keys of a cluster, node by node; `bigkeys` and `hotkeys` share it.

Owns the scan, and who leads a list of numbers. Rules: only masters that own slots; small steps,
with a pause where one is wished, so that a cluster in use hardly notices.
"""

import heapq
import time
from collections.abc import Iterator

from attrs import define, field

from .screen import Screen
from .topology import Cluster, Node, require_reachable


@define
class Leaders:
    """So many keys as a list may show: those with the largest numbers, and where they are."""

    limit: int
    _heap: list[tuple[int, bytes, str]] = field(factory=list, init=False)

    def add(self, number: int, key: bytes, place: str) -> None:
        """One more key; it takes the place of the smallest."""
        push = heapq.heappush if len(self._heap) < self.limit else heapq.heappushpop
        push(self._heap, (number, key, place))

    def ordered(self) -> list[tuple[int, bytes, str]]:
        """The largest first."""
        return sorted(self._heap, key=lambda entry: (-entry[0], entry[1]))


def scanned(
    cluster: Cluster, screen: Screen, what: str, *, keys_at_once: int, pause_s: float
) -> Iterator[tuple[Node, list[bytes]]]:
    """Batches of keys with their node."""
    nodes = [node for node in cluster.primaries if node.line.slots]
    require_reachable(nodes, "to see all keys")
    total = sum(node.connection.number("DBSIZE") for node in nodes)
    with screen.progress(what, total) as advance:
        for node in nodes:
            cursor: bytes = b"0"
            while True:
                reply = node.connection.items("SCAN", cursor, "COUNT", keys_at_once)
                next_cursor, keys = reply
                found = (
                    [key for key in keys if isinstance(key, bytes)]
                    if (isinstance(keys, list))
                    else []
                )
                if found:
                    yield node, found
                    advance(len(found), node.name)
                cursor = next_cursor if isinstance(next_cursor, bytes) else b"0"
                if cursor == b"0":
                    break
                if pause_s:
                    time.sleep(pause_s)
