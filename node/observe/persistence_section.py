"""INFO persistence."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..persistence.status import ChildKind, LogState
from .registry import Field

if TYPE_CHECKING:
    from ..machine import Machine


def _status(failed: object) -> str:
    return "err" if failed else "ok"


def persistence(machine: "Machine") -> Sequence[Field]:
    """What is on disk, since when, and what is under way."""
    state = machine.persistence
    loading = machine.loading
    child_s = max(0, machine.clock.now_ms - state.child_started_ms) // 1000
    is_saving = state.child is ChildKind.SNAPSHOT
    is_rewriting = state.child is ChildKind.REWRITE
    has_log = state.log_state is not LogState.OFF
    fields: list[Field] = [
        ("loading", int(loading.is_active)),
        ("async_loading", 0),
        ("current_cow_peak", state.child_copied_bytes),
        ("current_cow_size", state.child_copied_bytes),
        ("current_cow_size_age", 0),
        ("current_fork_perc", "0.00"),
        ("current_save_keys_processed", 0),
        ("current_save_keys_total", state.child_keys_total if state.child else 0),
        ("rdb_changes_since_last_save", state.dirty),
        ("rdb_bgsave_in_progress", int(is_saving)),
        ("rdb_last_save_time", state.last_save_s),
        ("rdb_last_bgsave_status", _status(state.last_save_failed)),
        ("rdb_last_bgsave_time_sec", state.last_save_took_s),
        ("rdb_current_bgsave_time_sec", child_s if is_saving else -1),
        ("rdb_saves", state.save_count),
        ("rdb_last_cow_size", state.last_save_copied_bytes),
        ("rdb_last_load_keys_expired", loading.keys_expired),
        ("rdb_last_load_keys_loaded", loading.keys_loaded),
        ("aof_enabled", int(has_log)),
        ("aof_rewrite_in_progress", int(is_rewriting)),
        ("aof_rewrite_scheduled", int(state.is_rewrite_scheduled)),
        ("aof_last_rewrite_time_sec", state.last_rewrite_took_s),
        ("aof_current_rewrite_time_sec", child_s if is_rewriting else -1),
        ("aof_last_bgrewrite_status", _status(state.last_rewrite_failed)),
        ("aof_rewrites", state.rewrite_count),
        ("aof_rewrites_consecutive_failures", state.failed_rewrites),
        ("aof_last_write_status", _status(state.log_write_error or state.log_sync_error)),
        ("aof_last_cow_size", state.last_rewrite_copied_bytes),
        ("module_fork_in_progress", 0),
        ("module_fork_last_cow_size", 0),
    ]
    if has_log:
        fields += [
            ("aof_current_size", state.log_bytes),
            ("aof_base_size", state.log_rewritten_bytes),
            ("aof_pending_rewrite", 0),
            ("aof_buffer_length", state.log_buffer_bytes()),
            ("aof_pending_bio_fsync", state.pending_syncs),
            ("aof_delayed_fsync", state.delayed_syncs),
        ]
    if loading.is_active:
        fields += loading.fields()
    return fields
