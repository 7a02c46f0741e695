"""`clustrio-server`: redis-server's command line around one node.

clustrio-server [/path/to/redis.conf | -] [--directive value ...]
"""

import contextlib
import os
import sys
from pathlib import Path

import trio

from .config import (
    CommandLineError,
    Config,
    ConfigError,
    Mode,
    configuration_text,
    parse_command_line,
)
from .runtime.files import DiskFiles
from .runtime.garbage import tame_garbage_collector
from .runtime.listeners import CannotListenError
from .runtime.log import RedisLog
from .runtime.process import daemonize, write_pid_file
from .runtime.server import Server, banner
from .version import CLUSTRIO_VERSION, REDIS_VERSION

_HELP = """\
Usage: clustrio-server [/path/to/redis.conf] [options] [-]
       clustrio-server - (read the configuration from standard input)
       clustrio-server -v or --version
       clustrio-server -h or --help
       clustrio-server --check-system

Every directive of redis.conf can be given as an option, and wins over the file:
       clustrio-server (the defaults)
       echo 'maxmemory 128mb' | clustrio-server -
       clustrio-server --port 7777
       clustrio-server --port 7777 --replicaof 127.0.0.1 8888
       clustrio-server /etc/myredis.conf --loglevel verbose -
       clustrio-server --port 17001 --cluster-enabled yes
"""


def main() -> int:
    """The console script."""
    try:
        line = parse_command_line(sys.argv[1:])
    except CommandLineError as failure:
        print(failure, file=sys.stderr)
        return 1
    if line.mode is Mode.VERSION:
        print(
            f"Redis server v={REDIS_VERSION} sha=00000000:0 malloc=python bits=64 "
            f"build=clustrio-{CLUSTRIO_VERSION}",
        )
        return 0
    if line.mode is Mode.HELP:
        print(_HELP, end="", file=sys.stderr)
        return 1
    if line.mode is Mode.CHECK_SYSTEM:
        print("[system checks] nothing to check: Clustrio needs no kernel settings")
        return 0
    # A relative path means the directory that we were started in, whatever `dir` says.
    path = str(Path(line.maybe_path).absolute()) if line.maybe_path else ""
    config = Config(DiskFiles(), directory=os.getcwd())
    try:
        config.load(
            configuration_text(
                _read_file(path) if path else "",
                sys.stdin.read() if line.reads_standard_input else "",
                line.options,
            ),
        )
    except ConfigError as failure:
        print(failure.fatal_text(REDIS_VERSION), file=sys.stderr)
        return 1
    except OSError as failure:
        print(f"Fatal error, can't open config file '{path}': {failure.strerror}", file=sys.stderr)
        return 1
    return _serve(config, path)


def _read_file(path: str) -> str:
    return DiskFiles().read(path)


def _serve(config: Config, path: str) -> int:
    """Start up in Redis' order, run, and clean up."""
    log = RedisLog(config.logfile, config.loglevel)
    log.warning("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo")
    log.warning(
        f"Redis version={REDIS_VERSION}, bits=64, commit=00000000, modified=0, pid={os.getpid()}, "
        f"just started",
    )
    log.warning(f"Clustrio version={CLUSTRIO_VERSION}")
    if path or len(sys.argv) > 1:
        log.warning("Configuration loaded")
    else:
        log.warning(
            "Warning: no config file specified, using the default config. In order to specify a "
            "config file use clustrio-server /path/to/redis.conf",
        )
    for warning in config.warnings:
        log.warning(warning)
    if config.daemonize:
        daemonize()
    if config.pidfile or config.daemonize:
        write_pid_file(config.pidfile or "/var/run/redis.pid", log)
    log.role = "M"
    try:
        server = Server(config, log, config_path=path)
        server.open_listeners()
    except ConfigError as failure:
        print(failure.fatal_text(REDIS_VERSION), file=sys.stderr)
        return 1
    except CannotListenError as failure:
        log.warning(str(failure))
        return 1
    if config.always_show_logo or (not config.logfile and sys.stdout.isatty()):
        log.write_raw(banner(config))
    else:
        mode = "cluster" if config.cluster_enabled else "standalone"
        log.notice(f"Running mode={mode}, port={config.port}.")
    log.warning("Server initialized")
    tame_garbage_collector()
    code = trio.run(server.run)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
