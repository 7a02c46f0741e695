"""HyperLogLog values: Redis' own string format, to the byte.

Owns the layout, the hash, the registers in both encodings, the estimate and the merge. A value is
an ordinary string that clients may GET, SET and RESTORE, so it is foreign whenever it comes in.

Layout: 4 bytes "HYLL"; 1 byte encoding (0 dense, 1 sparse); 3 unused bytes; 8 bytes of cached
estimate, little-endian, whose highest bit says that it is stale; then the 16384 registers.

* Dense: 6 bits each, from the low bits of each byte up: 12288 bytes.
* Sparse: runs. `00nnnnnn` is n+1 zeros, `01nnnnnn nnnnnnnn` is n+1 zeros too, `1vvvvvnn` is n+1
  registers of value v+1.

Rules:

* Functions take `bytes` and return new `bytes`; on an error nothing has changed. (Redis keeps what
  an erroneous PFADD had changed before it met the damage.)
* Splitting and joining of runs follow Redis step by step, quirks included: GET shows the bytes.
* Runs that do not add up to 16384 registers are an error wherever all of them are read, and a run
  that reaches beyond them is never followed (CVE-2025-32023).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

import attrs

REGISTER_COUNT = 16384
HEADER_SIZE = 16
DENSE_SIZE = HEADER_SIZE + REGISTER_COUNT * 6 // 8

_DENSE = 0
_SPARSE = 1
_ENCODING_OFFSET = 4
_CACHE = slice(8, 16)
_STALE_OFFSET = 15
_STALE_BIT = 0x80
_HASH_SEED = 0xADC83B19
_HASH_FACTOR = 0xC6A4A7935BD1E995
_WORD_MASK = 2**64 - 1
_INDEX_BITS = 14
_HASH_BITS = 64 - _INDEX_BITS
_ALPHA = 0.721347520444481703680  # 0.5 / ln(2)

_LONGEST_SHORT_ZERO = 64
_LARGEST_SPARSE_VALUE = 32
_LONGEST_VALUE_RUN = 4
_JOIN_STEPS = 5

_EMPTY = b"HYLL\x01" + bytes(11) + b"\x7f\xff"

# A stretch of one-byte runs, or one long run of zeros.
_RUNS = re.compile(rb"[\x00-\x3f\x80-\xff]+|[\x40-\x7f].", re.DOTALL)
_SPANS = bytes((byte & 3) + 1 if byte & 0x80 else (byte & 0x3F) + 1 for byte in range(256))
_EXPANSIONS = tuple(
    bytes([((byte >> 2) & 0x1F) + 1 if byte & 0x80 else 0]) * _SPANS[byte] for byte in range(256)
)


class NotHyperLogLogError(ValueError):
    """The string does not have the header or the size of a HyperLogLog."""


class CorruptedHyperLogLogError(ValueError):
    """The runs of a sparse value do not describe 16384 registers."""


def check_untrusted(value: bytes) -> None:
    """Raise NotHyperLogLogError unless the string looks like a HyperLogLog from outside."""
    if len(value) >= HEADER_SIZE and value.startswith(b"HYLL"):
        encoding = value[_ENCODING_OFFSET]
        if encoding == _SPARSE or (encoding == _DENSE and len(value) == DENSE_SIZE):
            return
    raise NotHyperLogLogError


def encoding_name(value: bytes) -> bytes:
    """Name the encoding, for PFDEBUG ENCODING."""
    return b"sparse" if _is_sparse(value) else b"dense"


def add_elements(
    value: bytes | None, elements: Iterable[bytes], sparse_max_bytes: int
) -> bytes | None:
    """PFADD: return the new value, or None if nothing changed; a missing value always changes."""
    if value is not None:
        check_untrusted(value)
    editor = _Editor(bytearray(_EMPTY if value is None else value), sparse_max_bytes)
    changed = value is None
    for element in elements:
        index, count = hash_element(element)
        if editor.raise_register(index, count):
            changed = True
    return editor.finish() if changed else None


def count(value: bytes) -> tuple[int, bytes | None]:
    """PFCOUNT of one key: the estimate, and the value with its cache filled if that was stale."""
    check_untrusted(value)
    if not value[_STALE_OFFSET] & _STALE_BIT:
        return int.from_bytes(value[_CACHE], "little"), None
    estimate = estimate_cardinality(_read_registers(value))
    cached = (estimate & _WORD_MASK).to_bytes(8, "little")
    return estimate, value[: _CACHE.start] + cached + value[_CACHE.stop :]


def count_union(values: Iterable[bytes]) -> int:
    """PFCOUNT of several keys, the missing ones left out."""
    registers = bytes(REGISTER_COUNT)
    for value in values:
        check_untrusted(value)
        registers = _maximum(registers, _read_registers(value))
    return estimate_cardinality(registers)


def merge(destination: bytes | None, sources: Sequence[bytes], sparse_max_bytes: int) -> bytes:
    """PFMERGE: the new value of the destination, which itself takes part in the union."""
    values = list(sources) if destination is None else [destination, *sources]
    registers = bytes(REGISTER_COUNT)
    for value in values:
        check_untrusted(value)
        registers = _maximum(registers, _read_registers(value))
    editor = _Editor(bytearray(_EMPTY if destination is None else destination), sparse_max_bytes)
    if not all(map(_is_sparse, values)):
        return _with_dense_registers(bytes(editor.value), registers, is_stale=True)
    for match in re.finditer(rb"[^\x00]", registers):
        editor.raise_register(match.start(), registers[match.start()])
    return editor.finish()


def to_dense(value: bytes) -> bytes | None:
    """PFDEBUG TODENSE: return the dense value, or None if it is dense already."""
    check_untrusted(value)
    if not _is_sparse(value):
        return None
    return _with_dense_registers(value, _read_registers(value), is_stale=False)


def read_registers(value: bytes) -> bytes:
    """Return the registers, one byte each, for PFDEBUG GETREG (which also makes it dense)."""
    check_untrusted(value)
    return _read_registers(value)


def describe_runs(value: bytes) -> bytes | None:
    """PFDEBUG DECODE: the runs of a sparse value as text; None if it is dense."""
    check_untrusted(value)
    if not _is_sparse(value):
        return None
    words: list[bytes] = []
    for match in _RUNS.finditer(value, HEADER_SIZE):
        runs = match[0]
        if _is_long_zero(runs[0]):
            words.append(b"Z:%d" % _long_zero_span(runs, 0))
            continue
        for run in runs:
            if run & 0x80:
                words.append(b"v:%d,%d" % (_run_value(run), _SPANS[run]))
            else:
                words.append(b"z:%d" % _SPANS[run])
    return b" ".join(words)


def self_test() -> bytes | None:
    """PFSELFTEST: compare the encodings and the estimates; return what failed, worded as Redis."""
    dense = _Editor(bytearray(to_dense(_EMPTY) or b""), 0)
    sparse = _Editor(bytearray(_EMPTY), DENSE_SIZE)
    for number in range(1, 10_001):
        index, length = hash_element(number.to_bytes(8, "little"))
        dense.raise_register(index, length)
        sparse.raise_register(index, length)
        if number in (1, 10, 100, 1000, 10_000):
            estimate = estimate_cardinality(_read_registers(bytes(dense.value)))
            if estimate != estimate_cardinality(_read_registers(bytes(sparse.value))):
                return b"TESTFAILED dense/sparse disagree"
            error = abs(estimate - number)
            if error > max(1, math.ceil(number * 6 * 1.04 / math.sqrt(REGISTER_COUNT))):
                return b"TESTFAILED Too big error. card:%d abserr:%d" % (number, error)
    return None


def hash_element(element: bytes) -> tuple[int, int]:
    """Return the register of an element, and the length of the pattern that it offers to it."""
    hashed = murmur_hash(element)
    # The added bit ends the pattern at the latest behind the last bit of the hash.
    pattern = hashed >> _INDEX_BITS | 1 << _HASH_BITS
    return hashed & (REGISTER_COUNT - 1), (pattern & -pattern).bit_length()


def murmur_hash(data: bytes, seed: int = _HASH_SEED) -> int:
    """MurmurHash2, the variant of 64 bits for 64-bit machines, read as little-endian."""
    size = len(data)
    hashed = seed ^ (size * _HASH_FACTOR & _WORD_MASK)
    whole = size & ~7
    for start in range(0, whole, 8):
        word = int.from_bytes(data[start : start + 8], "little") * _HASH_FACTOR & _WORD_MASK
        word = (word ^ word >> 47) * _HASH_FACTOR & _WORD_MASK
        hashed = (hashed ^ word) * _HASH_FACTOR & _WORD_MASK
    if size != whole:
        tail = int.from_bytes(data[whole:], "little")
        hashed = (hashed ^ tail) * _HASH_FACTOR & _WORD_MASK
    hashed = (hashed ^ hashed >> 47) * _HASH_FACTOR & _WORD_MASK
    return hashed ^ hashed >> 47


def estimate_cardinality(registers: bytes) -> int:
    """Estimate by Ertl's improved method (arXiv:1702.01284), in Redis' order of operations."""
    size = float(REGISTER_COUNT)
    total = size * _tau((size - registers.count(_HASH_BITS + 1)) / size)
    for value in range(_HASH_BITS, 0, -1):
        total = (total + registers.count(value)) * 0.5
    total += size * _sigma(registers.count(0) / size)
    if total == 0.0:
        # Only forged registers get here; C turns the infinity into the smallest integer.
        return -(2**63)
    estimate = _ALPHA * size * size / total
    whole = math.floor(estimate)
    return whole + 1 if estimate - whole >= 0.5 else whole


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z = 1.0, 1.0 - x
    while True:
        x = math.sqrt(x)
        previous = z
        y *= 0.5
        z -= (1.0 - x) ** 2 * y
        if previous == z:
            return z / 3.0


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z = 1.0, x
    while True:
        x *= x
        previous = z
        z += x * y
        y += y
        if previous == z:
            return z


@attrs.define
class _Editor:
    """A value being changed register by register, in the encoding that it happens to have."""

    value: bytearray
    sparse_max_bytes: int
    # Where a search for a run may start, and the first register there: a merge goes upwards.
    resume_position: int = HEADER_SIZE
    resume_register: int = 0

    def finish(self) -> bytes:
        self.value[_STALE_OFFSET] |= _STALE_BIT
        return bytes(self.value)

    def raise_register(self, index: int, count: int) -> bool:
        """Set a register unless it is that high already; tell whether it was set."""
        if self.value[_ENCODING_OFFSET] == _DENSE:
            return _raise_dense_register(self.value, index, count)
        return self._raise_sparse_register(index, count)

    def _raise_sparse_register(self, index: int, count: int) -> bool:
        if count > _LARGEST_SPARSE_VALUE:
            return self._promote(index, count)
        value = self.value
        position, first, previous = self._locate(index)
        run = value[position]
        if run & 0x80:
            if _run_value(run) >= count:
                return False
            span = _SPANS[run]
            sequence = _split_value_run(_run_value(run), index - first, count, span)
        else:
            span = _long_zero_span(value, position) if _is_long_zero(run) else _SPANS[run]
            sequence = _split_zero_run(index - first, count, span)
        old_size = 2 if _is_long_zero(run) else 1
        growth = len(sequence) - old_size
        if growth > 0 and len(value) + growth > self.sparse_max_bytes:
            return self._promote(index, count)
        value[position : position + old_size] = sequence
        _join_runs(value, previous)
        return True

    def _promote(self, index: int, count: int) -> bool:
        value = bytes(self.value)
        self.value = bytearray(_with_dense_registers(value, _read_registers(value), False))
        return _raise_dense_register(self.value, index, count)

    def _locate(self, index: int) -> tuple[int, int, int]:
        """Find the run of a register: its position, its first register, the run before it."""
        value = self.value
        position, first = self.resume_position, self.resume_register
        if position > HEADER_SIZE:
            run = value[position]
            span = _long_zero_span(value, position) if _is_long_zero(run) else _SPANS[run]
            if index < first + span:
                # The run before this one is not known: start over.
                position, first = HEADER_SIZE, 0
        previous, previous_first = position, first
        for match in _RUNS.finditer(value, position):
            runs, position = match[0], match.start()
            if _is_long_zero(runs[0]):
                span = _long_zero_span(runs, 0)
                if index < first + span:
                    break
                previous, previous_first = position, first
            else:
                spans = runs.translate(_SPANS)
                span = sum(spans)
                if index < first + span:
                    offset, skipped = _find_in_spans(spans, index - first)
                    if offset:
                        previous = position + offset - 1
                        previous_first = first + skipped - spans[offset - 1]
                    position += offset
                    first += skipped
                    break
                previous, previous_first = match.end() - 1, first + span - spans[-1]
            first += span
        else:
            raise CorruptedHyperLogLogError
        self.resume_position, self.resume_register = previous, previous_first
        return position, first, previous


def _find_in_spans(spans: bytes, distance: int) -> tuple[int, int]:
    """Return which span a distance falls into, and the sum of all before it."""
    low, skipped = 0, 0
    high = len(spans)
    while high - low > 8:
        # Sums of halves run in C, which beats looking at the spans one by one.
        middle = (low + high) // 2
        half = sum(spans[low:middle])
        if distance < skipped + half:
            high = middle
        else:
            low, skipped = middle, skipped + half
    while distance >= skipped + spans[low]:
        skipped += spans[low]
        low += 1
    return low, skipped


def _split_value_run(value: int, before: int, count: int, span: int) -> bytes:
    sequence = bytearray()
    if before:
        sequence.append(_value_run(value, before))
    sequence.append(_value_run(count, 1))
    if after := span - before - 1:
        sequence.append(_value_run(value, after))
    return bytes(sequence)


def _split_zero_run(before: int, count: int, span: int) -> bytes:
    after = span - before - 1
    return _zero_run(before) + bytes((_value_run(count, 1),)) + _zero_run(after)


def _join_runs(value: bytearray, position: int) -> None:
    """Join equal neighbours from a run on, within as few steps as Redis allows itself."""
    for _ in range(_JOIN_STEPS):
        if position >= len(value):
            return
        run = value[position]
        if _is_long_zero(run):
            position += 2
            continue
        if run & 0x80 and position + 1 < len(value):
            following = value[position + 1]
            span = _SPANS[run] + _SPANS[following]
            if (
                following & 0x80
                and _run_value(run) == _run_value(following)
                and span <= _LONGEST_VALUE_RUN
            ):
                value[position : position + 2] = bytes((_value_run(_run_value(run), span),))
                continue
        position += 1


def _is_sparse(value: bytes) -> bool:
    return value[_ENCODING_OFFSET] == _SPARSE


def _is_long_zero(run: int) -> bool:
    return run & 0xC0 == 0x40


def _long_zero_span(runs: bytes | bytearray, position: int) -> int:
    return ((runs[position] & 0x3F) << 8 | runs[position + 1]) + 1


def _run_value(run: int) -> int:
    return (run >> 2 & 0x1F) + 1


def _value_run(value: int, span: int) -> int:
    return 0x80 | value - 1 << 2 | span - 1


def _zero_run(span: int) -> bytes:
    if span == 0:
        return b""
    if span <= _LONGEST_SHORT_ZERO:
        return bytes((span - 1,))
    return bytes((0x40 | span - 1 >> 8, span - 1 & 0xFF))


def _raise_dense_register(value: bytearray, index: int, count: int) -> bool:
    position, shift = HEADER_SIZE + (index * 6 >> 3), index * 6 & 7
    # Only a register that begins in the upper bits of a byte goes on in the next one.
    word = value[position] | (value[position + 1] << 8 if shift > 2 else 0)
    if count <= word >> shift & 0x3F:
        return False
    word = word & ~(0x3F << shift) | count << shift
    value[position] = word & 0xFF
    if shift > 2:
        value[position + 1] = word >> 8
    return True


# Four registers fill three bytes. Byte-wise shifts of whole strings, as translation tables:
_LOW_SIX = bytes(byte & 0x3F for byte in range(256))
_RIGHT = {shift: bytes(byte >> shift for byte in range(256)) for shift in (2, 4, 6)}
_LEFT = {shift: bytes(byte << shift & 0xFF for byte in range(256)) for shift in (2, 4, 6)}


def _read_registers(value: bytes) -> bytes:
    if _is_sparse(value):
        return _read_sparse_registers(value)
    low, middle, high = (value[start::3] for start in range(HEADER_SIZE, HEADER_SIZE + 3))
    registers = bytearray(REGISTER_COUNT)
    registers[0::4] = low.translate(_LOW_SIX)
    registers[1::4] = _either(low.translate(_RIGHT[6]), middle.translate(_LEFT[2]))
    registers[2::4] = _either(middle.translate(_RIGHT[4]), high.translate(_LEFT[4]))
    registers[3::4] = high.translate(_RIGHT[2])
    return bytes(registers.translate(_LOW_SIX))


def _read_sparse_registers(value: bytes) -> bytes:
    pieces: list[bytes] = []
    size, position = 0, HEADER_SIZE
    for match in _RUNS.finditer(value, HEADER_SIZE):
        runs, position = match[0], match.end()
        if _is_long_zero(runs[0]):
            span = _long_zero_span(runs, 0)
            pieces.append(bytes(span))
        else:
            span = sum(runs.translate(_SPANS))
            if size + span <= REGISTER_COUNT:
                pieces.extend(map(_EXPANSIONS.__getitem__, runs))
        size += span
        if size > REGISTER_COUNT:
            raise CorruptedHyperLogLogError
    if size != REGISTER_COUNT or position != len(value):
        raise CorruptedHyperLogLogError
    return b"".join(pieces)


def _with_dense_registers(value: bytes, registers: bytes, is_stale: bool) -> bytes:
    """Keep the header of a value, say dense in it, and put the registers behind."""
    r0, r1, r2, r3 = (registers[start::4] for start in range(4))
    dense = bytearray(DENSE_SIZE)
    dense[:HEADER_SIZE] = value[:HEADER_SIZE]
    dense[_ENCODING_OFFSET] = _DENSE
    if is_stale:
        dense[_STALE_OFFSET] |= _STALE_BIT
    dense[HEADER_SIZE + 0 :: 3] = _either(r0, r1.translate(_LEFT[6]))
    dense[HEADER_SIZE + 1 :: 3] = _either(r1.translate(_RIGHT[2]), r2.translate(_LEFT[4]))
    dense[HEADER_SIZE + 2 :: 3] = _either(r2.translate(_RIGHT[4]), r3.translate(_LEFT[2]))
    return bytes(dense)


def _either(left: bytes, right: bytes) -> bytes:
    united = int.from_bytes(left, "little") | int.from_bytes(right, "little")
    return united.to_bytes(len(left), "little")


_HIGH_BITS = int.from_bytes(b"\x80" * REGISTER_COUNT, "little")


def _maximum(left: bytes, right: bytes) -> bytes:
    """Take the larger of each two registers, all at once in one large integer."""
    a, b = int.from_bytes(left, "little"), int.from_bytes(right, "little")
    # Registers are below 64, so a lane keeps its high bit exactly if a >= b there.
    not_smaller = ((a | _HIGH_BITS) - b) & _HIGH_BITS
    mask = not_smaller - (not_smaller >> 7)
    return (b ^ (a ^ b) & mask).to_bytes(REGISTER_COUNT, "little")
