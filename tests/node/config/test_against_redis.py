"""The same questions to a real redis-server and to `Config`: names, defaults, errors, rewriting."""

import os
from collections.abc import Iterator
from errno import ENOENT
from pathlib import Path
from random import Random

import hiredis
import pytest

from clustrio.node.config import Config, ConfigFileError, configuration_text, parse_command_line
from clustrio.node.config.syntax import bytes_from, maybe_split_words, text_from
from clustrio.node.errors import CommandError

from .oracle import EXECUTABLE, Oracle, fatal_text, running_server

pytestmark = [
    pytest.mark.redis_server,
    pytest.mark.skipif(EXECUTABLE is None, reason="no redis-server"),
]

# We follow 7.2 where it differs from the 7.0 that Debian ships, and here and there later ones.
NEWER_THAN_7_0 = {
    "cluster-announce-human-nodename",
    # Valkey 8.1.
    "commandlog-large-reply-max-len",
    "commandlog-large-request-max-len",
    "commandlog-reply-larger-than",
    "commandlog-request-larger-than",
    "locale-collate",
    "set-max-listpack-entries",
    "set-max-listpack-value",
}
OURS = {"cluster-refuse-empty-primary"}
HIDDEN_SINCE_7_2 = {"aof-disable-auto-gc"}


