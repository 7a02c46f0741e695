"""Changed bytes give a message or BadPacket, and nothing else."""

import random
import time

from clustrio.gossip import limits
from clustrio.gossip.wire import BadPacket, Reason, decode_untrusted, encode

from .test_wire import ALL_FRAMES

SEED = 20_070_301
CASE_COUNT = 5_000
TIME_LIMIT_S = 2.0
INTERESTING = (0, 1, 2, 7, 8, 9, 0x7F, 0x80, 0xFF)


def mutated(frame: bytes, rng: random.Random) -> bytes:
    """The frame with a few bytes changed, cut or added; mostly with a length that fits again."""
    changed = bytearray(frame)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        # The bitmap is most of a frame and any of its bytes is fine: spend few cases there.
        offset = rng.randrange(len(changed))
        if 80 <= offset < 2128 and rng.random() < 0.9:
            offset = min(rng.choice((rng.randrange(80), 2128 + rng.randrange(200))), len(changed))
            offset = min(offset, len(changed) - 1)
        changed[offset] = rng.choice((*INTERESTING, rng.randrange(256)))
    shape = rng.random()
    if shape < 0.1:
        del changed[rng.randrange(len(changed)) :]
    elif shape < 0.2:
        changed += rng.randbytes(rng.choice((1, 8, 16, 104)))
    if len(changed) >= 8 and rng.random() < 0.8:
        changed[0:4] = limits.SIGNATURE
        changed[4:8] = len(changed).to_bytes(4, "big")
    return bytes(changed)


def test_a_changed_frame_is_a_message_or_a_bad_packet() -> None:
    rng = random.Random(SEED)
    frames = list(ALL_FRAMES.values())
    reasons: set[Reason] = set()
    message_count = 0
    end_s = time.monotonic() + TIME_LIMIT_S
    for case in range(CASE_COUNT):
        frame = mutated(rng.choice(frames), rng)
        try:
            message = decode_untrusted(frame)
        except BadPacket as bad:
            reasons.add(bad.reason)
        else:
            message_count += 1
            # What was understood can be said again, and means the same.
            assert decode_untrusted(encode(message)) == message, f"seed {SEED} case {case}"
        if time.monotonic() > end_s:
            break
    assert message_count > 100
    assert len(reasons) > 8, reasons


def test_every_cut_of_a_frame_is_refused() -> None:
    frame = ALL_FRAMES["meet with all extensions"]
    sizes = [*range(80), *range(2100, len(frame))]
    for size in sizes:
        shorter = bytearray(frame[:size])
        if size >= 8:
            shorter[4:8] = size.to_bytes(4, "big")
        try:
            message = decode_untrusted(bytes(shorter))
        except BadPacket:
            continue
        raise AssertionError(f"{size} bytes of {len(frame)} gave {message!r}")
