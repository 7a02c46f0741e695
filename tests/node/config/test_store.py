"""The configuration store: reading, CONFIG SET, files and CONFIG REWRITE, without any server."""

from typing import assert_type

import pytest

from clustrio.node.config import (
    Config,
    ConfigFileError,
    HostAndPort,
    MemoryOrPercent,
    OutputLimit,
    SavePoint,
    UnreadableFileError,
)
from clustrio.node.errors import LOADING, CommandError


class MemoryFiles:
    def __init__(self, **texts: str) -> None:
        self.texts = texts
        self.directories = ["/data"]
        self.entered: list[str] = []

    def read(self, path: str) -> str:
        if path not in self.texts:
            raise FileNotFoundError(2, "No such file or directory")
        return self.texts[path]

    def glob(self, pattern: str) -> list[str]:
        return sorted(path for path in self.texts if path.startswith(pattern.rstrip("*")))

    def enter_directory(self, path: str) -> str:
        if path not in self.directories:
            raise FileNotFoundError(2, "No such file or directory")
        self.entered.append(path)
        return path


def loaded(text: str, files: MemoryFiles | None = None) -> Config:
    config = Config(files)
    config.load(text)
    return config


def refusal(config: Config, *pairs: tuple[str, str]) -> str:
    with pytest.raises(CommandError) as caught:
        config.set(list(pairs))
    return caught.value.text.decode()


def test_values_are_typed() -> None:
    config = loaded(
        "port 7000\nmaxmemory 1gb\nsave 1 2\nsave 3 4\nbind 127.0.0.1 ::1\nmasterauth x\n"
        "unixsocketperm 755\nshutdown-on-sigint now save\nnotify-keyspace-events AKE\n"
        'maxmemory-clients 5%\nreplicaof 10.0.0.1 6379\nappendonly yes\nlogfile "a b"\n'
        "client-output-buffer-limit pubsub 1mb 2mb 3\n",
    )
    assert assert_type(config.port, int) == 7000
    assert assert_type(config.maxmemory, int) == 1 << 30
    assert assert_type(config.save, tuple[SavePoint, ...]) == (SavePoint(1, 2), SavePoint(3, 4))
    assert assert_type(config.bind, tuple[str, ...]) == ("127.0.0.1", "::1")
    assert assert_type(config.masterauth, str | None) == "x"
    assert config.requirepass is None
    assert config.unixsocketperm == 0o755
    assert assert_type(config.shutdown_on_sigint, frozenset[str]) == {"save", "now"}
    assert config.notify_keyspace_events == set("KEg$lshzxetd")
    assert assert_type(config.maxmemory_clients, MemoryOrPercent) == MemoryOrPercent(5, True)
    assert config.maxmemory_clients.bytes_of(200) == 10
    assert assert_type(config.replicaof, HostAndPort | None) == HostAndPort("10.0.0.1", 6379)
    assert assert_type(config.appendonly, bool) is True
    assert assert_type(config.logfile, str) == "a b"
    assert config.output_limit("pubsub") == OutputLimit(1 << 20, 2 << 20, 3)
    assert config.output_limit("replica") == OutputLimit(256 << 20, 64 << 20, 60)
    assert config.output_limit("master") == config.output_limit("normal") == OutputLimit(0, 0, 0)


def test_values_of_two_nodes_are_their_own() -> None:
    one, other = Config(), Config()
    one.set([("hz", "20")])
    assert (one.hz, other.hz) == (20, 10)


def test_attributes_are_for_reading() -> None:
    config = Config()
    with pytest.raises(AttributeError, match=r"Config\.set"):
        config.port = 1
    assert config.port == 6379


def test_what_the_node_changes_itself() -> None:
    config = Config()
    config.put(Config.replicaof, HostAndPort("10.0.0.1", 7000))
    assert config.get(["replicaof", "SLAVEOF"]) == [
        ("replicaof", "10.0.0.1 7000"),
        ("SLAVEOF", "10.0.0.1 7000"),
    ]


def test_get_keeps_the_order_of_patterns() -> None:
    config = Config()
    asked = ["timeout", "Port", "maxmemory-s*", "port", "TIMEOUT", "nothing"]
    assert config.get(asked) == [("timeout", "0"), ("Port", "6379"), ("maxmemory-samples", "5")]


def test_sensitive_values() -> None:
    config = Config()
    names = ["requirepass", "MASTERAUTH", "masteruser", "port", "nothing"]
    assert [config.is_sensitive(name) for name in names] == [True, True, True, False, False]


# --- CONFIG SET -----------------------------------------------------------------------------------


def test_nothing_is_set_unless_everything_can_be() -> None:
    config = Config()
    calls: list[str] = []
    config.on_change("hz", lambda: calls.append("hz"))
    text = refusal(config, ("hz", "20"), ("timeout", "x"))
    assert text == (
        "ERR CONFIG SET failed (possibly related to argument 'timeout') - "
        "argument couldn't be parsed into an integer"
    )
    assert (config.hz, calls) == (10, [])


