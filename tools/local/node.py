"""One node of a local cluster, as its user sees it.

Owns the connection over which a node is asked about itself: straight to its own port, past the
relay, so that a fault on a link is never in the way of the question.
"""

import threading
from collections.abc import Mapping

from ..bench.clusters import Line, parse_nodes
from ..wire import Argument, Caller, Reply
from .engine import Engine
from .errors import NodeDownError
from .shape import HOST, LOG_FILE, NodePlan

_ASK_TIMEOUT_S = 5.0


class Node:
    """A node and how it fares."""

    def __init__(self, plan: NodePlan, engine: Engine) -> None:
        self._plan = plan
        self._engine = engine
        self._caller: Caller | None = None
        self._lock = threading.Lock()
        #: Whether it was started and neither killed nor stopped by us since.
        self.is_wanted = False
        self.is_paused = False

    def __repr__(self) -> str:
        return f"<node {self.index} at {self.address}>"

    @property
    def index(self) -> int:
        """Its number, from 0; masters come first."""
        return self._plan.index

    @property
    def port(self) -> int:
        """The port that clients use."""
        return self._plan.ports.announced_port

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """For clients that take a URL."""
        return f"redis://{self.address}"

    @property
    def pid(self) -> int:
        """The process that it runs in."""
        return self._engine.pid(self.index)

    @property
    def node_id(self) -> str:
        """The id that it was planned with."""
        return self._plan.node_id

    @property
    def is_running(self) -> bool:
        """Whether it was not killed, and did not end by itself."""
        return self.is_wanted and self._engine.is_alive(self.index)

    @property
    def is_up(self) -> bool:
        """Whether it can be asked."""
        return self.is_wanted and not self.is_paused

    def call(self, *arguments: Argument) -> Reply:
        """Send it a command; raises CallError for an error reply, OSError if it is gone."""
        if not self.is_up:
            raise NodeDownError(f"{self} is {'paused' if self.is_paused else 'down'}")
        with self._lock:
            if self._caller is None:
                self._caller = Caller(self._plan.ports.port, _ASK_TIMEOUT_S)
            try:
                return self._caller.call(*arguments)
            except OSError:
                self._hang_up()
                raise

    def text(self, *arguments: Argument) -> str:
        """Send a command whose reply is a text."""
        reply = self.call(*arguments)
        if not isinstance(reply, bytes):
            raise NodeDownError(f"{self} answers {reply!r}, which is no text")
        return reply.decode(errors="replace")

    def lines(self) -> dict[str, Line]:
        """CLUSTER NODES by id."""
        return parse_nodes(self.text("CLUSTER", "NODES"))

    def cluster_info(self) -> Mapping[str, str]:
        """CLUSTER INFO."""
        return _fields(self.text("CLUSTER", "INFO"))

    def info(self, section: str) -> Mapping[str, str]:
        """INFO."""
        return _fields(self.text("INFO", section))

    def log(self) -> str:
        """What it has written to its log."""
        path = self._plan.folder / LOG_FILE
        return path.read_text(errors="replace") if path.exists() else ""

    def hang_up(self) -> None:
        """Forget the connection: the node goes away or stands still."""
        with self._lock:
            self._hang_up()

    def _hang_up(self) -> None:
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.close()


def _fields(text: str) -> Mapping[str, str]:
    rows = (row.partition(":") for row in text.splitlines() if ":" in row)
    return {name: value.strip() for name, _, value in rows}
