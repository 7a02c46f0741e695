"""From what commands did to the bytes of the append-only file.

A consumer of effects. It only collects: the runtime takes the bytes once per pass over its clients
and writes them before any reply of that pass leaves.
"""

from typing import Final

from ..database import Clock
from ..effects import EffectBatch, Effects
from ..propagation import CommandStream


class LogFeed:
    """What waits to be written to the log."""

    wants_events: Final = False

    def __init__(self, clock: Clock, effects: Effects) -> None:
        self._clock = clock
        self._effects = effects
        self._stream = CommandStream()
        #: Always the same list: the recorder of effects may put commands straight into it.
        self._pieces: list[bytes] = []
        self._place = self._pieces.append
        #: How much there was by the time of the last `take`.
        self.taken_bytes = 0
        self._has_timestamps = False
        self._stamped_s = 0

    @property
    def has_timestamps(self) -> bool:
        """Put a line with the time ahead of the first command of each second."""
        return self._has_timestamps

    @has_timestamps.setter
    def has_timestamps(self, wanted: bool) -> None:
        self._has_timestamps = wanted
        self._effects.place_database = -1

    def start_file(self) -> None:
        """What follows goes to a new file, whose reader knows neither database nor time."""
        self._stream.forget_database()
        self._stamped_s = 0
        self._effects.place_database = -1

    @property
    def size_bytes(self) -> int:
        """How much waits."""
        return sum(map(len, self._pieces))

    @property
    def position(self) -> int:
        """How much there ever was."""
        return self.taken_bytes + self.size_bytes

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._pieces

    def on_effects(self, batch: EffectBatch) -> None:
        """Take what one command, transaction or script did."""
        data = self._stream.encode(batch)
        if data:
            if self._has_timestamps:
                self._stamp()
            self._pieces.append(data)

    def on_run(self, database: int, encoded: bytes) -> None:
        """Take commands that stand alone."""
        if self._has_timestamps:
            self._stamp()
        else:
            self._effects.offer_place(self.on_run, database, self._place)
        self._place(self._stream.encode_run(database, encoded))

    def _stamp(self) -> None:
        now_s = self._clock.now_ms // 1000
        if now_s > self._stamped_s:
            self._stamped_s = now_s
            self._pieces.append(b"#TS:%d\r\n" % now_s)

    def take(self) -> bytes:
        """Everything since the last time."""
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.taken_bytes += len(data)
        return data
