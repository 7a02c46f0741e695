"""nodes.conf on disk: whole at any time, locked, and no descriptor is kept for ever."""

import os
from pathlib import Path
from random import Random

import pytest
from attrs import evolve

from clustrio.gossip.config import Config
from clustrio.gossip.nodes_conf import StoredCluster
from clustrio.gossip.storage import new_state, stored_cluster
from clustrio.node.runtime.nodes_file import NodesFile, NodesFileError


@pytest.fixture
def stored() -> StoredCluster:
    return stored_cluster(new_state(Config(port=7000, cport=17000), Random(1), 0, 0))


def _open_versions(path: Path) -> int:
    """How many descriptors of this process lead to the file, or to a version that it had."""
    places = []
    for name in os.listdir("/proc/self/fd"):
        try:
            places.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue
    return sum(place.startswith(str(path)) for place in places)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are not to be seen")
def test_many_versions_leave_few_descriptors_and_none_at_the_end(
    tmp_path: Path, stored: StoredCluster
) -> None:
    path = tmp_path / "nodes.conf"
    file = NodesFile(str(path))
    for epoch in range(100):
        file.save(evolve(stored, current_epoch=epoch), must_sync=False)
    assert 1 < _open_versions(path) < 20
    file.close()
    assert _open_versions(path) == 0
    assert os.listdir(tmp_path) == ["nodes.conf"]


@pytest.mark.parametrize("must_sync", [False, True])
def test_what_was_saved_is_read_and_nobody_else_gets_it(
    tmp_path: Path, stored: StoredCluster, must_sync: bool
) -> None:
    path = str(tmp_path / "nodes.conf")
    first, second = NodesFile(path), NodesFile(path)
    assert first.load() is None
    for epoch in (1, 2):
        first.save(evolve(stored, current_epoch=epoch), must_sync)
    with pytest.raises(NodesFileError, match="already used by a different"):
        second.load()
    first.close()
    found = second.load()
    assert found is not None
    assert found.current_epoch == 2
    second.close()
