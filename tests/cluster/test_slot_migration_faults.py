"""Atomic slot migration while nodes and connections die, at any moment and at the worst ones."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random

import pytest

from clustrio.slots.hashing import key_slot
from clustrio.tools.bench.clusters import (
    ClusterNode,
    disagreement,
    form,
    not_ok,
    running,
    start_clustrio_node,
    wait_until,
)

from .load import connect
from .slot_moves import OVER, check_fill, fill, jobs_of, move, slot_counts, start, wait_for_end

pytestmark = pytest.mark.slow


# --- kills


class Counters:
    """Counters in moving slots, each by one client that knows what it was told."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_over = threading.Event()
        self.told: dict[str, int] = {}
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        rng = Random(1)
        client = connect(self._port)
        while not self._is_over.is_set():
            name = f"count:{rng.randrange(2000)}"
            try:
                self.told[name] = client.incr(name)
            except Exception:
                # A node is gone: what was told before counts.
                time.sleep(0.05)
        client.close()

    def __enter__(self) -> "Counters":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()


@pytest.mark.parametrize("victim", ["source", "target"])
@pytest.mark.parametrize("seed", range(3))
def test_a_kill_at_any_moment_loses_nothing_and_doubles_nothing(victim: str, seed: int) -> None:
    arguments = ("--appendonly", "yes", "--appendfsync", "everysec")
    with running(clustrio=3, timeout_ms=1000, arguments=arguments) as nodes:
        form(nodes)
        source, target = nodes[0], nodes[2]
        fill(source, 5000)
        with Counters(nodes[1].port) as counters:
            time.sleep(0.5)
            start(source, target, 0, 1999)
            time.sleep(Random(f"{victim}{seed}").uniform(0.0, 0.25))
            killed = source if victim == "source" else target
            killed.kill()
            time.sleep(0.5)
            killed.start_again()
            wait_until("ok again", lambda: not_ok(nodes), nodes)
            wait_until("one view", lambda: disagreement(nodes, 3), nodes)
            time.sleep(0.3)
        check_fill(nodes[1], 5000)
        client = connect(nodes[1].port)
        for name, told in counters.told.items():
            # One more than was told may have been counted, by the node that died answering.
            assert int(client.get(name)) >= told, name
        client.close()
        wait_until(
            "no job goes on",
            lambda: ", ".join(
                str(job)
                for node in (source, target)
                for job in jobs_of(node)
                if job["state"] not in OVER
            ),
        )
        # Keys of a migration that was not to be are swept away a while after the start.
        wait_until("no key is on two nodes", lambda: doubled(nodes), nodes)


def doubled(nodes: Sequence[ClusterNode]) -> str:
    counts = [slot_counts(node) for node in nodes]
    twice = [
        slot
        for slot, several in enumerate(zip(*counts, strict=True))
        if sum(map(bool, several)) > 1
    ]
    return f"keys on two nodes in {len(twice)} slots" if twice else ""


# --- the connection breaks at the hand-over


class Cutter:
    """Stands in front of a target's client port, and cuts a connection at its FINISH."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.target_port = 0
        #: Whether the target still gets what the source is to hear nothing of any more.
        self.forwards = False
        self.on_cut: Callable[[], None] = lambda: None
        self.cuts = 0
        self.is_cut = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, self._connect() as target:
            answers = threading.Thread(target=self._pass, args=(target, client), daemon=True)
            answers.start()
            while data := client.recv(1 << 16):
                if b"\r\nFINISH\r\n" in data and not self.cuts:
                    self.cuts += 1
                    if self.forwards:
                        client.shutdown(socket.SHUT_RDWR)
                        target.sendall(data)
                        time.sleep(0.2)
                    self.on_cut()
                    self.is_cut.set()
                    return
                target.sendall(data)

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.target_port))

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)


@contextlib.contextmanager
def cut_pair() -> Iterator[tuple[ClusterNode, ClusterNode, Cutter]]:
    """A source, a target that others reach through a cutter only, and the cutter."""
    cutter = Cutter()
    log = ("--appendonly", "yes")
    with (
        start_clustrio_node(*log, timeout_ms=1000) as source,
        start_clustrio_node(
            *log, "--cluster-announce-port", str(cutter.port), timeout_ms=1000
        ) as target,
        start_clustrio_node(timeout_ms=1000) as third,
    ):
        cutter.target_port = target.port
        form([source, target, third])
        fill_slots(source, 100)
        yield source, target, cutter
        cutter.close()


def fill_slots(node: ClusterNode, last: int) -> None:
    """A key in each of the slots from 0 to `last`."""
    missing = set(range(last + 1))
    number = 0
    while missing:
        slot = key_slot(str(number).encode())
        if slot in missing:
            missing.discard(slot)
            node.call("SET", number, slot)
        number += 1


@pytest.mark.parametrize("forwards", [False, True])
def test_a_connection_lost_at_the_hand_over(forwards: bool) -> None:
    with cut_pair() as (source, target, cutter):
        cutter.forwards = forwards
        start(source, target, 0, 100)
        job = wait_for_end(source)
        assert cutter.is_cut.wait(10)
        assert job["state"] == ("success" if forwards else "failed"), job
        both = (source, target)
        wait_until("one view", lambda: disagreement(both, 3), both)
        sizes = [node.number("DBSIZE") for node in both]
        assert sizes == ([0, 101] if forwards else [101, 0])
        # Nobody is held any more.
        assert source.serves(0) != forwards
        owner = target if forwards else source
        for slot in (0, 100):
            (name,) = owner.items("CLUSTER", "GETKEYSINSLOT", slot, 10)
            assert isinstance(name, bytes)
            assert owner.call("GET", name) == str(slot).encode()
        if not forwards:
            move(source, target, 0, 100)


@pytest.mark.parametrize("forwards", [False, True])
def test_a_target_that_dies_at_the_hand_over(forwards: bool) -> None:
    """If anybody has heard that it took the slots they are its own, else they stay."""
    with cut_pair() as (source, target, cutter):
        cutter.forwards = forwards
        cutter.on_cut = target.kill
        start(source, target, 0, 100)
        job = wait_for_end(source)
        assert cutter.is_cut.wait(10)
        assert job["state"] == ("success" if forwards else "failed"), job
        target.start_again()
        both = (source, target)
        wait_until("ok again", lambda: not_ok(both), both)
        wait_until("one view", lambda: disagreement(both, 3), both)
        wait_until(
            "no key is left behind",
            lambda: (
                ""
                if [node.number("DBSIZE") for node in both] == ([0, 101] if forwards else [101, 0])
                else str([node.number("DBSIZE") for node in both])
            ),
            both,
        )
        assert source.serves(0) != forwards
