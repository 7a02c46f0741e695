"""The script or function that is being run: at most one at a time on a node.

One that runs longer than `busy-reply-threshold` makes the node busy: others are served now and
then, but get -BUSY for nearly everything, and may end it if it has not written.
"""

from typing import TYPE_CHECKING, Final

from ...slots.hashing import key_slot
from ..errors import BUSY_SCRIPT, CommandError
from ..registry import Command, Flag
from .rules import Rules

if TYPE_CHECKING:
    from ..machine import Machine
    from ..session import Session

BUSY_FUNCTION: Final = CommandError(
    b"BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
)
_NOT_BUSY: Final = CommandError(b"NOTBUSY No scripts in execution right now.")
_UNKILLABLE: Final = CommandError(
    b"UNKILLABLE Sorry the script already executed write commands against the dataset. You can "
    b"either wait the script termination or kill the server in a hard way using the SHUTDOWN "
    b"NOSAVE command."
)
_NO_RULES: Final = Rules(read_only=True, allow_oom=False, allow_cross_slot=False)


class Running:
    """What is being run, and for whom."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        #: Whose script it is; None while nothing runs.
        self.session: Session | None = None
        self.is_function = False
        #: The digest of the script, or the name of the function.
        self.name = b""
        #: The request that began it.
        self.words: list[bytes] = []
        self.rules = _NO_RULES
        self.started_ns = 0
        self.has_written = False
        self.must_stop = False
        #: Stopped because the server ends: what was done so far is told to nobody.
        self.is_abandoned = False
        #: It runs for longer than the threshold.
        self.is_late = False
        #: Nothing about node and client needs a look, so that commands go the short way.
        self.is_plain = False
        #: ASKING was said ahead of it.
        self.is_asking = False
        #: In a cluster: the slot of its keys, once one is known.
        self.slot: int | None = None

    def begin(
        self, session: "Session", name: bytes, words: list[bytes], rules: Rules, is_function: bool
    ) -> None:
        """A script starts."""
        machine = self._machine
        self.session, self.name, self.words, self.rules = session, name, words, rules
        self.is_function = is_function
        self.has_written = self.must_stop = self.is_abandoned = False
        cluster = machine.cluster
        self.is_plain = (
            cluster is None and not session.gated and not machine.keyspace.effects.observed
        )
        if cluster is not None:
            self.slot = None
            self.is_asking = cluster.is_asking
        self.started_ns = machine.timer()

    def start_in_slot_of(self, key: bytes) -> None:
        """The keys that were given are in that slot, and all others must be."""
        if self._machine.cluster is not None:
            self.slot = key_slot(key)

    def end(self) -> None:
        """It is over."""
        self.session = None
        self.words = []
        if self.is_late:
            self.is_late = False
            self._machine.gate.check_busy = None
            self._machine.require_gate("script", False)
        if self.is_abandoned:
            self._machine.keyspace.effects.take_batch()

    @property
    def elapsed_ms(self) -> int:
        """For how long it has been running."""
        return (self._machine.timer() - self.started_ns) // 1_000_000

    @property
    def busy_error(self) -> CommandError:
        """What others are told while it runs late."""
        return BUSY_FUNCTION if self.is_function else BUSY_SCRIPT

    def breathe(self) -> bool:
        """Lua asks every so often whether to stop; others are served if it takes long."""
        machine, session = self._machine, self.session
        if session is None:
            return False
        try:
            if machine.cluster is not None:
                machine.cluster.keep_alive(self.elapsed_ms)
            threshold_ms = machine.config.busy_reply_threshold
            if threshold_ms <= 0 or self.elapsed_ms < threshold_ms:
                return self.must_stop
            if not self.is_late:
                self.is_late = True
                machine.log.warning(
                    f"Slow script detected: still in execution after {self.elapsed_ms} "
                    "milliseconds. You can try killing the script using the "
                    f"{'FUNCTION' if self.is_function else 'SCRIPT'} KILL command. Script name "
                    f"is: {self.name.decode('latin-1')}."
                )
                machine.gate.check_busy = self._refuse
                machine.require_gate("script", True)
            # Others may change what decides whether that is so.
            self.is_plain = False
            machine.breathe(session)
        except Exception as failure:
            machine.log.exception("Serving others during a script failed", failure)
            return True
        return self.must_stop

    def _refuse(self, session: "Session", command: Command, args: list[bytes]) -> None:
        if Flag.ALLOW_BUSY not in command.flags:
            raise self.busy_error

    def kill(self, *, is_function: bool) -> None:
        """FUNCTION KILL or SCRIPT KILL; raises CommandError when that is not possible."""
        if not self.is_late:
            raise _NOT_BUSY
        if self.has_written:
            raise _UNKILLABLE
        if is_function is not self.is_function:
            raise self.busy_error
        self.must_stop = True

    def abandon(self) -> None:
        """The server ends now: nothing of what the script did may be seen."""
        if self.session is not None:
            self.must_stop = self.is_abandoned = True
