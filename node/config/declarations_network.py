"""Directives about sockets, TLS, the process and its log."""

from __future__ import annotations

import re
from typing import Final

from .directive import Declarations, Directive, Trait
from .kinds import INT_MAX, UINT_MAX, OctalKind, boolean, enum, integer, maybe_string, string
from .special_kinds import BindKind, DirectoryKind, OomScoresKind

_IMMUTABLE: Final = Trait.IMMUTABLE
_UNSUPPORTED: Final = Trait.UNSUPPORTED
_TLS_FILE: Final = Trait.VOLATILE

_TITLE_VARIABLES: Final = frozenset(
    {"title", "listen-addr", "server-mode", "config-file", "port", "tls-port", "unixsocket"},
)
_TITLE_PART: Final = re.compile(r"\{\{|\{([^{}]*)\}|[^{]")
_BAD_TITLE: Final = "template format is invalid or contains unknown variables"
_HERTZ_MIN: Final = 1
_HERTZ_MAX: Final = 500


def _title_problem(template: str) -> str | None:
    position, shows_something = 0, False
    while position < len(template):
        part = _TITLE_PART.match(template, position)
        if part is None or (part[1] is not None and part[1] not in _TITLE_VARIABLES):
            return _BAD_TITLE
        # Redis tries the template out with an empty title, and spaces are stripped.
        shows_something = shows_something or (part[1] != "title" and part[0] != " ")
        position = part.end()
    return None if shows_something else _BAD_TITLE


def _clamp_hertz(hertz: int) -> int:
    return max(_HERTZ_MIN, min(_HERTZ_MAX, hertz))


class NetworkDirectives(Declarations):
    """Where and how clients connect."""

    section = "Network"

    bind = Directive(
        "bind",
        BindKind(),
        ("*", "-::*"),
        "Addresses to listen on. Naming them is the first protection of a node.",
    )
    bind_source_addr = maybe_string(
        "bind-source-addr", "Local address that connections to other nodes are made from."
    )
    protected_mode = boolean(
        "protected-mode",
        True,
        "While no password is set, serve clients of this machine alone.",
    )
    port = integer("port", 6379, 0, 65535, "TCP port for clients; 0 for none.")
    tcp_backlog = integer(
        "tcp-backlog", 511, 0, INT_MAX, "How many connections may wait to be accepted.", _IMMUTABLE
    )
    unixsocket = maybe_string("unixsocket", "Path of a unix socket for clients.", _IMMUTABLE)
    unixsocketperm = Directive(
        "unixsocketperm",
        OctalKind(0, 0o777),
        0,
        "Permissions of the unix socket; 0 leaves them to the umask.",
        _IMMUTABLE,
    )
    timeout = integer(
        "timeout", 0, 0, INT_MAX, "Close a client after so many idle seconds; 0 for never."
    )
    tcp_keepalive = integer(
        "tcp-keepalive", 300, 0, INT_MAX, "Seconds between probes of a silent client; 0 for none."
    )
    socket_mark_id = integer(
        "socket-mark-id",
        0,
        0,
        UINT_MAX,
        "Mark of listening sockets for the packet filter.",
        _IMMUTABLE | _UNSUPPORTED,
    )
    maxclients = integer(
        "maxclients", 10000, 1, UINT_MAX, "How many clients may be connected at the same time."
    )


class TlsDirectives(Declarations):
    """Encrypted connections."""

    section = "TLS"

    tls_port = integer("tls-port", 0, 0, 65535, "Port for TLS clients; 0 for none.")
    tls_cert_file = maybe_string("tls-cert-file", "The node's certificate (PEM).", _TLS_FILE)
    tls_key_file = maybe_string("tls-key-file", "The private key to it (PEM).", _TLS_FILE)
    tls_key_file_pass = maybe_string(
        "tls-key-file-pass", "What the private key is encrypted with.", Trait.SENSITIVE
    )
    tls_client_cert_file = maybe_string(
        "tls-client-cert-file", "Certificate to show when this node is the client.", _TLS_FILE
    )
    tls_client_key_file = maybe_string(
        "tls-client-key-file", "The private key to that certificate.", _TLS_FILE
    )
    tls_client_key_file_pass = maybe_string(
        "tls-client-key-file-pass", "What that private key is encrypted with.", Trait.SENSITIVE
    )
    tls_dh_params_file = maybe_string(
        "tls-dh-params-file", "Diffie-Hellman parameters for old OpenSSL versions.", _TLS_FILE
    )
    tls_ca_cert_file = maybe_string(
        "tls-ca-cert-file", "Certificates of the authorities that peers are checked by.", _TLS_FILE
    )
    tls_ca_cert_dir = maybe_string(
        "tls-ca-cert-dir", "A directory of such certificates.", _TLS_FILE
    )
    tls_auth_clients = enum(
        "tls-auth-clients",
        "yes",
        ("no", "yes", "optional"),
        "Whether clients have to show a certificate.",
    )
    tls_replication = boolean(
        "tls-replication", False, "Use TLS between a replica and its primary."
    )
    tls_cluster = boolean("tls-cluster", False, "Use TLS on the cluster bus.")
    tls_protocols = maybe_string("tls-protocols", "TLS versions to accept.")
    tls_ciphers = maybe_string("tls-ciphers", "Ciphers up to TLS 1.2.")
    tls_ciphersuites = maybe_string("tls-ciphersuites", "Ciphers of TLS 1.3.", _UNSUPPORTED)
    tls_prefer_server_ciphers = boolean(
        "tls-prefer-server-ciphers", False, "Let the node choose the cipher."
    )
    tls_session_caching = boolean(
        "tls-session-caching", True, "Let clients take up an earlier session."
    )
    tls_session_cache_size = integer(
        "tls-session-cache-size",
        20 * 1024,
        0,
        INT_MAX,
        "How many sessions to remember; 0 for any number.",
        _UNSUPPORTED,
    )
    tls_session_cache_timeout = integer(
        "tls-session-cache-timeout",
        300,
        0,
        INT_MAX,
        "How many seconds to remember a session.",
        _UNSUPPORTED,
    )


