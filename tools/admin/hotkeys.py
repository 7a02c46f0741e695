"""Find the most used keys of the whole cluster, by the counters that an LFU policy keeps."""

import argparse

from .failures import AdminError
from .options import add_address, add_scanning, open_cluster
from .scanning import Leaders, scanned
from .screen import Json, Report, Screen, count


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_address(parser)
    add_scanning(parser, 20, "how many")


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Scan, ask for the counters, tell."""
    cluster = open_cluster(options)
    hottest = Leaders(options.top)
    seen = 0
    try:
        for node, keys in scanned(
            cluster, screen, "scanning", keys_at_once=options.keys_at_once, pause_s=options.pause
        ):
            replies = node.connection.replies([("OBJECT", "FREQ", key) for key in keys])
            for key, reply in zip(keys, replies, strict=True):
                if isinstance(reply, Exception) and "LFU" in str(reply):
                    raise AdminError(
                        f"{node.name} does not count how often keys are used",
                        "set maxmemory-policy to allkeys-lfu or volatile-lfu for a while: "
                        f"clustrio cluster call {node.name} CONFIG SET maxmemory-policy "
                        "allkeys-lfu",
                    )
                if isinstance(reply, int):
                    seen += 1
                    hottest.add(reply, key, node.name)
    finally:
        cluster.close()
    ordered = hottest.ordered()
    for counter, key, place in ordered:
        screen.say(f"{counter:>4}  {key.decode(errors='backslashreplace')}  ({place})")
    screen.say(f"{count(seen, 'key')} seen; the counter is logarithmic, from 0 to 255")
    rows: list[Json] = [
        {"key": key.decode(errors="backslashreplace"), "counter": counter, "node": place}
        for counter, key, place in ordered
    ]
    return Report(True, {"keys": seen, "hottest": rows})
