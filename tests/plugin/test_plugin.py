"""The pytest plugin in an empty project, beside other plugins, alone and under pytest-xdist."""

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import pytest

from clustrio.tools.local.cluster import LocalCluster

from ..local.clusters import require_replication

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

#: Short, since nothing but this machine is between the nodes.
QUICK: Final = ("--redis-cluster-node-timeout", "800", "-p", "no:cacheprovider")

FAILOVER_SYNC: Final = """
def test_my_code_survives_a_failover(redis_cluster, redis_cluster_proc):
    redis_cluster.set("key", "value")
    redis_cluster_proc.master_of("key").call("WAIT", 1, 5000)
    lost = redis_cluster_proc.kill(redis_cluster_proc.master_of("key"))
    redis_cluster_proc.wait_for_failover(lost)
    assert redis_cluster.get("key") == b"value"
"""

FAILOVER_ASYNCIO: Final = """
import asyncio
import pytest

@pytest.mark.asyncio
async def test_my_code_survives_a_failover(redis_cluster_asyncio, redis_cluster_proc):
    await redis_cluster_asyncio.set("key", "value")
    redis_cluster_proc.master_of("key").call("WAIT", 1, 5000)
    lost = redis_cluster_proc.kill(redis_cluster_proc.master_of("key"))
    await asyncio.to_thread(redis_cluster_proc.wait_for_failover, lost)
    assert await redis_cluster_asyncio.get("key") == b"value"
"""

FAILOVER_TRIO: Final = """
import pytest
import trio

@pytest.mark.trio
async def test_my_code_survives_a_failover(redis_cluster_trio, redis_cluster_proc):
    await redis_cluster_trio.set("key", "value")
    redis_cluster_proc.master_of("key").call("WAIT", 1, 5000)
    lost = redis_cluster_proc.kill(redis_cluster_proc.master_of("key"))
    await trio.to_thread.run_sync(redis_cluster_proc.wait_for_failover, lost)
    assert await redis_cluster_trio.get("key") == b"value"
"""

FAILOVER_ANYIO: Final = """
import anyio
import pytest

pytestmark = pytest.mark.anyio

async def lose_the_master(cluster):
    cluster.master_of("key").call("WAIT", 1, 5000)
    lost = cluster.kill(cluster.master_of("key"))
    await anyio.to_thread.run_sync(cluster.wait_for_failover, lost)

@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncio_survives(redis_cluster_asyncio, redis_cluster_proc):
    await redis_cluster_asyncio.set("key", "value")
    await lose_the_master(redis_cluster_proc)
    assert await redis_cluster_asyncio.get("key") == b"value"

@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_trio_survives(redis_cluster_trio, redis_cluster_proc):
    await redis_cluster_trio.set("key", "value")
    await lose_the_master(redis_cluster_proc)
    assert await redis_cluster_trio.get("key") == b"value"
"""

#: What an asyncio project would have in its ini.
ASYNCIO_INI: Final = """
[pytest]
asyncio_default_fixture_loop_scope = function
"""


def require(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


@pytest.fixture(scope="module")
def replicating() -> None:
    with LocalCluster(1, 1) as cluster:
        require_replication(cluster)


# ---- the example of the README -------------------------------------------------------------------


def test_the_readme_shows_what_is_tested_here() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert f"```python{FAILOVER_SYNC}```" in readme.read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["threads", "processes"])
@pytest.mark.usefixtures("replicating")
def test_the_example_sync(pytester: pytest.Pytester, mode: str) -> None:
    pytester.makepyfile(FAILOVER_SYNC)
    done = pytester.runpytest_subprocess(*QUICK, "--redis-cluster-mode", mode)
    done.assert_outcomes(passed=1)


@pytest.mark.usefixtures("replicating")
def test_the_example_asyncio(pytester: pytest.Pytester) -> None:
    require("pytest_asyncio")
    pytester.makeini(ASYNCIO_INI)
    pytester.makepyfile(FAILOVER_ASYNCIO)
    pytester.runpytest_subprocess(*QUICK).assert_outcomes(passed=1)


@pytest.mark.usefixtures("replicating")
def test_the_example_trio(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILOVER_TRIO)
    pytester.runpytest_subprocess(*QUICK).assert_outcomes(passed=1)


@pytest.mark.usefixtures("replicating")
def test_the_example_with_the_plugin_of_anyio(pytester: pytest.Pytester) -> None:
    require("anyio")
    pytester.makepyfile(FAILOVER_ANYIO)
    alone = ("-p", "no:asyncio", "-p", "no:trio")
    pytester.runpytest_subprocess(*QUICK, *alone).assert_outcomes(passed=2)


@pytest.mark.redis_server
@pytest.mark.parametrize("example", [FAILOVER_SYNC, FAILOVER_ASYNCIO, FAILOVER_TRIO])
def test_the_examples_hold_for_a_real_server(pytester: pytest.Pytester, example: str) -> None:
    require("pytest_asyncio")
    pytester.makeini(ASYNCIO_INI)
    pytester.makepyfile(example)
    done = pytester.runpytest_subprocess(*QUICK, "--redis-cluster-exec", "redis-server")
    done.assert_outcomes(passed=1)


# ---- clean for each test, one cluster a session --------------------------------------------------


