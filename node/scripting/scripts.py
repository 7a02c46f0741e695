"""The scripts that clients sent: compiled once, found again by the SHA-1 of their text."""

import hashlib
from typing import TYPE_CHECKING

from attrs import frozen

from ..errors import CommandError
from ..registry import Command
from .rules import Declaration, Rules, StandIns
from .running import Running
from .shebang import read_script

if TYPE_CHECKING:
    from ..machine import Machine
    from .interpreter import Interpreter

#: What one script takes beside its text, about.
_OVERHEAD_BYTES = 120


@frozen
class Script:
    """One script."""

    sha: bytes
    chunk: object
    size_bytes: int
    declaration: Declaration
    rules: Rules
    #: The rules when a command that must not write runs it.
    read_only_rules: Rules


class Scripts:
    """The scripts of one node; Lua starts with the first."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self._interpreter: Interpreter | None = None
        self._by_sha: dict[bytes, Script] = {}
        self._by_text: dict[bytes, Script] = {}
        self._stand_ins = StandIns()
        #: What is being run, function or script.
        self.running = Running(machine)

    def __len__(self) -> int:
        return len(self._by_sha)

    @property
    def interpreter(self) -> "Interpreter":
        """The Lua world of scripts."""
        if self._interpreter is None:
            # Loading Lua takes time that a start without scripts need not spend.
            from .interpreter import Interpreter

            self._interpreter = Interpreter(self._machine, self.running, for_functions=False)
        return self._interpreter

    @property
    def lua_bytes(self) -> int:
        """What Lua has allocated for scripts."""
        return 0 if self._interpreter is None else self._interpreter.memory_bytes

    @property
    def size_bytes(self) -> int:
        """What the texts take."""
        return sum(script.size_bytes + _OVERHEAD_BYTES for script in self._by_sha.values())

    def maybe_find(self, sha: bytes) -> Script | None:
        """The script of that digest."""
        return self._by_sha.get(sha) or self._by_sha.get(sha.lower())

    def load(self, text: bytes) -> Script:
        """The script of that text, compiled now unless it is known."""
        known = self._by_text.get(text)
        if known is not None:
            return known
        declaration, body = read_script(text)
        script = Script(
            hashlib.sha1(text, usedforsecurity=False).hexdigest().encode(),
            self.interpreter.compile(body),
            len(text),
            declaration,
            declaration.rules(read_only=False),
            declaration.rules(read_only=True),
        )
        self._by_sha[script.sha] = self._by_text[text] = script
        return script

    def clear(self) -> None:
        """Forget all scripts, and the Lua world with them."""
        if self.running.session is not None:
            return
        self._by_sha.clear()
        self._by_text.clear()
        self._interpreter = None

    # --- the gate ----------------------------------------------------------------------------

    def as_declared(self, command: Command, args: list[bytes]) -> Command:
        """A command of the scripting group, with the flags of what it would run."""
        declaration = self._declaration(command.full_name, args)
        return command if declaration is None else self._stand_ins.get(command, declaration)

    def _declaration(self, name: str, args: list[bytes]) -> Declaration | None:
        if name in ("fcall", "fcall_ro"):
            function = self._machine.functions.maybe_find(args[1])
            return None if function is None else function.declaration
        if name in ("evalsha", "evalsha_ro"):
            script = self.maybe_find(args[1])
        elif name in ("eval", "eval_ro"):
            script = self._by_text.get(args[1])
        else:
            return None
        if script is not None:
            return script.declaration
        try:
            return read_script(args[1])[0]
        except CommandError:
            return None
