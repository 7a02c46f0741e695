"""`bit`: operations on 32 bits, as LuaBitOp has them; results are signed.

A number counts modulo 2^32 after rounding to a whole one. Adding 1.5 * 2^52 does both at once and
leaves the result in the lowest bits of the sum, and so it is done here, for beyond 2^51 the result
is whatever those bits hold.
"""

from typing import Final

BIT: Final = rb"""
local tools = ...
local check_number, conjunction = tools.check_number, tools.conjunction
local double_bits = tools.double_bits
local type, select, floor, format = type, select, math.floor, string.format
local sub, upper = string.sub, string.upper
local TWO_31, TWO_32, TWO_52, TWO_53 = 2^31, 2^32, 2^52, 2^53
local SHIFT = 2^52 + 2^51

local function bits(index, count, value)
    if type(value) ~= 'number' then value = check_number(index, count, value) end
    local sum = value + SHIFT
    if sum >= TWO_52 and sum < TWO_53 then return sum % TWO_32 end
    if sum ~= sum then return 0 end
    local _, low = double_bits(sum)
    return low
end
local function signed(word) return word >= TWO_31 and word - TWO_32 or word end

local bit = {}
function bit.tobit(...) return (signed(bits(1, select('#', ...), (...)))) end
function bit.bnot(...) return (signed(TWO_32 - 1 - bits(1, select('#', ...), (...)))) end
function bit.bswap(...)
    local word = bits(1, select('#', ...), (...))
    local d = word % 256
    local c = (word - d) / 256 % 256
    local b = floor(word / 65536) % 256
    local a = floor(word / 16777216)
    return (signed(d * 16777216 + c * 65536 + b * 256 + a))
end
function bit.tohex(...)
    local count = select('#', ...)
    local value, digits = ...
    local word = bits(1, count, value)
    local size = count < 2 and 8 or signed(bits(2, count, digits))
    local text = format('%04x%04x', floor(word / 65536), word % 65536)
    if size < 0 then text, size = upper(text), -size end
    if size >= 8 then return text end
    if size == 0 then return '' end
    return (sub(text, -size))
end

local function combiner(combine)
    return function(...)
        local count = select('#', ...)
        local result = bits(1, count, (...))
        for i = count, 2, -1 do
            result = combine(result, bits(i, count, (select(i, ...))))
        end
        return (signed(result))
    end
end
bit.band = combiner(conjunction)
bit.bor = combiner(function(a, b) return a + b - conjunction(a, b) end)
bit.bxor = combiner(function(a, b) return a + b - 2 * conjunction(a, b) end)

local function shifter(shift)
    return function(...)
        local count = select('#', ...)
        local value, distance = ...
        local word = bits(1, count, value)
        return (signed(shift(word, bits(2, count, distance) % 32)))
    end
end
bit.lshift = shifter(function(word, n) return word * 2^n % TWO_32 end)
bit.rshift = shifter(function(word, n) return floor(word / 2^n) end)
bit.arshift = shifter(function(word, n) return floor(signed(word) / 2^n) end)
local function rotate(word, n) return word * 2^n % TWO_32 + floor(word / 2^(32 - n)) end
bit.rol = shifter(rotate)
bit.ror = shifter(function(word, n) return rotate(word, (32 - n) % 32) end)
return bit
"""
