"""Starting atomic slot migrations, and looking at what came of them."""

from typing import Final

from clustrio.tools.bench.clusters import ClusterNode, wait_until

from ..support.servers import client_of
from .load import connect

OVER: Final = ("success", "failed", "cancelled")
Job = dict[str, str | int]


def jobs_of(node: ClusterNode) -> list[Job]:
    """CLUSTER GETSLOTMIGRATIONS, the latest job first."""
    found: list[Job] = []
    for row in node.items("CLUSTER", "GETSLOTMIGRATIONS"):
        assert isinstance(row, list)
        words = [word.decode() if isinstance(word, bytes) else word for word in row]
        found.append(dict(zip(words[::2], words[1::2], strict=True)))  # type: ignore[arg-type]
    return found


def start(source: ClusterNode, target: ClusterNode, first: int, last: int) -> None:
    words = ("SLOTSRANGE", first, last, "NODE", target.node_id)
    assert source.call("CLUSTER", "MIGRATESLOTS", *words) == b"OK"


def wait_for_end(node: ClusterNode) -> Job:
    """The latest job, when it is over."""

    def complaint() -> str:
        job = jobs_of(node)[0]
        return "" if job["state"] in OVER else str(job)

    wait_until("the job ends", complaint, [node])
    return jobs_of(node)[0]


def move(source: ClusterNode, target: ClusterNode, first: int, last: int) -> Job:
    start(source, target, first, last)
    job = wait_for_end(source)
    assert job["state"] == "success", (job, source.log()[-2000:], target.log()[-2000:])
    return job


def fill(node: ClusterNode, count: int) -> None:
    client = connect(node.port)
    for start_ in range(0, count, 1000):
        pipeline = client.pipeline()
        for number in range(start_, min(start_ + 1000, count)):
            pipeline.set(f"fill:{number}", f"value {number}")
        pipeline.execute()
    client.close()


def check_fill(node: ClusterNode, count: int) -> None:
    client = connect(node.port)
    for start_ in range(0, count, 1000):
        numbers = range(start_, min(start_ + 1000, count))
        pipeline = client.pipeline()
        for number in numbers:
            pipeline.get(f"fill:{number}")
        assert pipeline.execute() == [f"value {number}".encode() for number in numbers]
    client.close()


def slot_counts(node: ClusterNode) -> list[int]:
    with client_of(node) as client:
        questions = [[b"CLUSTER", b"COUNTKEYSINSLOT", b"%d" % slot] for slot in range(16_384)]
        return [reply.number for reply in client.pipeline(questions)]
