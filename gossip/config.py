"""What an operator may set about the cluster, and the bugs that the simulator may switch on.

Owns two frozen records; whoever wants other values hands a new record to the core. The names and
defaults are Redis' (`cluster-node-timeout` is `node_timeout_ms`).
"""

from attrs import field, frozen


@frozen
class Bugs:
    """Known bugs of others, each put back by one switch; the simulator must find every one.

    All are off in production. The number is the one in the list of bugs that this core is to avoid.
    """

    raise_epoch_without_slots: bool = False
    """3: any packet raises its sender's config epoch, though it brings no slots along."""
    update_with_unclaimed_slots: bool = False
    """4: an UPDATE names slots that their owner no longer claims."""
    keep_unclaimed_mark: bool = False
    """A slot that SETSLOT gives away stays one that its owner stopped claiming (Redis to 7.2.1)."""
    collide_by_id_only: bool = False
    """11: of two primaries of one shard the smaller id wins, even with less data."""
    rank_without_id: bool = False
    """P39: replicas with equal offsets get the same rank and start together."""
    elect_without_data: bool = False
    """13: a replica at offset 0 stands for election, and is voted for, beside one with data."""
    ignore_rival_win: bool = False
    """14: an election goes on although another replica has won."""
    keep_retry_timer: bool = False
    """18: the time of the last election delays the next one, even after a success."""
    no_update_on_refusal: bool = False
    """19: a replica with a stale view is refused, but not told why."""
    keep_sub_replicas: bool = False
    """20: a replica of a replica stays one."""
    trust_late_packets: bool = False
    """21: a packet from before a failover changes the topology when it comes after it."""
    trust_stale_links: bool = False
    """What waited in a cut link for longer than the timeout is believed as if it were new."""
    two_manual_failovers: bool = False
    """23: a second MFSTART replaces the first, and both replicas see a paused primary."""
    wait_for_gossip_quorum: bool = False
    """24: PFAIL is told only by the next routine ping."""
    no_backoff: bool = False
    """26: a dead peer is connected to at every tick."""
    never_arm_ping: bool = False
    """26: a peer that closes links before a PING leaves is never suspected."""
    trust_wrong_identity: bool = False
    """29: who answers at a node's address is taken for that node."""
    vote_before_sync: bool = False
    """31: a vote leaves without being on disk."""
    vote_twice: bool = False
    """32: a voter votes again in an epoch."""
    vote_after_candidacy: bool = False
    """32: a replica that won an epoch votes for another one in it (Redis does to this day)."""
    count_old_votes: bool = False
    """33: a vote for an earlier attempt counts for this one."""
    count_replica_reports: bool = False
    """P24: failure reports of nodes that may not vote count."""
    rejoin_at_once: bool = False
    """P03: a primary that was in a minority writes again as soon as it sees a majority."""
    trust_old_promises: bool = False
    """What voters promised after one minority counts after the next one as well."""
    break_promises: bool = False
    """A voter promises though it has voted, and votes though it has promised."""


@frozen
class Config:
    """The options that the core obeys."""

    port: int
    """Announced client port, of the kind that the bus uses."""
    cport: int
    """Announced bus port."""
    pport: int = 0
    """Announced client port of the other kind (plain TCP beside TLS); 0 if there is none."""
    tls_cluster: bool = False
    node_timeout_ms: int = 15_000
    announce_ip: str = ""
    """"" means that the address is learned from the links of others."""
    hostname: str = ""
    human_nodename: str = ""
    replica_validity_factor: int = 10
    """0 lets a replica stand for election however old its data is."""
    replica_ping_period_s: int = 10
    replica_no_failover: bool = False
    migration_barrier: int = 1
    allow_replica_migration: bool = True
    require_full_coverage: bool = True
    ping_interval_ms: int = 0
    """Longest time without a ping to each peer; 0 takes it from the timeout and the peers."""
    bugs: Bugs = field(factory=Bugs, repr=False)