def test_hooks_are_called_once_all_values_are_there() -> None:
    config = Config()
    seen: list[tuple[int, int]] = []

    def hook() -> None:
        seen.append((config.hz, config.timeout))

    config.on_change("hz", hook)
    config.on_change("timeout", hook)
    config.set([("timeout", "7"), ("hz", "20")])
    assert seen == [(20, 7)]
    config.set([("timeout", "7")])
    assert seen == [(20, 7)], "nothing has changed"
    config.set([("timeout", "8")])
    assert seen == [(20, 7), (20, 8)]


def test_a_hook_listens_to_the_old_name_too() -> None:
    config = Config()
    seen: list[int] = []
    config.on_change("slave-priority", lambda: seen.append(config.replica_priority))
    config.set([("replica-priority", "1")])
    config.set([("slave-priority", "2")])
    assert seen == [1, 2]


def test_a_file_that_may_have_changed_is_a_change() -> None:
    config = Config()
    seen: list[str | None] = []
    config.on_change("tls-cert-file", lambda: seen.append(config.tls_cert_file))
    config.set([("tls-cert-file", "/x")])
    config.set([("tls-cert-file", "/x")])
    assert seen == ["/x", "/x"]


def test_a_refusing_hook_takes_everything_back() -> None:
    config = Config()
    seen: list[tuple[str, int]] = []
    config.on_change("hz", lambda: seen.append(("hz", config.hz)))
    config.on_change("timeout", lambda: seen.append(("timeout", config.timeout)))

    def refuse() -> str | None:
        seen.append(("port", config.port))
        return "Unable to listen on this port." if config.port == 1 else None

    config.on_change("port", refuse)
    text = refusal(config, ("hz", "20"), ("PORT", "1"), ("timeout", "3"))
    assert text == (
        "ERR CONFIG SET failed (possibly related to argument 'port') - "
        "Unable to listen on this port."
    )
    assert (config.hz, config.port, config.timeout) == (10, 6379, 0)
    assert seen == [("hz", 20), ("port", 1), ("hz", 10), ("port", 6379)]


def test_protected_directives() -> None:
    for allowed, is_local, works in [
        ("no", True, False),
        ("local", False, False),
        ("local", True, True),
        ("yes", False, True),
    ]:
        config = loaded(f"enable-protected-configs {allowed}")
        if works:
            config.set([("dbfilename", "x.rdb")], is_local=is_local)
            assert config.dbfilename == "x.rdb"
            continue
        with pytest.raises(CommandError, match="can't set protected config"):
            config.set([("dbfilename", "x.rdb")], is_local=is_local)


def test_some_directives_wait_for_the_data_set() -> None:
    config = Config()
    with pytest.raises(CommandError) as caught:
        config.set([("appendonly", "yes")], is_loading=True)
    assert caught.value is LOADING
    config.set([("hz", "20")], is_loading=True)
    assert config.hz == 20


def test_the_directory_is_entered_and_left_again() -> None:
    files = MemoryFiles()
    files.directories.append("/other")
    config = loaded("enable-protected-configs yes\ndir /data", files)
    config.on_change("hz", lambda: "no")
    assert refusal(config, ("dir", "/nowhere")).endswith("'dir') - No such file or directory")
    assert config.dir == "/data"
    assert refusal(config, ("dir", "/other"), ("hz", "11")).endswith("'hz') - no")
    assert (config.dir, files.entered) == ("/data", ["/data", "/data", "/other", "/data"])


# --- files ----------------------------------------------------------------------------------------


def test_later_lines_win_and_save_lines_add_up() -> None:
    config = loaded("hz 20\nHZ 30\nsave 1 2\nsave 3 4 5 6\n")
    assert config.hz == 30
    assert config.text_of("save") == "1 2 3 4 5 6"
    assert loaded('save 1 2\nsave ""').save == ()
    assert loaded('save ""\nsave 1 2').text_of("save") == "1 2"
    assert loaded('save 1 2\nsave ""\nsave 3 4').text_of("save") == "3 4"
    assert loaded("hz 20").text_of("save") == "3600 1 300 100 60 10000"


def test_one_quoted_argument_may_hold_several() -> None:
    config = loaded('bind "127.0.0.1 ::1"\nsave "1 2"\nreplicaof "a 7"')
    assert config.bind == ("127.0.0.1", "::1")
    assert config.text_of("save") == "1 2"
    assert config.replicaof == HostAndPort("a", 7)


def test_includes() -> None:
    files = MemoryFiles(a="hz 20\ninclude b*", b1="timeout 7", b2="\ntimeout 8\n")
    config = loaded("include a\ninclude nothing*\nport 1", files)
    assert (config.hz, config.timeout, config.port) == (20, 8, 1)


def test_an_error_in_an_included_file_is_shown_with_its_own_line() -> None:
    with pytest.raises(ConfigFileError) as caught:
        loaded("\n\n\ninclude a", MemoryFiles(a="\nhz x"))
    assert (caught.value.line_number, caught.value.line) == (2, "hz x")


def test_a_missing_file() -> None:
    with pytest.raises(UnreadableFileError, match="'b': No such file"):
        loaded("include a", MemoryFiles(a="include b"))


