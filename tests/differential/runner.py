"""Runs the same steps on two servers and finds the shortest history that makes them differ.

A run is cut into episodes. An episode starts from empty servers, sends its steps in pipelined
batches to both, compares reply by reply, and ends with a comparison of the whole data set; so
whatever goes wrong depends on the steps of one episode alone, which is what `shrink` then makes
shorter."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ..support.raw import CLOSED, SILENT, RawClient, Reply
from ..support.servers import ServerProcess, client_of
from .dataset import dump
from .grammars import Step
from .shrink import shrink

BATCH_STEPS: Final = 100
#: For the search for a shorter history; a slow search helps nobody.
SHRINK_SECONDS: Final = 20.0
#: Nobody mends more than this in one go.
DIFFERENCES_MAX: Final = 6
_LOST: Final = (CLOSED, SILENT)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two servers disagree after a history of steps."""

    history: Sequence[Step]
    what: str
    ours: str
    theirs: str

    @property
    def size(self) -> tuple[int, int]:
        """How much there is to read: commands, then their arguments."""
        return len(self.history), sum(len(step.command) for step in self.history)

    @property
    def command_name(self) -> bytes:
        """The command after which the servers differ."""
        return self.history[-1].command[0].upper()

    def describe(self) -> str:
        """Tell it to a person who wants to type it in."""
        lines = [f"{len(self.history)} commands:"]
        lines += ["  " + show(step.command) for step in self.history]
        lines += [
            f"differ in {self.what}:",
            f"  clustrio: {self.ours}",
            f"  redis:    {self.theirs}",
        ]
        return "\n".join(lines)


def show(words: Sequence[bytes]) -> str:
    """Word a command so that redis-cli would take it."""
    return " ".join(_quoted(word) for word in words)


def _quoted(text: bytes) -> str:
    if text and all(0x21 <= byte <= 0x7E and byte not in b"\"'\\" for byte in text):
        return text.decode()
    return '"' + "".join(_escaped(byte) for byte in text) + '"'


def _escaped(byte: int) -> str:
    if byte in b'"\\':
        return "\\" + chr(byte)
    return chr(byte) if 0x20 <= byte <= 0x7E else f"\\x{byte:02x}"


class Pair:
    """Clustrio and a real server, side by side."""

    def __init__(self, ours: ServerProcess, theirs: ServerProcess) -> None:
        self.servers = (ours, theirs)
        self.compared = 0

    def reset(self, protocol: int) -> tuple[RawClient, RawClient]:
        """Two fresh connections to two empty servers; one that has died is started anew."""
        clients = []
        for server in self.servers:
            if not server.is_running():
                server.restart()
            client = client_of(server, protocol)
            client.call("FLUSHALL")
            client.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
            clients.append(client)
        return clients[0], clients[1]

    def play(self, steps: Sequence[Step], protocol: int) -> Difference | None:
        """Run one episode; the first difference, with the history that led to it."""
        ours, theirs = self.reset(protocol)
        with ours, theirs:
            for start in range(0, len(steps), BATCH_STEPS):
                batch = steps[start : start + BATCH_STEPS]
                commands = [step.command for step in batch]
                pairs = zip(ours.pipeline(commands), theirs.pipeline(commands), strict=True)
                for position, (step, (our, their)) in enumerate(zip(batch, pairs, strict=True)):
                    if not agrees(step, our, their):
                        history = steps[: start + position + 1]
                        return Difference(history, "the last reply", repr(our), repr(their))
                self.compared += len(batch)
        return self.compare_data(steps)

    def compare_data(self, steps: Sequence[Step]) -> Difference | None:
        """Compare all keys of all databases."""
        dumps = []
        for server in self.servers:
            with client_of(server) as client:
                dumps.append(dump(client))
        ours, theirs = dumps
        for place in sorted({*ours, *theirs}):
            left, right = ours.get(place, "no such key"), theirs.get(place, "no such key")
            if left != right:
                what = f"database {place[0]}, key {_quoted(place[1])}, {place[2]}"
                return Difference(steps, what, str(left), str(right))
        return None

    def shortest(self, found: Difference, protocol: int) -> Difference:
        """The shortest history found that still makes the servers differ."""
        ends_at_s = time.monotonic() + SHRINK_SECONDS
        best = found

        def differs(steps: Sequence[Step]) -> bool:
            nonlocal best
            difference = self.play(steps, protocol)
            if difference is not None and difference.size <= best.size:
                best = difference
            return difference is not None

        def time_is_up() -> bool:
            return time.monotonic() > ends_at_s

        shrink(found.history, differs, time_is_up)
        for position in range(len(best.history) - 1, -1, -1):
            _shrink_arguments(best.history, position, differs, time_is_up)
        return best


def _shrink_arguments(
    history: Sequence[Step],
    position: int,
    differs: Callable[[Sequence[Step]], bool],
    time_is_up: Callable[[], bool],
) -> None:
    """Take arguments away from one command of a history, as long as it still differs."""
    if position >= len(history):
        return
    step = history[position]

    def differs_with(arguments: Sequence[bytes]) -> bool:
        shorter = Step([step.command[0], *arguments], step.agreement)
        return differs([*history[:position], shorter, *history[position + 1 :]])

    shrink(step.command[1:], differs_with, time_is_up)


def agrees(step: Step, ours: Reply, theirs: Reply) -> bool:
    """Whether both replies to a step are the same, as far as its rule demands."""
    if ours in _LOST or theirs in _LOST:
        # No grammar holds a command that ends a connection.
        return False
    return ours == theirs or step.agreement(step.command, ours, theirs)


Draw = Callable[[int], list[Step]]


def explore(pair: Pair, draw: Draw, count: int, episode_steps: int = 500) -> list[Difference]:
    """Play episodes until `count` steps are done; what differs, once for each command, made short.

    After a first difference the rest of the run goes on for a while, for who mends one difference
    wants to know of the next one too.
    """
    found: dict[bytes, Difference] = {}
    ends_at_s = float("inf")
    played = 0
    episode = 0
    while played < count and len(found) < DIFFERENCES_MAX and time.monotonic() < ends_at_s:
        steps = draw(min(episode_steps, count - played))
        protocol = 3 if episode % 2 else 2
        difference = pair.play(steps, protocol)
        if difference is not None and difference.command_name not in found:
            shortest = pair.shortest(difference, protocol)
            found[difference.command_name] = found[shortest.command_name] = shortest
            ends_at_s = min(ends_at_s, time.monotonic() + SHRINK_SECONDS)
        played += len(steps)
        episode += 1
    return list({id(difference): difference for difference in found.values()}.values())
