"""Tell what happens in a cluster as it happens: PFAIL, FAIL, votes, promotions, moves, members.

Until Ctrl-C, or for --seconds. With --json one line an event. It polls what the nodes see, so what
lasts less than --interval may go unseen.
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final

from .connection import fields_of
from .failures import AdminError, UnreachableError
from .happenings import VOTES_ASKED, VOTES_GIVEN, Event, Seen, events_between
from .options import add_address, open_cluster, positive
from .screen import Report, Screen, count
from .topology import Cluster, Node

_PATIENCE_S: Final = 1.0
_COLOURS: Final = {
    "pfail": "yellow",
    "fail": "red",
    "unreachable": "red",
    "uncovered": "red",
    "promoted": "green",
    "healthy": "green",
    "reachable": "green",
    "covered": "green",
    "moved": "cyan",
    "vote": "cyan",
    "election": "cyan",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_address(parser)
    parser.add_argument(
        "--interval", type=positive, default=0.2, metavar="SECONDS", help="default: %(default)g"
    )
    parser.add_argument("--seconds", type=positive, default=None, help="how long")


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Look again and again."""
    # Who hangs must not hide what happens to the others.
    options.connect_timeout = min(options.connect_timeout, _PATIENCE_S)
    cluster = open_cluster(options)
    told = 0
    try:
        picture = take_picture(cluster)
        screen.note(f"watching {count(len(picture), 'node')}; Ctrl-C ends it")
        ends_at_s = None if options.seconds is None else time.monotonic() + options.seconds
        while ends_at_s is None or time.monotonic() < ends_at_s:
            time.sleep(options.interval)
            try:
                cluster.refresh()
            except UnreachableError as failure:
                screen.note(f"  {failure.text}")
                continue
            later = take_picture(cluster)
            for event in events_between(picture, later):
                told += 1
                _tell(event, screen)
            picture = later
    except KeyboardInterrupt:
        # That is how people leave it.
        screen.note("")
    finally:
        cluster.close()
    return Report(True, {"events": told})


def _tell(event: Event, screen: Screen) -> None:
    now = datetime.now()
    if screen.is_json:
        screen.line(
            {
                "time": now.astimezone().isoformat(timespec="milliseconds"),
                "event": event.kind,
                "node": event.node,
                "text": event.text,
                "slots": event.slots,
            }
        )
        return
    clock = now.strftime("%H:%M:%S.%f")[:-3]
    screen.say(f"{clock}  {event.kind:<11}  {event.text}", _COLOURS.get(event.kind, ""))


def take_picture(cluster: Cluster) -> dict[str, Seen]:
    """What all nodes say at about one moment."""
    with ThreadPoolExecutor(16) as pool:
        return dict(
            zip((n.node_id for n in cluster.nodes), pool.map(_seen, cluster.nodes), strict=True)
        )


def _seen(node: Node) -> Seen:
    line = node.line
    if not node.is_reachable:
        return Seen(node.name, False, line.primary_id, line.slots, line.config_epoch)
    try:
        info = fields_of(node.connection.text("CLUSTER", "INFO"))
    except AdminError:
        return Seen(node.name, False, line.primary_id, line.slots, line.config_epoch)
    return Seen(
        node.name,
        True,
        line.primary_id if line.is_replica else None,
        line.slots,
        line.config_epoch,
        {other.node_id: other.health for other in node.lines.values()},
        {**line.migrating, **line.importing},
        info.get("cluster_state", ""),
        int(info.get(VOTES_ASKED, 0)),
        int(info.get(VOTES_GIVEN, 0)),
    )