class ProcessDirectives(Declarations):
    """The process, its log and the clock of its background work."""

    section = "Process and log"

    daemonize = boolean("daemonize", False, "Leave the terminal and run on.", _IMMUTABLE)
    supervised = enum(
        "supervised",
        "no",
        ("upstart", "systemd", "auto", "no"),
        "Which supervisor to tell when the node is ready.",
        _IMMUTABLE,
    )
    pidfile = maybe_string("pidfile", "File for the process number.", _IMMUTABLE)
    dir = Directive(
        "dir",
        DirectoryKind(),
        ".",
        "The working directory: every file of the node is in it.",
        Trait.PROTECTED | Trait.NOT_WHILE_LOADING,
    )
    databases = integer(
        "databases", 16, 1, INT_MAX, "How many databases; a cluster has just one.", _IMMUTABLE
    )
    loglevel = enum(
        "loglevel",
        "notice",
        ("debug", "verbose", "notice", "warning", "nothing"),
        "How much to log.",
    )
    logfile = string(
        "logfile", "", "File to log to; without one the log goes to standard output.", _IMMUTABLE
    )
    syslog_enabled = boolean("syslog-enabled", False, "Log to syslog too.", _IMMUTABLE)
    syslog_ident = string("syslog-ident", "redis", "The name to log to syslog under.", _IMMUTABLE)
    syslog_facility = enum(
        "syslog-facility",
        "local0",
        ("user", *(f"local{number}" for number in range(8))),
        "The syslog facility.",
        _IMMUTABLE,
    )
    crash_log_enabled = boolean(
        "crash-log-enabled", True, "Log the state of the node when it crashes.", _UNSUPPORTED
    )
    crash_memcheck_enabled = boolean(
        "crash-memcheck-enabled", True, "Test the memory after a crash.", _UNSUPPORTED
    )
    use_exit_on_panic = boolean(
        "use-exit-on-panic",
        False,
        "Leave with exit instead of abort after a failed assertion.",
        Trait.HIDDEN | _UNSUPPORTED,
    )
    always_show_logo = boolean(
        "always-show-logo", False, "Show the start-up picture in log files too.", _IMMUTABLE
    )
    set_proc_title = boolean(
        "set-proc-title", True, "Show what the node does in the process list.", _IMMUTABLE
    )
    proc_title_template = string(
        "proc-title-template",
        "{title} {listen-addr} {server-mode}",
        "What to show there.",
        validate=_title_problem,
    )
    locale_collate = string(
        "locale-collate", "", "The locale that SORT ALPHA compares by.", _UNSUPPORTED
    )
    hz = integer(
        "hz",
        10,
        0,
        INT_MAX,
        "How often a second background work is done (1 to 500).",
        normalize=_clamp_hertz,
    )
    dynamic_hz = boolean("dynamic-hz", True, "Do it more often when there are many clients.")
    shutdown_timeout = integer(
        "shutdown-timeout", 10, 0, INT_MAX, "Seconds to wait for replicas before shutting down."
    )
    io_threads = integer("io-threads", 1, 1, 128, "Threads for sockets.", _IMMUTABLE | _UNSUPPORTED)
    io_threads_do_reads = boolean(
        "io-threads-do-reads",
        False,
        "Let those threads read as well as write.",
        _IMMUTABLE | _UNSUPPORTED,
    )
    server_cpulist = maybe_string(
        "server_cpulist", "Processors for the main thread.", _IMMUTABLE | _UNSUPPORTED
    )
    bio_cpulist = maybe_string(
        "bio_cpulist", "Processors for background threads.", _IMMUTABLE | _UNSUPPORTED
    )
    aof_rewrite_cpulist = maybe_string(
        "aof_rewrite_cpulist", "Processors for rewriting the AOF.", _IMMUTABLE | _UNSUPPORTED
    )
    bgsave_cpulist = maybe_string(
        "bgsave_cpulist", "Processors for saving.", _IMMUTABLE | _UNSUPPORTED
    )
    disable_thp = boolean(
        "disable-thp", True, "Do without transparent huge pages.", _IMMUTABLE | _UNSUPPORTED
    )
    oom_score_adj = enum(
        "oom-score-adj",
        "no",
        ("no", "yes", "relative", "absolute"),
        "Tell Linux which process to kill first when memory runs out.",
        _UNSUPPORTED,
        synonyms={"relative": "yes"},
    )
    oom_score_adj_values = Directive(
        "oom-score-adj-values",
        OomScoresKind(),
        (0, 200, 800),
        "The scores of a primary, a replica and a saving child.",
        _UNSUPPORTED,
    )
    ignore_warnings = string(
        "ignore-warnings", "", "Names of start-up warnings to run in spite of.", _UNSUPPORTED
    )
    watchdog_period = integer(
        "watchdog-period",
        0,
        0,
        INT_MAX,
        "Log where the node hangs after so many milliseconds.",
        Trait.HIDDEN | _UNSUPPORTED,
    )