class DiskFiles:
    """The real disk, without changing this process' directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read(self, path: str) -> str:
        return (self.directory / path).read_text()

    def glob(self, pattern: str) -> list[str]:
        return sorted(map(str, self.directory.glob(pattern)))

    def enter_directory(self, path: str) -> str:
        if not path:
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT))  # What chdir says to that.
        os.listdir(self.directory / path)
        return str((self.directory / path).resolve())


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with running_server("--enable-protected-configs", "yes") as server:
        yield server


def our_set(config: Config, *words: str) -> str:
    try:
        config.set(list(zip(words[0::2], words[1::2], strict=True)))
    except CommandError as error:
        return error.text.decode("utf-8", "surrogateescape")
    return "OK"


def redis_set(oracle: Oracle, *words: str) -> str:
    reply = oracle.call("CONFIG", "SET", *words)
    if isinstance(reply, hiredis.ReplyError):
        return str(reply)
    assert isinstance(reply, bytes)
    return reply.decode()


def test_names_and_defaults() -> None:
    with running_server() as server:
        theirs = server.config("*")
        directory = str(server.directory)
    config = Config(directory=directory)
    config.load(f"port 0\nunixsocket {theirs['unixsocket']}\n")
    ours = dict(config.get(["*"]))
    assert theirs.keys() - ours.keys() == HIDDEN_SINCE_7_2
    assert ours.keys() - theirs.keys() == NEWER_THAN_7_0 | OURS
    common = theirs.keys() & ours.keys()
    assert {name: ours[name] for name in common} == {name: theirs[name] for name in common}


def test_hidden_names_and_immutable_ones(oracle: Oracle) -> None:
    hidden = [
        "aof-disable-auto-gc",
        "key-load-delay",
        "loading-process-events-interval-bytes",
        "rdb-key-save-delay",
        "use-exit-on-panic",
        "watchdog-period",
    ]
    assert dict(Config().get(hidden)) == oracle.config(*hidden)
    config = Config(directory=str(oracle.directory))
    config.load("enable-protected-configs yes")
    for name, text in oracle.config("*").items():
        if name in ("port", "unixsocket"):
            continue
        theirs = redis_set(oracle, name, text)
        assert (name, our_set(config, name, text)) == (name, theirs)


@pytest.mark.parametrize(
    "patterns",
    [
        ["PORT"],
        ["maxmemory", "MAXMEMORY", "maxmem*"],
        ["maxm*", "maxmemory"],
        ["*slave*", "replica-priority"],
        ["TCP-*", "[gh]z"],
        ["nothing", "also-nothing*"],
        ["watchdog*"],
        ["h?", "\\hz"],
        [""],
    ],
)
def test_get(oracle: Oracle, patterns: list[str]) -> None:
    config = Config()
    config.load("port 0")
    assert dict(config.get(patterns)) == oracle.config(*patterns)


SET_INPUTS = [
    *((name, text) for name in ("hz", "lua-time-limit", "SLOWLOG-LOG-SLOWER-THAN", "maxclients")
      for text in ("", "-1", "-2", "x", "1x", " 1", "1 ", "+1", "01", "0", "-0", "1.5",
                   "9223372036854775807", "9223372036854775808", "99999999999999999999", "500")),
    *(("maxmemory", text) for text in (
        "", "gb", "1", "1k", "1kb", "1K", "1Kb", "2m", "2mb", "3g", "3gb", "7b", "1t", "-1",
        "1 kb", "100%", "18446744073709551615", "18446744073709551616", "18446744073709551615gb",
        "007kb", "+1", "0")),
    *(("maxmemory-clients", text) for text in (
        "0%", "5%", "100%", "101%", "-1%", "%", "1.5%", "12mb", "9223372036854775807",
        "9223372036854775808", "x", "0")),
    *(("proto-max-bulk-len", text) for text in (
        "1", "1mb", "1048575", "512mb", "9223372036854775808", "-1")),
    *(("hash-max-ziplist-value", text) for text in ("64", "1kb", "-5", "9223372036854775808")),
    *(("list-max-listpack-size", text) for text in ("-5", "2147483648", "-2147483649", "-2")),
    *(("appendfsync", text) for text in ("ALWAYS", "never", "", "everysec always", "everysec")),
    *(("maxmemory-policy", text) for text in ("allkeys-lfu", "lru", "NoEviction")),
    *(("oom-score-adj", text) for text in ("relative", "maybe", "no")),
    *(("rdbcompression", text) for text in ("YES", "No", "", "1", "true", "yes ")),
    *(("save", text) for text in (
        "", "1", "1 2", "1 2 3", "0 1", "1 -1", "1 0", "1  2", " 1 2", "900 1 300 10", "x 1",
        "+5 +6", "1 2 ", '"1 2"')),
    *(("client-output-buffer-limit", text) for text in (
        "", "normal", "normal 1 2 3", "slave 1k 2kb 3", "REPLICA 5 6 7", "master 1 2 3",
        "pubsub 1 2 -3", "pubsub x 2 3", "pubsub 1 2 3 normal 0 0", "nobody 1 2 3",
        "normal 0 0 0 pubsub 32mb 8mb 60")),
    *(("notify-keyspace-events", text) for text in (
        "KEA", "AKEn", "gn", "$lshzxetdK", "KEg$lshzxetdm", "q", "A K", "Em", "")),
    *(("shutdown-on-sigterm", text) for text in (
        "", "save", "now force save", "SAVE nosave", "default", "default now", "x", "save  now",
        "default")),
    *(("latency-tracking-info-percentiles", text) for text in (
        "", "50", "0 100 33.3333333", "100.1", "-1", "x", "1e1", "nan", "inf", "1 ", "50 99 99.9",
        "-0.5", "1e-9", "1e999", "5.")),
    *(("oom-score-adj-values", text) for text in (
        "1 2", "1 2 3 4", "-2001 0 0", "x 0 0", "0 200 800")),
    *(("proc-title-template", text) for text in (
        "", " ", "{title}", "{title} {port}", "{x}", "{", "{{", "}", "a{tls-port}b", "{}", "{title",
        "{title} {listen-addr} {server-mode}")),
    *(("bind", text) for text in (
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",)),
    *(("cluster-announce-hostname", text) for text in (
        "host-1.example.org", "a_b", "a b", "x" * 255, "x" * 256, "")),
    *(("dbfilename", text) for text in ("a/b", "a\\b", "x.rdb", "")),
    *(("dir", text) for text in ("/nonexistent", "", ".")),
    ("activedefrag", "yes"),
    ("activedefrag", "no"),
    ("requirepass", ""),
    ("replica-announce-ip", "10.0.0.1"),
    ("slave-announce-port", "65536"),
    ("tls-port", "x"),
    ("nope", "1"),
    ("nope.x", "1"),
    ("include", "x"),
    ("list-max-ziplist-entries", "1"),
    ("databases", "4"),
    ("slaveof", "no one"),
    ("hz", "11", "nope", "1"),
    ("nope", "1", "databases", "2"),
    ("databases", "2", "nope", "1"),
    ("hz", "12", "HZ", "13"),
    ("slave-priority", "7", "replica-priority", "8"),
    ("replica-priority", "9", "Slave-Priority", "10"),
    ("slave-priority", "9", "SLAVE-priority", "10"),
    ("hz", "14", "timeout", "x", "databases", "1"),
    ("hz", "14", "timeout", "x"),
    ("Slave-Read-Only", "x"),
    ("hz", "15", "maxmemory-samples", "7", "appendfsync", "no"),
]  # fmt: skip


def test_set(oracle: Oracle) -> None:
    config = Config(DiskFiles(oracle.directory), directory=str(oracle.directory))
    names = [name for name in dict(config.get(["*"])) if name not in NEWER_THAN_7_0 | OURS]
    config.load(f"port 0\nunixsocket {oracle.directory}/socket\nenable-protected-configs yes\n")
    for words in SET_INPUTS:
        theirs = redis_set(oracle, *words).replace("warning, nothing", "warning")
        assert (words, our_set(config, *words)) == (words, theirs)
        if theirs == "OK":
            shown = list(words[0::2])
            assert (words, dict(config.get(shown))) == (words, oracle.config(*shown))
    assert dict(config.get(names)) == oracle.config(*names)


# Where the machine, not the syntax, decides what Redis accepts.
DECIDED_BY_THE_MACHINE = {"port", "unixsocket", "bind", "dir", "maxclients", "oom-score-adj"}
WORDS_FOR_ALL = [
    *("", "0", "1", "-1", "65535", "65536", "2147483648", "4294967296", "9223372036854775807"),
    *("1k", "3mb", "5%", "yes", "No", "x", "1 2", "0 1 2", "normal 1 2 3", "local", "1.5", " 1"),
    *("always", "KEA", "default", "ip", "disabled", "debug", "a/b"),
]


@pytest.mark.slow
def test_every_name_with_many_words() -> None:
    with running_server() as server:
        config = Config(directory=str(server.directory))
        for name in server.config("*"):
            # A password would lock us out.
            if name in DECIDED_BY_THE_MACHINE or name.startswith(("tls-", "requirepass")):
                continue
            for word in WORDS_FOR_ALL:
                theirs = redis_set(server, name, word).replace("warning, nothing", "warning")
                ours = our_set(config, name, word).replace("warning, nothing", "warning")
                assert (name, word, ours) == (name, word, theirs)
                if ours == "OK":
                    assert (word, dict(config.get([name]))) == (word, server.config(name))
            if name == "maxmemory":
                assert redis_set(server, name, "0") == our_set(config, name, "0") == "OK"


def test_words_of_random_lines(oracle: Oracle) -> None:
    generator = Random(7)
    for _ in range(400):
        letters = generator.choices(b"ab \t\v\f\"'\\xn4f1\xc3#", k=generator.randrange(1, 12))
        words = maybe_split_words("RPUSH key " + text_from(bytes(letters)))
        if words is None or len(words) == 2:
            continue
        oracle.call("DEL", "key")
        # Requests that are not arrays are cut into words by the same rules.
        oracle.send(b"RPUSH key " + bytes(letters) + b"\r\n")
        assert oracle.receive() == len(words) - 2
        assert oracle.call("LRANGE", "key", "0", "-1") == [bytes_from(word) for word in words[2:]]


START_ARGUMENTS = [
    ["--port", "x"],
    ["--port", "70000"],
    ["--port", "1", "2"],
    ["--port"],
    ["--port 12", "--hz", "x"],
    ["--port", "1", "--hz"],
    ["--port", "--hz"],
    ["--port", "--hz", "--hz", "3"],
    ["--appendonly", "maybe"],
    ["--maxmemory-policy", "--hz"],
    ["--maxmemory", "1x"],
    ["--maxclients", "-1"],
    ["--unixsocketperm", "999"],
    ["--unixsocketperm", "1000"],
    ["--unixsocketperm", "-1"],
    ["--nope"],
    ["--nope", "3"],
    ["--NoPe", "3", "4"],
    ["--", "3"],
    ["stray.conf"],
    ["--replicaof", "a"],
    ["--replicaof", "a", "b"],
    ["--replicaof", "a", "65536"],
    ["--replicaof", "a b"],
    ["--cluster-enabled", "yes", "--replicaof", "1.2.3.4", "5"],
    ["--dir", "/nonexistent"],
    ["--save", "3"],
    ["--save", "--save", "--save", "1", "2", "3"],
    ["--save", "", "--hz", "x"],
    ["--save", "1 2 3"],
    ["--save", "1 2", "--save", "x y"],
    ["--bind", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"],
    ["--client-output-buffer-limit", "normal", "1", "2"],
    ["--client-output-buffer-limit", "normal 1 2"],
    ["--oom-score-adj-values", "1", "2"],
    ["--notify-keyspace-events", "q"],
    ["--notify-keyspace-events", "K", "E"],
    ["--shutdown-on-sigint", "save", "nosave"],
    ["--shutdown-on-sigint", "save nosave"],
    ["--shutdown-on-sigint"],
    ["--latency-tracking-info-percentiles", "1", "nan"],
    ["--appendfilename", ""],
    ["--appenddirname", ""],
    ["--appendfilename", "a/b"],
    ["--dbfilename", "a/b"],
    ["--proc-title-template", "{x}"],
    ["--enable-debug-command", "maybe"],
    ["--rename-command", "get"],
    ["--user"],
    ["--include"],
    ["--loadmodule"],
    ["--nope.nope"],
    ["--lua-replicate-commands", "yes", "no"],
    ['--requirepass "a'],
    ["--requirepass 'a\\'"],
    ['--requirepass "a"b'],
    ["--masterauth", 'a"\\\n\r\t\a\b\x01\x7fé', "--hz", 'a"\\\n\r\t\a\b\x01\x7fé'],
    ["first.conf"],
    ["first.conf", "--hz", "x"],
    ["second.conf"],
    ["third.conf"],
    ["fourth.conf", "--port", "0", "--hz", "y"],
]

FILES = {
    "first.conf": "port 0\nsave 1 2\nsave 3 4\n\n# no\n  bad 'x  \t\r\n",
    "second.conf": "port 0\ninclude f?rst.con[f]\ninclude nothing*\nhz x",
    "third.conf": 'port 0\nHZ 10 # no comment\n',
    "fourth.conf": 'requirepass "\\x41\\q\\"\\n" \nmasterauth \'a\\n\\\'\'\n""\n',
}  # fmt: skip


@pytest.mark.parametrize("arguments", START_ARGUMENTS, ids=" ".join)
def test_what_a_start_is_refused_with(tmp_path: Path, arguments: list[str]) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, newline="")
    if arguments == ["stray.conf"]:
        (tmp_path / "stray.conf").write_text("stray\n")
    theirs = fatal_text(tmp_path, *arguments)
    line = parse_command_line(arguments)
    files = DiskFiles(tmp_path)
    file_text = files.read(line.maybe_path) if line.maybe_path is not None else ""
    with pytest.raises(ConfigFileError) as caught:
        Config(files).load(configuration_text(file_text, "", line.options))
    assert caught.value.fatal_text("7.0.15") == theirs


REWRITE_FILES = {
    "empty": "",
    "comments": "# head\n\n\n\n  # indented \nport 0\n\nhz 10 \n# tail\n",
    "no newline at the end": "hz 11",
    "repetitions": "hz 11\nhz 12\n\nsave 1 2\nsave 3 4\nsave 5 6\n\nsave 7 8\n# end\n",
    "old names": "slave-priority 7\nreplica-priority 8\nlua-time-limit 9\nslaveof no one\n",
    "sizes": "maxmemory 1024\nrepl-backlog-size 3000000\nhash-max-ziplist-value 64\n"
    "maxmemory-clients 7%\nproto-max-bulk-len 512mb\n",
    "forgotten": "list-max-ziplist-entries 3\nlua-replicate-commands yes\nhz 7\n",
    "quotes": "masterauth \"a b\\x00\\\\'\"\nmasteruser 'x'\nlogfile \"\"\n"
    "proc-title-template {title}x\n",
    "lists": "bind 127.0.0.1 -::1\noom-score-adj-values 1 2 3\n"
    "client-output-buffer-limit normal 1k 2kb 3\n"
    "client-output-buffer-limit pubsub 1 2 3\nnotify-keyspace-events KEA\n"
    "latency-tracking-info-percentiles 1 2.50\nshutdown-on-sigterm now save\n",
    "defaults": "bind * -::*\nappendonly no\nnotify-keyspace-events \"\"\nunixsocketperm 0\n"
    "latency-tracking-info-percentiles 50 99 99.9\nappendfsync everysec\n",
    "signature": "# Generated by CONFIG REWRITE\nhz 20\n\n\n",
    "nothing saved": "save \"\"\nunixsocketperm 755\nhz 600\nappendfsync ALWAYS\n",
    "renamed": "rename-command GET get2\nUSER x on nopass\n\thz\t30\r\n",
}  # fmt: skip
REWRITE_CHANGES = [
    ("hz", "33"),
    ("maxmemory", "1048576", "replica-priority", "5"),
    ("save", ""),
    ("client-output-buffer-limit", "slave 1 2 3", "bind", "127.0.0.1"),
]


def lines_by_block(text: str) -> tuple[list[str], list[str]]:
    """The lines above the signature as they are, those below in sorted order: Redis' is random."""
    head, signature, tail = text.partition("# Generated by CONFIG REWRITE\n")
    return [*head.split("\n"), signature], sorted(tail.split("\n"))


@pytest.mark.parametrize("old_text", REWRITE_FILES.values(), ids=REWRITE_FILES)
def test_rewrite(old_text: str) -> None:
    with running_server(config=old_text) as server:
        directory = server.directory
        path = directory / "redis.conf"
        config = Config(DiskFiles(directory))
        options = ["--port", "0", "--unixsocket", f"{directory}/socket", "--dir", str(directory)]
        config.load(configuration_text(old_text, "", parse_command_line(options).options))
        ours = old_text
        for change in [(), *REWRITE_CHANGES]:
            if change:
                assert redis_set(server, *change) == our_set(config, *change) == "OK"
            assert server.call("CONFIG", "REWRITE") == b"OK"
            theirs = path.read_bytes().decode()
            users = [
                line.removeprefix("user ") for line in theirs.split("\n") if line[:5] == "user "
            ]
            ours = config.rewrite(ours, users)
            assert lines_by_block(ours) == lines_by_block(theirs)
