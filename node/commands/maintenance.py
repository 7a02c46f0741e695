"""CLIENT MAINT_NOTIFICATIONS: a client asks to be told of slot moves (`node/maintenance.py`)."""

from ..errors import SYNTAX, CommandError
from ..registry import command
from ..resp.encoder import OK
from ..session import Session

_OPTION = b"MOVING-ENDPOINT-TYPE"
_ENDPOINT_TYPES = (b"none", b"internal-ip", b"internal-fqdn", b"external-ip", b"external-fqdn")


@command(
    "CLIENT MAINT_NOTIFICATIONS",
    group="connection",
    since="8.0.0",
    arity=-3,
    flags="noscript loading stale",
    args="ON|OFF [MOVING-ENDPOINT-TYPE endpoint-type:string]",
)
def maint_notifications(session: Session, args: list[bytes]) -> bytes:
    """Tells this client from now on (or no more) when slots move."""
    endpoint_type = b"none"
    if len(args) > 3:
        if len(args) != 5 or args[3].upper() != _OPTION:
            raise SYNTAX
        endpoint_type = args[4].lower()
        if endpoint_type not in _ENDPOINT_TYPES:
            raise CommandError(b"ERR Unknown moving endpoint type")
    maintenance = session.machine.maintenance
    switch = args[2].upper()
    if switch == b"ON":
        if not session.resp3:
            raise CommandError(b"ERR Maintenance notifications are pushes, which need RESP3")
        maintenance.listen(session, endpoint_type)
    elif switch == b"OFF":
        maintenance.ignore(session)
    else:
        raise SYNTAX
    return OK
