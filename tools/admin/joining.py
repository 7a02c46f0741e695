"""What `create`, `add-node` and `replicate` share: empty nodes, meeting, following.

Owns when a node is fit to join. Rules: a node that holds keys or knows others is refused, because
joining would mix two clusters; CLUSTER MEET is given addresses, never names.
"""

from collections.abc import Sequence

from attrs import frozen

from ...slots.plan_create import Address
from .connection import Connection, display, resolved
from .failures import AdminError
from .screen import Screen
from .topology import ask_lines, own_line
from .waiting import wait_until


@frozen
class Candidate:
    """A node that may join."""

    connection: Connection
    node_id: str
    bus_port: int

    @property
    def name(self) -> str:
        """`host:port`."""
        return display(self.connection.address)


def require_empty(connection: Connection) -> Candidate:
    """The node, if it is alone and empty."""
    name = display(connection.address)
    lines = ask_lines(connection)
    own = own_line(lines)
    if len(lines) > 1 or own.slots:
        raise AdminError(
            f"{name} belongs to a cluster already: it knows {len(lines) - 1} other nodes and "
            f"owns {len(own.slots)} slots",
            f"if it may leave that: redis-cli -p {connection.address.port} CLUSTER RESET HARD",
        )
    keys = connection.number("DBSIZE")
    if keys:
        raise AdminError(
            f"{name} is not empty: it holds {keys} keys",
            "move them out ('clustrio cluster import'), or FLUSHALL it if they may be lost",
        )
    return Candidate(connection, own.node_id, own.bus_port)


def meet(connection: Connection, address: Address, bus_port: int) -> None:
    """Let a node meet another."""
    words: list[str | int] = [resolved(address.host), address.port]
    # Older servers do not take the third word, so it is given only where it says something new.
    if bus_port and bus_port != address.port + 10_000:
        words.append(bus_port)
    connection.call("CLUSTER", "MEET", *words)


def wait_until_all_know(
    connections: Sequence[Connection], node_ids: set[str], timeout_s: float, screen: Screen
) -> float:
    """Wait until each of the nodes knows all of them and is linked to them."""

    def complaint() -> str:
        for connection in connections:
            lines = ask_lines(connection)
            missing = node_ids - lines.keys()
            if missing:
                return (
                    f"{display(connection.address)} knows {len(node_ids) - len(missing)} "
                    f"of {len(node_ids)} nodes"
                )
            for line in lines.values():
                if line.node_id in node_ids and not line.is_linked and "myself" not in line.flags:
                    place = f"{display(line.address)} (bus port {line.bus_port})"
                    return f"{display(connection.address)} has no link to {place}"
        return ""

    return wait_until(
        complaint,
        "all nodes know each other",
        timeout_s,
        screen,
        "the nodes must reach each other at the bus ports, mostly port + 10000: look for firewalls "
        "and at cluster-announce-ip; what was begun can go on with a second try of the command",
    )


def wait_until_following(
    connection: Connection, primary_id: str, timeout_s: float, screen: Screen
) -> float:
    """Wait until a replica has the data of its master."""

    def complaint() -> str:
        name = display(connection.address)
        own = own_line(ask_lines(connection))
        if own.primary_id != primary_id:
            return f"{name} does not follow {primary_id[:8]}"
        link = connection.info("replication").get("master_link_status")
        return "" if link == "up" else f"{name} is not in sync yet (master_link_status:{link})"

    return wait_until(
        complaint,
        "the replica is in sync",
        timeout_s,
        screen,
        "see the logs of both; masterauth and masteruser must fit, if the master has a password",
    )
