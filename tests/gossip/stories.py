"""Stories: text files of `command` / `----` / what happened, in the manner of etcd's raft.

What is printed are the core's events, so wording may change without breaking a story. Set
CLUSTRIO_REWRITE=1 to have the expected parts written anew, then read the difference.

    cluster PxR [option=value ...]   a cluster of P primaries with R replicas each, and ready
    new A B [option=value ...]       nodes that know nobody
    do A meet B | replicate B | addslots 0-5 | failover force | ...   CLUSTER subcommands
    set A option=value               changes an option
    data A offset=5 | keys=100:2 | loading=yes    changes its data (slot:count)
    flood A 300                      so many CLUSTER MEETs; prints the last event
    kill A, start A, freeze A, thaw A, cut A (from all), cut A B (from each other), heal
    send B A kind [field=value ...]  A receives a forged message on its link with B
    run ms [only=Kind,...] [but=Kind,...]
    show A                           its view: CLUSTER NODES without what varies
"""

import enum
import os
from pathlib import Path

import attrs

from clustrio.gossip import commands, messages
from clustrio.gossip.config import Bugs
from clustrio.gossip.events import (
    Event,
)
from clustrio.gossip.inputs import LinkAccepted, MessageReceived
from clustrio.gossip.messages import MessageFlag, NodeFlag, slots_text
from clustrio.gossip.nodes_conf import flags_text
from clustrio.gossip.state import bitmap_of

from .harness import Sim, World, header, id_of

DATA = Path(__file__).parent.parent / "data" / "gossip"
QUIET = (
    "NodeReported",
    "ReportWithdrawn",
    "LinkDropped",
    "RoleLearned",
    "EpochRaised",
    "NodeLearned",
)


