"""What a server does to its own process: go into the background, leave its number in a file."""

import os

from .log import RedisLog


def daemonize() -> None:
    """Go on as a child without terminal; the parent ends, so the shell gets its prompt back."""
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)


def write_pid_file(path: str, log: RedisLog) -> None:
    """Leave our process number for scripts; a server without it still serves."""
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
    except OSError as failure:
        log.warning(f"Cannot write the pid file {path}: {failure.strerror}")