def test_a_file_that_includes_itself() -> None:
    with pytest.raises(ConfigFileError, match="nested"):
        loaded("include a", MemoryFiles(a="include a"))


def test_directives_without_effect_are_told_once() -> None:
    config = loaded("io-threads 4\nio-threads 3\nio-threads-do-reads no\ntls-ciphersuites a\nhz 20")
    named = [warning.split("'")[1] for warning in config.warnings]
    assert named == ["io-threads", "tls-ciphersuites"]
    config.warnings.clear()
    config.set([("tls-ciphersuites", "b"), ("activerehashing", "no")])
    assert [warning.split("'")[1] for warning in config.warnings] == ["activerehashing"]


def test_directives_of_other_versions() -> None:
    config = loaded(
        "primaryauth x\ncluster-databases 4\nmodule.setting a b\nloadmodule /x.so a\n"
        "list-max-ziplist-entries 3\nlua-replicate-commands yes\nsentinel\n",
    )
    assert config.masterauth == "x"
    assert [warning.split("'")[1] for warning in config.warnings] == [
        "cluster-databases",
        "module.setting",
        "loadmodule",
    ]
    assert config.get(["primaryauth", "cluster-databases"]) == []
    with pytest.raises(ConfigFileError, match="not in sentinel mode"):
        loaded("sentinel monitor x")


def test_lines_that_are_no_directives() -> None:
    config = Config()
    users: list[list[str]] = []

    def add_user(words: object) -> str | None:
        assert isinstance(words, list)
        users.append(words)
        return "Error in user declaration 'x'" if "x" in words else None

    config.on_line("user", add_user)
    config.load("USER a on nopass\nrename-command GET ''\n")
    assert users == [["a", "on", "nopass"]]
    assert config.other_lines == [("rename-command", ["GET", ""])]
    with pytest.raises(ConfigFileError, match="line 1: Error in user declaration 'x'"):
        config.load("user b x")


def test_a_cluster_has_one_database() -> None:
    assert loaded("databases 4").databases == 4
    config = loaded("cluster-enabled yes")
    assert (config.databases, config.warnings) == (1, [])
    config = loaded("databases 4\ncluster-enabled yes")
    assert config.databases == 1
    assert config.warnings == [
        "WARNING: Changing databases number from 4 to 1 since we are in cluster mode",
    ]


def test_the_cluster_says_who_replicates_whom() -> None:
    with pytest.raises(ConfigFileError) as caught:
        loaded("replicaof a 1\ncluster-enabled yes")
    assert caught.value.line_number is None
    config = loaded("cluster-enabled yes")
    config.put(Config.replicaof, HostAndPort("a", 1))
    assert "replicaof" not in config.rewrite("")


# --- CONFIG REWRITE -------------------------------------------------------------------------------


def test_rewriting_keeps_what_people_wrote() -> None:
    old = (
        "# mine\n\nhz 20  \nHZ 30\nslave-priority 5\ncluster-databases 4\nwhat is this\n"
        "user a on\nmaxmemory 1048576\n\n\n\n# end\n"
    )
    text = old.replace("what is this\n", "")
    config = loaded(text)
    config.set([("timeout", "7"), ("masterauth", 'p"')])
    new = config.rewrite(old)
    assert new == (
        "# mine\n\nhz 30\n\nreplica-priority 5\ncluster-databases 4\n# ??? what is this\n"
        "user a on\nmaxmemory 1mb\n\n# end\n\n"
        "# Generated by CONFIG REWRITE\n"
        'timeout 7\nmasterauth "p\\""\nsave 3600 1\nsave 300 100\nsave 60 10000\n'
        'latency-tracking-info-percentiles 50 99 99.9\ndir "."\n'
    )
    again = loaded(new)
    assert dict(again.get(["*"])) == dict(config.get(["*"]))


def test_rewriting_users() -> None:
    config = loaded("hz 10")
    old = "user a on\nuser b on\nuser c on\n"
    assert config.rewrite(old, ["default on", "b off"]).startswith(
        "user default on\nuser b off\n\n# Generated",
    )
    assert config.rewrite(old).startswith(old)
    assert "user" not in loaded("aclfile /x").rewrite(old, ["default on"]).replace("masteruser", "")


def test_everything_that_differs_survives_rewriting() -> None:
    config = loaded(
        'bind ""\nsave ""\nnotify-keyspace-events AKEn\nlatency-tracking-info-percentiles ""\n'
        "maxmemory-clients 5%\nunixsocketperm 640\nmaxmemory 18446744073709551615\n"
        "list-max-listpack-size -5\nclient-output-buffer-limit slave 1 2 3\n"
        'masterauth "\\xff\\x00 \'"\nlogfile "a b"\noom-score-adj relative\nreplicaof a 1\n'
        "shutdown-on-sigterm nosave now force\ndbfilename ''\n",
    )
    again = loaded(config.rewrite(""))
    names = [name for name, _ in config.get(["*"])]
    assert {name: again.text_of(name) for name in names} == {
        name: config.text_of(name) for name in names
    }
    assert again.notify_keyspace_events == config.notify_keyspace_events
