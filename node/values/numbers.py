"""Numbers as text: parsed as strictly and printed in the same digits as Redis does.

Owns every conversion between bytes and numbers whose result a client can see. The error texts
belong to the commands; a parser says only "no number" by returning None.

Redis has several notions of a float, and commands differ in which one they use:

* `parse_float`: ZADD, ZINCRBY, GEOADD, timeouts and most others. No spaces, nothing behind the
  number, no NaN, no overflow and no underflow to zero; inf, infinity and C's hex floats pass.
* `parse_float_loosely`: the bounds of ZRANGEBYSCORE, ZCOUNT and their kin (behind their "(") read
  a C string with strtod(): leading spaces pass, the text ends at a NUL, overflow is infinity and
  even the empty text is zero. SORT is the same, but refuses overflow and underflow.
* `parse_long_double`: INCRBYFLOAT and HINCRBYFLOAT compute with the 80-bit `long double` of x86,
  which is done here exactly with integers: a mantissa of 64 bits, ties rounded to even. So 0.1 and
  0.2 make 0.3, as they do there. A text of more than 5119 bytes, a NaN, an overflow and an
  underflow to zero are no numbers; infinities are, and it is the commands that refuse them, each
  with its own text. The sign of a zero is not kept, as Redis prints -0 as 0 here.

And it prints a double in three ways:

* `format_double_17g`: every reply of Redis 7.0 (ZSCORE, WITHSCORES, RESP2 and RESP3 alike): 3.1 is
  3.1000000000000001, and 1e17 is 1e+17.
* `format_double_stored`: how Redis 7.0 writes a score into a listpack, hence into DUMP: as above,
  but whole numbers below 2**62 as plain integers. (It keeps the sign of a zero; a sorted set that
  is a listpack does not, as it stores whole scores as integers: ZADD -0 reads back as 0 there.)
* `format_double_shortest`: every reply and every stored score from 7.2 on: 3.1 is 3.1. Its
  digits are the shortest that read back as the same double; Redis' algorithm (Grisu2) misses
  the shortest form, by a digit, for about one double in a thousand.
"""

from __future__ import annotations

import math
import re
from typing import Final

import attrs

INTEGER_MINIMUM = -(2**63)
INTEGER_MAXIMUM = 2**63 - 1
UNSIGNED_MAXIMUM = 2**64 - 1

_LONGEST_INTEGER = 20
_LONGEST_SURE_INTEGER = 18
_ZERO = 0x30
_SMALLEST_NORMAL = 2.0**-1022
_SPACE = 0x20

# Possessive repetitions: a long run of digits with a bad end must not be tried in every split.
_DECIMAL_FLOAT = re.compile(
    rb"([+-]?)(?:([0-9]++)(?:\.([0-9]*+))?|\.([0-9]++))(?:[eE]([+-]?[0-9]++))?", re.DOTALL
)
_HEX_FLOAT = re.compile(
    rb"([+-]?)0[xX](?:([0-9a-fA-F]++)(?:\.([0-9a-fA-F]*+))?|\.([0-9a-fA-F]++))"
    rb"(?:[pP]([+-]?[0-9]++))?",
    re.DOTALL,
)
_INFINITE_FLOAT = re.compile(rb"([+-]?)inf(?:inity)?", re.IGNORECASE)
_C_UNSIGNED = re.compile(rb"[ \t\n\v\f\r]*+([+-]?)([0-9]++)", re.DOTALL)

_MANTISSA_BITS = 64
_LOWEST_EXPONENT = -16445
_HIGHEST_EXPONENT = 16320
_LONGEST_EXACT_INTEGER = 19
_LONGEST_TEXT = 5 * 1024 - 1
_FRACTION_DIGITS = 17
_FRACTION_SCALE = 10**_FRACTION_DIGITS

# No decimal outside of these powers of ten needs to be computed to know that it is out of range.
_HIGHEST_DECIMAL_EXPONENT = 4940
_LOWEST_DECIMAL_EXPONENT = -4960

# Python refuses to convert more digits than 4300 at once (a guard against quadratic time).
_CHUNK_DIGITS = 4000
_CHUNK_SCALE = 10**_CHUNK_DIGITS


