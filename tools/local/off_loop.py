"""Blocking calls for callers that run in an event loop, whichever it is."""

from collections.abc import Callable
from importlib import import_module
from typing import TypeVar

import sniffio
import trio

T = TypeVar("T")


async def run_off_loop(call: Callable[[], T]) -> T:
    """Run it in a thread, and keep the caller's loop going."""
    if sniffio.current_async_library() == "trio":
        return await trio.to_thread.run_sync(call)
    # The caller runs asyncio; nobody else has to load it.
    result: T = await import_module("asyncio").to_thread(call)
    return result
