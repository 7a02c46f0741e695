"""One run: a cluster starts, suffers, heals, loses some primaries at once, and is judged.

Owns the phases and `Outcome`. The phases:

1. start: a cluster that was just started has to come to rest;
2. safety: faults, operators and clients at work; nothing that was promised may be broken;
3. liveness: all faults end, all nodes live; the cluster has to come to rest within a bound;
4. kill: some primaries die in a calm network; their replicas have to take over within a bound.

With `stays_calm`, or no kinds of faults, 2 and 3 are left out.
"""

import hashlib
import traceback
from typing import Final

from attrs import Factory, define

from ...gossip.state import BrokenInvariant
from .clients import Clients
from .faults import Faults
from .process import Process
from .swarm import Options
from .trace import line_of
from .verdict import NotConverged, Verdict, Violation
from .world import World

POLL_MS: Final = 100
NODES_PER_POLL: Final = 25
ORPHAN_MS: Final = 5_000
"""How long a primary is without replicas before one of others moves to it."""


@define(eq=False)
class Outcome:
    """What came of a run."""

    options: Options
    verdict: Verdict = Verdict.OK
    checker: str = ""
    text: str = ""
    details: str = ""
    phase: str = ""
    simulated_ms: int = 0
    decision_count: int = 0
    message_count: int = 0
    write_count: int = 0
    refused_count: int = 0
    excused_count: int = 0
    healed_ms: int | None = None
    """How long the cluster took to come to rest after the faults had ended."""
    failover_ms: list[int] = Factory(list)
    """From the kill until all slots were served, for each kill."""
    digest: str = ""

    @property
    def line(self) -> str:
        """All in one line."""
        if self.verdict is Verdict.OK:
            healed = "-" if self.healed_ms is None else f"{self.healed_ms} ms"
            failover = ", ".join(f"{ms} ms" for ms in self.failover_ms) or "-"
            return f"seed {self.options.seed}: ok (healed in {healed}, failover in {failover})"
        return (
            f"seed {self.options.seed}: {self.verdict.name} in phase {self.phase} at "
            f"{self.simulated_ms} ms: {self.checker}: {self.text}"
        )


