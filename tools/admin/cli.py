"""`clustrio cluster`: the table of its subcommands.

Owns the table, and what becomes of failures. Rules: a subcommand is a module with `configure`
(options) and `run` (a Report), imported when it is asked for. Exit codes: 0 all is well, 1 there is
a problem, 2 wrong usage.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final, Protocol

from attrs import frozen

from ...slots.plan_moves import PlanError
from .failures import AdminError, UsageError
from .options import add_connection, add_output
from .screen import Report, Screen

USAGE: Final = 2


class SubcommandModule(Protocol):
    """What such a module has."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add its options."""

    def run(self, options: argparse.Namespace, screen: Screen) -> Report:
        """Do it."""


@frozen
class Subcommand:
    """Where a subcommand lives."""

    module: str
    summary: str


SUBCOMMANDS: Final[Mapping[str, Subcommand]] = {
    "create": Subcommand("create", "make a cluster of empty nodes"),
    "check": Subcommand("check", "is everything in order? exit code 1 if not"),
    "info": Subcommand("info", "masters with their keys, slots and replicas"),
    "nodes": Subcommand("nodes", "all nodes: role, health, slots, epoch, lag"),
    "slots": Subcommand("slots", "a map of who owns what"),
    "top": Subcommand("top", "live: load, hit rate, memory and lag of each node"),
    "watch": Subcommand("watch", "events as they happen: failures, promotions, moves"),
    "bigkeys": Subcommand("bigkeys", "the biggest keys of the whole cluster"),
    "hotkeys": Subcommand("hotkeys", "the most used keys of the whole cluster"),
    "fix": Subcommand("fix", "repair open, uncovered and disputed slots"),
    "reshard": Subcommand("reshard", "move slots to a master"),
    "rebalance": Subcommand("rebalance", "even out slots, keys, memory or operations"),
    "add-node": Subcommand("add_node", "take a node in, as a master or a replica"),
    "del-node": Subcommand("del_node", "remove a node, drained before if it has slots"),
    "meet": Subcommand("meet", "let a node meet the cluster, nothing else"),
    "forget": Subcommand("forget", "make all nodes forget one that is lost"),
    "replicate": Subcommand("replicate", "make a node the replica of a master"),
    "failover": Subcommand("failover", "promote a replica, or one for every master in turn"),
    "call": Subcommand("call", "run a command on all nodes"),
    "set-timeout": Subcommand("set_timeout", "set cluster-node-timeout on all nodes"),
    "import": Subcommand("import_keys", "bring in the keys of a standalone server"),
    "backup": Subcommand("backup", "save every master's data set as RDB files"),
    "restore": Subcommand("restore", "load a backup into a cluster of any shape"),
}


def help_text() -> str:
    """What `clustrio cluster --help` prints."""
    width = max(map(len, SUBCOMMANDS))
    lines = [f"  {name:<{width}}  {sub.summary}" for name, sub in SUBCOMMANDS.items()]
    return "\n".join(
        [
            "Usage: clustrio cluster <subcommand> [HOST:PORT] [options]",
            "       clustrio cluster <subcommand> --help",
            "",
            "Subcommands (options of redis-cli --cluster are understood, too):",
            *lines,
            "",
            "Exit codes: 0 all is well, 1 there is a problem, 2 wrong usage.",
        ]
    )


def main(arguments: Sequence[str]) -> int:
    """The subcommand `cluster`."""
    if not arguments:
        print(help_text(), file=sys.stderr)
        return USAGE
    name, *rest = arguments
    if name in ("-h", "--help", "help"):
        print(help_text())
        return 0
    subcommand = SUBCOMMANDS.get(name)
    if subcommand is None:
        print(f"clustrio cluster: there is no {name!r}\n\n{help_text()}", file=sys.stderr)
        return USAGE
    module: SubcommandModule = import_module(f".{subcommand.module}", __package__)
    parser = argparse.ArgumentParser(
        prog=f"clustrio cluster {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.configure(parser)
    add_connection(parser)
    add_output(parser)
    options = parser.parse_intermixed_args(rest)
    screen = Screen(is_json=options.json, is_quiet=options.quiet)
    return _run(name, module, options, screen)


def _run(name: str, module: SubcommandModule, options: argparse.Namespace, screen: Screen) -> int:
    try:
        report = module.run(options, screen)
        screen.finish(name, report)
        return 0 if report.is_well else 1
    except UsageError as failure:
        print(f"clustrio cluster {name}: {failure}", file=sys.stderr)
        return USAGE
    except PlanError as failure:
        way_out = f"look at 'clustrio cluster info', and at 'clustrio cluster {name} --help'"
        screen.fail(name, AdminError(str(failure), way_out))
    except AdminError as failure:
        screen.fail(name, failure)
    except KeyboardInterrupt:
        again = "run the same command again, or 'clustrio cluster fix': nothing is lost"
        screen.fail(name, AdminError("interrupted", again))
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
