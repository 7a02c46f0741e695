"""`clustrio up`: start a local cluster, and watch it until Ctrl-C or leave it running.

Owns the options. Exit codes: 0 all is well, 1 the cluster did not start, 2 wrong usage.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..local.cluster import PROCESSES, LocalCluster
from ..local.errors import LocalClusterError
from .state import DEFAULT_NAME, ClusterState, StateError, is_alive, state_path, write_state


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clustrio up",
        description="Start a local cluster; returns, or begins to show it, once every node serves.",
    )
    parser.add_argument("--masters", type=int, default=3, metavar="N")
    parser.add_argument("--replicas", type=int, default=1, metavar="N", help="of each master")
    parser.add_argument(
        "--port", default="auto", help="the first of a row of ports (default: free ones)"
    )
    parser.add_argument("--dir", default=None, help="keep the nodes' files there")
    parser.add_argument(
        "--server", default=None, metavar="COMMAND", help="run this, such as redis-server, instead"
    )
    parser.add_argument(
        "--mix",
        action="store_true",
        help="run --server for every other node, Clustrio for the rest",
    )
    parser.add_argument("--node-timeout", type=int, default=2000, metavar="MS")
    parser.add_argument("--name", default=DEFAULT_NAME, help="to tell several clusters apart")
    parser.add_argument(
        "--detach", action="store_true", help="leave it running, until clustrio down"
    )
    parser.add_argument("--json", action="store_true", help="say where it is as JSON")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="DIRECTIVE=VALUE",
        help="a directive for every node; may be given again",
    )
    return parser


def _cluster(options: argparse.Namespace, parser: argparse.ArgumentParser) -> LocalCluster:
    if options.mix and options.server is None:
        parser.error("--mix needs --server")
    if options.port != "auto" and not options.port.isdigit():
        parser.error("--port is a number, or auto")
    directives = {}
    for text in options.set:
        name, equals, value = text.partition("=")
        if not equals:
            parser.error(f"--set needs DIRECTIVE=VALUE, not {text!r}")
        directives[name] = value
    return LocalCluster(
        options.masters,
        options.replicas,
        mode=PROCESSES,
        server=options.server,
        mix=options.mix,
        port=None if options.port == "auto" else int(options.port),
        folder=options.dir,
        node_timeout_ms=options.node_timeout,
        relayed=False,
        options=directives,
    )


def main(arguments: Sequence[str]) -> int:
    """The subcommand."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        path = state_path(options.name)
        cluster = _cluster(options, parser)
        started_s = time.monotonic()
        if options.detach:
            if is_alive(path):
                raise StateError(f"a cluster named {options.name!r} runs already: clustrio down")
            path.parent.mkdir(parents=True, exist_ok=True)
            cluster.start_detached(path)
            _announce(cluster, options, time.monotonic() - started_s)
            _leave(cluster, options.name, path)
            return 0
        return _attend(cluster, options, started_s)
    except (LocalClusterError, StateError) as failure:
        print(f"clustrio up: {failure}", file=sys.stderr)
        return 1


def _attend(cluster: LocalCluster, options: argparse.Namespace, started_s: float) -> int:
    """Stay with the cluster until Ctrl-C or SIGTERM."""

    from .live import watch

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        with cluster:
            _announce(cluster, options, time.monotonic() - started_s)
            watch(cluster)
    except KeyboardInterrupt:
        return 0
    return 0


def _announce(cluster: LocalCluster, options: argparse.Namespace, seconds: float) -> None:
    if options.json:
        nodes = [
            {
                "host": host,
                "port": port,
                "role": "replica" if index >= cluster.masters else "master",
            }
            for index, (host, port) in enumerate(cluster.addresses)
        ]
        print(json.dumps({"name": options.name, "url": cluster.url, "nodes": nodes}))
    else:
        ports = " ".join(str(node.port) for node in cluster.nodes)
        print(f"{len(cluster.nodes)} nodes serve after {seconds:.2f} s at ports {ports}")
        print(f"  redis-cli -c -p {cluster.nodes[0].port}")
        if options.detach:
            name = "" if options.name == DEFAULT_NAME else f" --name {options.name}"
            print(f"  clustrio status{name}; clustrio down{name}")
    sys.stdout.flush()


def _leave(cluster: LocalCluster, name: str, path: Path) -> None:
    ports = [node.port for node in cluster.nodes]
    state = ClusterState(
        name, cluster.supervisor_pid, str(cluster.folder.path), ports, cluster.masters
    )
    write_state(path, state)
    cluster.detach()
