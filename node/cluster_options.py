"""The brain's options: what of the node's directives concerns it."""

from typing import TYPE_CHECKING, Final

from ..gossip.config import Config as GossipConfig

if TYPE_CHECKING:
    from .machine import Machine

#: Directives that the brain obeys.
DIRECTIVES: Final = (
    "cluster-node-timeout",
    "cluster-announce-ip",
    "cluster-announce-port",
    "cluster-announce-bus-port",
    "cluster-announce-tls-port",
    "tls-port",
    "tls-cluster",
    "cluster-announce-hostname",
    "cluster-announce-human-nodename",
    "cluster-replica-validity-factor",
    "cluster-replica-no-failover",
    "cluster-migration-barrier",
    "cluster-allow-replica-migration",
    "cluster-require-full-coverage",
    "repl-ping-replica-period",
    "cluster-allow-reads-when-down",
    "cluster-allow-pubsubshard-when-down",
)


def gossip_config(machine: "Machine") -> GossipConfig:
    """The brain's options, as the node's directives have them."""
    config = machine.config
    plain = config.cluster_announce_port or config.port
    encrypted = config.cluster_announce_tls_port or config.tls_port
    is_tls = config.tls_cluster
    return GossipConfig(
        port=encrypted if is_tls else plain,
        pport=plain if is_tls else encrypted,
        tls_cluster=is_tls,
        cport=config.cluster_announce_bus_port or bus_port(machine),
        node_timeout_ms=config.cluster_node_timeout,
        announce_ip=config.cluster_announce_ip or "",
        hostname=config.cluster_announce_hostname or "",
        human_nodename=config.cluster_announce_human_nodename or "",
        replica_validity_factor=config.cluster_replica_validity_factor,
        replica_ping_period_s=config.repl_ping_replica_period,
        replica_no_failover=config.cluster_replica_no_failover,
        migration_barrier=config.cluster_migration_barrier,
        allow_replica_migration=config.cluster_allow_replica_migration,
        require_full_coverage=config.cluster_require_full_coverage,
    )


def bus_port(machine: "Machine") -> int:
    """The port of the bus: its own directive, or the client port of its kind and 10000."""
    config = machine.config
    return config.cluster_port or (config.tls_port if config.tls_cluster else config.port) + 10_000
