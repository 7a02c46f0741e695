"""What the node remembers of one client between its requests.

A session never touches a socket. Replies to the running request are returned; everything else that
the client must get (pub/sub messages, invalidations, the late reply of a blocked command) is put
into `outbox` through `push`, and the runtime sends it.
"""

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from .resp.encoder import RESP2, RESP3, Resp2
from .resp.stream import RequestStream

if TYPE_CHECKING:
    from .acl.users import User
    from .database import Database
    from .dispatch import WrappedCommand
    from .machine import Machine
    from .registry import Command


class ReplyMode(Enum):
    """CLIENT REPLY: whether this client wants to hear answers."""

    ON = "on"
    OFF = "off"
    SKIP = "skip"


class ClientKind(Enum):
    """What kind of peer this is: output limits and CLIENT KILL TYPE go by it."""

    NORMAL = "normal"
    REPLICA = "replica"
    PUBSUB = "pubsub"
    MASTER = "master"


class Wait:
    """Why a session does not read its next request: it is blocked or postponed.

    Blocked commands subclass or fill this: `deadline_ms` is Unix time (None: for ever),
    `on_timeout` gives the reply that a time-out earns, `release` frees whatever the waiting holds.
    """

    __slots__ = ("deadline_ms", "on_timeout", "reason", "release")

    def __init__(
        self,
        reason: str,
        deadline_ms: int | None,
        on_timeout: Callable[[], bytes],
        release: Callable[[], None],
    ) -> None:
        self.reason = reason
        self.deadline_ms = deadline_ms
        self.on_timeout = on_timeout
        self.release = release

    def __lt__(self, other: "Wait") -> bool:
        # Waits stand in a heap by their deadlines; of equal ones either may be the first.
        return False


class Session:
    """One client."""

    __slots__ = (
        "account",
        "address",
        "asking",
        "authenticated",
        "backlog",
        "close_after_reply",
        "close_now",
        "created_ms",
        "db",
        "descriptor",
        "encoder",
        "features",
        "flags",
        "gated",
        "id",
        "input_bytes",
        "kind",
        "last_command",
        "last_request_ms",
        "library_name",
        "library_version",
        "local_address",
        "lookup",
        "machine",
        "may_block",
        "name",
        "no_evict",
        "no_touch",
        "outbox",
        "output_bytes",
        "over_soft_limit_since_ms",
        "queue",
        "queue_broken",
        "readonly",
        "reply_mode",
        "sent_bytes",
        "stream",
        "transport",
        "uses_tls",
        "wait",
        "written_offset",
    )

    def __init__(self, machine: "Machine", session_id: int, database: "Database") -> None:
        self.machine = machine
        self.id = session_id
        self.db = database
        self.encoder: Resp2 = RESP2
        #: name -> Command, plain or gated; see `dispatch`.
        self.lookup: Callable[[bytes], Command | WrappedCommand | None] = machine.gate.plain.get
        #: Something about this client needs the full gate.
        self.gated = False
        self.stream: RequestStream = machine.new_stream()
        #: Requests that arrived while the session waits for something.
        self.backlog: list[list[bytes]] = []
        #: Bytes for the client that are no direct reply; the runtime takes them.
        self.outbox: list[bytes] = []
        #: How much output the runtime could not hand to the kernel yet.
        self.output_bytes = 0
        self.over_soft_limit_since_ms: int | None = None
        self.authenticated = True
        #: Whose rights this client has.
        self.account: User = machine.accounts.default
        self.name = b""
        #: The number of the socket, for CLIENT LIST; the runtime knows it.
        self.descriptor = -1
        self.library_name = b""
        self.library_version = b""
        self.address = ""
        self.local_address = ""
        self.kind = ClientKind.NORMAL
        self.flags: set[str] = set()
        self.created_ms = machine.clock.now_ms
        self.last_request_ms = self.created_ms
        self.last_command: Command | WrappedCommand | None = None
        self.input_bytes = 0
        self.sent_bytes = 0
        self.reply_mode = ReplyMode.ON
        self.close_after_reply = False
        self.close_now = False
        self.no_evict = False
        self.no_touch = False
        #: Cluster: READONLY was said; ASKING was said just before.
        self.readonly = False
        self.asking = False
        #: MULTI: the queued requests, or None outside a transaction.
        self.queue: list[tuple[Command, list[bytes]]] | None = None
        self.queue_broken = False
        #: Inside a transaction or a script nothing can block: the command acts as if its time were
        #: up.
        self.may_block = True
        self.wait: Wait | None = None
        #: Where the replication stream was after the last write of this client.
        self.written_offset = 0
        #: Room for the state of features (pub/sub, tracking, ...), by feature name.
        self.features: dict[str, Any] = {}
        #: The runtime's own end of this client; opaque here.
        self.transport: Any = None
        #: The client came by the TLS port, and wants to hear of such ports.
        self.uses_tls = False

    @property
    def user(self) -> bytes:
        """The name of the user that this client is."""
        return self.account.name

    @property
    def resp3(self) -> bool:
        """Whether the client said HELLO 3."""
        return self.encoder is RESP3

    def use_protocol(self, version: int) -> None:
        """Speak RESP2 or RESP3 from now on."""
        self.encoder = RESP3 if version == 3 else RESP2

    def push(self, data: bytes) -> None:
        """Send something outside the order of request and reply."""
        self.outbox.append(data)
        self.machine.awaken(self)

    def select(self, index: int) -> None:
        """Use another database."""
        self.db = self.machine.keyspace.database(index)

    def close(self, *, after_reply: bool) -> None:
        """End this connection, at once or when the reply has left."""
        if after_reply:
            self.close_after_reply = True
        else:
            self.close_now = True
            self.machine.awaken(self)
