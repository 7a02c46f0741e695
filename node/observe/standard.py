"""The sections that every node has."""

from ..replication import section
from . import persistence_section, sections_data, sections_server, sections_stats
from .registry import InfoRegistry


def standard_sections() -> InfoRegistry:
    """INFO of a node without further features."""
    registry = InfoRegistry()
    registry.add("server", sections_server.server)
    registry.add("clients", sections_server.clients)
    registry.add("memory", sections_data.memory)
    registry.add("persistence", persistence_section.persistence)
    registry.add("stats", sections_stats.stats)
    registry.add("replication", section.replication)
    registry.add("stats", section.sync_counts)
    registry.add("cpu", sections_server.cpu)
    registry.add("commandstats", sections_stats.commandstats)
    registry.add("errorstats", sections_stats.errorstats)
    registry.add("latencystats", sections_stats.latencystats)
    registry.add("cluster", sections_server.cluster)
    registry.add("keyspace", sections_data.keyspace)
    return registry
