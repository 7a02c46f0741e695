"""CONFIG: the commands around the configuration; its values are tested with `node/config`."""

import pytest

from ..harness import Failure, MemoryNode


class File:
    """A configuration file in memory."""

    def __init__(self, text: str = "", failure: OSError | None = None) -> None:
        self.path = "/etc/server.conf"
        self.text = text
        self.failure = failure

    def read(self) -> str:
        return self.text

    def replace(self, text: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.text = text


def test_get_is_a_map() -> None:
    node = MemoryNode()
    assert node.call("CONFIG", "GET", "HZ", "maxmemory") == [b"HZ", b"10", b"maxmemory", b"0"]
    node.call("HELLO", 3)
    assert node.call("CONFIG", "GET", "slowlog-*") == {
        b"slowlog-log-slower-than": b"10000",
        b"slowlog-max-len": b"128",
    }
    assert node.call("CONFIG", "GET", b"\xff*") == {}


def test_set_reaches_the_parts() -> None:
    node = MemoryNode()
    assert node.call("CONFIG", "SET", "slowlog-log-slower-than", "0", "hz", "50") == "OK"
    assert node.machine.command_logs.slow.threshold == 0
    assert node.machine.config.hz == 50


def test_set_is_all_or_nothing() -> None:
    node = MemoryNode()
    reply = node.call("CONFIG", "SET", "hz", "50", "maxmemory", "x")
    assert reply.startswith("ERR CONFIG SET failed (possibly related to argument 'maxmemory')")
    assert node.machine.config.hz == 10


def test_any_bytes_can_be_a_value() -> None:
    node = MemoryNode()
    assert node.call("CONFIG", "SET", "masterauth", b"\xff\x80 \x00") == "OK"
    assert node.call("CONFIG", "GET", "masterauth")[1] == b"\xff\x80 \x00"


@pytest.mark.parametrize(
    ("setting", "address", "allowed"),
    [
        ("no", "127.0.0.1:1", False),
        ("local", "127.0.0.1:1", True),
        ("local", "[::1]:1", True),
        ("local", "/tmp/socket:0", True),
        ("local", "10.0.0.1:1", False),
        ("yes", "10.0.0.1:1", True),
    ],
)
def test_protected_directives_know_who_is_local(setting: str, address: str, allowed: bool) -> None:
    node = MemoryNode(enable_protected_configs=setting)
    node.session.address = address
    reply = node.call("CONFIG", "SET", "dbfilename", "other.rdb")
    assert (reply == "OK") is allowed


def test_a_directive_without_effect_is_logged_once() -> None:
    node = MemoryNode()
    node.call("CONFIG", "SET", "activerehashing", "no")
    node.call("CONFIG", "SET", "hz", "11")
    told = [line for line in node.log.lines if "activerehashing" in line]
    assert len(told) == 1


def test_rewrite_needs_a_file() -> None:
    reply = MemoryNode().call("CONFIG", "REWRITE")
    assert reply == Failure("ERR The server is running without a config file")


def test_rewrite_keeps_comments_and_brings_values_up_to_date() -> None:
    node = MemoryNode()
    node.machine.config_file = file = File("# mine\nhz 10\n")
    node.call("CONFIG", "SET", "hz", "77", "maxmemory", "100mb")
    assert node.call("CONFIG", "REWRITE") == "OK"
    lines = file.text.split("\n")
    assert lines[:2] == ["# mine", "hz 77"]
    assert any(line.startswith("maxmemory ") for line in lines)


def test_rewrite_reports_what_the_disk_said() -> None:
    node = MemoryNode()
    node.machine.config_file = File(failure=OSError(28, "No space left on device"))
    reply = node.call("CONFIG", "REWRITE")
    assert reply == Failure("ERR Rewriting config file: No space left on device")


def test_reset_statistics() -> None:
    node = MemoryNode()
    node.call("SET", "a", "x", "PX", 5)
    node.call("GET", "a")
    node.call("GET", "b")
    node.advance(100)
    node.call("GET", "a")
    node.call("INCR")
    node.session.sent_bytes = 100
    node.tick()
    machine = node.machine
    assert machine.gate.error_counts
    assert node.call("CONFIG", "RESETSTAT") == "OK"
    assert machine.traffic.commands_total() == 1  # CONFIG RESETSTAT itself
    assert machine.traffic.input_bytes_total() == 0
    assert machine.traffic.output_bytes_total() == 0
    assert machine.traffic.commands_rate.per_second == 0
    assert machine.connections_total == 0
    assert machine.keyspace.expired_count == 0
    assert machine.gate.error_counts == {}
    assert machine.gate.error_total == 0
    assert (node.session.db.hits, node.session.db.misses) == (0, 0)
    assert not any(machine.gate.commands[b"GET"].statistics.histogram)
    node.call("PING")
    assert machine.traffic.commands_total() == 2
