"""What has happened between two looks at a cluster.

Owns the kinds of events, and how they are told from two pictures. Rules: pure; the same pictures
give the same events in the same order; what several nodes see is told for each of them, because
that they differ is often the point.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from attrs import field, frozen

from ...slots.slotset import SlotSet

#: Counters of CLUSTER INFO that tell of an election.
VOTES_ASKED: Final = "cluster_stats_messages_auth-req_sent"
VOTES_GIVEN: Final = "cluster_stats_messages_auth-ack_sent"
_HEALTH_KINDS: Final = {"fail?": "pfail", "fail": "fail", "ok": "healthy"}
_ORDER: Final = (
    "joined",
    "reachable",
    "healthy",
    "unreachable",
    "pfail",
    "fail",
    "election",
    "vote",
    "promoted",
    "follows",
    "epoch",
    "open",
    "closed",
    "moved",
    "uncovered",
    "covered",
    "state",
    "left",
)


@frozen
class Seen:
    """One node at one look."""

    name: str
    is_reachable: bool
    primary_id: str | None
    slots: SlotSet = field(factory=SlotSet)
    config_epoch: int = 0
    health: Mapping[str, str] = field(factory=dict)
    """How the others are in its eyes, by id."""
    open_slots: Mapping[int, str] = field(factory=dict)
    """What it gives away or takes in, and the other end."""
    state: str = ""
    votes_asked: int = 0
    votes_given: int = 0


Picture = Mapping[str, Seen]


@frozen
class Event:
    """One thing that has happened; `kind` is for programs."""

    kind: str
    node: str
    text: str
    slots: str = ""


def events_between(before: Picture, after: Picture) -> list[Event]:
    """All that has changed."""
    found: list[Event] = []
    for node_id, now in after.items():
        old = before.get(node_id)
        if old is None:
            found.append(Event("joined", now.name, f"{now.name} has joined"))
            continue
        found += _life(old, now)
        if now.is_reachable and old.is_reachable:
            found += _views(old, now, after)
            found += _roles(old, now, after)
    for node_id, old in before.items():
        if node_id not in after:
            found.append(Event("left", old.name, f"{old.name} has left"))
    found += _moves(before, after)
    # What leads to the other things comes first, whoever was looked at first.
    return sorted(found, key=lambda event: _ORDER.index(event.kind))


def _life(old: Seen, now: Seen) -> Iterator[Event]:
    if old.is_reachable and not now.is_reachable:
        yield Event("unreachable", now.name, f"{now.name} does not answer")
    if now.is_reachable and not old.is_reachable:
        yield Event("reachable", now.name, f"{now.name} answers again")


def _views(old: Seen, now: Seen, after: Picture) -> Iterator[Event]:
    for node_id, health in now.health.items():
        if health != old.health.get(node_id, "ok"):
            name = after[node_id].name if node_id in after else node_id[:8]
            kind = _HEALTH_KINDS[health]
            yield Event(kind, name, f"{now.name} sees {name} as {kind.upper()}")
    if now.state != old.state:
        yield Event("state", now.name, f"{now.name} says cluster_state:{now.state}")


def _roles(old: Seen, now: Seen, after: Picture) -> Iterator[Event]:
    if now.votes_asked > old.votes_asked:
        yield Event("election", now.name, f"{now.name} asks for votes")
    if now.votes_given > old.votes_given:
        yield Event("vote", now.name, f"{now.name} gives its vote")
    if now.primary_id != old.primary_id:
        if now.primary_id is None:
            yield Event("promoted", now.name, f"{now.name} is a master now")
        else:
            primary = after.get(now.primary_id)
            name = primary.name if primary else now.primary_id[:8]
            yield Event("follows", now.name, f"{now.name} follows {name} now")
    if now.config_epoch != old.config_epoch and now.primary_id is None:
        text = f"{now.name} has config epoch {now.config_epoch}, before {old.config_epoch}"
        yield Event("epoch", now.name, text)
    opened = SlotSet.of(now.open_slots.keys() - old.open_slots.keys())
    if opened:
        yield Event("open", now.name, f"{now.name} opens {opened.text()}", opened.text())
    # A slot that was closed because its move is over is told of as moved.
    closed = SlotSet.of(
        slot
        for slot in old.open_slots.keys() - now.open_slots.keys()
        if (slot in old.slots) == (slot in now.slots)
    )
    if closed:
        yield Event("closed", now.name, f"{now.name} closes {closed.text()}", closed.text())


def _moves(before: Picture, after: Picture) -> Iterator[Event]:
    for now_id, now in after.items():
        for old_id, old in before.items():
            if old_id == now_id:
                continue
            had = before[now_id].slots if now_id in before else SlotSet()
            moved = (now.slots - had) & old.slots
            if moved:
                text = f"{moved.text()} moved from {old.name} to {now.name}"
                yield Event("moved", now.name, text, moved.text())
    old_slots, new_slots = _covered(before), _covered(after)
    if lost := old_slots - new_slots:
        yield Event("uncovered", "", f"nobody owns {lost.text()} any more", lost.text())
    if found := new_slots - old_slots:
        yield Event("covered", "", f"{found.text()} have an owner again", found.text())


def _covered(picture: Picture) -> SlotSet:
    covered = SlotSet()
    for seen in picture.values():
        covered |= seen.slots
    return covered
