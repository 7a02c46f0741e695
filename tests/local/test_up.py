"""`clustrio up`, `down` and `status`, as a shell sees them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from clustrio.tools.local.cluster import LocalCluster

pytestmark = pytest.mark.slow

CLUSTRIO = (sys.executable, "-m", "clustrio.tools")


class Shell:
    """Runs `clustrio` with a state folder of its own."""

    def __init__(self, folder: Path) -> None:
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