class Story:
    """One story being told."""

    def __init__(self) -> None:
        self.world = World()

    def perform(self, command: str) -> str:
        """Does one command; what it prints."""
        verb, *words = command.split()
        options = dict(word.split("=", 1) for word in words if "=" in word)
        names = [word for word in words if "=" not in word]
        method = getattr(self, f"on_{verb}")
        text = method(names, options)
        assert isinstance(text, str)
        return text

    def on_cluster(self, names: list[str], options: dict[str, str]) -> str:
        primaries, _, replicas = names[0].partition("x")
        self.world.cluster(int(primaries), int(replicas or 0), **_typed(options))
        return self.on_show(["A"], {})

    def on_new(self, names: list[str], options: dict[str, str]) -> str:
        for name in names:
            self.world.add_one(name, **_typed(options))
        return "ok"

    def on_do(self, names: list[str], options: dict[str, str]) -> str:
        name, subcommand, *arguments = names
        sim = self.world.sims[name]
        before = len(self.world.record_of)
        answer = sim.do(self.request(subcommand, arguments))
        lines = [
            answer.text
            if isinstance(answer, commands.Refused)
            else "ok"
            if answer.value is None
            else str(answer.value)
        ]
        lines += self.lines(before, self.world.now, {})
        return "\n".join(lines)

    def request(self, subcommand: str, arguments: list[str]) -> commands.Request:
        node = id_of(arguments[-1]) if arguments else ""
        match subcommand:
            case "meet":
                peer = self.world.sims.get(arguments[0])
                return commands.MeetNode(peer.ip if peer else arguments[0], 6379, 16_379)
            case "forget":
                return commands.ForgetNode(node)
            case "replicate":
                return commands.Replicate(node)
            case "addslots":
                return commands.AddSlots(_slots(arguments))
            case "delslots":
                return commands.DelSlots(_slots(arguments))
            case "flushslots":
                return commands.FlushSlots()
            case "setslot":
                return _setslot(int(arguments[0]), arguments[1], node)
            case "bumpepoch":
                return commands.BumpEpoch()
            case "set-config-epoch":
                return commands.SetConfigEpoch(int(arguments[0]))
            case "failover":
                return commands.Failover("force" in arguments, "takeover" in arguments)
            case "reset":
                return commands.Reset("hard" in arguments)
            case "saveconfig":
                return commands.SaveConfig()
            case "count-failure-reports":
                return commands.CountFailureReports(node)
            case "publish":
                return commands.PublishToNodes(b"news", b"hello", "sharded" in arguments)
            case "claim-key-slots":
                return commands.ClaimKeySlots()
            case "drop":
                types = frozenset(int(messages.MessageType[word]) for word in arguments)
                return commands.DropPacketTypes(types)
            case "close-on-drop":
                return commands.CloseOnDrop(True)
            case "kill-links":
                return commands.KillLinks(node, to_node=arguments[0] != "from")
        raise ValueError(subcommand)

    def on_flood(self, names: list[str], options: dict[str, str]) -> str:
        sim, before = self.world.sims[names[0]], len(self.world.record_of)
        for number in range(int(names[1])):
            sim.do(commands.MeetNode(f"10.1.{number // 200}.{number % 200}", 6379, 16_379))
        return self.lines(before, self.world.now, {})[-1]

    def on_set(self, names: list[str], options: dict[str, str]) -> str:
        self.world.sims[names[0]].configure(**_typed(options))
        return "ok"

    def on_data(self, names: list[str], options: dict[str, str]) -> str:
        sim = self.world.sims[names[0]]
        if "offset" in options:
            sim.own_offset = int(options["offset"])
        sim.is_loading = options.get("loading", "no") == "yes"
        for pair in filter(None, options.get("keys", "").split(",")):
            slot, count = pair.split(":")
            sim.keys[int(slot)] = int(count)
        return "ok"

    def on_kill(self, names: list[str], options: dict[str, str]) -> str:
        for name in names:
            self.world.kill(name)
        return "ok"

    def on_start(self, names: list[str], options: dict[str, str]) -> str:
        for name in names:
            self.world.start(name)
        return "ok"

    def on_freeze(self, names: list[str], options: dict[str, str]) -> str:
        self.world.freeze(names[0])
        return "ok"

    def on_thaw(self, names: list[str], options: dict[str, str]) -> str:
        self.world.thaw(names[0])
        return "ok"

    def on_cut(self, names: list[str], options: dict[str, str]) -> str:
        if len(names) == 2:
            self.world.cut_pair(*names)
        else:
            self.world.cut(*names)
        return "ok"

    def on_heal(self, names: list[str], options: dict[str, str]) -> str:
        self.world.heal()
        return "ok"

    def on_send(self, names: list[str], options: dict[str, str]) -> str:
        sender, receiver, kind, *rest = names
        sim = self.world.sims[receiver]
        message = self.forge(sender, kind, rest, options)
        state = sim.core.state
        before = len(self.world.record_of)
        node = state.nodes.get(id_of(sender))
        if options.get("link") == "gone":
            link_id = 10_000
        elif options.get("link"):
            known = state.nodes[id_of(options["link"])]
            assert known.link is not None
            link_id = known.link.link_id
        elif node is not None and node.inbound is not None:
            link_id = node.inbound.link_id
        else:
            link_id = sim.next_inbound
            sim.next_inbound -= 1
            sim.give(LinkAccepted(link_id, options.get("from", "10.9.9.9"), sim.ip))
        sim.give(MessageReceived(link_id, message))
        return "\n".join(self.lines(before, self.world.now, {})) or "nothing"

    def forge(
        self, sender: str, kind: str, rest: list[str], options: dict[str, str]
    ) -> messages.Message:
        state = self.world.sims[sender].core.state if sender in self.world.sims else None
        head = header(sender, current_epoch=state.current_epoch if state else 0)
        if state is not None:
            shown = state.shard_primary(state.myself) or state.myself
            head = attrs.evolve(
                head,
                config_epoch=shown.config_epoch,
                slots=shown.slots,
                replica_of=state.myself.replica_of,
                offset=self.world.sims[sender].own_offset,
            )
        if "ip" in options:
            head = attrs.evolve(head, ip=options["ip"])
        if "slots" in options:
            mask = sum(1 << slot for slot in _slots([options["slots"]]))
            head = attrs.evolve(head, slots=bitmap_of(mask))
        for name in ("current_epoch", "config_epoch", "offset"):
            if name in options:
                head = attrs.evolve(head, **{name: int(options[name], 0)})  # type: ignore[arg-type]
        if "replica_of" in options:
            text = options["replica_of"]
            head = attrs.evolve(head, replica_of=None if text == "-" else id_of(text))
        if "force" in rest:
            head = attrs.evolve(head, message_flags=MessageFlag.FORCEACK)
        subject = id_of(rest[0]) if rest else ""
        match kind:
            case "ping":
                return messages.Ping(head)
            case "pong":
                return messages.Pong(head)
            case "meet":
                return messages.Meet(head)
            case "fail":
                return messages.Fail(head, subject)
            case "request":
                return messages.FailoverAuthRequest(head)
            case "vote":
                return messages.FailoverAuthAck(head)
            case "mfstart":
                return messages.MfStart(head)
            case "update":
                epoch = int(options["epoch"], 0)
                return messages.Update(head, epoch, subject, head.slots)
            case "publish":
                return messages.Publish(None, b"news", b"hello")
            case "module":
                return messages.Ignored(head, 9, b"")
            case "gossip":
                flags: int = getattr(NodeFlag, options.get("flags", "PRIMARY"))
                entry = messages.GossipEntry(subject, 0, 0, "10.0.0.99", 6379, 16_379, flags)
                return messages.Ping(head, (entry,))
            case "forgotten":
                forgotten = messages.ForgottenNode(subject, int(options.get("ttl", "60")))
                return messages.Ping(head, (), (forgotten,))
        raise ValueError(kind)

    def on_run(self, names: list[str], options: dict[str, str]) -> str:
        before, start = len(self.world.record_of), self.world.now
        self.world.run(int(names[0]))
        return "\n".join(self.lines(before, start, options)) or "nothing"

    def on_show(self, names: list[str], options: dict[str, str]) -> str:
        sim = self.world.sims[names[0]]
        state = sim.core.state
        word = "ok" if state.is_ok else "fail"
        lines = [f"{word} epoch={state.current_epoch} voted={state.last_vote_epoch}"]
        lines += [
            self.node_text(sim, node_id) for node_id in sorted(state.nodes, key=self.world.name_of)
        ]
        return "\n".join(lines)

    def node_text(self, sim: Sim, node_id: str) -> str:
        node = sim.core.state.nodes[node_id]
        primary = "-" if node.replica_of is None else self.world.name_of(node.replica_of)
        name = "?" if node.in_handshake else self.world.name_of(node_id)
        words = [name, flags_text(node.flags), primary, str(node.config_epoch)]
        return " ".join(filter(None, [*words, slots_text(node.slots)]))

    # ---- printing ----

    def lines(self, before: int, start: int, options: dict[str, str]) -> list[str]:
        only = tuple(filter(None, options.get("only", "").split(",")))
        hidden = QUIET + tuple(filter(None, options.get("but", "").split(",")))
        found = []
        for at, name, event in self.world.record_of[before:]:
            kind = type(event).__name__
            if kind.startswith(only) if only else kind not in hidden:
                found.append(f"{at - start:>5} {name} {self.event_text(event)}")
        return found

    def event_text(self, event: Event) -> str:
        words = [type(event).__name__]
        for field in attrs.fields(type(event)):
            value = getattr(event, field.name)
            words.append(f"{field.name}={self.value_text(value)}")
        return " ".join(words)

    def value_text(self, value: object) -> str:
        match value:
            case enum.Enum():
                return value.name
            case bytes():
                return slots_text(value).replace(" ", ",") or "none"
            case str() if len(value) == 40:
                return self.world.name_of(value)
            case _:
                return str(value)


