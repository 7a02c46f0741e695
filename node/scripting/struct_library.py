"""`struct`: values in and out of C structures, as the library of that name has them.

The sizes are those of a 64-bit machine, and so is what happens to numbers out of range.
"""

from typing import Final

STRUCT: Final = rb"""
local tools = ...
local fail, fail_argument = tools.fail, tools.fail_argument
local check_string, check_number = tools.check_string, tools.check_number
local type, select, unpack, tonumber = type, select, unpack, tonumber
local byte, char, sub, find, rep = string.byte, string.char, string.sub, string.find, string.rep
local match, reverse, concat = string.match, string.reverse, table.concat
local floor, ceil = math.floor, math.ceil
local TWO_32 = 2^32
local INT_MAX = 2147483647
local NUMBER_SIZES = {b = 1, B = 1, h = 2, H = 2, l = 8, L = 8, T = 8, f = 4, d = 8, x = 1}
local IS_INTEGER = {b = true, B = true, h = true, H = true, l = true, L = true, T = true,
    i = true, I = true}
local IS_SIGNED = {b = true, h = true, l = true, i = true}

-- A number in the format, from a place on; what is behind it.
local function read_count(text, at, default)
    local digits = match(text, '^%d+', at)
    if not digits then return default, at end
    if #digits > 10 and #match(digits, '[^0].*$' or '') > 10 then fail('integral size overflow') end
    local count = tonumber(digits)
    if count > INT_MAX then fail('integral size overflow') end
    return count, at + #digits
end
local function size_of(option, text, at)
    local size = NUMBER_SIZES[option]
    if size then return size, at end
    if option == 'c' then
        size, at = read_count(text, at, 1)
        return size, at
    end
    if option == 'i' or option == 'I' then
        size, at = read_count(text, at, 4)
        if size > 32 then fail('integral size ' .. size .. ' is larger than limit of 32') end
        return size, at
    end
    return 0, at
end
local function padding(at, state, option, size)
    if size == 0 or option == 'c' then return 0 end
    if size > state.align then size = state.align end
    if size == 1 then return 0 end
    return (tools.conjunction(size - tools.conjunction(at % TWO_32, size - 1), size - 1))
end
local function control(option, text, at, state)
    if option == ' ' then return at end
    if option == '>' or option == '<' then
        state.is_big = option == '>'
        return at
    end
    if option ~= '!' then fail_argument(1, "invalid format option '" .. option .. "'") end
    local align
    align, at = read_count(text, at, 8)
    local power = align
    while power > 1 and power % 2 == 0 do power = power / 2 end
    if power ~= 1 then fail('alignment ' .. align .. ' is not a power of 2') end
    state.align = align
    return at
end
local function format_of(count, value)
    return (match(check_string(1, count, value), '^%Z*'))
end

local function bytes_of_words(high, low)
    local a, b = floor(low / 65536), low % 65536
    local c, d = floor(high / 65536), high % 65536
    return char(b % 256, floor(b / 256), a % 256, floor(a / 256),
        d % 256, floor(d / 256), c % 256, floor(c / 256))
end
local function bytes_of_integer(number, size)
    if size <= 4 and number > -2^53 and number < 2^53 then
        local low = (number < 0 and ceil(number) or floor(number)) % TWO_32
        local bytes = char(low % 256, floor(low / 256) % 256, floor(low / 65536) % 256,
            floor(low / 16777216))
        return size == 4 and bytes or sub(bytes, 1, size)
    end
    local high, low
    if number ~= number or number < -2^63 then
        high, low = 2^31, 0
    elseif number >= 2^64 then
        high, low = 0, 0
    else
        number = number < 0 and ceil(number) or floor(number)
        low = number % TWO_32
        high = (number - low) / TWO_32 % TWO_32
    end
    local bytes = bytes_of_words(high, low)
    return size <= 8 and sub(bytes, 1, size) or bytes .. rep('\0', size - 8)
end
local struct = {}
function struct.pack(...)
    local count = select('#', ...)
    local text = format_of(count, (...))
    local state = {is_big = false, align = 1}
    local out, total, at, argument = {}, 0, 1, 2
    -- Behind the arguments stands a nil, and is named where the first of them lacks.
    count = count + 1
    while at <= #text do
        local option, size = sub(text, at, at)
        size, at = size_of(option, text, at + 1)
        local gap = padding(total, state, option, size)
        if gap > 0 then out[#out + 1] = rep('\0', gap) end
        total = total + gap
        if IS_INTEGER[option] or option == 'f' or option == 'd' then
            local number = check_number(argument, count, (select(argument, ...)))
            argument = argument + 1
            local bytes
            if option == 'f' then
                bytes = sub(bytes_of_words(0, tools.float_bits(number)), 1, 4)
            elseif option == 'd' then
                bytes = bytes_of_words(tools.double_bits(number))
            else
                bytes = bytes_of_integer(number, size)
            end
            out[#out + 1] = state.is_big and reverse(bytes) or bytes
        elseif option == 'x' then
            out[#out + 1] = '\0'
        elseif option == 'c' or option == 's' then
            local value = check_string(argument, count, (select(argument, ...)))
            argument = argument + 1
            if size == 0 then size = #value end
            if #value < size then fail_argument(argument, 'string too short') end
            out[#out + 1] = sub(value, 1, size)
            if option == 's' then
                out[#out + 1] = '\0'
                size = size + 1
            end
        else
            at = control(option, text, at, state)
        end
        total = total + size
    end
    return (concat(out))
end

local function words_of(data, at, size, is_big)
    if size == 8 then
        local a, b, c, d, e, f, g, h = byte(data, at, at + 7)
        if is_big then a, b, c, d, e, f, g, h = h, g, f, e, d, c, b, a end
        return ((h * 256 + g) * 256 + f) * 256 + e, ((d * 256 + c) * 256 + b) * 256 + a
    elseif size == 4 then
        local a, b, c, d = byte(data, at, at + 3)
        if is_big then a, b, c, d = d, c, b, a end
        return 0, ((d * 256 + c) * 256 + b) * 256 + a
    elseif size == 1 then
        return 0, (byte(data, at))
    end
    local high, low = 0, 0
    local first, last, step = at + size - 1, at, -1
    if is_big then first, last, step = at, at + size - 1, 1 end
    for i = first, last, step do
        local top = floor(low / 16777216)
        high = high % 16777216 * 256 + top
        low = (low - top * 16777216) * 256 + byte(data, i)
    end
    return high, low
end
local function integer_of(data, at, size, is_big, is_signed)
    local high, low = words_of(data, at, size, is_big)
    if is_signed then
        local power = (size * 8 - 1) % 64
        if power >= 32 then
            if high >= 2^(power - 32) then high = high % 2^(power - 32) - 2^(power - 32) end
        elseif high > 0 or low >= 2^power then
            return low % 2^power - 2^power
        end
    end
    return high * TWO_32 + low
end
function struct.unpack(...)
    local count = select('#', ...)
    local text, data, start = ...
    text = format_of(count, text)
    data = check_string(2, count, data)
    local place = tools.optional_integer(3, count, start, 1) - 1
    if place == -1 then fail_argument(3, 'offset must be 1 or greater') end
    local state = {is_big = false, align = 1}
    local results, found, at = {}, 0, 1
    local function need(size)
        if place < 0 or size > #data - place then fail_argument(2, 'data string too short') end
    end
    while at <= #text do
        local option, size = sub(text, at, at)
        size, at = size_of(option, text, at + 1)
        place = place + padding(place, state, option, size)
        need(size)
        if found + 4 > tools.SLOTS_MAX then fail('stack overflow (too many results)') end
        if IS_INTEGER[option] then
            found = found + 1
            results[found] = integer_of(data, place + 1, size, state.is_big, IS_SIGNED[option])
        elseif option == 'f' then
            found = found + 1
            local _, low = words_of(data, place + 1, 4, state.is_big)
            results[found] = tools.float_of(low)
        elseif option == 'd' then
            found = found + 1
            results[found] = tools.double_of(words_of(data, place + 1, 8, state.is_big))
        elseif option == 'c' then
            if size == 0 then
                size = found > 0 and tonumber(results[found])
                if not size then fail("format 'c0' needs a previous size") end
                found = found - 1
                if size >= 2^64 or (size < 0 and size > -1) then
                    size = 0
                elseif size ~= size or size < 0 then
                    size = 2^63
                end
                size = floor(size)
                need(size)
            end
            found = found + 1
            results[found] = sub(data, place + 1, place + size)
        elseif option == 's' then
            local stop = find(data, '\0', place + 1, true)
            if not stop then fail('unfinished string in data') end
            found = found + 1
            results[found] = sub(data, place + 1, stop - 1)
            size = stop - place
        elseif option ~= 'x' then
            at = control(option, text, at, state)
        end
        place = place + size
    end
    results[found + 1] = place + 1
    return unpack(results, 1, found + 1)
end

function struct.size(...)
    local text = format_of(select('#', ...), (...))
    local state = {is_big = false, align = 1}
    local total, at = 0, 1
    while at <= #text do
        local option, size = sub(text, at, at)
        size, at = size_of(option, text, at + 1)
        total = total + padding(total, state, option, size)
        if option == 's' then fail_argument(1, "option 's' has no fixed size") end
        if option == 'c' and size == 0 then fail_argument(1, "option 'c0' has no fixed size") end
        if not find(option, '%w') then at = control(option, text, at, state) end
        total = total + size
    end
    return total
end
return struct
"""
