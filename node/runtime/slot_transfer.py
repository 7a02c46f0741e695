"""The source's talk with the target of an atomic slot migration.

One task for each job: connect, log in as a replica would, `CLUSTER SYNCSLOTS ESTABLISH`, then the
keys in pieces of which a bounded number is under way, and at last the hand-over. Clients are served
between any two pieces. Requests for the slots are held (`close_slots`) only when little is left to
be told, and for a bounded time.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter, time
from typing import Final

import hiredis
import trio

from ..machine import Machine
from ..migration.coordinator import JobOverError
from ..migration.exports import Export
from ..migration.jobs import SlotJob, State
from ..migration.window import SendWindow
from ..propagation import encode_command
from .clock import set_clock
from .dataplane import DataPlane
from .tls import TlsContexts, dial

#: The slots are closed when no more keys than this must be told again...
_DIRTY_FEW: Final = 64
#: ... or after so many rounds: some keys always change.
_ROUNDS_MAX: Final = 8
#: ... or when a round gains nothing, because clients change keys as quickly as they are told.
_SHRINKS_TO: Final = 0.8
#: Requests for the slots are held no longer than that.
_CLOSED_MAX_S: Final = 5.0
_ANSWER_MAX_S: Final = 10.0
_CHUNK_BYTES: Final = 64 * 1024
_SYNCSLOTS: Final = (b"CLUSTER", b"SYNCSLOTS")
_EPOCH_TRIES: Final = 10
_EPOCH_PAUSE_S: Final = 0.02
_ASK_AGAIN_S: Final = 0.1


class _LinkError(Exception):
    """The target cannot be talked to, or answers with an error; the text is for the job."""


class _LinkLostError(_LinkError):
    """The connection is gone: what was said last may or may not have been heard."""


class _Link:
    """A connection to a target: requests out, answers in the same order."""

    def __init__(self, stream: trio.abc.Stream, job: SlotJob) -> None:
        self._stream = stream
        self._reader = hiredis.Reader()
        self._job = job
        #: Sizes of the pieces under way, and when each was sent.
        self._unanswered: deque[tuple[int, float]] = deque()
        self._window = SendWindow()

    async def close(self) -> None:
        """Hang up."""
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self._stream)

    async def ask(self, *words: bytes) -> bytes | int:
        """Say something and wait for its answer, after those to all that was said before."""
        await self._send(encode_command(words))
        await self.drain(0)
        return await self._answer()

    async def tell(self, words: Sequence[bytes]) -> None:
        """Send a piece; waits while too much is under way."""
        data = encode_command(words)
        self._unanswered.append((len(data), perf_counter()))
        self._job.unacknowledged_bytes += len(data)
        self._job.byte_count += len(data)
        await self._send(data)
        await self.drain(self._window.limit_bytes)

    async def drain(self, most_bytes: int) -> None:
        """Wait until no more than that is under way."""
        while self._job.unacknowledged_bytes > most_bytes:
            await self._answer()
            size, sent_s = self._unanswered.popleft()
            self._job.unacknowledged_bytes -= size
            self._window.on_answer(size, perf_counter() - sent_s)

    async def _send(self, data: bytes) -> None:
        try:
            with trio.fail_after(_ANSWER_MAX_S):
                await self._stream.send_all(data)
        except trio.TooSlowError:
            raise _LinkLostError("The target does not read") from None
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise _LinkLostError("Connection lost to target") from None

    async def _answer(self) -> bytes | int:
        while (reply := self._reader.gets()) is False:
            try:
                with trio.fail_after(_ANSWER_MAX_S):
                    data = await self._stream.receive_some(_CHUNK_BYTES)
            except trio.TooSlowError:
                raise _LinkLostError("The target does not answer") from None
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise _LinkLostError("Connection lost to target") from None
            if not data:
                raise _LinkLostError("Connection lost to target")
            self._reader.feed(bytes(data))
        self._job.acked_ms = int(time() * 1000)
        if isinstance(reply, hiredis.ReplyError):
            raise _LinkError(f"Target answered: {reply}")
        assert isinstance(reply, bytes | int)
        return reply


class SlotCarrier:
    """Carries out the exports of one machine."""

    def __init__(
        self, machine: Machine, plane: DataPlane, contexts: Callable[[], TlsContexts | None]
    ) -> None:
        self._machine = machine
        self._plane = plane
        self._contexts = contexts
        #: One hand-over at a time: the epoch of one must not come in another's way.
        self._hand_over_turn = trio.Lock()
        self._orders, self._wanted = trio.open_memory_channel[SlotJob](math.inf)
        machine.slot_migration.on_wanted = self._orders.send_nowait

    async def run(self) -> None:
        """Serve until cancelled."""
        async with trio.open_nursery() as nursery:
            async for job in self._wanted:
                nursery.start_soon(self._carry, job)

    async def _carry(self, job: SlotJob) -> None:
        migration = self._machine.slot_migration
        with trio.CancelScope() as scope:
            job.stop = scope.cancel
            if job.is_over:
                return
            self._plane.hurried += 1
            try:
                await self._export(job)
            except JobOverError:
                pass
            except _LinkError as failure:
                set_clock(self._machine.clock)
                migration.fail(job, str(failure))
            except Exception as failure:
                self._machine.log.exception("A slot migration failed", failure)
                set_clock(self._machine.clock)
                migration.fail(job, "Internal error")
            finally:
                self._plane.hurried -= 1
            self._plane.flush_awake()

    # --- the connection --------------------------------------------------------------------------

    async def _connect(self, job: SlotJob) -> _Link:
        """A connection on which we are logged in."""
        cluster = self._machine.cluster
        assert cluster is not None
        node = cluster.core.state.maybe_member(job.target_id)
        if node is None or not node.ip:
            raise _LinkError("The target node is unknown")
        try:
            with trio.fail_after(_ANSWER_MAX_S):
                stream = await dial(node.ip, node.port, self._contexts())
        except (OSError, trio.BrokenResourceError, trio.TooSlowError):
            raise _LinkLostError(f"Cannot connect to {node.ip}:{node.port}") from None
        link = _Link(stream, job)
        config = self._machine.config
        if config.masterauth:
            user = (config.masteruser.encode(),) if config.masteruser else ()
            try:
                await link.ask(b"AUTH", *user, config.masterauth.encode())
            except BaseException:
                await link.close()
                raise
        return link

    # --- one job ---------------------------------------------------------------------------------

    async def _export(self, job: SlotJob) -> None:
        migration = self._machine.slot_migration
        link = await self._connect(job)
        try:
            migration.note(job, State.ESTABLISHING)
            ranges = [b"%d" % slot for pair in job.ranges for slot in pair]
            words = (b"SOURCE", job.source_id.encode(), b"NAME", job.name.encode())
            await link.ask(*_SYNCSLOTS, b"ESTABLISH", *words, b"SLOTSRANGE", *ranges)
            export = migration.open_export(job)
            await self._copy(job, export, link)
            async with self._hand_over_turn:
                await self._hand_over(job, export, link)
        finally:
            await link.close()

    async def _copy(self, job: SlotJob, export: Export, link: _Link) -> None:
        """Tell everything once, then what changed, until little of that is left."""
        migration = self._machine.slot_migration
        while not export.is_read:
            await self._tell_piece(export, link)
        migration.note(job, State.STREAMING)
        before = math.inf
        for _ in range(_ROUNDS_MAX):
            if export.dirty_count <= _DIRTY_FEW or export.dirty_count > before * _SHRINKS_TO:
                return
            before = left = export.dirty_count
            while left > 0 and export.dirty_count:
                seen = export.key_count
                await self._tell_piece(export, link)
                left -= max(1, export.key_count - seen)
            await link.drain(0)

    async def _tell_piece(self, export: Export, link: _Link) -> bool:
        set_clock(self._machine.clock)
        words = export.next_piece()
        if not words:
            return False
        await link.tell((*_SYNCSLOTS, b"KEYS", *words))
        # The data plane has its own idea of how long others may run.
        await trio.lowlevel.checkpoint()
        return True

    async def _hand_over(self, job: SlotJob, export: Export, link: _Link) -> None:
        """Close the slots, tell the rest, and have the target take them."""
        migration = self._machine.slot_migration
        for _ in range(_EPOCH_TRIES):
            epoch = await link.ask(*_SYNCSLOTS, b"PREPARE")
            assert isinstance(epoch, int)
            await self._close_slots(job)
            closed_at_s = perf_counter()
            try:
                is_done = await self._change_owner(job, export, link, epoch)
            finally:
                job.pause_ms = (perf_counter() - closed_at_s) * 1000
            if is_done:
                self._machine.log.notice(
                    f"Slot migration {job.name}: {export.key_count} keys, {job.byte_count} bytes, "
                    f"requests for the slots waited {job.pause_ms:.1f} ms"
                )
                return
            migration.withdraw(job)
            self._plane.flush_awake()
            await trio.sleep(_EPOCH_PAUSE_S)
        raise _LinkError("The target does not take the slots")

    async def _close_slots(self, job: SlotJob) -> None:
        while True:
            set_clock(self._machine.clock)
            if self._machine.slot_migration.close_slots(job):
                return
            await trio.sleep(0.005)

    async def _change_owner(self, job: SlotJob, export: Export, link: _Link, epoch: int) -> bool:
        """Whether it is known how the hand-over ended; False: the target could not take them."""
        migration = self._machine.slot_migration
        deadline_s = trio.current_time() + _CLOSED_MAX_S
        with trio.move_on_at(deadline_s) as scope:
            while await self._tell_piece(export, link):
                pass
        if scope.cancelled_caught:
            raise _LinkError("The hand-over took too long")
        if job.is_over:
            return True
        set_clock(self._machine.clock)
        migration.grant(job, int(_CLOSED_MAX_S * 2000))
        # From here on nothing may end this but an answer, or the end of the time.
        with trio.CancelScope(shield=True):
            try:
                await link.ask(*_SYNCSLOTS, b"FINISH", b"%d" % epoch)
            except _LinkLostError:
                await self._find_out(job, epoch, deadline_s)
                return True
            except _LinkError as failure:
                # Another epoch came up in between, or it does not want to: nothing happened.
                self._machine.log.warning(f"Slot migration {job.name}: {failure}")
                set_clock(self._machine.clock)
                return False
            set_clock(self._machine.clock)
            migration.settle(job)
            self._plane.flush_awake()
        return True

    async def _find_out(self, job: SlotJob, epoch: int, deadline_s: float) -> None:
        """The connection broke in the very moment: ask again, and listen to the bus."""
        migration = self._machine.slot_migration
        ranges = [b"%d" % slot for pair in job.ranges for slot in pair]
        self._machine.log.warning(f"Slot migration {job.name}: lost the target at the hand-over")
        outcome: bytes | int | None = None
        while outcome is None and not job.is_over and trio.current_time() < deadline_s:
            with trio.move_on_at(deadline_s):
                try:
                    link = await self._connect(job)
                except _LinkError:
                    await trio.sleep(_ASK_AGAIN_S)
                    continue
                try:
                    words = (b"STATUS", b"NAME", job.name.encode(), b"SLOTSRANGE", *ranges)
                    outcome = await link.ask(*_SYNCSLOTS, *words)
                except _LinkError:
                    await trio.sleep(_ASK_AGAIN_S)
                finally:
                    await link.close()
        set_clock(self._machine.clock)
        if job.is_over:
            return  # The bus told us.
        if outcome == State.SUCCESS.value.encode():
            migration.settle(job)
        elif outcome is not None:
            migration.fail(job, "The target lost what it had been sent")
        else:
            migration.reclaim(job, epoch)
        self._plane.flush_awake()