def _typed(options: dict[str, str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for name, text in options.items():
        if name == "bug":
            values["bugs"] = Bugs(**{text: True})
        elif text in ("yes", "no"):
            values[name] = text == "yes"
        else:
            values["node_timeout_ms" if name == "timeout" else name] = (
                int(text) if text.isdigit() else text
            )
    return values


def _slots(words: list[str]) -> tuple[int, ...]:
    found: list[int] = []
    for word in ",".join(words).split(","):
        first, _, last = word.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def _setslot(slot: int, how: str, node: str) -> commands.Request:
    match how:
        case "migrating":
            return commands.SetSlotMigrating(slot, node)
        case "importing":
            return commands.SetSlotImporting(slot, node)
        case "node":
            return commands.SetSlotNode(slot, node)
    return commands.SetSlotStable(slot)


def tell(path: Path) -> tuple[str, str, list[tuple[int, str, Event]]]:
    """A story as it is written, as it goes now, and what was recorded."""
    written = path.read_text()
    story = Story()
    told: list[str] = []
    recorded: list[tuple[int, str, Event]] = []
    for block in written.split("\n\n"):
        lines = block.strip("\n").split("\n")
        comments = [line for line in lines if line.startswith("#")]
        rest = [line for line in lines if line and not line.startswith("#")]
        if not rest:
            told.append("\n".join(comments))
            continue
        command = rest[0]
        before = len(story.world.record_of)
        output = story.perform(command)
        recorded += story.world.record_of[before if command.split()[0] != "cluster" else 0 :]
        told.append("\n".join([*comments, command, "----", output]))
    return written, "\n\n".join(told) + "\n", recorded


def is_rewriting() -> bool:
    """Whether stories are to be written anew."""
    return os.environ.get("CLUSTRIO_REWRITE") == "1"