def parse_integer(data: bytes) -> int | None:
    """Read a signed 64-bit integer in its one canonical form: no plus, no leading zeros."""
    size = len(data)
    if size <= _LONGEST_SURE_INTEGER and data.isdigit():
        if data[0] != _ZERO or size == 1:
            return int(data)
        return None
    if not 2 <= size <= _LONGEST_INTEGER:
        return None
    digits = data[1:] if data[0] == 0x2D else data
    if not digits.isdigit() or digits[0] == _ZERO:
        return None
    value = int(data)
    return value if INTEGER_MINIMUM <= value <= INTEGER_MAXIMUM else None


def parse_unsigned(data: bytes) -> int | None:
    """Read an unsigned 64-bit integer, as stream IDs do.

    What is no canonical integer is left to C's strtoull(): leading spaces, a plus and leading
    zeros pass, the text ends at a NUL, and a negative number that is not canonical wraps around.
    """
    data = data.partition(b"\0")[0]
    value = parse_integer(data)
    if value is not None:
        return value if value >= 0 else None
    matched = _C_UNSIGNED.fullmatch(data)
    if matched is None:
        return None
    digits = matched[2].lstrip(b"0") or b"0"
    if len(digits) > _LONGEST_INTEGER:
        return None
    magnitude = int(digits)
    if magnitude > UNSIGNED_MAXIMUM:
        return None
    return -magnitude % (UNSIGNED_MAXIMUM + 1) if matched[1] == b"-" else magnitude


def parse_float(data: bytes) -> float | None:
    """Read a double strictly, as most commands do."""
    if len(data) <= _LONGEST_SURE_INTEGER and data.isdigit():
        return float(data)
    try:
        value = float(data)
    except ValueError:
        # Python knows no hex floats here; everything else that it refuses is refused by C too.
        return _parse_hex_float(data, strict=True)
    if data[0] <= _SPACE or data[-1] <= _SPACE or b"_" in data or value != value:
        return None
    if math.isinf(value):
        return value if _INFINITE_FLOAT.fullmatch(data) else None
    if value == 0.0 and _has_underflown(data):
        return None
    return value


def parse_float_loosely(data: bytes, refuse_range_errors: bool = False) -> float | None:
    """Read a double as a bare strtod() does, for score bounds and (refusing range errors) SORT."""
    text = data.partition(b"\0")[0]
    if not text:
        return 0.0
    text = text.lstrip(b" \t\n\v\f\r")
    if _DECIMAL_FLOAT.fullmatch(text):
        value = float(text)
        return None if refuse_range_errors and _is_range_error(value, text) else value
    if _INFINITE_FLOAT.fullmatch(text):
        return float(text)
    return _parse_hex_float(text, strict=refuse_range_errors)


def _is_range_error(value: float, text: bytes) -> bool:
    """Tell whether C reports a range error: also for a subnormal, which is never exact in practice.

    (The decimal that equals a subnormal exactly has hundreds of digits.)
    """
    if value == 0.0:
        return _has_underflown(text)
    return math.isinf(value) or abs(value) < _SMALLEST_NORMAL


def _has_underflown(text: bytes) -> bool:
    """Tell whether a decimal that was read as zero is not zero: C reports a range error then."""
    mantissa = re.split(rb"[eE]", text, maxsplit=1)[0]
    return bool(mantissa.strip(b"+-0."))


def _parse_hex_float(data: bytes, strict: bool) -> float | None:
    matched = _HEX_FLOAT.fullmatch(data)
    if matched is None:
        return None
    try:
        value = float.fromhex(data.decode("ascii"))
    except OverflowError:
        if strict:
            return None
        return -math.inf if matched[1] == b"-" else math.inf
    digits = (matched[2] or b"") + (matched[3] or b"") + (matched[4] or b"")
    if strict and value == 0.0 and digits.strip(b"0"):
        return None
    return value


def format_integer(value: int) -> bytes:
    """Print an integer."""
    return b"%d" % value


def format_double_17g(value: float) -> bytes:
    """Print a double as the replies of Redis 7.0 do."""
    return b"%.17g" % value


