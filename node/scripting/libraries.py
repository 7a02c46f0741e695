"""The libraries that scripts find besides Lua's own, and what they have in common.

They are Lua text of our own: what they allocate counts as the script's memory, and the hook that
ends endless scripts works within them. Rules: a failure is told as a library in C tells it, with
the line of the script that called; no metamethod of a script's table is ever run; what is not a
plain value is refused.
"""

from typing import Final

from .bit_library import BIT
from .json_library import JSON
from .msgpack_library import MSGPACK
from .struct_library import STRUCT

SUPPORT: Final = rb"""
local behind = ...
local type, tostring, tonumber, error, rawget = type, tostring, tonumber, error, rawget
local getinfo, format = debug.getinfo, string.format
local floor, ceil, frexp, ldexp = math.floor, math.ceil, math.frexp, math.ldexp
local OWN = getinfo(1, 'S').source
local TWO_32, HUGE = 2^32, math.huge
-- What 0/0 is depends on the machine.
local NAN = 0/0
if format('%g', NAN) == '-nan' then NAN = -NAN end
local tools = {behind = behind, SLOTS_MAX = 8000}

-- The levels of the stack that are not of a library: the first of them called it.
local function caller_level()
    local level = 3
    while true do
        local facts = getinfo(level, 'S')
        if not facts or facts.source ~= OWN then return level - 1 end
        level = level + 1
    end
end
local function fail(text)
    local facts = getinfo(caller_level(), 'Sl')
    if facts and facts.currentline > 0 then
        text = facts.short_src .. ':' .. facts.currentline .. ': ' .. text
    end
    error(text, 0)
end
tools.fail = fail
-- From deep within: who called from outside is looked for when all that has been left.
function tools.raise(text) error({problem = text}, 0) end
function tools.fail_with(failure)
    local problem = type(failure) == 'table' and rawget(failure, 'problem')
    if problem then fail(problem) end
    error(failure, 0)
end
local function fail_argument(index, text)
    local facts = getinfo(caller_level() - 1, 'n')
    if facts and facts.namewhat == 'method' then
        index = index - 1
        if index == 0 then
            fail("calling '" .. facts.name .. "' on bad self (" .. text .. ')')
        end
    end
    local name = facts and facts.name or '?'
    fail('bad argument #' .. index .. " to '" .. name .. "' (" .. text .. ')')
end
tools.fail_argument = fail_argument
local function fail_type(index, count, value, wanted)
    local got = index > count and 'no value' or type(value)
    fail_argument(index, wanted .. ' expected, got ' .. got)
end
function tools.check_string(index, count, value)
    if type(value) == 'string' then return value end
    if type(value) ~= 'number' then fail_type(index, count, value, 'string') end
    return tostring(value)
end
local function check_number(index, count, value)
    if type(value) == 'number' then return value end
    local number = type(value) == 'string' and tonumber(value)
    if not number then fail_type(index, count, value, 'number') end
    return number
end
tools.check_number = check_number
local function check_integer(index, count, value)
    local number = check_number(index, count, value)
    if number ~= number or number >= 2^63 or number < -2^63 then return -2^63 end
    return number < 0 and ceil(number) or floor(number)
end
tools.check_integer = check_integer
function tools.optional_integer(index, count, value, default)
    if value == nil then return default end
    return (check_integer(index, count, value))
end

-- A number as the bits of an IEEE 754 number with so many bits of fraction and of exponent;
-- given as its upper part (sign, exponent, upper fraction) and its lower 32 bits.
local function bits_of(number, fraction_bits, exponent_bits)
    local top_bits = fraction_bits - 32
    local exponent_max = 2^exponent_bits - 1
    local sign, exponent, fraction = 0, 0, 0
    if number ~= number then
        sign = format('%g', number) == '-nan' and 1 or 0
        exponent, fraction = exponent_max, 2^(fraction_bits - 1)
    else
        if number < 0 or (number == 0 and 1 / number < 0) then sign, number = 1, -number end
        if number == HUGE then
            exponent = exponent_max
        elseif number ~= 0 then
            local mantissa, power = frexp(number)
            exponent = power - 2 + 2^(exponent_bits - 1)
            local kept_bits = fraction_bits + 1
            if exponent < 1 then kept_bits, exponent = fraction_bits + exponent, 1 end
            local scaled = ldexp(mantissa, kept_bits)
            local whole = floor(scaled)
            local rest = scaled - whole
            if rest > 0.5 or (rest == 0.5 and whole % 2 == 1) then whole = whole + 1 end
            if whole >= 2^(fraction_bits + 1) then whole, exponent = whole / 2, exponent + 1 end
            if whole < 2^fraction_bits then
                exponent, fraction = 0, whole
            elseif exponent >= exponent_max then
                exponent, fraction = exponent_max, 0
            else
                fraction = whole - 2^fraction_bits
            end
        end
    end
    if top_bits <= 0 then
        return 0, (sign * 2^exponent_bits + exponent) * 2^fraction_bits + fraction
    end
    local low = fraction % TWO_32
    local high = (sign * 2^exponent_bits + exponent) * 2^top_bits + (fraction - low) / TWO_32
    return high, low
end
function tools.float_bits(number)
    local _, low = bits_of(number, 23, 8)
    return low
end
function tools.double_bits(number)
    local mantissa, power = frexp(number)
    if power <= -1022 or not (mantissa >= 0.5 and mantissa < 1) then
        return bits_of(number, 52, 11)
    end
    -- As most numbers are: above zero, and neither tiny nor endless.
    local fraction = mantissa * 2^53 - 2^52
    local low = fraction % TWO_32
    return (power + 1022) * 2^20 + (fraction - low) / TWO_32, low
end

local function number_of(sign, exponent, fraction, fraction_bits, exponent_max)
    local number
    if exponent == exponent_max then
        if fraction ~= 0 then return sign == 1 and -NAN or NAN end
        number = HUGE
    elseif exponent == 0 then
        number = ldexp(fraction, 1 - (exponent_max - 1) / 2 - fraction_bits)
    else
        fraction = fraction + 2^fraction_bits
        number = ldexp(fraction, exponent - (exponent_max - 1) / 2 - fraction_bits)
    end
    return sign == 1 and -number or number
end
function tools.float_of(word)
    local fraction = word % 2^23
    local rest = (word - fraction) / 2^23
    local sign = rest >= 256 and 1 or 0
    return (number_of(sign, rest - sign * 256, fraction, 23, 255))
end
function tools.double_of(high, low)
    local top = high % 2^20
    local rest = (high - top) / 2^20
    local sign = rest >= 2048 and 1 or 0
    return (number_of(sign, rest - sign * 2048, top * TWO_32 + low, 52, 2047))
end

-- JSON's null: something that is nothing but itself.
local null = newproxy(true)
local null_meta = getmetatable(null)
null_meta.__tostring = function() return 'userdata: (nil)' end
null_meta.__metatable = false
tools.null = null

-- The conjunction of two numbers of 32 bits, byte by byte.
local conjunctions
local function fill_conjunctions()
    conjunctions = {}
    for a = 0, 255 do
        for b = 0, 255 do
            local result = 0
            if a >= 128 and b >= 128 then result = 128 end
            for power = 6, 0, -1 do
                local bit = 2^power
                if a % (bit * 2) >= bit and b % (bit * 2) >= bit then result = result + bit end
            end
            conjunctions[a * 256 + b + 1] = result
        end
    end
end
function tools.conjunction(a, b)
    if not conjunctions then fill_conjunctions() end
    local a1, b1 = a % 256, b % 256
    local a2, b2 = a % 65536, b % 65536
    local a3, b3 = a % 16777216, b % 16777216
    return conjunctions[a1 * 256 + b1 + 1]
        + conjunctions[(a2 - a1) + (b2 - b1) / 256 + 1] * 256
        + conjunctions[(a3 - a2) / 256 + (b3 - b2) / 65536 + 1] * 65536
        + conjunctions[(a - a3) / 65536 + (b - b3) / 16777216 + 1] * 16777216
end
return tools
"""

#: Their texts by name; each gets the tools that `support` makes, and returns a table.
LIBRARIES: Final = {
    b"support": SUPPORT,
    b"cjson": JSON,
    b"cmsgpack": MSGPACK,
    b"struct": STRUCT,
    b"bit": BIT,
}
