"""Going through the keys: KEYS, SCAN and RANDOMKEY.

A database is 16384 small dicts, so a cursor is simply the number of the next one. Only in a
crowded slot that is not enough: there the upper bits of the cursor hold a threshold in the order
of the keys' hash values, as in the scans of collections. Neither moves when keys come and go, so a
key that is there during a whole scan is returned.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ...slots.hashing import SLOT_COUNT, key_slot
from ..database import Database
from ..errors import SYNTAX, CommandError
from ..registry import command
from ..resp.encoder import array, bulk, bulk_array
from ..session import Session
from ..values.glob import Matcher, compile_glob, matches_everything
from ..values.kinds import type_name
from ..values.numbers import UNSIGNED_MAXIMUM
from ..values.scancursor import MemberIndex
from .arguments import required_integer

if TYPE_CHECKING:
    from ..machine import Machine

_SLOT_BITS: Final = 14
_SLOT_MASK: Final = SLOT_COUNT - 1
#: Slots of more keys are handed out in pieces.
CROWDED_KEYS: Final = 256
_DEFAULT_COUNT: Final = 10
#: Slots looked at in a row: copying all of the list for each SCAN would cost more than the SCAN.
_SLOTS_AT_A_TIME: Final = 256
_INVALID_CURSOR: Final = CommandError(b"ERR invalid cursor")
_CURSOR: Final = re.compile(rb"([+-]?)([0-9]++)")
_SPECIAL: Final = re.compile(rb"[*?\[\\]")


# --- patterns that can match in one slot only ------------------------------------------------


def maybe_only_slot(pattern: bytes) -> int | None:
    """The slot of all keys that a pattern can match, if there is but one and it can be told."""
    special = _SPECIAL.search(pattern)
    if special is None:
        return key_slot(pattern)
    fixed = pattern[: special.start()]
    opening = fixed.find(b"{")
    # The whole tag must come before the first special character, and hold something.
    if opening < 0 or fixed.find(b"}", opening) <= opening + 1:
        return None
    return key_slot(fixed)


def _slots_of(pattern: bytes) -> tuple[int, int]:
    """The first slot that can hold a match, and the one behind the last."""
    only_slot = maybe_only_slot(pattern)
    return (0, SLOT_COUNT) if only_slot is None else (only_slot, only_slot + 1)


def _filled_slots(db: Database, first: int, end: int) -> Iterator[int]:
    """The slots that hold keys. Passing 16384 empty ones takes half a millisecond: no limit."""
    slots = db.slots
    for start in range(first, end, _SLOTS_AT_A_TIME):
        piece = slots[start : min(start + _SLOTS_AT_A_TIME, end)]
        for slot, values in enumerate(piece, start):
            if values:
                yield slot


# --- KEYS and RANDOMKEY ----------------------------------------------------------------------


@command(
    "KEYS",
    group="generic",
    since="1.0.0",
    arity=2,
    flags="readonly",
    args="pattern",
    complexity="O(N) in the number of keys in the database",
    categories="dangerous",
    tips=("request_policy:all_shards", "nondeterministic_output_order"),
)
def keys(session: Session, args: list[bytes]) -> bytes:
    """Returns all keys that match a pattern."""
    db = session.db
    pattern = args[1]
    if matches_everything(pattern):
        return bulk_array([key for key, _ in db.living_items()])
    first, end = _slots_of(pattern)
    matches = compile_glob(pattern)
    now_ms = db.clock.now_ms
    found: list[bytes] = []
    for slot in _filled_slots(db, first, end):
        values = db.slots[slot]
        lifetimes = db.volatile[slot]
        if lifetimes:
            found += [
                key for key in values if matches(key) and lifetimes.get(key, now_ms) >= now_ms
            ]
        else:
            found += filter(matches, values)
    return bulk_array(found)


@command(
    "RANDOMKEY",
    group="generic",
    since="1.0.0",
    arity=1,
    flags="readonly",
    tips=("request_policy:all_shards", "nondeterministic_output"),
)
def randomkey(session: Session, args: list[bytes]) -> bytes:
    """Returns some key, each about equally likely."""
    key = session.db.random_key(session.machine.rng)
    return session.encoder.null if key is None else bulk(key)


# --- crowded slots ---------------------------------------------------------------------------


class CrowdedSlots:
    """The keys of crowded slots that are being scanned, by hash, as they were a while ago.

    Whoever enters a slot makes its index anew: so it is never older than the scan that uses it, and
    holds every key that is there during the whole scan. Keys that are gone are left out on the way.
    """

    #: So many slots, of as many scans at a time; so long after its last use an index goes.
    LIMIT: Final = 8
    AGE_MAX_MS: Final = 10_000

    def __init__(self, machine: "Machine") -> None:
        self._clock = machine.clock
        #: By database and slot: the dict of the slot, its index, and when that was last used.
        self._indexes: dict[tuple[int, int], tuple[object, MemberIndex, int]] = {}

    def window(self, db: Database, slot: int, start: int, count: int) -> tuple[int, list[bytes]]:
        """About `count` keys of a slot from the threshold `start` on, and the next threshold."""
        values = db.slots[slot]
        place = (db.index, slot)
        old = self._indexes.pop(place, None)
        if start and old is not None and old[0] is values:
            index = old[1]
        else:
            index = MemberIndex(values)
            if len(self._indexes) >= self.LIMIT:
                del self._indexes[next(iter(self._indexes))]
        following, found = index.window(start, count)
        if following:
            self._indexes[place] = (values, index, self._clock.now_ms)
        return following, [key for key in found if key in values]

    def __call__(self) -> None:
        """Forget what nobody uses: on every tick."""
        horizon_ms = self._clock.now_ms - self.AGE_MAX_MS
        for place, (_, _, used_ms) in list(self._indexes.items()):
            if used_ms < horizon_ms:
                del self._indexes[place]


def crowded_slots_of(machine: "Machine") -> CrowdedSlots:
    """The one of this node, made when it is first needed."""
    for hook in machine.on_tick:
        if isinstance(hook, CrowdedSlots):
            return hook
    made = CrowdedSlots(machine)
    machine.on_tick.append(made)
    return made


# --- SCAN ------------------------------------------------------------------------------------


def parse_scan_count(text: bytes) -> int:
    """About how many keys or members a step looks at."""
    count = required_integer(text)
    if count < 1:
        raise SYNTAX
    return count


def parse_cursor(text: bytes) -> int:
    """A cursor as C reads it: it may have a sign and wrap around, and nothing at all is zero."""
    text = text.partition(b"\0")[0]
    if not text:
        return 0
    matched = _CURSOR.fullmatch(text)
    if matched is None:
        raise _INVALID_CURSOR
    digits = matched[2].lstrip(b"0") or b"0"
    number = int(digits) if len(digits) <= 20 else UNSIGNED_MAXIMUM + 1
    if number > UNSIGNED_MAXIMUM:
        raise _INVALID_CURSOR
    return -number % (UNSIGNED_MAXIMUM + 1) if matched[1] == b"-" else number


class _Filter:
    """What SCAN returns of the keys that it looks at."""

    __slots__ = ("end", "first", "matches", "type_name")

    def __init__(self) -> None:
        self.matches: Matcher | None = None
        self.type_name: bytes | None = None
        #: The slots that can hold a match.
        self.first = 0
        self.end = SLOT_COUNT

    def match(self, pattern: bytes) -> None:
        """Return only the keys that match; of several patterns, the last one counts."""
        if matches_everything(pattern):
            self.matches = None
            self.first, self.end = 0, SLOT_COUNT
        else:
            self.matches = compile_glob(pattern)
            self.first, self.end = _slots_of(pattern)

    def choose(self, db: Database, slot: int, candidates: list[bytes]) -> list[bytes]:
        """Those of some keys of one slot that are wanted and live; dead ones are removed."""
        if self.matches is not None:
            candidates = list(filter(self.matches, candidates))
        if self.type_name is not None:
            values = db.slots[slot]
            wanted = self.type_name
            candidates = [key for key in candidates if type_name(values[key]) == wanted]
        if db.volatile[slot]:
            candidates = [key for key in candidates if db.look(key) is not None]
        return candidates


def _parse_scan(args: list[bytes]) -> tuple[int, _Filter]:
    count = _DEFAULT_COUNT
    chosen = _Filter()
    for position in range(2, len(args), 2):
        option = args[position].upper()
        if position + 1 == len(args):
            raise SYNTAX
        value = args[position + 1]
        if option == b"COUNT":
            count = parse_scan_count(value)
        elif option == b"MATCH":
            chosen.match(value)
        elif option == b"TYPE":
            chosen.type_name = value.lower()
        else:
            raise SYNTAX
    return count, chosen


def scan_database(
    machine: "Machine", db: Database, cursor: int, count: int, wanted: _Filter
) -> tuple[int, list[bytes]]:
    """Look at about `count` keys from a cursor on: the next cursor (0: done), what is wanted."""
    slot = cursor & _SLOT_MASK
    threshold = cursor >> _SLOT_BITS
    if slot < wanted.first:
        slot, threshold = wanted.first, 0
    found: list[bytes] = []
    left = count
    first = slot
    for slot in _filled_slots(db, first, wanted.end):
        if left <= 0:
            return slot, found
        if slot != first:
            threshold = 0
        values = db.slots[slot]
        if threshold or len(values) > max(left, CROWDED_KEYS):
            threshold, candidates = crowded_slots_of(machine).window(db, slot, threshold, left)
        else:
            candidates = list(values)
        left -= len(candidates)
        found += wanted.choose(db, slot, candidates)
        if threshold:
            return threshold << _SLOT_BITS | slot, found
    return 0, found


@command(
    "SCAN",
    group="generic",
    since="2.8.0",
    arity=-2,
    flags="readonly",
    args="cursor [MATCH pattern] [COUNT count] [TYPE type]",
    complexity="O(1) per call, O(N) for a whole round",
    tips=("nondeterministic_output", "request_policy:special"),
)
def scan(session: Session, args: list[bytes]) -> bytes:
    """Returns some of the keys, and the cursor with which to ask for more."""
    db = session.db
    cursor = parse_cursor(args[1])
    count, wanted = _parse_scan(args)
    following, found = scan_database(session.machine, db, cursor, count, wanted)
    return array([bulk(b"%d" % following), bulk_array(found)])