def format_double_stored(value: float) -> bytes:
    """Print a double as Redis 7.0 writes it into listpacks."""
    if _is_plain_integer(value):
        return b"%d" % int(value)
    return b"%.17g" % value


def format_double_shortest(value: float) -> bytes:
    """Print a double as Redis 7.2 and later do."""
    if _is_plain_integer(value):
        return b"%d" % int(value)
    text = repr(value)
    if not math.isfinite(value) or value == 0.0:
        return text.removesuffix(".0").encode()
    sign = "-" if value < 0 else ""
    mantissa, _, exponent_text = text.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    if fraction == "0":
        fraction = ""
    digits = (whole + fraction).lstrip("0")
    stripped = digits.rstrip("0")
    exponent = int(exponent_text or "0") - len(fraction) + len(digits) - len(stripped)
    return (sign + _lay_out(stripped, exponent)).encode()


def _is_plain_integer(value: float) -> bool:
    """Tell whether Redis prints the value through its integer path; -0 and 0 have their own."""
    return -(2.0**62) <= value <= 2.0**62 and value == int(value) and value != 0.0


def _lay_out(digits: str, exponent: int) -> str:
    """Write digits * 10**exponent where Redis' printer puts the point or switches to e-notation."""
    size = len(digits)
    scientific_exponent = exponent + size - 1
    if exponent >= 0 and scientific_exponent < size + 7:
        return digits + "0" * exponent
    if exponent < 0 and (exponent > -7 or abs(scientific_exponent) < 4):
        point = size + exponent
        if point <= 0:
            return "0." + "0" * -point + digits
        return digits[:point] + "." + digits[point:]
    fraction = "." + digits[1:] if size > 1 else ""
    sign = "-" if scientific_exponent < 0 else "+"
    return f"{digits[0]}{fraction}e{sign}{abs(scientific_exponent)}"


def format_bytes_for_humans(size_bytes: int) -> bytes:
    """Print an amount of memory as INFO's `_human` fields do."""
    if size_bytes >= 1024:
        for power, unit in enumerate(b"KMGTP", start=1):
            if size_bytes < 1024 ** (power + 1):
                return b"%.2f%c" % (float(size_bytes) / 1024**power, unit)
    return b"%dB" % size_bytes


@attrs.frozen(slots=True)
class LongDouble:
    """The number mantissa * 2**exponent; an infinite one has only the sign of its mantissa."""

    mantissa: int
    exponent: int
    is_infinite: bool = False


LONG_DOUBLE_ZERO: Final = LongDouble(0, 0)


def parse_long_double(data: bytes) -> LongDouble | None:
    """Read a long double strictly: nothing around it, no NaN, no overflow, no underflow."""
    if not 0 < len(data) <= _LONGEST_TEXT:
        return None
    if matched := _DECIMAL_FLOAT.fullmatch(data):
        sign, whole, fraction, lone_fraction, exponent = matched.groups()
        fraction = fraction or lone_fraction or b""
        digits = ((whole or b"") + fraction).lstrip(b"0")
        return _from_decimal(sign == b"-", digits, _bounded_integer(exponent) - len(fraction))
    if matched := _INFINITE_FLOAT.fullmatch(data):
        return LongDouble(-1 if matched[1] == b"-" else 1, 0, is_infinite=True)
    if matched := _HEX_FLOAT.fullmatch(data):
        sign, whole, fraction, lone_fraction, exponent = matched.groups()
        fraction = fraction or lone_fraction or b""
        mantissa = int((whole or b"") + fraction, 16)
        binary_exponent = _bounded_integer(exponent) - 4 * len(fraction)
        # Beyond this every text of a bearable length is out of range anyway.
        binary_exponent = max(-(10**5), min(10**5, binary_exponent))
        return _from_parts(sign == b"-", mantissa, binary_exponent)
    return None


def long_double_from_integer(value: int) -> LongDouble:
    """Convert a 64-bit integer, which is always exact."""
    return LongDouble(value, 0)


def long_double_from_double(value: float) -> LongDouble:
    """Convert a finite double, which is always exact (GEOPOS prints its coordinates so)."""
    numerator, denominator = value.as_integer_ratio()
    return LongDouble(numerator, 1 - denominator.bit_length())


