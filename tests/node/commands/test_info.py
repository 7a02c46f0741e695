"""INFO: sections, figures, rates."""

import pytest

from clustrio.node.persistence.status import ChildKind

from ..harness import MemoryNode

TITLES = (
    *("Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU", "Modules"),
    *("Commandstats", "Errorstats", "Latencystats", "Cluster", "Keyspace"),
)


def info(node: MemoryNode, *sections: str) -> dict[str, str]:
    text = node.call("INFO", *sections).decode()
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def titles(node: MemoryNode, *sections: str) -> list[str]:
    text = node.call("INFO", *sections).decode()
    return [line[2:] for line in text.split("\r\n") if line.startswith("# ")]


USUAL = [title for title in TITLES if title not in ("Commandstats", "Latencystats")]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ((), USUAL),
        (("default",), USUAL),
        (("ALL",), list(TITLES)),
        (("everything",), list(TITLES)),
        (("keyspace", "Server"), ["Server", "Keyspace"]),
        (("module_list", "modules"), ["Modules"]),
        (("default", "commandstats"), [t for t in TITLES if t != "Latencystats"]),
        (("nope",), []),
        (("nope", "cpu"), ["CPU"]),
    ],
)
def test_sections(asked: tuple[str, ...], shown: list[str]) -> None:
    assert titles(MemoryNode(), *asked) == shown


def test_sections_are_divided_by_one_empty_line() -> None:
    node = MemoryNode()
    assert (
        node.call("INFO", "modules", "cluster")
        == b"# Modules\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n"
    )
    assert node.receive(["INFO", "nope"]) == b"$0\r\n\r\n"
    node.call("HELLO", 3)
    assert node.receive(["INFO", "modules"]) == b"=15\r\ntxt:# Modules\r\n\r\n"


def test_a_session_may_ask_with_any_bytes() -> None:
    assert MemoryNode().call("INFO", b"\xff\x00") == b""


def test_key_statistics() -> None:
    node = MemoryNode()
    assert info(node, "keyspace") == {}
    node.call("SET", "a", 1)
    node.call("SET", "b", 1, "PX", 3000)
    node.call("SET", "c", 1, "PX", 1000)
    node.call("SELECT", 7)
    node.call("SET", "d", 1)
    assert info(node, "keyspace") == {
        "db0": "keys=3,expires=2,avg_ttl=2000",
        "db7": "keys=1,expires=0,avg_ttl=0",
    }


def test_hits_misses_expired_and_errors() -> None:
    node = MemoryNode()
    node.call("SET", "a", "x", "PX", 5)
    node.call("GET", "a")
    node.call("GET", "missing")
    node.advance(10)
    node.call("GET", "a")
    node.call("INCR", "a", "b")
    node.call("HSET", "h", "f", "v")
    node.call("GET", "h")
    found = info(node, "stats", "errorstats")
    assert (found["keyspace_hits"], found["keyspace_misses"]) == ("2", "2")
    assert found["expired_keys"] == "1"
    assert found["total_error_replies"] == "2"
    assert found["errorstat_ERR"] == "count=1"
    assert found["errorstat_WRONGTYPE"] == "count=1"


@pytest.mark.parametrize("observed", [True, False])
def test_command_statistics(observed: bool) -> None:
    """The same figures from the plain table and from the gate."""
    node = MemoryNode()
    node.observe(observed)
    node.call("SET", "a", "text")
    node.send(("GET", "a"), ("GET",), ("GET", "a"), ("INCR", "a"), ("incr", "a"), ("Get", "a"))
    node.call("GET", "a", "b")
    node.call("INCR", "a")
    node.call("CONFIG", "GET", "port")
    node.call("CONFIG", "GET")
    found = info(node, "commandstats")
    counts = {
        name.removeprefix("cmdstat_"): [
            part.split("=")[1]
            for part in text.split(",")
            if part.startswith(("calls", "rejected", "failed"))
        ]
        for name, text in found.items()
    }
    assert counts == {
        "set": ["1", "0", "0"],
        "get": ["3", "2", "0"],
        "incr": ["3", "0", "3"],
        "config|get": ["1", "1", "0"],
    }
    assert info(node, "stats")["total_commands_processed"] == "9"


def test_latency_statistics_follow_the_configuration() -> None:
    node = MemoryNode()
    node.call("PING")
    found = info(node, "latencystats")
    assert found["latency_percentiles_usec_ping"].split(",")[0].startswith("p50=")
    node.call("CONFIG", "SET", "latency-tracking-info-percentiles", "100 12.5")
    names = [
        part.split("=")[0]
        for part in info(node, "latencystats")["latency_percentiles_usec_ping"].split(",")
    ]
    assert names == ["p100", "p12.5"]
    node.call("CONFIG", "SET", "latency-tracking", "no")
    assert info(node, "latencystats") == {}


def test_clients() -> None:
    node = MemoryNode()
    other = node.connect()
    other.session.output_bytes = 500
    waiting = node.connect()
    assert waiting.send(("BLPOP", "q", 10)) == []
    found = info(node, "clients")
    assert found["connected_clients"] == "3"
    assert found["blocked_clients"] == found["clients_in_timeout_table"] == "1"
    assert found["client_recent_max_output_buffer"] == "500"
    assert info(node, "stats")["total_connections_received"] == "3"
    assert info(node, "memory")["mem_clients_normal"] == "500"


