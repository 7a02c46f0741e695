"""INFO replication and ROLE."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..observe.registry import Field
from ..resp.encoder import array, bulk, integer
from .replica import LinkState

if TYPE_CHECKING:
    from ..machine import Machine


def _link_fields(machine: "Machine") -> list[Field]:
    state, now_ms = machine.replication, machine.clock.now_ms
    primary = state.primary
    if primary is None:
        return []
    is_syncing = state.link_state is LinkState.SYNC
    heard_s = max(0, now_ms - state.heard_ms) // 1000 if state.is_link_up else -1
    fields: list[Field] = [
        ("master_host", primary.host),
        ("master_port", primary.port),
        ("master_link_status", "up" if state.is_link_up else "down"),
        ("master_last_io_seconds_ago", heard_s),
        ("master_sync_in_progress", int(is_syncing)),
        ("slave_read_repl_offset", state.offset + state.unapplied_bytes),
        ("slave_repl_offset", state.offset),
    ]
    if is_syncing:
        total, read = state.transfer_total_bytes, state.transfer_read_bytes
        fields += [
            ("master_sync_total_bytes", total),
            ("master_sync_read_bytes", read),
            ("master_sync_left_bytes", total - read),
            ("master_sync_perc", f"{100 * read / total if total else 0:.2f}"),
            ("master_sync_last_io_seconds_ago", max(0, now_ms - state.transfer_ms) // 1000),
        ]
    if not state.is_link_up:
        down_s = max(0, now_ms - state.down_since_ms) // 1000 if state.was_up else -1
        fields.append(("master_link_down_since_seconds", down_s))
    config = machine.config
    return [
        *fields,
        ("slave_priority", config.replica_priority),
        ("slave_read_only", int(config.replica_read_only)),
        ("replica_announced", int(config.replica_announced)),
    ]


def replication(machine: "Machine") -> Sequence[Field]:
    """Who follows whom, and how far they are."""
    state, config, now_ms = machine.replication, machine.config, machine.clock.now_ms
    peers = [peer for peer in state.peers if peer.is_fed]
    fields: list[Field] = [
        ("role", state.role),
        *_link_fields(machine),
        ("connected_slaves", len(peers)),
    ]
    if config.min_replicas_to_write and config.min_replicas_max_lag:
        fields.append(("min_slaves_good_slaves", state.good_replicas()))
    for number, peer in enumerate(peers):
        lag = max(0, now_ms - peer.acked_ms) // 1000 if peer.is_online else 0
        fields.append(
            (
                f"slave{number}",
                f"ip={peer.ip},port={peer.port},state={peer.shown_state},"
                f"offset={peer.acked_offset},lag={lag}",
            )
        )
    history, backlog = state.history, state.backlog
    return [
        *fields,
        ("master_failover_state", state.failover.state.value),
        ("master_replid", history.identity.decode()),
        ("master_replid2", history.second_identity.decode()),
        ("master_repl_offset", state.offset),
        ("second_repl_offset", history.second_offset),
        ("repl_backlog_active", int(backlog is not None)),
        ("repl_backlog_size", config.repl_backlog_size),
        ("repl_backlog_first_byte_offset", backlog.first_offset if backlog else 0),
        ("repl_backlog_histlen", backlog.held_bytes if backlog else 0),
    ]


def sync_counts(machine: "Machine") -> Sequence[Field]:
    """INFO stats: how replicas got their data."""
    state = machine.replication
    return [
        ("sync_full", state.full_syncs),
        ("sync_partial_ok", state.partial_syncs),
        ("sync_partial_err", state.refused_partial_syncs),
    ]


def role_reply(machine: "Machine") -> bytes:
    """ROLE."""
    state = machine.replication
    if state.primary is None:
        peers = [
            array(
                [bulk(text.encode()) for text in (peer.ip, str(peer.port), str(peer.acked_offset))]
            )
            for peer in state.peers
            if peer.is_online
        ]
        return array([bulk(b"master"), integer(state.offset), array(peers)])
    offset = state.offset if state.is_link_up else -1
    return array(
        [
            bulk(b"slave"),
            bulk(state.primary.host.encode()),
            integer(state.primary.port),
            bulk(state.link_state.value.encode()),
            integer(offset),
        ]
    )
