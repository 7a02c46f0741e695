"""Several connections to each of two servers: who hears what when somebody does something.

A `Move` is what one of the clients says. After each move every client says PING with a word of its
own until the answer comes, twice for the one who moved; whatever came before the answers is what
the move made the clients hear. Two servers agree on a move if every client heard the same replies
in the same order, and the same pushes in the same order. How pushes lie between replies is not
compared: from 7.2 on Redis sends what a client hears of its own command behind the reply, and
before it sent some of that ahead. Nor is it compared how the keys of one change are spread over
messages to a broadcasting client, which is each server's own affair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..support.raw import CLOSED, SILENT, RawClient, Reply
from ..support.servers import client_of
from .runner import Pair, show
from .shrink import shrink

#: The protocols of the clients, by number.
PROTOCOLS: Final = (2, 3, 2, 3)
_WORDS: Final = frozenset(
    {
        *(b"message", b"pmessage", b"smessage", b"invalidate", b"tracking-redir-broken"),
        *(b"subscribe", b"unsubscribe", b"psubscribe", b"punsubscribe"),
        *(b"ssubscribe", b"sunsubscribe"),
    }
)
_SPREADS: Final = frozenset({b"unsubscribe", b"punsubscribe", b"sunsubscribe"})


@dataclass(frozen=True, slots=True)
class Move:
    """What one client says, in one go."""

    client: int
    commands: tuple[tuple[bytes, ...], ...]

    def describe(self) -> str:
        """Tell it to a person."""
        return f"client {self.client}: " + " | ".join(show(words) for words in self.commands)


@dataclass(frozen=True, slots=True)
class Heard:
    """What one client heard of one move."""

    replies: tuple[Reply, ...]
    pushes: tuple[Reply, ...]


class Room:
    """The clients of one server."""

    def __init__(self, clients: Sequence[RawClient]) -> None:
        self._clients = clients
        self._words = 0

    def make(self, move: Move) -> list[Heard]:
        """Make a move; what each client heard of it."""
        heard: list[list[Reply]] = [[] for _ in self._clients]
        mover = self._clients[move.client]
        for words in move.commands:
            mover.send(*words)
        heard[move.client] += self._until_quiet(mover)
        for client, replies in zip(self._clients, heard, strict=True):
            replies += self._until_quiet(client)
        return [_sorted_out(replies) for replies in heard]

    def _until_quiet(self, client: RawClient) -> list[Reply]:
        self._words += 1
        word = b"quiet %d" % self._words
        answers = (Reply(b"$", word), Reply(b"*", (Reply(b"$", b"pong"), Reply(b"$", word))))
        replies: list[Reply] = []
        try:
            client.send(b"PING", word)
            while (reply := client.read()) not in answers:
                replies.append(reply)
        except TimeoutError:
            replies.append(SILENT)
        except ConnectionError:
            replies.append(CLOSED)
        return replies


def _word_of(reply: Reply) -> bytes:
    """The word that opens a push; empty for a reply."""
    if reply.kind not in (b">", b"*") or not isinstance(reply.value, tuple) or not reply.value:
        return b""
    word = reply.items[0].value
    return word if isinstance(word, bytes) and word in _WORDS else b""


def _sorted_out(replies: Sequence[Reply]) -> Heard:
    pushes = [reply for reply in replies if _word_of(reply)]
    if pushes and all(_word_of(push) in _SPREADS for push in pushes):
        # Who leaves everything leaves it in no particular order; the counts go down all the same.
        names = sorted((push.items[1] for push in pushes), key=repr)
        counts = [push.items[2] for push in pushes]
        pushes = [
            Reply(push.kind, (push.items[0], name, count))
            for push, name, count in zip(pushes, names, counts, strict=True)
        ]
    return Heard(
        tuple(reply for reply in replies if not _word_of(reply)),
        tuple(pushes),
    )


def _as_told(heard: Heard) -> Heard:
    """The same with pushes in an order, and keys of broadcasts one by one."""
    pushes: list[Reply] = []
    for push in heard.pushes:
        keys = push.items[-1]
        if keys.kind == b"*" and isinstance(keys.value, tuple):
            head = push.items[:-1]
            pushes += [Reply(push.kind, (*head, Reply(b"*", (key,)))) for key in keys.value]
        else:
            pushes.append(push)
    return Heard(heard.replies, tuple(sorted(pushes, key=repr)))


def play(pair: Pair, moves: Sequence[Move]) -> str | None:
    """Make moves on two servers; how they differ, in words."""
    for client in pair.reset(protocol=2):
        with client:
            client.call("CONFIG", "SET", "notify-keyspace-events", "")
    rooms: list[Room] = []
    clients: list[RawClient] = []
    for server in pair.servers:
        own = [client_of(server, protocol) for protocol in PROTOCOLS]
        clients += own
        rooms.append(Room(own))
    try:
        for position, move in enumerate(moves):
            ours, theirs = (room.make(move) for room in rooms)
            for number, (our, their) in enumerate(zip(ours, theirs, strict=True)):
                if our != their and _as_told(our) != _as_told(their):
                    lines = [each.describe() for each in moves[: position + 1]]
                    lines += [
                        f"client {number} hears",
                        f"  clustrio: {our}",
                        f"  redis:    {their}",
                    ]
                    return "\n".join(lines)
    finally:
        for client in clients:
            client.close()
    return None


def shortest(pair: Pair, moves: Sequence[Move], tries: int = 60) -> str:
    """The difference that some moves show, with as few of them as were found in so many tries."""
    told = ""
    left = tries

    def fails(shorter: Sequence[Move]) -> bool:
        nonlocal told, left
        left -= 1
        difference = play(pair, shorter)
        told = difference or told
        return difference is not None

    shrink(moves, fails, lambda: left <= 0)
    return told
