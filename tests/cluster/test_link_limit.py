"""`cluster-link-sendbuf-limit`: a peer that does not read costs its link, not all the memory."""

import os
import signal
from typing import Final

import pytest

from clustrio.tools.bench.clusters import (
    ClusterNode,
    disagreement,
    form,
    not_ok,
    running,
    wait_until,
)

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]

LIMIT_BYTES: Final = 1_000_000
MESSAGE: Final = "m" * 200_000
#: More than sockets hold, too.
MESSAGES_MAX: Final = 300


def cut_count(node: ClusterNode) -> int:
    return int(node.info()["total_cluster_links_buffer_limit_exceeded"])


def waiting_bytes(node: ClusterNode) -> int:
    """The most that waits on one link."""
    found = [0]
    for row in node.items("CLUSTER", "LINKS"):
        assert isinstance(row, list)
        fields = dict(zip(row[::2], row[1::2], strict=True))
        used = fields[b"send-buffer-used"]
        assert isinstance(used, int)
        found.append(used)
    return max(found)


@pytest.mark.parametrize("kind", ["clustrio", "redis"])
def test_a_link_that_nobody_reads_is_cut(kind: str) -> None:
    limit = ("--cluster-link-sendbuf-limit", str(LIMIT_BYTES))
    counts = {"clustrio": 3} if kind == "clustrio" else {"redis": 3}
    # So patient that no link is made anew for being silent.
    with running(**counts, timeout_ms=60_000, arguments=limit) as nodes:
        form(nodes)
        speaker, deaf = nodes[0], nodes[2]
        assert cut_count(speaker) == 0
        os.kill(deaf.pid, signal.SIGSTOP)
        try:
            sent = most = 0
            while not cut_count(speaker) and sent < MESSAGES_MAX:
                speaker.call("PUBLISH", "channel", MESSAGE)
                most = max(most, waiting_bytes(speaker))
                sent += 1
            assert cut_count(speaker) >= 1
            if kind == "clustrio":
                # The other one looks ten times a second only.
                assert most <= LIMIT_BYTES + 2 * len(MESSAGE)
        finally:
            os.kill(deaf.pid, signal.SIGCONT)
        wait_until("still ok", lambda: not_ok(nodes), nodes)
        wait_until("one view", lambda: disagreement(nodes, 3), nodes)
