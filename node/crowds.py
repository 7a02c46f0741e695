"""What many clients sent in one pass, carried out together.

A request costs little, but everything around it is paid for each client: its parser, the clock, the
books. So what arrived from many clients is parsed in one go, and then run in one go as far as that
comes to the same as one client after the other: requests of one and the same command as one
pipeline, other single requests in one loop. What is out of the ordinary is left to `RequestRunner`.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from .dispatch import WrappedCommand
from .errors import INTERNAL, CommandError
from .registry import Command
from .requests import Parcel, RequestRunner
from .resp.alike import Requests, maybe_alike_of_several, maybe_name
from .resp.shared_reader import SharedReader
from .resp.stream import LONG_PIPELINE

if TYPE_CHECKING:
    from .machine import Machine

#: Clients that send odd requests or slow ones are likely to go on so.
CROWDS_LEFT_ALONE: Final = 16
#: No client can guess a number of so many bits.
_MARK_BITS: Final = 62


class CrowdRunner:
    """Runs what several sessions of one machine received at the same time."""

    def __init__(self, machine: "Machine", runner: RequestRunner) -> None:
        self._machine = machine
        self._runner = runner
        self._clock = machine.clock
        self._gate = machine.gate
        self._timer: Callable[[], int] = machine.timer
        #: Made when it is first needed.
        self._reader: SharedReader | None = None
        #: For so many crowds it is not worth a try.
        self._left_alone = 0

    def run(self, arrived: list[Parcel], held: list[Parcel]) -> list[Parcel]:
        """Bytes from several clients, most of them likely to be whole and quick requests.

        Appends the replies to `held`; returns what is to be handed to `receive` one by one. Here
        no command runs that serves other clients meanwhile.
        """
        if self._left_alone:
            self._left_alone -= 1
            return arrived
        crowd: list[Parcel] = []
        rest: list[Parcel] = []
        for parcel in arrived:
            session = parcel[0]
            is_plain = (
                session.stream.exact is None
                and session.wait is None
                and not (session.gated or session.backlog or session.outbox)
            )
            (crowd if is_plain else rest).append(parcel)
        if not crowd:
            return arrived
        if self._reader is None:
            self._reader = SharedReader(self._machine.rng.getrandbits(_MARK_BITS))
        chunks = [data for _, data in crowd]
        read = maybe_alike_of_several(chunks) or self._reader.read(chunks)
        if read is None:
            self._left_alone = CROWDS_LEFT_ALONE
            return arrived
        requests, ends = read
        if not self._run_as_one(crowd, requests, ends, held):
            if len(requests) == len(crowd):
                self._run_singles(crowd, requests, held, rest)
            else:
                self._run_pipelines(crowd, requests, ends, held, rest)
        if len(rest) > len(arrived) // 2:
            self._left_alone = CROWDS_LEFT_ALONE
        return rest

    def _run_singles(
        self, crowd: list[Parcel], requests: Requests, held: list[Parcel], rest: list[Parcel]
    ) -> None:
        """One request of each client, timed as a pipeline is; what is not quick is left over."""
        timer = self._timer
        now_ms = self._clock.now_ms
        scrap = self._gate.scrap
        runner = self._runner
        run = 0
        previous: Command | WrappedCommand | None = None
        started = timer()
        for parcel, args in zip(crowd, requests, strict=True):
            session, data = parcel
            command = session.lookup(args[0])
            if command is not previous:
                if run and previous is not None:
                    now = timer()
                    previous.statistics.count_run(now - started, run)
                    started = now
                previous = command
                run = 0
            # Commands that are not quick keep their books themselves.
            if (
                command is None
                or command.statistics is scrap
                or not command.low <= len(args) <= command.high
            ):
                rest.append(parcel)
                continue
            session.last_request_ms = now_ms
            session.input_bytes += len(data)
            session.last_command = command
            try:
                reply = command.function(session, args)
                run += 1
            except CommandError as failure:
                run += runner.count_failure(command, args, failure)
                reply = failure.encoded()
            except Exception as failure:
                reply = runner.on_failure(session, failure, args)
            if not reply or session.outbox:
                reply = runner.finish_turn(session, [reply] if reply else [])
            if reply:
                held.append((session, reply))
            elif session.close_after_reply:
                self._machine.awaken(session)
        if previous is not None and run:
            previous.statistics.count_run(timer() - started, run)

    def _run_as_one(
        self, crowd: list[Parcel], requests: Requests, ends: Sequence[int], held: list[Parcel]
    ) -> bool:
        """Pipelines of one and the same command, as if one client had sent them all."""
        leader = crowd[0][0]
        name = maybe_name(requests)
        command = None if name is None else leader.lookup(name)
        if command is None or command.batch is None:
            return False
        db, encoder = leader.db, leader.encoder
        for session, _ in crowd:
            if session.db is not db or session.encoder is not encoder:
                return False
        written_offset = leader.written_offset
        started = self._timer()
        try:
            replies = command.batch(leader, requests)
        except Exception as failure:
            # Nobody knows how much of it was carried out, and for whom.
            for session, _ in crowd:
                held.append((session, INTERNAL.encoded()))
                session.close(after_reply=True)
            self._runner.log_bug(leader, failure)
            return True
        if replies is None:
            return False
        has_written = leader.written_offset != written_offset
        now_ms = self._clock.now_ms
        for (session, data), reply in zip(crowd, replies.parts(ends), strict=True):
            session.last_request_ms = now_ms
            session.input_bytes += len(data)
            session.last_command = command
            session.asking = False
            if has_written:
                session.written_offset = leader.written_offset
            if session.outbox:
                reply = self._runner.finish_turn(session, [reply])
            held.append((session, reply))
        command.statistics.count_run(self._timer() - started, len(requests))
        return True

    def _run_pipelines(
        self,
        crowd: list[Parcel],
        requests: Requests,
        ends: Sequence[int],
        held: list[Parcel],
        rest: list[Parcel],
    ) -> None:
        """One client's requests after the other's; whoever wants something slow is left over."""
        scrap = self._gate.scrap
        runner = self._runner
        start = 0
        for parcel, end in zip(crowd, ends, strict=True):
            session, data = parcel
            own = requests[start:end]
            start = end
            commands = [session.lookup(name) for name in {args[0] for args in own}]
            if any(command is None or command.statistics is scrap for command in commands):
                rest.append(parcel)
                continue
            session.last_request_ms = self._clock.now_ms
            session.input_bytes += len(data)
            replies: list[bytes] = []
            if len(own) < LONG_PIPELINE or not runner.run_as_one(session, own, replies):
                runner.run_batch(session, own, replies)
            reply = runner.finish_turn(session, replies)
            if reply:
                held.append((session, reply))
            elif session.close_after_reply:
                self._machine.awaken(session)
