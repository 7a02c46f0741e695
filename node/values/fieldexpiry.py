"""Lifetimes of single hash fields (HEXPIRE and its kin): only a hash that uses them has this."""

from heapq import heapify, heappop, heappush


class FieldExpiry:
    """When which fields die.

    A dict tells, a heap finds the next; what was changed since stays in the heap until it comes up.
    """

    __slots__ = ("_heap", "at_ms")

    def __init__(self, at_ms: dict[bytes, int] | None = None) -> None:
        self.at_ms: dict[bytes, int] = {} if at_ms is None else dict(at_ms)
        self._heap: list[tuple[int, bytes]] = []
        self._rebuild()

    def _rebuild(self) -> None:
        self._heap = [(at_ms, field) for field, at_ms in self.at_ms.items()]
        heapify(self._heap)

    def expire_at(self, field: bytes, at_ms: int) -> None:
        """Give a field a lifetime, or another one."""
        self.at_ms[field] = at_ms
        heappush(self._heap, (at_ms, field))
        if len(self._heap) > 2 * len(self.at_ms) + 16:
            self._rebuild()

    def forget(self, field: bytes) -> bool:
        """Take a field's lifetime away; False if it had none."""
        return self.at_ms.pop(field, None) is not None

    def maybe_next_ms(self) -> int | None:
        """When the next field dies, or None."""
        heap = self._heap
        while heap:
            at_ms, field = heap[0]
            if self.at_ms.get(field) == at_ms:
                return at_ms
            heappop(heap)
        return None

    def take_dead(self, now_ms: int, limit: int) -> list[bytes]:
        """Fields whose time is up at `now_ms` (at most `limit`); their lifetimes are forgotten."""
        dead: list[bytes] = []
        while len(dead) < limit:
            next_ms = self.maybe_next_ms()
            if next_ms is None or next_ms > now_ms:
                break
            field = heappop(self._heap)[1]
            del self.at_ms[field]
            dead.append(field)
        return dead
