"""What the operator sees, compared with Redis 7.2's texts and fields."""

from clustrio.gossip.commands import SetSlotImporting, SetSlotMigrating
from clustrio.gossip.messages import NodeFlag
from clustrio.gossip.outputs import Endpoint
from clustrio.gossip.views import (
    Viewer,
    info_text,
    links_view,
    nodes_text,
    redirect_address,
    replica_lines,
    shards_view,
    slots_view,
)

from .harness import WALL_OFFSET_MS, World, id_of

A, B, C, D = (id_of(name) for name in "ABCD")


def test_nodes() -> None:
    world = World().cluster(2, 1)
    core = world.sims["A"].core
    world.sims["A"].must(SetSlotMigrating(5, B))
    world.sims["A"].must(SetSlotImporting(9_000, B))
    lines = nodes_text(core).splitlines()
    epoch = core.state.myself.config_epoch
    assert lines[0] == (
        f"{A} 10.0.0.1:6379@16379 myself,master - 0 0 {epoch} connected "
        f"0-8191 [5->-{B}] [9000-<-{B}]"
    )
    replica = next(line for line in lines if line.startswith(C)).split()
    assert replica[1:5] == ["10.0.0.3:6379@16379", "slave", A, "0"]
    # A replica is shown with its primary's epoch, and times are Unix milliseconds.
    assert replica[6:] == [str(epoch), "connected"]
    assert int(replica[5]) > WALL_OFFSET_MS
    assert replica_lines(core, A) == [" ".join(replica)]


def test_nodes_shows_failures_and_host_names() -> None:
    world = World().cluster(2)
    world.sims["B"].configure(hostname="b.example")
    world.run(3_000)
    core = world.sims["A"].core
    core.state.nodes[B].flags |= NodeFlag.PFAIL
    line = nodes_text(core).splitlines()[1].split()
    assert line[1:3] == ["10.0.0.2:6379@16379,b.example", "master,fail?"]


def test_slots() -> None:
    world = World().cluster(2, 1)
    view = slots_view(world.sims["A"].core)
    assert view == [
        [0, 8_191, ["10.0.0.1", 6379, A, {}], ["10.0.0.3", 6379, C, {}]],
        [8_192, 16_383, ["10.0.0.2", 6379, B, {}], ["10.0.0.4", 6379, D, {}]],
    ]


def test_slots_leaves_out_replicas_that_cannot_be_read() -> None:
    world = World().cluster(2, 1)
    core = world.sims["A"].core
    core.state.nodes[C].offset = 0
    core.state.nodes[D].flags |= NodeFlag.FAIL
    assert [len(entry) for entry in slots_view(core) if isinstance(entry, list)] == [3, 3]


def test_slots_by_preferred_endpoint() -> None:
    world = World().cluster(2)
    core = world.sims["A"].core
    core.state.nodes[B].hostname = "b.example"
    names = slots_view(core, Viewer(endpoint=Endpoint.HOSTNAME))
    assert [entry[2] for entry in names if isinstance(entry, list)] == [
        ["?", 6379, A, {"ip": "10.0.0.1"}],
        ["b.example", 6379, B, {"ip": "10.0.0.2"}],
    ]
    unknown = slots_view(core, Viewer(endpoint=Endpoint.UNKNOWN))
    assert [entry[2] for entry in unknown if isinstance(entry, list)][1] == [
        None,
        6379,
        B,
        {"ip": "10.0.0.2", "hostname": "b.example"},
    ]


def test_shards() -> None:
    world = World().cluster(2, 1)
    core = world.sims["A"].core
    core.state.nodes[C].offset = 0
    first = shards_view(core)[0]
    assert first == {
        "slots": [0, 8_191],
        "nodes": [
            {
                "id": A,
                "port": 6379,
                "ip": "10.0.0.1",
                "endpoint": "10.0.0.1",
                "role": "master",
                "replication-offset": 1,
                "health": "online",
            },
            {
                "id": C,
                "port": 6379,
                "ip": "10.0.0.3",
                "endpoint": "10.0.0.3",
                "role": "replica",
                "replication-offset": 0,
                "health": "loading",
            },
        ],
    }


def test_tls_clients_get_tls_ports() -> None:
    world = World().cluster(2, pport=7000, tls_cluster=True)
    core = world.sims["A"].core
    assert redirect_address(core, B) == "10.0.0.2:7000"
    assert redirect_address(core, B, Viewer(tls=True)) == "10.0.0.2:6379"
    shard = shards_view(core)[1]
    assert isinstance(shard, dict)
    nodes = shard["nodes"]
    assert isinstance(nodes, list)
    assert isinstance(nodes[0], dict)
    assert (nodes[0]["port"], nodes[0]["tls-port"]) == (7000, 6379)


def test_links() -> None:
    world = World().cluster(2)
    core = world.sims["A"].core
    out = core.state.nodes[B].link
    assert out is not None
    to, back = links_view(core, {out.link_id: 2_000})
    assert isinstance(to, dict)
    assert isinstance(back, dict)
    assert list(to) == [
        "direction",
        "node",
        "create-time",
        "events",
        "send-buffer-allocated",
        "send-buffer-used",
    ]
    assert (to["direction"], to["events"], to["send-buffer-used"]) == ("to", "rw", 2_000)
    assert (back["direction"], back["events"], back["node"]) == ("from", "r", B)


def test_info() -> None:
    world = World().cluster(2, 1)
    core = world.sims["C"].core
    core.state.nodes[B].flags |= NodeFlag.PFAIL
    fields = dict(line.split(":") for line in info_text(core).split("\r\n") if line)
    assert list(fields)[:9] == [
        "cluster_state",
        "cluster_slots_assigned",
        "cluster_slots_ok",
        "cluster_slots_pfail",
        "cluster_slots_fail",
        "cluster_known_nodes",
        "cluster_size",
        "cluster_current_epoch",
        "cluster_my_epoch",
    ]
    assert fields["cluster_state"] == "ok"
    assert (fields["cluster_slots_ok"], fields["cluster_slots_pfail"]) == ("8192", "8192")
    assert fields["cluster_my_epoch"] == str(core.state.nodes[A].config_epoch)
    sent = [int(v) for k, v in fields.items() if k.endswith("_sent") and k.count("_") == 4]
    assert int(fields["cluster_stats_messages_sent"]) == sum(sent) > 0
    assert list(fields)[-1] == "total_cluster_links_buffer_limit_exceeded"
