"""A small cluster client for trio, for tests; redis-py serves the other callers.

Owns following redirects. Rules: one connection a node, one command at a time on it; a lost
connection or a cluster that is down is tried again until the deadline.
"""

import re
from collections.abc import Sequence
from typing import Final

import hiredis
import trio

from ...slots.hashing import key_slot
from ..wire import Argument, CallError, Reply, encode
from .shape import HOST

_TRY_AGAIN: Final = ("TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN")
_REDIRECT: Final = re.compile(r"(MOVED|ASK) (\d+) (\S*):(\d+)")
_PAUSE_S: Final = 0.02
#: A node that is frozen or cut off does not answer at all.
_ANSWER_TIMEOUT_S: Final = 2.0


class Link:
    """One connection to one node; `lock` is for those who share it."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._reader = hiredis.Reader()
        self.lock = trio.Lock()

    @classmethod
    async def to(cls, host: str, port: int) -> "Link":
        """Connect; raises OSError."""
        return cls(await trio.open_tcp_stream(host, port))

    async def call(self, commands: Sequence[Sequence[Argument]]) -> list[Reply]:
        """Send commands at once, and read their replies; error replies are among them."""
        await self._stream.send_all(encode(*commands))
        replies: list[Reply] = []
        while len(replies) < len(commands):
            reply = self._reader.gets()
            if reply is not False:
                replies.append(reply)
                continue
            data = await self._stream.receive_some()
            if not data:
                raise trio.BrokenResourceError("the node closed the connection")
            self._reader.feed(data)
        return replies

    async def aclose(self) -> None:
        """Hang up, without waiting for anybody."""
        await trio.aclose_forcefully(self._stream)


class TrioClient:
    """`await client.call("SET", "key", "value")`; an async context manager."""

    def __init__(self, ports: Sequence[int], timeout_s: float = 30.0, *, host: str = HOST) -> None:
        self._host = host
        self._ports = list(ports)
        self._timeout_s = timeout_s
        self._connections: dict[int, Link] = {}
        self._owners: dict[int, int] = {}

    async def __aenter__(self) -> "TrioClient":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Hang up everywhere."""
        for connection in self._connections.values():
            await connection.aclose()
        self._connections.clear()

    async def get(self, key: Argument) -> Reply:
        """GET."""
        return await self.call("GET", key)

    async def set(self, key: Argument, value: Argument) -> Reply:
        """SET."""
        return await self.call("SET", key, value)

    async def call(self, *arguments: Argument) -> Reply:
        """A command whose second word is its key; raises CallError, or trio.TooSlowError."""
        key = arguments[1] if len(arguments) > 1 else ""
        slot = key_slot(key if isinstance(key, bytes) else str(key).encode())
        turn = 0
        is_asking = False
        port = self._owners.get(slot, self._ports[0])
        with trio.fail_after(self._timeout_s):
            while True:
                try:
                    reply = await self._ask(port, arguments, is_asking=is_asking)
                except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                    await self._forget(port)
                    turn += 1
                    port, is_asking = self._ports[turn % len(self._ports)], False
                    await trio.sleep(_PAUSE_S)
                    continue
                if not isinstance(reply, hiredis.ReplyError):
                    return reply
                text = str(reply)
                redirect = _REDIRECT.fullmatch(text)
                if redirect is not None:
                    port, is_asking = int(redirect[4]), redirect[1] == "ASK"
                    if not is_asking:
                        self._owners[slot] = port
                elif text.startswith(_TRY_AGAIN):
                    await trio.sleep(_PAUSE_S)
                else:
                    raise CallError(text)

    async def _ask(self, port: int, arguments: Sequence[Argument], *, is_asking: bool) -> Reply:
        connection = self._connections.get(port)
        if connection is None:
            link = await Link.to(self._host, port)
            connection = self._connections.setdefault(port, link)
        with trio.move_on_after(_ANSWER_TIMEOUT_S):
            async with connection.lock:
                ahead = [["ASKING"]] if is_asking else []
                return (await connection.call([*ahead, arguments]))[-1]
        raise trio.BrokenResourceError("no answer in time")

    async def _forget(self, port: int) -> None:
        self._owners = {slot: owner for slot, owner in self._owners.items() if owner != port}
        connection = self._connections.pop(port, None)
        if connection is not None:
            await connection.aclose()
