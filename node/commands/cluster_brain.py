"""What the files of CLUSTER share: the brain of a session's node, its answers and its views."""

from typing import Final

from ...gossip import views
from ...gossip.commands import Done, Refused, Request
from ..cluster import Cluster
from ..errors import CommandError
from ..resp.encoder import OK, Resp2, array, bulk, integer, simple
from ..session import Session

READ: Final = "stale"
CHANGE: Final = "admin no_async_loading stale"
VARYING: Final = ("nondeterministic_output",)
_DISABLED: Final = CommandError(b"ERR This instance has cluster support disabled")


def cluster_of(session: Session) -> Cluster:
    """The cluster side of a session's node."""
    cluster = session.machine.cluster
    if cluster is None:
        raise _DISABLED
    return cluster


def carry_out(session: Session, request: Request) -> bytes:
    """Have the brain do something, and word its answer."""
    answer = cluster_of(session).command(request)
    if isinstance(answer, Refused):
        raise CommandError(b"ERR " + answer.text.encode())
    value = answer.value if isinstance(answer, Done) else None
    if value is None:
        return OK
    return integer(value) if isinstance(value, int) else simple(value.encode())


def encode_view(encoder: Resp2, view: views.View) -> bytes:
    """A view of the brain as a reply."""
    if view is None:
        return encoder.null
    if isinstance(view, int):
        return integer(view)
    if isinstance(view, str):
        return bulk(view.encode())
    if isinstance(view, list):
        return array([encode_view(encoder, item) for item in view])
    pairs = [bulk(name.encode()) + encode_view(encoder, value) for name, value in view.items()]
    return encoder.map_header(len(pairs)) + b"".join(pairs)


def node_id_from(text: bytes) -> str:
    """The id of a node, perhaps of none that is known."""
    return text.decode("latin-1")
