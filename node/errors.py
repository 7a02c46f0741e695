"""Every error that a client can be sent, worded once.

A command that cannot do what it was asked raises `CommandError`; the dispatcher turns it into an
error reply. The first word is the code that clients switch on, so it is part of the text.
"""


class CommandError(Exception):
    """An error reply on its way to the client: `text` holds everything between `-` and CRLF."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text

    def encoded(self) -> bytes:
        """The reply as RESP bytes; line breaks cannot get out of the error line.

        Errors that are raised again and again are one object each, which Python would have remember
        every frame that it ever passed, with all that these held.
        """
        self.__traceback__ = self.__context__ = None
        return b"-" + self.text.replace(b"\r", b" ").replace(b"\n", b" ") + b"\r\n"


class ProtocolError(Exception):
    """The client broke the protocol: it gets `text` as an error and loses its connection."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


WRONG_TYPE = CommandError(b"WRONGTYPE Operation against a key holding the wrong kind of value")
SYNTAX = CommandError(b"ERR syntax error")
NOT_AN_INTEGER = CommandError(b"ERR value is not an integer or out of range")
NOT_AN_INT = CommandError(
    b"ERR value is out of range, value must between -2147483648 and 2147483647",
)
NOT_A_FLOAT = CommandError(b"ERR value is not a valid float")
OUT_OF_RANGE = CommandError(b"ERR value is out of range")
MUST_BE_POSITIVE = CommandError(b"ERR value is out of range, must be positive")
NO_SUCH_KEY = CommandError(b"ERR no such key")
INDEX_OUT_OF_RANGE = CommandError(b"ERR index out of range")
OFFSET_OUT_OF_RANGE = CommandError(b"ERR offset is out of range")
NUMKEYS_NOT_POSITIVE = CommandError(b"ERR numkeys should be greater than 0")
COUNT_NOT_POSITIVE = CommandError(b"ERR count should be greater than 0")
COUNT_OPTION_NOT_POSITIVE = CommandError(b"ERR COUNT must be > 0")
COUNT_OUT_OF_RANGE = CommandError(
    b"ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
)
LIMIT_NEGATIVE = CommandError(b"ERR LIMIT can't be negative")
SAME_OBJECT = CommandError(b"ERR source and destination objects are the same")
DB_OUT_OF_RANGE = CommandError(b"ERR DB index is out of range")
INVALID_DB_INDEX = CommandError(b"ERR invalid DB index")
TIMEOUT_NOT_A_FLOAT = CommandError(b"ERR timeout is not a float or out of range")
TIMEOUT_NOT_AN_INTEGER = CommandError(b"ERR timeout is not an integer or out of range")
TIMEOUT_OUT_OF_RANGE = CommandError(b"ERR timeout is out of range")
TIMEOUT_NEGATIVE = CommandError(b"ERR timeout is negative")
STRING_TOO_LONG = CommandError(
    b"ERR string exceeds maximum allowed size (proto-max-bulk-len)",
)
INCREMENT_OVERFLOW = CommandError(b"ERR increment or decrement would overflow")
NAN_OR_INFINITY = CommandError(b"ERR increment would produce NaN or Infinity")
NO_AUTH = CommandError(b"NOAUTH Authentication required.")
OUT_OF_MEMORY = CommandError(b"OOM command not allowed when used memory > 'maxmemory'.")
LOADING = CommandError(b"LOADING Redis is loading the dataset in memory")
EXEC_ABORT = CommandError(b"EXECABORT Transaction discarded because of previous errors.")
BUSY_SCRIPT = CommandError(
    b"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
)
MASTER_DOWN = CommandError(
    b"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
)
READ_ONLY_REPLICA = CommandError(b"READONLY You can't write against a read only replica.")
REPLICA_AND_DATA = CommandError(b"ERR Replica can't interact with the keyspace")
NOT_ENOUGH_REPLICAS = CommandError(b"NOREPLICAS Not enough good replicas to write.")
MISCONF_SNAPSHOT = CommandError(
    b"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to "
    b"disk. Commands that may modify the data set are disabled, because this instance is "
    b"configured to report errors during writes if RDB snapshotting fails "
    b"(stop-writes-on-bgsave-error option). Please check the Redis logs for details about the "
    b"RDB error.",
)
CROSS_SLOT = CommandError(b"CROSSSLOT Keys in request don't hash to the same slot")
NO_SCRIPT = CommandError(b"NOSCRIPT No matching script. Please use EVAL.")
NO_MULTI_HERE = CommandError(b"ERR Command not allowed inside a transaction")
BUSY_KEY = CommandError(b"BUSYKEY Target key name already exists.")
INTERNAL = CommandError(b"ERR internal error: the command failed, see the server's log")


def as_c_string(text: bytes) -> bytes:
    """What C would print of foreign text in an error: nothing from a NUL on."""
    return text.split(b"\0", 1)[0]


def wrong_arity(name: str) -> CommandError:
    """The command or sub-command (`client|list`) got too few or too many arguments."""
    return CommandError(b"ERR wrong number of arguments for '%b' command" % name.lower().encode())


def invalid_expire_time(name: bytes) -> CommandError:
    """The command was given a lifetime that no clock reaches."""
    return CommandError(b"ERR invalid expire time in '%b' command" % name.lower())


def unknown_command(args: list[bytes]) -> CommandError:
    """Nobody here goes by that name; Redis repeats at most 128 bytes of name and of arguments."""
    shown = b""
    for argument in args[1:]:
        if len(shown) >= 128:
            break
        shown += b"'" + as_c_string(argument)[: 128 - len(shown)] + b"' "
    name = as_c_string(args[0])[:128]
    return CommandError(b"ERR unknown command '%b', with args beginning with: %b" % (name, shown))


def unknown_subcommand(container: str, name: bytes) -> CommandError:
    """A known command, but no such sub-command; four client libraries live by this text."""
    return CommandError(
        b"ERR unknown subcommand '%b'. Try %b HELP."
        % (as_c_string(name)[:128], container.upper().encode()),
    )


def unknown_form(container: str, name: bytes) -> CommandError:
    """A known sub-command, maybe, but not with these words behind it."""
    return CommandError(
        b"ERR unknown subcommand or wrong number of arguments for '%b'. Try %b HELP."
        % (as_c_string(name)[:128], container.encode()),
    )
