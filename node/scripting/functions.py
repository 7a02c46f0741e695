"""Libraries of functions: `machine.functions`.

A library is loaded as a whole or not at all: its code runs once in a Lua world that all libraries
share, and registers functions, which FCALL finds by their name in any case of letters. Libraries
are data: they go into snapshots and to replicas, and FUNCTION DUMP and RESTORE carry them as RDB
has them.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from attrs import frozen

from ..errors import CommandError
from ..persistence.rdb import CorruptSnapshotError, PayloadSealError
from ..persistence.rdb.payload import decode_functions_untrusted, encode_functions
from .names import BAD_NAME, is_name
from .rules import Declaration, Rules
from .shebang import read_library

if TYPE_CHECKING:
    from ..machine import Machine
    from .interpreter import Interpreter

#: A client's library must be ready after so long.
LOAD_LIMIT_MS: Final = 500
ENGINE: Final = b"LUA"
#: What one library takes beside its code, and one function, about.
_LIBRARY_BYTES: Final = 300
_FUNCTION_BYTES: Final = 150
_BAD_SEAL: Final = b"ERR DUMP payload version or checksum are wrong"


@frozen
class Function:
    """One function."""

    name: bytes
    callback: object
    description: bytes | None
    declaration: Declaration
    rules: Rules
    #: The rules when FCALL_RO runs it.
    read_only_rules: Rules


@frozen
class Library:
    """One library."""

    name: bytes
    #: All of it, as it was sent.
    code: bytes
    functions: dict[bytes, Function]


class Functions:
    """The libraries of one node, or of a set that may become its own; Lua starts with the first."""

    def __init__(self, machine: "Machine", interpreter: "Interpreter | None" = None) -> None:
        self._machine = machine
        self._interpreter = interpreter
        self.libraries: dict[bytes, Library] = {}
        self._by_name: dict[bytes, Function] = {}

    def __len__(self) -> int:
        """How many functions there are."""
        return len(self._by_name)

    @property
    def interpreter(self) -> "Interpreter":
        """The Lua world of functions."""
        if self._interpreter is None:
            running = self._machine.scripts.running
            # Loading Lua takes time that a start without scripts need not spend.
            from .interpreter import Interpreter

            self._interpreter = Interpreter(self._machine, running, for_functions=True)
        return self._interpreter

    @property
    def lua_bytes(self) -> int:
        """What Lua has allocated for functions."""
        return 0 if self._interpreter is None else self._interpreter.memory_bytes

    @property
    def size_bytes(self) -> int:
        """What the libraries take outside Lua."""
        return sum(
            len(library.code) + _LIBRARY_BYTES + _FUNCTION_BYTES * len(library.functions)
            for library in self.libraries.values()
        )

    def maybe_find(self, name: bytes) -> Function | None:
        """The function of that name."""
        return self._by_name.get(name) or self._by_name.get(name.lower())

    def sources(self) -> list[bytes]:
        """The code of all libraries, for snapshots."""
        return [library.code for library in self.libraries.values()]

    # --- changing ----------------------------------------------------------------------------

    def load(self, code: bytes, replace: bool = False, *, is_limited: bool = False) -> bytes:
        """Add a library; returns its name. Raises CommandError, and has changed nothing then."""
        engine, name, text = read_library(code)
        if not is_name(name):
            raise BAD_NAME
        if engine.upper() != ENGINE:
            raise CommandError(b"ERR Engine '%b' not found" % engine)
        if name in self.libraries and not replace:
            raise CommandError(b"ERR Library '%b' already exists" % name)
        library = self._loaded(name, code, text, is_limited)
        self._refuse_names([library], without={name})
        self._unlink(name)
        self._link(library)
        return name

    def load_stored(self, code: bytes) -> bytes:
        """Add a library that a snapshot holds, or take it for the one that is here."""
        return self.load(code, replace=True)

    def _loaded(self, name: bytes, code: bytes, text: bytes, is_limited: bool) -> Library:
        registered = self.interpreter.load_library(text, LOAD_LIMIT_MS if is_limited else None)
        if not registered:
            raise CommandError(b"ERR No functions registered")
        functions: dict[bytes, Function] = {}
        for each in registered:
            declaration = Declaration(each.flags)
            functions[each.name] = Function(
                each.name,
                each.callback,
                each.description,
                declaration,
                declaration.rules(read_only=False),
                declaration.rules(read_only=True),
            )
        return Library(name, code, functions)

    def _refuse_names(self, newcomers: Iterable[Library], without: set[bytes]) -> None:
        """No two libraries may have functions of the same name."""
        taken = {
            function.lower()
            for library in self.libraries.values()
            if library.name not in without
            for function in library.functions
        }
        for library in newcomers:
            for function in library.functions:
                if function.lower() in taken:
                    raise CommandError(b"ERR Function %b already exists" % function)

    def _link(self, library: Library) -> None:
        self.libraries[library.name] = library
        for name, function in library.functions.items():
            self._by_name.setdefault(name.lower(), function)

    def _unlink(self, name: bytes) -> None:
        library = self.libraries.pop(name, None)
        if library is not None:
            for function in library.functions:
                self._by_name.pop(function.lower(), None)

    def delete(self, name: bytes) -> bool:
        """Remove a library; False if there is none of that name."""
        is_known = name in self.libraries
        self._unlink(name)
        return is_known

    def clear(self) -> None:
        """Remove all libraries, and the Lua world with them."""
        self.libraries.clear()
        self._by_name.clear()
        if self._machine.scripts.running.session is None:
            self._interpreter = None

    # --- sets --------------------------------------------------------------------------------

    def new_set(self) -> "Functions":
        """An empty set of libraries, to be filled and then taken over."""
        return Functions(self._machine, self.interpreter)

    def become(self, other: "Functions") -> None:
        """Have the libraries of that set, and no others."""
        self._interpreter = other._interpreter
        self.libraries = dict(other.libraries)
        self._by_name = dict(other._by_name)

    def join(self, other: "Functions", *, replace: bool) -> None:
        """Have the libraries of that set, too; raises CommandError and changes nothing."""
        known = self.libraries.keys() & other.libraries.keys()
        if known and not replace:
            first = next(name for name in other.libraries if name in known)
            raise CommandError(b"ERR Library %b already exists" % first)
        self._refuse_names(other.libraries.values(), without=known)
        for name in known:
            self._unlink(name)
        for library in other.libraries.values():
            self._link(library)

    def dump(self) -> bytes:
        """All libraries as FUNCTION RESTORE takes them."""
        return encode_functions(self.sources(), compress=self._machine.config.rdbcompression)

    def read_untrusted(self, payload: bytes) -> "Functions":
        """The set that a payload holds; raises CommandError."""
        try:
            codes = decode_functions_untrusted(payload)
        except PayloadSealError:
            raise CommandError(_BAD_SEAL) from None
        except CorruptSnapshotError as failure:
            raise CommandError(b"ERR " + failure.reason.encode()) from None
        read = self.new_set()
        for code in codes:
            read.load(code)
        return read
