"""The hot path: what a client sent becomes calls of command functions, and their replies bytes.

One request at a time for clients that wait for each reply, whole pipelines in one loop; everything
out of the ordinary (odd framing, protocol errors, waiting, the end of a connection) is settled
after it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from .dispatch import WrappedCommand
from .errors import INTERNAL, CommandError, ProtocolError
from .lean_tables import RefusedError
from .registry import Command
from .resp.alike import Requests, maybe_name
from .resp.encoder import error
from .resp.stream import LONG_PIPELINE
from .session import Session

if TYPE_CHECKING:
    from .machine import Machine

_JOIN: Final = b"".join
#: What came from a client, or goes to it.
Parcel = tuple[Session, bytes]


class RequestRunner:
    """Runs the requests of all sessions of one machine."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self._clock = machine.clock
        self._gate = machine.gate
        self._timer: Callable[[], int] = machine.timer

    def receive(self, session: Session, data: bytes) -> bytes:
        """Bytes from a client; returns the bytes to send back (perhaps none)."""
        session.last_request_ms = self._clock.now_ms
        session.input_bytes += len(data)
        stream = session.stream
        requests = stream.read(data)
        if session.wait is not None or session.backlog:
            session.backlog += stream.settled(requests, data)
            return self.proceed(session)
        if len(requests) == 1 and not session.outbox:
            reply = self._run_one(session, requests[0])
            if stream.exact is None and reply and not session.outbox:
                return reply
            return self.finish_turn(session, [reply] if reply else [])
        replies = self._take_outbox(session)
        if len(requests) < LONG_PIPELINE or not self.run_as_one(session, requests, replies):
            self.run_batch(session, stream.settled(requests, data), replies)
        return self.finish_turn(session, replies)

    def proceed(self, session: Session) -> bytes:
        """Run the requests that wait in the session, unless it is itself waiting for something."""
        return self.finish_turn(session, self._take_outbox(session))

    @staticmethod
    def _take_outbox(session: Session) -> list[bytes]:
        """What a client must hear before the reply to anything that is run now: late replies."""
        pushed, session.outbox = session.outbox, []
        return pushed

    def finish_turn(self, session: Session, replies: list[bytes]) -> bytes:
        """Run what is left, and see to whatever is out of the ordinary."""
        stream = session.stream
        while (
            (session.backlog or stream.unread)
            and session.wait is None
            and not session.close_after_reply
            and not session.close_now
        ):
            requests, session.backlog = session.backlog or stream.read(b""), []
            self.run_batch(session, requests, replies)
        failure = stream.failure
        if failure is not None and not session.backlog and session.wait is None:
            self._break_off(session, failure)
        if stream.pending_bytes > self._machine.config.client_query_buffer_limit:
            self._machine.log.warning(
                f"Closing client that reached max query buffer length: {session.address}"
            )
            session.close(after_reply=False)
        if session.outbox:
            replies += session.outbox
            session.outbox.clear()
        return replies[0] if len(replies) == 1 else _JOIN(replies)

    def _run_one(self, session: Session, args: list[bytes]) -> bytes:
        """The hot path of a client that waits for each reply."""
        timer = self._timer
        started = timer()
        try:
            command = session.lookup(args[0])
            if command is None or not command.low <= len(args) <= command.high:
                return self._gate.irregular(session, args)
            session.last_command = command
            statistics = command.statistics
            reply = command.function(session, args)
        except CommandError as failure:
            reply = failure.encoded()
            if not self.count_failure(command, args, failure):
                return reply
        except Exception as failure:
            return self.on_failure(session, failure, args)
        elapsed = timer() - started
        statistics.nanoseconds += elapsed
        statistics.histogram[0 if elapsed < 1000 else (elapsed // 1000).bit_length()] += 1
        return reply

    def run_batch(self, session: Session, requests: Requests, replies: list[bytes]) -> None:
        """The hot path of a pipeline.

        Time is taken when the command changes, not per request: a run of equal commands shares its
        time out evenly, and commands that may be slow time themselves (`Gate.call`).
        """
        timer = self._timer
        append = replies.append
        run = 0
        previous: Command | WrappedCommand | None = None
        started = timer()
        for index, args in enumerate(requests):
            try:
                command = session.lookup(args[0])
                if command is not previous:
                    if run and previous is not None:
                        now = timer()
                        previous.statistics.count_run(now - started, run)
                        started = now
                    previous = command
                    run = 0
                if command is None or not command.low <= len(args) <= command.high:
                    reply = self._gate.irregular(session, args)
                else:
                    reply = command.function(session, args)
                    run += 1
            except CommandError as failure:
                run += self.count_failure(command, args, failure)
                reply = failure.encoded()
            except Exception as failure:
                reply = self.on_failure(session, failure, args)
            if reply:
                append(reply)
            elif session.wait is not None or session.close_after_reply or session.close_now:
                session.backlog += requests[index + 1 :]
                break
        if previous is not None and run:
            previous.statistics.count_run(timer() - started, run)
            session.last_command = previous

    def count_failure(
        self, command: Command | WrappedCommand | None, args: list[bytes], failure: CommandError
    ) -> bool:
        """Book an error reply; False if the command was not run."""
        self._gate.count_error(failure)
        if (
            command is None
            or not command.low <= len(args) <= command.high
            or type(failure) is RefusedError
        ):
            return False
        command.statistics.failed += 1
        return True

    def run_as_one(self, session: Session, requests: Requests, replies: list[bytes]) -> bool:
        """Run a pipeline of one and the same command in one go; False when it is not such a one."""
        name = maybe_name(requests)
        command = None if name is None else session.lookup(name)
        if command is None or command.batch is None:
            return False
        started = self._timer()
        try:
            several = command.batch(session, requests)
        except Exception as failure:
            # Nobody knows how much of it was carried out, so there is no going on.
            self.log_bug(session, failure)
            replies.append(INTERNAL.encoded())
            session.close(after_reply=True)
            return True
        if several is None:
            return False
        replies.append(several.whole())
        command.statistics.count_run(self._timer() - started, len(requests))
        session.last_command = command
        return True

    def on_failure(self, session: Session, failure: Exception, args: list[bytes]) -> bytes:
        """Something other than an error reply came out of a request.

        Nothing that a client sends may get past here; a bug in a command costs its client one
        error.
        """
        if not args:
            return b""  # an empty request asks for nothing
        self.log_bug(session, failure)
        return INTERNAL.encoded()

    def log_bug(self, session: Session, failure: Exception) -> None:
        """A command is at fault, not its client."""
        self._machine.log.exception(f"A command of client {session.address} failed", failure)
        self._gate.count_error(INTERNAL)

    def _break_off(self, session: Session, failure: ProtocolError) -> None:
        """The client broke the protocol: tell it, and hang up."""
        session.stream.failure = None
        session.stream.drop()
        self._machine.log.verbose(f"{failure.text.decode('latin-1')} from client {session.address}")
        session.outbox.append(error(b"ERR " + failure.text))
        session.close(after_reply=True)
