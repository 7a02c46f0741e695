"""How a replica's data follows its primary's: with a lag, by continuation or by a full copy.

Owns `replicate`, called at every tick of a replica. Rules: a replica that the primary's log has
gone on from takes what is missing; any other copies everything, which takes a while, and until then
its offset in the new history is 0. The replica makes sure that it talks to the right node.
"""

from ...gossip.inputs import ReplicationProgressed
from .network import Network
from .process import Process


def maybe_source(process: Process, network: Network) -> Process | None:
    """Whom it can replicate from right now."""
    source = network.addresses.get(process.primary_ip)
    if source is None or source.node_id != process.primary_id or not source.is_working:
        return None
    if network.is_cut(process, source) or network.is_cut(source, process):
        return None
    if source.primary_id is not None and not source.is_synced:
        return None
    return source


def replicate(process: Process, network: Network, lag_ms: int, full_sync_ms: int) -> None:
    """Goes on replicating."""
    if process.primary_id is None:
        return
    now = network.queue.now
    source = maybe_source(process, network)
    if source is None:
        process.sync_ends_at = None
        if process.is_synced and process.silent_since is None:
            process.silent_since = now
        return
    can_continue = process.data.can_continue(source.data)
    if not can_continue:
        process.is_synced = False
        if process.sync_ends_at is None:
            process.sync_ends_at = now + full_sync_ms
            return
        if now < process.sync_ends_at:
            return
        process.data = source.data.copied()
    process.is_synced, process.sync_ends_at, process.silent_since = True, None, None
    has_moved = process.data.copy_from(source.data, now - lag_ms)
    if has_moved and process.core.state.manual is not None:
        process.receive(ReplicationProgressed())