def test_each_test_finds_a_clean_and_whole_cluster(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_breaks_much(redis_cluster, redis_cluster_proc):
            redis_cluster.set("key", "value")
            redis_cluster_proc.kill(5)
            redis_cluster_proc.partition(0, [1, 2])
            redis_cluster_proc.script("LOADING", key="key", times=100)

        def test_finds_all_well(redis_cluster, redis_cluster_proc):
            assert redis_cluster.get("key") is None
            assert redis_cluster_proc.snapshot().is_agreed
            assert all(node.is_running for node in redis_cluster_proc.nodes)

        def test_has_the_url(redis_cluster_url):
            import redis
            with redis.RedisCluster.from_url(redis_cluster_url) as client:
                assert client.dbsize() == 0
        """
    )
    pytester.runpytest_subprocess(*QUICK).assert_outcomes(passed=3)


def test_each_xdist_worker_has_a_cluster_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(8))
        def test_it_is_mine(redis_cluster, redis_cluster_proc, number, worker_id):
            assert redis_cluster.set("key", worker_id, nx=True)
            assert redis_cluster.get("key").decode() == worker_id
        """
    )
    done = pytester.runpytest_subprocess(*QUICK, "-n", "2", "--redis-cluster-replicas", "0")
    done.assert_outcomes(passed=8)


# ---- settings and factories ----------------------------------------------------------------------


def test_arguments_win_over_options_over_ini(pytester: pytest.Pytester) -> None:
    pytester.makeini(
        """
        [pytest]
        redis_cluster_masters = 5
        redis_cluster_replicas = 0
        redis_cluster_decode = yes
        redis_cluster_options = maxmemory=77mb
        """
    )
    pytester.makepyfile(
        """
        from clustrio.tools.pytest_cluster import factories

        own_proc = factories.redis_cluster_proc(masters=2)
        own = factories.redis_cluster("own_proc", decode=False)

        def test_option(redis_cluster_proc, redis_cluster):
            assert len(redis_cluster_proc.nodes) == 4
            redis_cluster.set("key", "value")
            assert redis_cluster.get("key") == "value"

        def test_argument(own_proc, own):
            assert len(own_proc.nodes) == 2
            own.set("key", "value")
            assert own.get("key") == b"value"
            reply = own_proc.nodes[0].call("CONFIG", "GET", "maxmemory")
            assert reply[1] == str(77 << 20).encode()
        """
    )
    done = pytester.runpytest_subprocess(*QUICK, "--redis-cluster-masters", "4")
    done.assert_outcomes(passed=2)


def test_a_cluster_that_is_not_ours_is_emptied(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from clustrio.tools.pytest_cluster import factories

        foreign = factories.redis_cluster("redis_cluster_noproc")

        def test_one(foreign):
            foreign.set("key", "value")

        def test_two(foreign):
            assert foreign.get("key") is None
        """
    )
    with LocalCluster(3, 0) as cluster:
        port = str(cluster.nodes[0].port)
        done = pytester.runpytest_subprocess(*QUICK, "--redis-cluster-noproc-port", port)
        done.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        (("--redis-cluster-masters", "many"), "is a number, not 'many'"),
        (("--redis-cluster-mix", "perhaps"), "is yes or no, not 'perhaps'"),
        (("--redis-cluster-options", "nonsense"), "not DIRECTIVE=VALUE"),
        (("--redis-cluster-exec", "/no/such/server"), "node 0"),
    ],
)
def test_wrong_settings_are_told_in_words(
    pytester: pytest.Pytester, option: tuple[str, str], complaint: str
) -> None:
    pytester.makepyfile("def test_it(redis_cluster): pass")
    done = pytester.runpytest_subprocess(*QUICK, *option)
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines([f"*{complaint}*"])


# ---- beside others -------------------------------------------------------------------------------


def test_loading_the_plugin_loads_nothing_of_a_cluster() -> None:
    code = (
        "import sys, clustrio.tools.pytest_cluster.plugin\n"
        "heavy = {'trio', 'redis', 'hiredis', 'clustrio.tools.local', 'clustrio.node'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=90, check=True
    )
    assert done.stdout == "[]\n"


def test_the_plugin_can_be_left_out(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(redis_cluster): pass")
    done = pytester.runpytest_subprocess("-p", "no:clustrio", "-p", "no:cacheprovider")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*fixture 'redis_cluster' not found*"])


def test_pytest_redis_runs_our_server_beside_our_cluster(pytester: pytest.Pytester) -> None:
    require("pytest_redis")
    pytester.makepyfile(
        """
        def test_both(redisdb, redis_cluster):
            redisdb.set("key", "alone")
            redis_cluster.set("key", "cluster")
            assert redisdb.get("key") == b"alone"
            assert redisdb.info("server")["redis_mode"] == "standalone"

        def test_both_are_clean(redisdb, redis_cluster):
            assert redisdb.get("key") is None
            assert redis_cluster.get("key") is None
        """
    )
    server = f"{sys.prefix}/bin/clustrio-server"
    # Its socket's path must fit into 107 bytes.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        base = f"--basetemp={folder}/base"
        done = pytester.runpytest_subprocess(*QUICK, base, f"--redis-exec={server}")
    done.assert_outcomes(passed=2)