def add_long_doubles(left: LongDouble, right: LongDouble) -> LongDouble | None:
    """Add; None stands for a sum that is infinite or not a number, which every command refuses."""
    if left.is_infinite or right.is_infinite:
        return None
    exponent = min(left.exponent, right.exponent)
    total = (left.mantissa << (left.exponent - exponent)) + (
        right.mantissa << (right.exponent - exponent)
    )
    if total == 0:
        return LONG_DOUBLE_ZERO
    return _round(total < 0, abs(total), 1, exponent)


def format_long_double(value: LongDouble) -> bytes:
    """Print in full, with at most 17 digits behind the point and without zeros at the end."""
    negative = value.mantissa < 0
    if value.is_infinite:
        return b"-inf" if negative else b"inf"
    scaled = abs(value.mantissa) * _FRACTION_SCALE
    if value.exponent >= 0:
        scaled <<= value.exponent
    else:
        scaled = _divide_to_even(scaled, 1 << -value.exponent)
    whole, fraction = divmod(scaled, _FRACTION_SCALE)
    text = _decimal_digits(whole)
    if fraction:
        text += b"." + (b"%017d" % fraction).rstrip(b"0")
    return b"-" + text if negative and scaled else text


def _bounded_integer(text: bytes | None) -> int:
    """Read an exponent; a longer one is cut short, as it is out of range in any case."""
    if text is None:
        return 0
    sign = -1 if text.startswith(b"-") else 1
    digits = text.lstrip(b"+-").lstrip(b"0")
    return sign * (int(digits or b"0") if len(digits) <= 9 else 10**9)


def _from_decimal(negative: bool, digits: bytes, exponent: int) -> LongDouble | None:
    if not digits:
        return LONG_DOUBLE_ZERO
    if exponent == 0 and len(digits) <= _LONGEST_EXACT_INTEGER:
        return LongDouble(-int(digits) if negative else int(digits), 0)
    magnitude = len(digits) + exponent
    if not _LOWEST_DECIMAL_EXPONENT < magnitude < _HIGHEST_DECIMAL_EXPONENT:
        return None
    mantissa = 0
    for start in range(0, len(digits), _CHUNK_DIGITS):
        chunk = digits[start : start + _CHUNK_DIGITS]
        mantissa = mantissa * 10 ** len(chunk) + int(chunk)
    if exponent >= 0:
        return _round(negative, mantissa * 10**exponent, 1, 0)
    return _round(negative, mantissa, 10**-exponent, 0)


def _from_parts(negative: bool, mantissa: int, exponent: int) -> LongDouble | None:
    if mantissa == 0:
        return LONG_DOUBLE_ZERO
    return _round(negative, mantissa, 1, exponent)


def _round(negative: bool, numerator: int, denominator: int, exponent: int) -> LongDouble | None:
    """Round numerator / denominator * 2**exponent; None if it is too large or becomes zero."""
    # With this many bits dropped the quotient has 64 bits, or 65; then one more bit has to go.
    shift = numerator.bit_length() - denominator.bit_length() - _MANTISSA_BITS
    if (numerator >> shift if shift >= 0 else numerator << -shift) >= denominator << _MANTISSA_BITS:
        shift += 1
    shift = max(shift, _LOWEST_EXPONENT - exponent)
    if shift >= 0:
        mantissa = _divide_to_even(numerator, denominator << shift)
    else:
        mantissa = _divide_to_even(numerator << -shift, denominator)
    exponent += shift
    if mantissa == 1 << _MANTISSA_BITS:
        mantissa >>= 1
        exponent += 1
    if mantissa == 0 or exponent > _HIGHEST_EXPONENT:
        return None
    return LongDouble(-mantissa if negative else mantissa, exponent)


def _divide_to_even(numerator: int, denominator: int) -> int:
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def _decimal_digits(value: int) -> bytes:
    if value < _CHUNK_SCALE:
        return b"%d" % value
    high, low = divmod(value, _CHUNK_SCALE)
    return b"%d%04000d" % (high, low)
