"""The clients at work, beside the faults: a trio loop in a thread of its own.

Owns the load of a run and reading what is left at its end. Rules: a client makes one request at a
time, at its own pace; it writes down what came of each. For every shard one more client writes as
often as it can (the probe), from which unavailability and failover times are told.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Final

import trio
from attrs import define

from ...slots.hashing import key_slot
from ..local.shape import slot_ranges
from .client import Address, Client, Command, RefusedError, UnknownOutcomeError, ask
from .history import FAIL, INFO, OK, PROBE, READ, WRITE, FinalRead, Operation, Value
from .observer import Observer
from .plan import Plan
from .recorder import Recorder
from .workloads import COUNTER, Counter, Step, Workload, read_commands, read_value, value_untrusted

PROBE_PAUSE_S: Final = 0.025
PROBE_TIMEOUT_S: Final = 0.4
#: A client that was refused does not ask again at once.
_REFUSED_PAUSE_S: Final = 0.02
_BEAT_S: Final = 0.05
_STALL_S: Final = 0.1
_FINAL_READERS: Final = 8
_FINAL_TRIES: Final = 20
_BATCH: Final = 50


def probe_keys(masters: int) -> list[str]:
    """A key for every shard, as slots are spread at the start."""
    keys = []
    for slots in slot_ranges(masters):
        number = 0
        while key_slot(f"probe:{number}".encode()) not in slots or f"probe:{number}" in keys:
            number += 1
        keys.append(f"probe:{number}")
    return keys


@define
class Cluster:
    """Where the nodes are: for clients, and past all faults."""

    addresses: list[Address]
    direct: list[Address]


class Load:
    """All clients of a run."""

    def __init__(self, plan: Plan, cluster: Cluster, recorder: Recorder) -> None:
        self._plan = plan
        self._cluster = cluster
        self._recorder = recorder
        elements = Counter()
        self.workloads = [
            Workload(number, each, elements, str(plan.seed))
            for number, each in enumerate(plan.workloads)
        ]
        self._elements = elements
        self._is_over = threading.Event()
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._thread = threading.Thread(target=self._run, name="clustrio-chaos-load", daemon=True)

    # --- for the thread that breaks things --------------------------------------------------

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._ready.wait()

    def end_clients(self) -> None:
        """No new requests; looking at the nodes goes on."""
        self._is_over.set()

    def close(self) -> None:
        """End everything; raises what went wrong in the thread."""
        self._is_over.set()
        if self._token is not None:
            try:
                self._token.run_sync_soon(self._nursery.cancel_scope.cancel)
            except trio.RunFinishedError:
                # It ended by itself, and says below why.
                self._token = None
        self._thread.join(timeout=10)
        if self._failure is not None:
            raise self._failure

    # --- in its own thread ------------------------------------------------------------------

    def _run(self) -> None:
        try:
            trio.run(self._work)
        except BaseException as failure:
            self._failure = failure
        finally:
            self._ready.set()

    async def _work(self) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._token = trio.lowlevel.current_trio_token()
            index_of = {
                f"{host}:{port}": i for i, (host, port) in enumerate(self._cluster.addresses)
            }
            for index, address in enumerate(self._cluster.direct):
                nursery.start_soon(Observer(index, address, self._recorder, index_of).run)
            nursery.start_soon(self._watch_stalls)
            for key in probe_keys(self._plan.masters):
                nursery.start_soon(self._probe, key)
            for workload in self.workloads:
                for number in range(workload.plan.clients):
                    nursery.start_soon(self._client, workload, number)
            self._ready.set()
            await trio.sleep_forever()

    async def _watch_stalls(self) -> None:
        """Notice when this very loop stands still: that is no fault of the cluster."""
        while not self._is_over.is_set():
            began = trio.current_time()
            await trio.sleep(_BEAT_S)
            late_s = trio.current_time() - began - _BEAT_S
            if late_s > _STALL_S:
                self._recorder.history.stalled_ms += round(late_s * 1000, 1)

    async def _client(self, workload: Workload, number: int) -> None:
        name = f"{workload.name}.{number}"
        client = Client(
            self._cluster.addresses,
            self._plan.operation_timeout_ms / 1000,
            f"{self._plan.seed} {name}",
            # Half of all real programs are: both kinds find other flaws.
            is_stubborn=number % 2 == 1,
        )
        pause_s = 1 / workload.plan.rate
        await trio.sleep(pause_s * number / workload.plan.clients)
        due = trio.current_time()
        try:
            while not self._is_over.is_set():
                operation = await self._perform(client, name, workload, workload.next_step())
                self._recorder.on_operation(operation)
                if operation.outcome == FAIL:
                    await trio.sleep(_REFUSED_PAUSE_S)
                # What was missed in an outage is not made up for.
                due = max(due + pause_s, trio.current_time())
                await trio.sleep_until(due)
        finally:
            with trio.CancelScope(shield=True):
                await client.aclose()

    async def _perform(
        self, client: Client, name: str, workload: Workload, step: Step
    ) -> Operation:
        kind, start_ms = workload.plan.kind, self._recorder.now_ms()
        value, reply, replicas, error, address = step.value, None, None, "", None
        outcome = OK
        first_key = str(step.commands[-2][1]) if len(step.commands) > 1 else step.key
        end_ms = 0.0
        try:
            replies, address = await client.execute(first_key, step.commands)
            end_ms = self._recorder.now_ms()
            if step.action == READ:
                value = read_value(kind, replies)
            elif kind == COUNTER:
                reply = value_untrusted(replies[-1])
            if step.action == WRITE and workload.plan.wait_replicas:
                wait: Command = ["WAIT", workload.plan.wait_replicas, workload.plan.wait_ms]
                counted = await client.follow_up(address, wait)
                replicas = counted if isinstance(counted, int) else None
        except RefusedError as refusal:
            outcome, error = FAIL, str(refusal)
        except UnknownOutcomeError as unknown:
            outcome, error, address = INFO, str(unknown), unknown.address
        return Operation(
            client=name,
            workload=kind,
            action=step.action,
            key=step.key,
            value=value,
            start_ms=start_ms,
            end_ms=end_ms or self._recorder.now_ms(),
            outcome=outcome,
            node=self._recorder.node_of(address),
            error=error,
            reply=reply,
            replicas=replicas,
        )

    async def _probe(self, key: str) -> None:
        client = Client(
            self._cluster.addresses, PROBE_TIMEOUT_S, f"{self._plan.seed} {key}", is_stubborn=False
        )
        try:
            while not self._is_over.is_set():
                element = self._elements.next()
                start_ms, address, error, outcome = self._recorder.now_ms(), None, "", OK
                try:
                    _, address = await client.execute(key, [["SET", key, element]])
                except RefusedError as refusal:
                    outcome, error = FAIL, str(refusal)
                except UnknownOutcomeError as unknown:
                    outcome, error, address = INFO, str(unknown), unknown.address
                self._recorder.on_operation(
                    Operation(
                        client=key,
                        workload=PROBE,
                        action=WRITE,
                        key=key,
                        value=element,
                        start_ms=start_ms,
                        end_ms=self._recorder.now_ms(),
                        outcome=outcome,
                        node=self._recorder.node_of(address),
                        error=error,
                    )
                )
                await trio.sleep(PROBE_PAUSE_S)
        finally:
            with trio.CancelScope(shield=True):
                await client.aclose()


# ---- what is left --------------------------------------------------------------------------------


async def read_finals(
    plan: Plan, cluster: Cluster, workloads: Sequence[Workload]
) -> list[FinalRead]:
    """Read every key that was ever used, from its primary and from all copies."""
    wanted = [(workload.plan.kind, key) for workload in workloads for key in workload.key_names]
    wanted += [(PROBE, key) for key in probe_keys(plan.masters)]
    values: dict[str, Value] = {}
    copies: dict[str, dict[str, Value]] = {}
    queue = list(wanted)

    async def read_some(number: int) -> None:
        client = Client(cluster.addresses, 2.0, f"final {number}", is_stubborn=False)
        while queue:
            kind, key = queue.pop()
            found = await _read_patiently(client, kind, key)
            if found is not None:
                values[key] = found[0]
        await client.aclose()

    async with trio.open_nursery() as nursery:
        for number in range(_FINAL_READERS):
            nursery.start_soon(read_some, number)
    async with trio.open_nursery() as nursery:
        for index, address in enumerate(cluster.direct):
            nursery.start_soon(_read_copies, index, address, wanted, copies)
    return [
        FinalRead(kind, key, values.get(key), key in values, copies.get(key, {}))
        for kind, key in wanted
    ]


def _plain(kind: str) -> str:
    return "register" if kind == PROBE else kind


async def _read_patiently(client: Client, kind: str, key: str) -> tuple[Value] | None:
    commands = read_commands(_plain(kind), key)
    first_key = str(commands[-2][1]) if len(commands) > 1 else key
    for _ in range(_FINAL_TRIES):
        try:
            replies, _ = await client.execute(first_key, commands)
            return (read_value(kind, replies),)
        except (RefusedError, UnknownOutcomeError):
            await trio.sleep(0.1)
    return None


async def _read_copies(
    index: int,
    address: Address,
    wanted: Sequence[tuple[str, str]],
    copies: Mapping[str, dict[str, Value]] | dict[str, dict[str, Value]],
) -> None:
    """What a replica holds of the keys that are its primary's; others send us away."""
    assert isinstance(copies, dict)
    for first in range(0, len(wanted), _BATCH):
        batch = wanted[first : first + _BATCH]
        simple = [(kind, key) for kind, key in batch if len(read_commands(_plain(kind), key)) == 1]
        questions = [read_commands(_plain(kind), key)[0] for kind, key in simple]
        replies = await ask(address, [["READONLY"], ["ROLE"], *questions], 2.0)
        role = replies[1] if replies else None
        if not isinstance(role, list) or role[0] != b"slave":
            return
        for (kind, key), reply in zip(simple, replies[2:], strict=True):
            if not isinstance(reply, Exception):
                copies.setdefault(key, {})[str(index)] = read_value(kind, [reply])
