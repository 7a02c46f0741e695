"""The options that subcommands share, and what they mean.

Owns the words: those of `redis-cli --cluster` are accepted everywhere beside our own, and both the
older and the newer names of roles.
"""

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from typing import Final

from ...slots.plan_create import Address
from .connection import Access, Tls, parse_address, password_from_environment
from .failures import UsageError
from .moving import MoveOptions
from .topology import Cluster

_TIMEOUT_S: Final = 60.0
_ANSWER_TIMEOUT_S: Final = 10.0


def add_connection(parser: argparse.ArgumentParser) -> None:
    """How to get in."""
    group = parser.add_argument_group("connection")
    group.add_argument("--user", help="an ACL user")
    group.add_argument("-a", "--pass", dest="password", help="better: REDISCLI_AUTH")
    group.add_argument("--askpass", action="store_true", help="ask for the password")
    group.add_argument("--tls", action="store_true")
    group.add_argument("--cacert", metavar="FILE")
    group.add_argument("--cacertdir", metavar="DIRECTORY")
    group.add_argument("--cert", metavar="FILE")
    group.add_argument("--key", metavar="FILE")
    group.add_argument("--sni", metavar="NAME", help="also what the certificate must be for")
    group.add_argument("--insecure", action="store_true", help="trust any certificate")
    group.add_argument(
        "--connect-timeout",
        type=positive,
        default=_ANSWER_TIMEOUT_S,
        metavar="SECONDS",
        help="for each answer (default: %(default)g)",
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """How to tell."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="one JSON document on stdout")
    group.add_argument("--quiet", action="store_true", help="no notes and bars on stderr")


def add_address(parser: argparse.ArgumentParser) -> None:
    """Any node of the cluster."""
    parser.add_argument(
        "address",
        nargs="*",
        metavar="HOST:PORT",
        help="any node of the cluster (default: REDIS_URL, or what 'clustrio up' left running)",
    )


def add_timeout(parser: argparse.ArgumentParser, default_s: float = _TIMEOUT_S) -> None:
    """How long to wait for the cluster."""
    parser.add_argument(
        "--timeout",
        type=positive,
        default=default_s,
        metavar="SECONDS",
        help="bound of each wait for the cluster (default: %(default)g)",
    )


def add_action(parser: argparse.ArgumentParser) -> None:
    """For what changes the cluster."""
    parser.add_argument("--yes", "-y", "--cluster-yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--dry-run", "--cluster-simulate", action="store_true", help="show the plan, change nothing"
    )
    add_timeout(parser)


def add_scanning(parser: argparse.ArgumentParser, top: int, top_help: str) -> None:
    """For what reads all keys, and shows a few."""
    parser.add_argument("--top", type=whole, default=top, metavar="N", help=top_help)
    parser.add_argument("--keys-at-once", type=whole, default=200, metavar="N")
    parser.add_argument(
        "--pause",
        type=positive,
        default=0.0,
        metavar="SECONDS",
        help="between two steps of the scan",
    )


def add_migrate(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    """For what sends MIGRATE."""
    parser.add_argument(
        "--pipeline",
        "--cluster-pipeline",
        type=whole,
        default=100,
        metavar="KEYS",
        help="keys in one MIGRATE (default: %(default)s)",
    )
    parser.add_argument(
        "--migrate-timeout",
        "--cluster-timeout",
        type=whole,
        default=60_000,
        metavar="MS",
        help="of one MIGRATE (default: %(default)s)",
    )


def add_moving(parser: argparse.ArgumentParser) -> None:
    """For what moves slots."""
    group = parser.add_argument_group("moving slots")
    group.add_argument(
        "--way",
        choices=("auto", "atomic", "keys"),
        default="auto",
        help="MIGRATESLOTS, or MIGRATE of the keys (default: the first where both ends know it)",
    )
    add_migrate(group)
    group.add_argument(
        "--replace",
        "--cluster-replace",
        action="store_true",
        help="where both ends hold a key with different values, the source's wins",
    )


def move_options(options: argparse.Namespace) -> MoveOptions:
    """What was said with `add_moving`."""
    return MoveOptions(
        way=options.way,
        keys_at_once=options.pipeline,
        migrate_timeout_ms=options.migrate_timeout,
        replaces=options.replace,
        timeout_s=options.timeout,
    )


def whole(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def natural(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def positive(text: str) -> float:
    """A number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def fraction(text: str) -> float:
    """A number from 0."""
    return 0.0 if text in ("0", "0.0") else positive(text)


def access_of(options: argparse.Namespace) -> Access:
    """What was said with `add_connection`."""
    password = options.password
    if options.askpass:
        password = getpass.getpass("Password: ", sys.stderr)
    if password is None:
        password = password_from_environment()
    tls = None
    if options.tls or (not options.address and os.environ.get("REDIS_URL", "")[:7] == "rediss:"):
        tls = Tls(
            options.cacert,
            options.cacertdir,
            options.cert,
            options.key,
            options.sni,
            is_checked=not options.insecure,
        )
    return Access(options.user, password, tls, options.connect_timeout)


def one_address(words: Sequence[str]) -> Address:
    """`HOST:PORT`, or `HOST PORT`."""
    if len(words) == 2 and words[1].isdecimal() and ":" not in words[0]:
        return parse_address(":".join(words))
    if len(words) != 1:
        raise UsageError(f"one HOST:PORT is wanted, not {' '.join(words)!r}")
    return parse_address(words[0])


def seed_address(words: Sequence[str]) -> Address:
    """Any node of the cluster; without a word the one that the environment tells of."""
    if words:
        return one_address(words)
    url = os.environ.get("REDIS_URL")
    if url:
        return parse_address(url.rpartition("@")[2].partition("/")[0] if "@" in url else url)
    # Most calls name their cluster, and need none of this.
    from ..up.state import StateError, running_clusters

    try:
        running = list(running_clusters())
    except StateError as failure:
        raise UsageError(str(failure)) from None
    if len(running) != 1:
        raise UsageError(
            "which cluster? Give HOST:PORT of one of its nodes, or set REDIS_URL"
            + (f" ({len(running)} clusters of 'clustrio up' are running)" if running else "")
        )
    return Address("127.0.0.1", running[0].ports[0])


def open_cluster(options: argparse.Namespace) -> Cluster:
    """The cluster that was named."""
    return Cluster(seed_address(options.address), access_of(options))