class Run:
    """One run; `world` can be looked at when it is over."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.outcome = Outcome(options)
        self.world = World(options)
        self.clients = Clients(self.world)
        self.faults = Faults(self.world)
        self.marks: list[tuple[int, str]] = []
        """When each phase began, for pictures."""

    def go(self) -> Outcome:
        """Runs it."""
        outcome, world = self.outcome, self.world
        try:
            self._phases()
        except Violation as violation:
            outcome.verdict = Verdict.UNSAFE
            outcome.checker, outcome.text = violation.checker, violation.text
        except NotConverged as failure:
            outcome.verdict = Verdict.STUCK
            outcome.checker, outcome.text = failure.checker, failure.text
        except BrokenInvariant as failure:
            outcome.verdict = Verdict.UNSAFE
            outcome.checker, outcome.text = "invariants", str(failure)
            outcome.details = traceback.format_exc()
        except Exception as failure:  # a crash of the core is a finding, whatever its kind
            outcome.verdict = Verdict.UNSAFE
            outcome.checker, outcome.text = "crash", repr(failure)
            outcome.details = traceback.format_exc()
        outcome.simulated_ms = world.queue.now
        outcome.decision_count = len(world.record)
        outcome.message_count = world.network.message_count
        outcome.write_count = len(world.writes)
        outcome.refused_count = self.clients.refused
        outcome.excused_count = sum(bool(write.excuse) for write in world.writes)
        return outcome

    def digest(self) -> str:
        """A fingerprint of all decisions: equal for equal runs."""
        found = hashlib.blake2b(digest_size=8)
        for entry in self.world.record:
            found.update(line_of(self.world, *entry).encode())
        return found.hexdigest()

    # ---- phases ----

    def _begin(self, phase: str) -> None:
        self.outcome.phase = phase
        self.marks.append((self.world.queue.now, phase))

    def _phases(self) -> None:
        options, world = self.options, self.world
        patience_ms = options.patience_ms
        # All names are known, so it takes connecting, pinging, and the delay of new primaries.
        self._begin("start")
        world.run(1_000)
        self._settle(4 * patience_ms + 4_000 + options.full_sync_ms)
        self.clients.start()
        if not options.stays_calm and options.faults:
            self._begin("safety")
            self.faults.start(options.safety_ms)
            world.run(options.safety_ms)
            self._begin("liveness")
            self.faults.stop()
            world.heal()
            # FAIL lasts 2T and a retry comes after 4T; moving replicas takes its time, too.
            bound_ms = 8 * patience_ms + 2 * (ORPHAN_MS + options.full_sync_ms)
            try:
                self.outcome.healed_ms = self._settle(bound_ms)
            except NotConverged:
                # A slot that a tool left half moved may need a tool again, as with Redis.
                if not self.faults.operators.fix():
                    raise
                self.outcome.healed_ms = self._settle(bound_ms)
        if options.kill_share:
            self._begin("kill")
            self._kill_some()
        self._begin("end")
        self.clients.is_running = False
        world.run(options.replication_lag_ms + 4 * POLL_MS)
        for checker in world.checkers:
            checker.on_end()

    def _settle(self, bound_ms: int) -> int:
        """Lets time pass until the cluster is at rest; how long it took."""
        began = self.world.queue.now
        # To compare all views takes time that grows with the square of their number.
        poll_ms = POLL_MS * max(1, self.options.node_count // NODES_PER_POLL)
        while True:
            self.world.run(poll_ms)
            unsettled = self._maybe_unsettled()
            if unsettled is None:
                return self.world.queue.now - began
            if self.world.queue.now - began > bound_ms:
                raise NotConverged(*unsettled)

    def _maybe_unsettled(self) -> tuple[str, str] | None:
        for checker in self.world.checkers:
            text = checker.maybe_unsettled()
            if text is not None:
                return checker.name, text
        return None

    # ---- the clean kill ----

    def _kill_some(self) -> None:
        world, options = self.world, self.options
        # What happened before is forgotten by then: votes, reports, failures.
        if self.outcome.healed_ms is not None:
            world.run(4 * options.patience_ms + 1_000)
        voters = [process for process in world.live() if process.myself.mask]
        doomed = [process for process in voters if self._has_good_replica(process)]
        wanted = max(1, round(options.kill_share * len(voters)))
        # A majority of the voters has to be left.
        count = min(len(voters) - len(voters) // 2 - 1, wanted)
        if len(doomed) < 1 or count < 1:
            return
        world.rng.shuffle(doomed)
        began = world.queue.now
        for process in doomed[:count]:
            world.kill(process)
        limit_ms = self._failover_limit_ms(count)
        while any(self._maybe_out_of_service()):
            world.run(POLL_MS // 4)
            if world.queue.now - began > limit_ms:
                raise NotConverged("failover-time", self._maybe_out_of_service()[0])
        self.outcome.failover_ms.append(world.queue.now - began)
        self._settle(8 * options.patience_ms + 2 * (ORPHAN_MS + options.full_sync_ms))

    def _failover_limit_ms(self, count: int) -> int:
        """The gate for one failover, and more for each that happens at the same time."""
        options = self.options
        slack_ms = 16 * self.world.max_delay_ms
        # Detection takes up to 1.5 T where the machine tells nobody; here it tells.
        return options.node_timeout_ms * 5 // 4 + 600 + slack_ms + count * 800

    def _maybe_out_of_service(self) -> list[str]:
        seen = 0
        for process in self.world.live():
            seen |= process.myself.mask
        missing = 16_384 - seen.bit_count()
        return [f"{missing} slots have no owner that lives"] if missing else []

    def _has_good_replica(self, process: Process) -> bool:
        return any(
            other.primary_id == process.node_id and other.is_synced and other.silent_since is None
            for other in self.world.live()
        )
