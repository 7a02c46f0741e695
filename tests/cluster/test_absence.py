"""Nodes that stand still for a while: stopped by a signal, or busy with a script."""

import os
import signal
import socket
import threading
import time
from functools import partial

import pytest

from clustrio.tools.bench.clusters import (
    ClusterNode,
    disagreement,
    form,
    health_in,
    not_ok,
    running,
    wait_until,
)
from clustrio.tools.wire import Caller

from .test_failover import out_of_step, replication

pytestmark = pytest.mark.slow

SCRIPT_S = 8.0


def not_replaced(heir: ClusterNode) -> str:
    return "" if replication(heir)["role"] == "master" else "it is a replica"


def first_reply(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\r\n"):
        data = connection.recv(4096)
        assert data, "the node hung up"
        received += data
    return received


def test_a_primary_that_was_replaced_while_it_was_stopped_acknowledges_nothing() -> None:
    with running(clustrio=6, timeout_ms=1000) as nodes:
        form(nodes[:3], [*zip(nodes[3:], nodes[:3], strict=True)])
        victim, heir = nodes[0], nodes[3]
        wait_until("in step", partial(out_of_step, heir, victim), nodes)
        key = next(
            f"key{number}"
            for number in range(10_000)
            if victim.serves(victim.number("CLUSTER", "KEYSLOT", f"key{number}"))
        )
        with victim.connect(timeout_s=60.0) as client:
            os.kill(victim.pid, signal.SIGSTOP)
            try:
                wait_until("replaced", partial(not_replaced, heir), nodes)
                # It is there to be read as soon as the node goes on.
                client.sendall(f"SET {key} lost\r\n".encode())
            finally:
                os.kill(victim.pid, signal.SIGCONT)
            reply = first_reply(client)
        assert reply.startswith((b"-CLUSTERDOWN", b"-MOVED")), reply
        wait_until("one view", lambda: disagreement(nodes, 6) or not_ok(nodes), nodes)
        assert heir.call("GET", key) is None


def run_script(port: int, outcome: list[object]) -> None:
    caller = Caller(port)
    try:
        outcome.append(caller.call("EVAL", "while true do end", 0))
    except Exception as failure:
        outcome.append(failure)
    finally:
        caller.close()


def test_a_long_script_makes_nobody_a_suspect() -> None:
    with running(clustrio=3, timeout_ms=3000, arguments=("--busy-reply-threshold", "200")) as nodes:
        form(nodes)
        busy, view = nodes[0], nodes[1]
        ids = [node.node_id for node in nodes]
        outcome: list[object] = []
        runner = threading.Thread(target=run_script, args=(busy.port, outcome))
        runner.start()
        ends_s = time.monotonic() + SCRIPT_S
        seen = set()
        while time.monotonic() < ends_s:
            seen |= {health_in(view, ids[0]), health_in(nodes[2], ids[0])}
            time.sleep(0.1)
        wait_until("killed", lambda: "" if busy.call("SCRIPT", "KILL") == b"OK" else "no", nodes)
        runner.join()
        assert seen == {""}
        assert len(outcome) == 1
        # And it had no time to listen, which is not the others' fault.
        assert {health_in(busy, node_id) for node_id in ids} == {""}
        wait_until("still ok", lambda: not_ok(nodes), nodes)
        assert all("fail" not in node.log().partition("state changed: ok")[2] for node in nodes)
