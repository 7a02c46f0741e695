"""Who is down: PFAIL, failure reports, FAIL, and the way back.

Owns the flags PFAIL and FAIL. Rules:

* PFAIL is our own finding: a ping was not answered, and no data came, for longer than the timeout.
  What a node says by itself while it finds the cluster down is no such data: it may hear nobody.
* FAIL needs PFAIL and reports of a majority of the voters, not older than twice the timeout (ours
  counts if we vote), or a FAIL message. It is told to all at once.
* A FAIL that our file alone knows is no finding: without an answer in time it becomes a PFAIL.
* Only voters' reports count. A voter with a new PFAIL pings the others at once (in a big cluster
  some of them, the same for all), so that a majority comes together without waiting for the next
  routine pings.
* PFAIL ends with an answer. FAIL of a voter lasts twice the timeout at least, and ends only if it
  still has its slots then; FAIL of others ends with an answer, or as they say that they won slots.

    ok --timeout--> PFAIL --majority, or FAIL message--> FAIL
    ok <--answer--- PFAIL            ok <--answer (voters: after 2T)--- FAIL
"""

from typing import Final

from .events import (
    MessageDropped,
    NodeFailed,
    NodeRecovered,
    NodeReported,
    NodeSuspected,
    ReportWithdrawn,
)
from .messages import Fail, NodeFlag
from .packets import send_ping
from .reasons import (
    DropReason,
    Via,
)
from .state import FAILING, Node
from .turn import Turn

REPORT_VALIDITY_TIMEOUTS: Final = 2
FAIL_UNDO_TIMEOUTS: Final = 2
MAX_COLLECTORS: Final = 24
RETURN_GRACE_MS: Final = 500
"""Enough to read what has come while we were stopped, and to connect and ask anew."""
READING_MS: Final = 200


def on_tick(turn: Turn) -> None:
    """Suspects whoever is overdue, and tells the voters."""
    suspects = [node for node in turn.state.waiting if _is_overdue(turn, node)]
    for node in suspects:
        node.flags = node.flags & ~NodeFlag.FAIL | NodeFlag.PFAIL
        turn.tell(NodeSuspected(node.node_id))
        turn.changed()
    bugs = turn.config.bugs
    for node in suspects:
        fail_if_quorum(turn, node)
    if suspects and turn.state.is_voter(turn.state.myself) and not bugs.wait_for_gossip_quorum:
        for voter in _collectors(turn):
            send_ping(turn, voter)
    # Quorums may shrink, so look at all the suspects again, though rarely.
    if turn.state.ticks % 10 == 0:
        for node in list(turn.state.waiting):
            fail_if_quorum(turn, node)


def _collectors(turn: Turn) -> list[Node]:
    """The voters that are told of a new suspect at once: all, or those with the smallest ids.

    One voter that has heard of a majority is enough, as it tells everybody. All to all would be
    hundreds of thousands of packets for a few hundred voters.
    """
    state = turn.state
    voters = [v for v in state.owners.values() if v is not state.myself and not v.is_failing]
    if len(voters) <= MAX_COLLECTORS:
        return voters
    return sorted(voters, key=lambda voter: voter.node_id)[:MAX_COLLECTORS]


def _is_overdue(turn: Turn, node: Node) -> bool:
    if node.ping_sent_at is None or node.flags & (NodeFlag.PFAIL | NodeFlag.HANDSHAKE):
        return False
    return not node.is_found_failed and is_silent(turn, node)


def is_silent(turn: Turn, node: Node) -> bool:
    """Whether it has owed us an answer for longer than the timeout, whatever it is flagged."""
    if node.ping_sent_at is None:
        return False
    since = node.ping_sent_at
    if node.data_received_at is not None:
        # "Any data counts as life": with much traffic an answer may be late.
        since = max(since, node.data_received_at)
    return turn.now - since > turn.config.node_timeout_ms


def excuse_silence(turn: Turn, away_ms: int, *, left_ms: int | None = None) -> None:
    """We did not listen for a while: whoever owes an answer gets as much more time.

    With `left_ms` no more than that from now on.
    """
    timeout_ms = turn.config.node_timeout_ms
    latest = turn.now - timeout_ms + (timeout_ms if left_ms is None else min(left_ms, timeout_ms))
    for node in turn.state.waiting:
        since = node.ping_sent_at
        if since is not None:
            node.ping_sent_at = max(since, min(since + away_ms, latest))


