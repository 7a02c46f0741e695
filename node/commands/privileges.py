"""Who may use the commands that `enable-debug-command` and its like keep shut."""

from ..errors import CommandError
from ..session import Session


def is_local(session: Session) -> bool:
    """Whether the client sits on this machine: a loopback address, or a unix socket."""
    address = session.address
    return address.startswith(("127.", "[::1]:")) or address.endswith(":0")


def require_enabled(session: Session, name: str, setting: str) -> None:
    """Refuse command `name` unless its directive allows it to this client."""
    if setting == "yes" or (setting == "local" and is_local(session)):
        return
    directive = f"enable-{name.lower()}-command"
    raise CommandError(
        f"ERR {name} command not allowed. If the {directive} option is set to "
        '"local", you can run it from a local connection, otherwise you need to set this option '
        "in the configuration file, and then restart the server.".encode(),
    )
