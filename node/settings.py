"""Which part of the node obeys which directive: the values at start, and every CONFIG SET after."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from .config.syntax import ConfigFileError, bytes_from
from .eviction import Policy

if TYPE_CHECKING:
    from .machine import Machine

_TWO_PLACES: Final = (
    "Users are defined in an ACL file or by `user` lines in the configuration, but not in both."
)
_LARGE_COMMANDS: Final = (
    *("commandlog-request-larger-than", "commandlog-large-request-max-len"),
    *("commandlog-reply-larger-than", "commandlog-large-reply-max-len"),
)
#: What `machine.limits` has under the names of directives.
_COLLECTION_LIMITS: Final = (
    "hash_max_listpack_entries",
    "hash_max_listpack_value",
    "list_max_listpack_size",
    "set_max_intset_entries",
    "set_max_listpack_entries",
    "set_max_listpack_value",
    "zset_max_listpack_entries",
    "zset_max_listpack_value",
    "stream_node_max_bytes",
    "stream_node_max_entries",
)


def apply_settings(machine: "Machine") -> None:
    """Hand the configuration to the parts of `machine`, and keep them up to date.

    Raises ConfigFileError if the node cannot do what the configuration asks for.
    """
    config = machine.config

    def default_password() -> None:
        machine.accounts.set_default_password(config.requirepass)

    # Before the lines: a `user default` line has the last word.
    default_password()
    config.on_change("requirepass", _never_refusing(default_password))
    _obey_lines(machine)

    def slowlog() -> None:
        log = machine.command_logs.slow
        log.threshold = config.slowlog_log_slower_than
        log.set_max_length(config.slowlog_max_len)
        # Only the gate times every single command, which such a low threshold needs.
        machine.require_gate("slowlog", 0 <= config.slowlog_log_slower_than < 1000)

    def large_commands() -> None:
        logs = machine.command_logs
        requests, replies = logs.large_requests, logs.large_replies
        requests.threshold = config.commandlog_request_larger_than
        replies.threshold = config.commandlog_reply_larger_than
        requests.set_max_length(config.commandlog_large_request_max_len)
        replies.set_max_length(config.commandlog_large_reply_max_len)
        is_on = requests.threshold >= 0 or replies.threshold >= 0
        machine.gate.note_sizes = logs.note_sizes if is_on else None
        machine.require_gate("commandlog", is_on)

    def latency() -> None:
        machine.latency.threshold_ms = config.latency_monitor_threshold
        machine.require_gate("latency", 0 < config.latency_monitor_threshold <= 1)

    def memory_policy() -> None:
        machine.memory.set_policy(Policy(config.maxmemory_policy))

    def memory_limit() -> None:
        machine.memory.set_limit(config.maxmemory)

    def samples() -> None:
        machine.evictor.samples = config.maxmemory_samples

    def bulk_length() -> None:
        for session in machine.sessions.values():
            session.stream.set_bulk_max(config.proto_max_bulk_len)

    def collection_limits() -> None:
        limits = machine.limits
        for name in _COLLECTION_LIMITS:
            setattr(limits, name, getattr(config, name))

    for names, apply in (
        (("slowlog-log-slower-than", "slowlog-max-len"), slowlog),
        (_LARGE_COMMANDS, large_commands),
        (("latency-monitor-threshold",), latency),
        (("maxmemory-policy", "lfu-log-factor", "lfu-decay-time"), memory_policy),
        (("maxmemory",), memory_limit),
        (("maxmemory-samples",), samples),
        (("proto-max-bulk-len",), bulk_length),
        (tuple(name.replace("_", "-") for name in _COLLECTION_LIMITS), collection_limits),
    ):
        apply()
        for name in names:
            config.on_change(name, _never_refusing(apply))


def _obey_lines(machine: "Machine") -> None:
    """What the file says in lines that are no directives, in their order."""
    config = machine.config
    users = [words for name, words in config.other_lines if name == "user"]
    if config.aclfile and users:
        raise _refused("aclfile", [config.aclfile], _TWO_PLACES)
    if config.aclfile:
        # To serve everybody as if nobody had been restricted would be the worst of answers.
        machine.accounts.shut()
    reason = machine.accounts.load_lines(users)
    if reason is not None:
        raise ConfigFileError(None, "user", reason)
    for name, words in config.other_lines:
        if name == "rename-command":
            reason = machine.gate.rename(bytes_from(words[0]), bytes_from(words[1]))
            if reason is not None:
                raise _refused(name, words, reason)


def _refused(name: str, words: list[str], reason: str) -> ConfigFileError:
    line = " ".join([name, *words])
    return ConfigFileError(None, line, f"'{line}': {reason}")


def _never_refusing(apply: Callable[[], None]) -> Callable[[], str | None]:
    """A hook for values that are always acceptable once they are well formed."""

    def hook() -> None:
        apply()

    return hook
