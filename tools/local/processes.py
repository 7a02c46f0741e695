"""Nodes as processes, which a supervisor starts and signals (see `supervisor.py`).

Owns the conversation with the supervisor. It is the only process that we start, and its standard
input is the rope that it hangs on: when we are gone, however we went, the nodes go too.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import asdict

from .engine import Launch
from .errors import LocalClusterError, NodeStartError, NotSupportedError
from .full_disk import require_limits
from .scripted import ScriptedReply

_END_TIMEOUT_S = 15.0


class ProcessEngine:
    """All nodes in processes of their own."""

    def __init__(
        self, folder: Path, descriptors: Sequence[int] = (), state_file: Path | None = None
    ) -> None:
        """`descriptors` hold the ports; the supervisor keeps them as long as it lives."""
        command = [sys.executable, "-m", "clustrio.tools.local.supervisor"]
        if state_file is not None:
            command += ["--stay", str(state_file)]
        self._stays = state_file is not None
        self._lock = threading.Lock()
        self._pids: dict[int, int] = {}
        self._process = subprocess.Popen(
            [*command, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            pass_fds=tuple(descriptors),
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            self._process.wait()
            raise NodeStartError("the supervisor did not start; its words are on standard error")

    @property
    def supervisor_pid(self) -> int:
        """The process above the nodes."""
        return self._process.pid

    def _order(self, do: str, node: int, **more: object) -> object:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"do": do, "node": node, **more}
        with self._lock:
            try:
                self._process.stdin.write(json.dumps(order).encode() + b"\n")
                self._process.stdin.flush()
                line = self._process.stdout.readline()
            except OSError as failure:
                raise LocalClusterError(f"the supervisor is gone: {failure}") from None
        if not line:
            raise LocalClusterError("the supervisor is gone")
        answer: Mapping[str, object] = json.loads(line)
        if "failure" in answer:
            raise LocalClusterError(str(answer["failure"]))
        return answer["answer"]

    def start(self, launches: Sequence[Launch]) -> None:
        """Have each started; they listen a moment later."""
        for launch in launches:
            plan = launch.plan
            plan.folder.mkdir(parents=True, exist_ok=True)
            self._pids[plan.index] = int(
                str(
                    self._order(
                        "start",
                        plan.index,
                        folder=str(plan.folder),
                        options=list(launch.options),
                        command=None if plan.command is None else list(plan.command),
                        seed=launch.seed,
                        is_fresh=launch.is_fresh,
                        has_full_disk=launch.has_full_disk,
                    )
                )
            )

    def is_alive(self, index: int) -> bool:
        """Whether its process runs."""
        return bool(self._order("alive", index))

    def pid(self, index: int) -> int:
        """Its process."""
        return self._pids[index]

    def kill(self, index: int) -> None:
        """SIGKILL."""
        self._order("signal", index, signal=int(signal.SIGKILL), wait=True)

    def stop(self, index: int) -> None:
        """SIGTERM."""
        self._order("signal", index, signal=int(signal.SIGTERM), wait=True)

    def pause(self, index: int) -> None:
        """SIGSTOP."""
        self._order("signal", index, signal=int(signal.SIGSTOP))

    def resume(self, index: int) -> None:
        """SIGCONT."""
        self._order("signal", index, signal=int(signal.SIGCONT))

    def set_disk_full(self, index: int, *, is_full: bool) -> None:
        """Limit how much it may write; its supervisor knows whether it still lives."""
        require_limits()
        self._order("disk", index, is_full=is_full)

    def script(self, index: int, rule: ScriptedReply | None) -> None:
        """Change what it answers; a foreign server cannot."""
        try:
            self._order("script", index, rule=None if rule is None else asdict(rule))
        except LocalClusterError as failure:
            raise NotSupportedError(str(failure)) from None

    def detach(self) -> None:
        """Leave the nodes running under a supervisor that stays."""
        assert self._stays, "started to end with its caller"
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        # It is not ours to wait for any more.
        self._process.returncode = 0

    def close(self) -> None:
        """End the supervisor, and with it the nodes."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        if self._stays:
            self._process.terminate()
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
