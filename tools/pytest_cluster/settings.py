"""The plugin's settings: a factory's argument wins over the command line, and that over the ini.

Owns their names and defaults. Rule: `--redis-cluster-x` and `redis_cluster_x` are the same setting.
"""

import shlex
from typing import TYPE_CHECKING, Final

import pytest
from attrs import frozen

if TYPE_CHECKING:
    from ..local.cluster import LocalCluster

_PREFIX: Final = "redis_cluster_"
#: Name, default, help.
SETTINGS: Final = (
    ("masters", "3", "how many masters"),
    ("replicas", "1", "replicas of each master"),
    ("mode", "", "threads (of the test process; the default) or processes"),
    ("exec", "", "a server to run in Clustrio's place, such as redis-server"),
    ("mix", "no", "yes: run that server for every other node only"),
    ("port", "", "first of a row of ports (default: free ones)"),
    ("node_timeout", "1000", "cluster-node-timeout in milliseconds"),
    ("timeout", "30", "seconds that a cluster may take to start"),
    ("options", "", "directives for every node: 'maxmemory=10mb appendonly=no'"),
    ("seed", "", "seed of node ids, elections and faults (default: drawn, and told on failure)"),
    ("decode", "no", "yes: clients return str, not bytes"),
    ("host", "127.0.0.1", "where a cluster runs that is not ours (redis_cluster_noproc)"),
    ("noproc_port", "6379", "one of its ports"),
)
_WORDS: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def add_settings(parser: pytest.Parser) -> None:
    """Declare them all."""
    group = parser.getgroup("clustrio", "clusters as fixtures")
    for name, default, text in SETTINGS:
        option = f"--{_PREFIX}{name}".replace("_", "-")
        shown = f"{text} [{default}]" if default else text
        group.addoption(option, dest=_PREFIX + name, default=None, help=shown)
        parser.addini(_PREFIX + name, text, default=default)


@frozen
class Wanted:
    """What a factory asks for; None leaves it to the settings."""

    masters: int | None = None
    replicas: int | None = None
    mode: str | None = None
    executable: str | None = None
    mix: bool | None = None
    port: int | None = None
    node_timeout_ms: int | None = None
    options: dict[str, str] | None = None
    seed: int | None = None


def setting(config: pytest.Config, name: str) -> str:
    """The text of a setting; empty if it has none."""
    value = config.getoption(_PREFIX + name)
    return str(config.getini(_PREFIX + name) if value is None else value)


def number(config: pytest.Config, name: str) -> int:
    """A setting that is a number; pytest.UsageError if it is none."""
    text = setting(config, name)
    if not text.isdigit():
        raise pytest.UsageError(f"{_PREFIX}{name} is a number, not {text!r}")
    return int(text)


def flag(config: pytest.Config, name: str) -> bool:
    """A setting that is yes or no; pytest.UsageError if it is neither."""
    text = setting(config, name).lower()
    if text not in _WORDS:
        raise pytest.UsageError(f"{_PREFIX}{name} is yes or no, not {text!r}")
    return _WORDS[text]


def new_cluster(config: pytest.Config, wanted: Wanted) -> "LocalCluster":
    """A cluster as the settings and a factory want it, not started."""
    from ..local.cluster import LocalCluster

    def choose(own: int | None, name: str) -> int:
        return number(config, name) if own is None else own

    seed, port = wanted.seed, wanted.port
    if seed is None and setting(config, "seed"):
        seed = number(config, "seed")
    if port is None and setting(config, "port"):
        port = number(config, "port")
    return LocalCluster(
        choose(wanted.masters, "masters"),
        choose(wanted.replicas, "replicas"),
        mode=wanted.mode or setting(config, "mode") or None,
        server=wanted.executable or setting(config, "exec") or None,
        mix=flag(config, "mix") if wanted.mix is None else wanted.mix,
        port=port,
        node_timeout_ms=choose(wanted.node_timeout_ms, "node_timeout"),
        seed=seed,
        options=_directives(config) if wanted.options is None else wanted.options,
        start_timeout_s=number(config, "timeout"),
    )


def _directives(config: pytest.Config) -> dict[str, str]:
    directives = {}
    for word in shlex.split(setting(config, "options")):
        name, equals, value = word.partition("=")
        if not equals:
            raise pytest.UsageError(f"{_PREFIX}options holds {word!r}, not DIRECTIVE=VALUE")
        directives[name] = value
    return directives