def on_return(turn: Turn, away_ms: int) -> None:
    """We were stopped: the answers have come meanwhile, but we have not read them yet.

    A busy machine stops us again and again: with more time than that takes, nobody would find out
    for long that a node is dead.
    """
    timeout_ms = turn.config.node_timeout_ms
    excuse_silence(turn, away_ms, left_ms=max(RETURN_GRACE_MS, timeout_ms // 4))
    for node in turn.state.waiting:
        if node.link is not None:
            # It is given up after half the timeout, though not before it has been read.
            latest = turn.now - timeout_ms // 2 + READING_MS
            node.link.created_at = max(node.link.created_at, min(latest, turn.now))


def on_report(turn: Turn, node: Node, reporter: Node, *, is_failing: bool) -> None:
    """A member says how another one fares."""
    if node is turn.state.myself or node is reporter:
        return
    if is_failing:
        if reporter.node_id not in node.reports and not node.is_failed:
            turn.tell(NodeReported(node.node_id, reporter.node_id))
        node.reports[reporter.node_id] = turn.now
        fail_if_quorum(turn, node)
        _elect_if_ours(turn, node)
    elif node.reports.pop(reporter.node_id, None) is not None:
        turn.tell(ReportWithdrawn(node.node_id, reporter.node_id))


def is_reported(turn: Turn, node: Node) -> bool:
    """Whether anybody calls a node failing now; forgets the reports that are too old."""
    if not node.reports:
        return False
    oldest = turn.now - REPORT_VALIDITY_TIMEOUTS * turn.config.node_timeout_ms
    for reporter in [by for by, at in node.reports.items() if at < oldest]:
        del node.reports[reporter]
    return bool(node.reports)


def count_reports(turn: Turn, node: Node) -> int:
    """How many voters call a node failing now, ourselves not counted."""
    is_reported(turn, node)
    if turn.config.bugs.count_replica_reports:
        return len(node.reports)
    return sum(reporter in turn.state.owners for reporter in node.reports)


def fail_if_quorum(turn: Turn, node: Node) -> None:
    """Turns PFAIL into FAIL if a majority of the voters agrees."""
    if not node.is_suspected:
        return
    state = turn.state
    if count_reports(turn, node) + state.is_voter(state.myself) < state.quorum:
        return
    mark_failed(turn, node, Via.QUORUM)
    turn.broadcast(Fail(turn.header(), node.node_id))


def mark_failed(turn: Turn, node: Node, via: Via) -> None:
    """Flags a node FAIL."""
    node.flags = node.flags & ~NodeFlag.PFAIL | NodeFlag.FAIL
    node.failed_at = turn.now
    turn.tell(NodeFailed(node.node_id, via))
    turn.changed()
    _elect_if_ours(turn, node)


def _elect_if_ours(turn: Turn, node: Node) -> None:
    """News of our own primary need not wait for the next tick."""
    if node.is_found_failed and node.node_id == turn.state.myself.replica_of:
        turn.must_elect = True


def on_fail(turn: Turn, sender: Node, message: Fail) -> None:
    """A member tells that a majority found a node failing."""
    node = turn.state.maybe_member(message.node_id)
    if node is None:
        turn.tell(MessageDropped(sender.node_id, DropReason.UNKNOWN_SUBJECT))
    elif node is turn.state.myself:
        turn.tell(MessageDropped(sender.node_id, DropReason.ABOUT_MYSELF))
    elif not node.is_found_failed:
        mark_failed(turn, node, Via.MESSAGE)


def on_new_voter(turn: Turn, node: Node) -> None:
    """A node says that it has won slots: what was found of it before elects nobody else."""
    node.reports.clear()
    if node.is_failed:
        _end_failure(turn, node)


def on_pong(turn: Turn, node: Node) -> None:
    """A node answered our ping."""
    turn.state.note_answer(node, turn.now)
    node.connect_failures = 0
    if node.is_suspected or (node.is_failed and _may_recover(turn, node)):
        _end_failure(turn, node)


def _end_failure(turn: Turn, node: Node) -> None:
    node.flags &= ~FAILING
    node.failed_at = None
    turn.tell(NodeRecovered(node.node_id))
    turn.changed()


def _may_recover(turn: Turn, node: Node) -> bool:
    if not turn.state.is_voter(node) or node.failed_at is None:
        return True
    return turn.now - node.failed_at > FAIL_UNDO_TIMEOUTS * turn.config.node_timeout_ms
