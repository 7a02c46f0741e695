"""Waiting until a cluster is as it should be: bounded, and never without a reason.

Owns the deadline. Rules: whoever waits says what was missing to the end, and what to do then.
"""

import time
from collections.abc import Callable
from typing import Final

from .failures import AdminError, ReplyError, UnreachableError
from .screen import Screen
from .topology import Cluster

_POLL_S: Final = 0.05
#: Refusals that go by; a replica says LOADING while it takes its master's data set.
_PASSING: Final = frozenset({"LOADING", "BUSY", "CLUSTERDOWN", "TRYAGAIN"})
_NOTE_AFTER_S: Final = 5.0


def wait_until(
    complaint: Callable[[], str], what: str, timeout_s: float, screen: Screen, way_out: str
) -> float:
    """Poll until there is no complaint; the seconds it took."""
    started_s = told_s = time.monotonic()
    while True:
        try:
            missing = complaint()
        except UnreachableError as failure:
            missing = failure.text
        except ReplyError as failure:
            if failure.kind not in _PASSING:
                raise
            missing = failure.text
        now_s = time.monotonic()
        if not missing:
            return now_s - started_s
        if now_s - started_s > timeout_s:
            raise AdminError(f"not within {timeout_s:g} s: {what}; {missing}", way_out)
        if now_s - told_s > _NOTE_AFTER_S:
            told_s = now_s
            screen.note(f"  waiting: {what}: {missing}")
        time.sleep(_POLL_S)


def wait_for_agreement(
    cluster: Cluster,
    timeout_s: float,
    screen: Screen,
    remind: Callable[[], None] = lambda: None,
) -> float:
    """Wait until all members that answer see the same members, roles and slots.

    As long as they do not, `remind` is called after each look.
    """

    def complaint() -> str:
        cluster.refresh()
        text = cluster.complaint()
        if text:
            remind()
        return text

    return wait_until(
        complaint,
        "all nodes agree",
        timeout_s,
        screen,
        "look with 'clustrio cluster check'; give more --timeout if nodes are many or far",
    )
