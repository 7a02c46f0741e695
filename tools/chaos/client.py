"""A cluster client that says exactly what came of a request: answered, not done, or unknown.

Owns connections and redirects. Rules: a request is sent again only where the cluster said that it
was not carried out (MOVED, ASK, a refused connection); anything else is told to the caller, who
records it. Ready-made clients hide just that.
"""

import random
import re
from collections.abc import Mapping, Sequence
from typing import Final

import trio

from ...slots.hashing import key_slot
from ..local.clients import Link
from ..wire import Argument, Reply

Address = tuple[str, int]
Command = Sequence[Argument]
_REDIRECT: Final = re.compile(r"(?:EXECABORT.*)?(MOVED|ASK) (\d+) (\S*):(\d+)")
_REDIRECTS_MAX: Final = 6
_MAP_TIMEOUT_S: Final = 0.3


class RefusedError(Exception):
    """The request was certainly not carried out."""


class UnknownOutcomeError(Exception):
    """The request may have been carried out, or may yet be."""

    def __init__(self, text: str, address: Address) -> None:
        super().__init__(text)
        self.address = address


class Client:
    """One client: one connection to each node, one request at a time."""

    def __init__(
        self, addresses: Sequence[Address], timeout_s: float, seed: str, *, is_stubborn: bool
    ) -> None:
        """A stubborn client stays with the node that it knows until that one sends it away."""
        self._addresses = list(addresses)
        self._timeout_s = timeout_s
        self._is_stubborn = is_stubborn
        self._chance = random.Random(seed)
        self._links: dict[Address, Link] = {}
        self._owners: dict[int, Address] = {}

    async def aclose(self) -> None:
        """Hang up everywhere."""
        for link in list(self._links.values()):
            await link.aclose()
        self._links.clear()

    async def execute(self, key: str, commands: Sequence[Command]) -> tuple[list[Reply], Address]:
        """Carry out commands on one key (or one hash tag) where it lives."""
        slot = key_slot(key.encode())
        address = self._owners.get(slot) or await self._look_up(slot, None)
        is_asking = False
        for _ in range(_REDIRECTS_MAX):
            replies = await self._send(slot, address, commands, is_asking=is_asking)
            errors = [str(reply) for reply in replies if isinstance(reply, Exception)]
            if not errors:
                return replies, address
            redirect = next((found for text in errors if (found := _REDIRECT.match(text))), None)
            if redirect is None:
                if errors[0].startswith("CLUSTERDOWN") and not self._is_stubborn:
                    # That one may be cut off; the others may be fine.
                    await self._look_up(slot, address)
                raise RefusedError(errors[0])
            address = (redirect[3] or address[0], int(redirect[4]))
            is_asking = redirect[1] == "ASK"
            if is_asking and len(commands) > 1:
                # Between MULTI and EXEC, ASKING would be queued like all else.
                raise RefusedError("a transaction cannot follow ASK")
            if not is_asking:
                self._owners[slot] = address
        raise RefusedError("redirected too often")

    async def follow_up(self, address: Address, command: Command) -> Reply:
        """A command on the connection that the last request went over; None if it is gone."""
        link = self._links.get(address)
        if link is None:
            return None
        try:
            with trio.fail_after(self._timeout_s):
                return (await link.call([command]))[0]
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            await self._drop(address)
            return None

    async def _send(
        self, slot: int, address: Address, commands: Sequence[Command], *, is_asking: bool
    ) -> list[Reply]:
        if is_asking:
            commands = [["ASKING"], *commands]
        link = await self._link(slot, address)
        try:
            with trio.fail_after(self._timeout_s):
                replies = await link.call(commands)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as failure:
            await self._drop(address)
            self._owners.pop(slot, None)
            raise UnknownOutcomeError(f"connection lost: {failure}", address) from None
        except trio.TooSlowError:
            await self._drop(address)
            if not self._is_stubborn:
                await self._look_up(slot, address)
            raise UnknownOutcomeError("no answer in time", address) from None
        return replies[1:] if is_asking else replies

    async def _link(self, slot: int, address: Address) -> Link:
        link = self._links.get(address)
        if link is not None:
            return link
        try:
            with trio.fail_after(self._timeout_s):
                link = self._links[address] = await Link.to(*address)
        except (OSError, trio.TooSlowError) as failure:
            await self._look_up(slot, address)
            raise RefusedError(f"cannot connect: {type(failure).__name__}") from None
        return link

    async def _drop(self, address: Address) -> None:
        link = self._links.pop(address, None)
        if link is not None:
            await link.aclose()

    async def _look_up(self, slot: int, suspect: Address | None) -> Address:
        """Ask somebody (but whom we suspect) who serves a slot; anybody, if nobody knows."""
        others = [address for address in self._addresses if address != suspect]
        self._chance.shuffle(others)
        for address in others[:2]:
            owners = await _slot_owners(address)
            if owners:
                self._owners = {
                    each: owner for each, owner in self._owners.items() if owner in owners
                }
                owner = next((a for a, ranges in owners.items() if _holds(ranges, slot)), None)
                if owner is not None:
                    self._owners[slot] = owner
                    return owner
        self._owners.pop(slot, None)
        return others[0] if others else self._addresses[0]


def _holds(ranges: Sequence[tuple[int, int]], slot: int) -> bool:
    return any(first <= slot <= last for first, last in ranges)


async def ask(address: Address, commands: Sequence[Command], timeout_s: float) -> list[Reply]:
    """Put questions to one node over a connection of their own; an empty list if it is silent."""
    link = None
    try:
        with trio.fail_after(timeout_s):
            link = await Link.to(*address)
            return await link.call(commands)
    except (OSError, trio.BrokenResourceError, trio.TooSlowError):
        return []
    finally:
        if link is not None:
            await link.aclose()


async def _slot_owners(address: Address) -> Mapping[Address, list[tuple[int, int]]]:
    replies = await ask(address, [["CLUSTER", "SLOTS"]], _MAP_TIMEOUT_S)
    return owners_untrusted(replies[0], address[0]) if replies else {}


def owners_untrusted(reply: Reply, host: str) -> dict[Address, list[tuple[int, int]]]:
    """Who serves what by CLUSTER SLOTS; what makes no sense is left out."""
    owners: dict[Address, list[tuple[int, int]]] = {}
    for row in reply if isinstance(reply, list) else []:
        match row:
            case [int(first), int(last), [name, int(port), *_], *_]:
                own_host = name.decode() if isinstance(name, bytes) and name else host
                owners.setdefault((own_host, port), []).append((first, last))
            case _:
                continue
    return owners