def test_memory_grows_with_the_data_and_remembers_its_peak() -> None:
    node = MemoryNode()
    empty = info(node, "memory")
    assert empty["used_memory"] == empty["used_memory_startup"]
    node.call("SET", "big", b"x" * 1_000_000)
    full = info(node, "memory")
    assert 1_000_000 < int(full["used_memory"]) - int(empty["used_memory"]) < 1_001_000
    assert full["used_memory_dataset_perc"] == "100.00%"
    node.call("DEL", "big")
    after = info(node, "memory")
    assert after["used_memory"] == empty["used_memory"]
    assert after["used_memory_peak"] == full["used_memory"]
    assert float(after["used_memory_peak_perc"].removesuffix("%")) > 50


def test_the_peak_is_noticed_between_two_questions() -> None:
    node = MemoryNode()
    node.call("SET", "big", b"x" * 1_000_000)
    node.advance(1000)
    node.tick()
    node.call("DEL", "big")
    assert int(info(node, "memory")["used_memory_peak"]) > 3_000_000


def test_keys_are_counted_before_there_is_a_child_and_nothing_is_measured_beside_it() -> None:
    node = MemoryNode()
    node.call("MSET", *range(10))
    state = node.machine.persistence
    state.prepare_child()
    state.begin_child(ChildKind.SNAPSHOT)
    assert info(node, "persistence")["current_save_keys_total"] == "5"
    node.call("SET", "big", b"x" * 1_000_000)
    node.advance(1000)
    node.tick()
    assert node.machine.traffic.peak_memory_bytes < 3_000_000
    state.end_child()
    node.tick()
    assert node.machine.traffic.peak_memory_bytes > 3_000_000


def test_rates_are_means_of_sixteen_samples() -> None:
    node = MemoryNode()
    for _ in range(20):
        node.advance(100)
        for _ in range(10):
            node.call("PING")
        node.tick()
    found = info(node, "stats")
    assert found["instantaneous_ops_per_sec"] == "100"
    # PING is 14 bytes, ten times in 100 ms.
    assert found["instantaneous_input_kbps"] == f"{1400 / 1024:.2f}"
    for _ in range(8):
        node.advance(100)
        node.tick()
    # The one INFO has fallen among these eight samples of rest.
    assert info(node, "stats")["instantaneous_ops_per_sec"] == "50"


def test_ticks_that_come_often_take_no_more_samples() -> None:
    node = MemoryNode()
    node.call("PING")
    node.advance(100)
    node.tick()
    before = node.machine.traffic.commands_rate.per_second
    for _ in range(50):
        node.advance(1)
        node.tick()
    assert node.machine.traffic.commands_rate.per_second == before > 0


def test_traffic_of_clients_that_are_gone_still_counts() -> None:
    node = MemoryNode()
    other = node.connect()
    other.call("PING")
    other.session.sent_bytes = 7
    node.machine.disconnect(other.session)
    found = info(node, "stats")
    request = len(b"*2\r\n$4\r\nINFO\r\n$5\r\nstats\r\n")
    assert int(found["total_net_input_bytes"]) == len(b"*1\r\n$4\r\nPING\r\n") + request
    assert found["total_net_output_bytes"] == "7"


def test_features_add_and_replace_fields() -> None:
    node = MemoryNode()
    node.machine.info.add("replication", lambda machine: [("role", "slave"), ("master_host", "h")])
    found = info(node, "replication")
    assert next(iter(found)) == "role"
    assert found["role"] == "slave"
    assert list(found)[-1] == "master_host"


def test_the_server_section() -> None:
    node = MemoryNode(port=7000, bind="127.0.0.1 ::1", unixsocket="/tmp/s")
    node.advance(90_061_000)
    found = info(node, "server")
    assert found["redis_mode"] == "standalone"
    assert found["tcp_port"] == "7000"
    assert found["uptime_in_seconds"] == "90061"
    assert found["uptime_in_days"] == "1"
    assert found["server_time_usec"] == str(node.machine.clock.now_ms * 1000)
    assert found["listener0"] == "name=tcp,bind=127.0.0.1,bind=::1,port=7000"
    assert found["listener1"] == "name=unix,bind=/tmp/s"
    assert found["run_id"] == node.machine.run_id.decode()


def test_facts_of_the_process_come_from_outside() -> None:
    class Facts:
        process_id = 42
        executable = "/bin/server"
        system_name = "Plan9"
        polling = "eyes"
        compiler_version = "1.2.3"
        total_memory_bytes = 2048

        def resident_bytes(self) -> int:
            return 5_000_000

        def cpu_times(self):  # type: ignore[no-untyped-def]
            from clustrio.node.observe.process import CpuTimes

            return CpuTimes(1.5, 2.5, 0.0, 0.0, 1.0, 2.0)

    node = MemoryNode()
    node.machine.process = Facts()
    found = info(node)
    assert found["process_id"] == "42"
    assert found["used_memory_rss"] == "5000000"
    assert found["total_system_memory_human"] == "2.00K"
    assert found["used_cpu_sys"] == "1.500000"
    assert found["used_cpu_user_main_thread"] == "2.000000"
