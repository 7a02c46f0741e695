"""`clustrio up`, `down` and `status`, as a shell sees them."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from clustrio.tools.local.cluster import LocalCluster
from clustrio.tools.wire import Caller

from .test_cluster import until

pytestmark = pytest.mark.slow

REAL = pytest.mark.redis_server
CLUSTRIO = (sys.executable, "-m", "clustrio.tools")


class Shell:
    """Runs `clustrio` with a state folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "XDG_STATE_HOME": str(folder)}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CLUSTRIO, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.run("down", "--all")


def test_a_cluster_is_left_running_shown_and_ended(shell: Shell) -> None:
    assert shell.run("status").returncode == 1
    up = shell.run("up", "--detach", "--json", "--replicas", "0")
    assert up.returncode == 0, up.stderr
    nodes = json.loads(up.stdout)["nodes"]
    assert [node["role"] for node in nodes] == ["master"] * 3
    status = shell.run("status", "--json")
    assert status.returncode == 0
    (state,) = json.loads(status.stdout)
    assert state["ports"] == [node["port"] for node in nodes]
    assert {node["state"] for node in state["nodes"]} == {"ok"}
    again = shell.run("up", "--detach")
    assert again.returncode == 1
    assert "runs already" in again.stderr
    assert "ok" in shell.run("status").stdout
    assert Path(state["folder"]).is_dir()
    assert shell.run("down").returncode == 0
    assert not Path(state["folder"]).exists()
    assert shell.run("status").returncode == 1
    assert shell.run("down").returncode == 1


def test_a_supervisor_that_was_killed_is_no_cluster_any_more(shell: Shell) -> None:
    assert shell.run("up", "--detach", "--masters", "1", "--replicas", "0").returncode == 0
    (state,) = json.loads(shell.run("status", "--json").stdout)
    os.kill(state["supervisor_pid"], signal.SIGKILL)
    assert "no cluster" in shell.run("status").stderr
    assert not Path(state["folder"]).exists()
    assert shell.run("up", "--detach", "--masters", "1", "--replicas", "0").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_watched_cluster_ends_with_its_watcher(shell: Shell, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [*CLUSTRIO, "up", "--json", "--masters", "1", "--replicas", "0"],
        env=shell.environment,
        stdout=subprocess.PIPE,
        text=True,
        # Shells have their jobs in the background ignore Ctrl-C, these tests perhaps among them.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    with process.stdout:
        assert json.loads(process.stdout.readline())["url"].startswith("redis://")
        process.send_signal(number)
        assert process.wait(30) == 0


@pytest.mark.parametrize("server", [None, pytest.param("redis-server", marks=REAL)])
def test_a_watcher_that_was_killed_leaves_no_process_port_or_file(
    shell: Shell, server: str | None
) -> None:
    chosen = ("--server", server) if server else ()
    process = subprocess.Popen(
        [*CLUSTRIO, "up", "--json", "--masters", "3", "--replicas", "0", *chosen],
        env={**shell.environment, "TMPDIR": str(shell.folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            nodes = json.loads(process.stdout.readline())["nodes"]
            pids = [pid_of(node["port"]) for node in nodes]
            assert has_node_files(shell.folder)
        finally:
            process.kill()
            process.wait(30)
    for pid in pids:
        until(lambda pid=pid: not Path(f"/proc/{pid}").exists())
    until(lambda: not has_node_files(shell.folder))
    for node in nodes:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", node["port"])) != 0


def has_node_files(folder: Path) -> bool:
    """Whether nodes have left any; folders may vanish while one looks."""
    return any("nodes.conf" in names for _, _, names in os.walk(folder))


def pid_of(port: int) -> int:
    with closing(Caller(port)) as caller:
        reply = caller.call("INFO", "server")
    assert isinstance(reply, bytes)
    return int(reply.partition(b"process_id:")[2].split()[0])


def test_a_folder_of_the_users_is_kept(shell: Shell) -> None:
    wanted = shell.folder / "mine"
    wanted.mkdir()
    few = ("--masters", "1", "--replicas", "0")
    assert shell.run("up", "--detach", "--dir", str(wanted), *few).returncode == 0
    assert shell.run("down").returncode == 0
    assert (wanted / "node-0" / "nodes.conf").is_file()


@pytest.mark.redis_server
def test_real_servers_and_ours_make_one_cluster(shell: Shell) -> None:
    with LocalCluster(1, 0) as cluster:
        if cluster.nodes[0].call("COMMAND", "INFO", "PSYNC") == [None]:
            pytest.skip("real replicas get no data from our masters yet")
    up = shell.run("up", "--detach", "--server", "redis-server", "--mix")
    assert up.returncode == 0, up.stderr
    (state,) = json.loads(shell.run("status", "--json").stdout)
    assert {node["state"] for node in state["nodes"]} == {"ok"}


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("--mix",), 2, "--mix needs --server"),
        (("--port", "many"), 2, "--port"),
        (("--set", "nonsense"), 2, "DIRECTIVE=VALUE"),
        (("--masters", "0"), 1, "1 to 1000 masters"),
        (("--name", "../x"), 1, "is no name"),
        (("--set", "no-such-directive=1"), 1, "no-such-directive"),
        (("--server", "/no/such/server"), 1, "ended"),
    ],
)
def test_what_cannot_be_is_refused(
    shell: Shell, arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    up = shell.run("up", "--detach", *arguments)
    assert up.returncode == code
    assert complaint in up.stderr
    assert "Traceback" not in up.stderr
    assert shell.run("status").returncode == 1
