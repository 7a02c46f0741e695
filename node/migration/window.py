"""How much of a migration is under way at a time: as much as the network holds, and no more.

What arrives before the target has carried out what came earlier only waits there, and the target
reads all that waits in one go, while its clients wait. So the source watches how long answers take.
One that takes about as long as the quickest found nothing in its way: more may be sent. One that
takes longer had to queue: less. Over a long way many pieces are under way like that, between
neighbours one or two.
"""

from typing import Final

MAX_BYTES: Final = 256 * 1024
#: So many times as long as the quickest answer: it had to queue.
_QUEUED: Final = 1.5
#: The quickest one is forgotten bit by bit, lest a way that became longer for good count as queue.
_FORGOTTEN: Final = 1.005


class SendWindow:
    """The window of one connection."""

    def __init__(self) -> None:
        #: A further piece may be sent while no more than that is unanswered; 0: one at a time.
        self.limit_bytes = 0
        self._quickest_s: float | None = None

    def on_answer(self, size: int, took_s: float) -> None:
        """A piece of that size was answered, so long after it was sent."""
        quickest_s = self._quickest_s
        if quickest_s is None:
            self._quickest_s = took_s
            return
        self._quickest_s = min(took_s, quickest_s * _FORGOTTEN)
        if took_s <= quickest_s * _QUEUED:
            self.limit_bytes = min(self.limit_bytes + size, MAX_BYTES)
        else:
            self.limit_bytes //= 2
