"""`cmsgpack`: values as MessagePack and back, with the bytes of lua-cmsgpack 0.4.0.

Tables whose keys are 1 to N are arrays (the empty one too), others maps; tables deeper than 16 are
nil; a whole number that fits into 64 bits is an integer, another one a float if that loses nothing.
"""

from typing import Final

MSGPACK: Final = rb"""
local tools = ...
local fail, fail_argument, behind = tools.fail, tools.fail_argument, tools.behind
local raise, fail_with = tools.raise, tools.fail_with
local check_string, check_integer = tools.check_string, tools.check_integer
local optional_integer, SLOTS_MAX = tools.optional_integer, tools.SLOTS_MAX
local float_bits, double_bits = tools.float_bits, tools.double_bits
local float_of, double_of = tools.float_of, tools.double_of
local type, select, next, rawget, unpack, error = type, select, next, rawget, unpack, error
local pcall = pcall
local byte, char, sub = string.byte, string.char, string.sub
local concat, floor = table.concat, math.floor
local TWO_16, TWO_32, NESTING_MAX, INT_MAX = 2^16, 2^32, 16, 2147483647

local function two(n) return char(floor(n / 256), n % 256) end
local function four(n)
    local high, low = floor(n / TWO_16), n % TWO_16
    return char(floor(high / 256), high % 256, floor(low / 256), low % 256)
end
local function pack_number(n)
    if n >= 0 and n <= 127 and floor(n) == n then return (char(n)) end
    if n >= -2^63 and n < 2^63 and floor(n) == n then
        if n >= 0 then
            if n <= 0xff then return (char(0xcc, n)) end
            if n <= 0xffff then return '\205' .. two(n) end
            if n <= 0xffffffff then return '\206' .. four(n) end
            return '\207' .. four(floor(n / TWO_32)) .. four(n % TWO_32)
        end
        if n >= -32 then return (char(256 + n)) end
        if n >= -128 then return (char(0xd0, 256 + n)) end
        if n >= -32768 then return '\209' .. two(TWO_16 + n) end
        if n >= -2147483648 then return '\210' .. four(TWO_32 + n) end
        return '\211' .. four(floor(n / TWO_32) + TWO_32) .. four(n % TWO_32)
    end
    if n == n then
        local bits = float_bits(n)
        if float_of(bits) == n then return '\202' .. four(bits) end
    end
    local high, low = double_bits(n)
    return '\203' .. four(high) .. four(low)
end
local function pack_string(text)
    local size = #text
    if size < 32 then return char(0xa0 + size) .. text end
    if size <= 0xff then return char(0xd9, size) .. text end
    if size <= 0xffff then return '\218' .. two(size) .. text end
    return '\219' .. four(size) .. text
end
local function pack_head(count, short, long, longest)
    if count <= 15 then return (char(short + count)) end
    if count <= 0xffff then return long .. two(count) end
    return longest .. four(count)
end
local function is_array(t)
    local count, highest = 0, 0
    for key in next, t do
        if type(key) ~= 'number' or key <= 0 or key > INT_MAX or floor(key) ~= key then
            return false
        end
        if key > highest then highest = key end
        count = count + 1
    end
    return highest == count, count
end
local pack_value
local function pack_table(out, t, level)
    local real = behind[t] or t
    local is_list, count = is_array(real)
    if is_list then
        out[#out + 1] = pack_head(count, 0x90, '\220', '\221')
        for i = 1, count do pack_value(out, rawget(real, i), level + 1) end
        return
    end
    count = 0
    for _ in next, real do count = count + 1 end
    out[#out + 1] = pack_head(count, 0x80, '\222', '\223')
    for key, value in next, real do
        pack_value(out, key, level + 1)
        pack_value(out, value, level + 1)
    end
end
function pack_value(out, value, level)
    local kind = type(value)
    if kind == 'string' then out[#out + 1] = pack_string(value)
    elseif kind == 'number' then out[#out + 1] = pack_number(value)
    elseif kind == 'boolean' then out[#out + 1] = value and '\195' or '\194'
    elseif kind == 'table' and level ~= NESTING_MAX then pack_table(out, value, level)
    else out[#out + 1] = '\192' end
end

local cmsgpack = {
    _NAME = 'cmsgpack', _VERSION = 'lua-cmsgpack 0.4.0',
    _COPYRIGHT = 'Copyright (C) 2012, Salvatore Sanfilippo',
    _DESCRIPTION = 'MessagePack C implementation for Lua',
}
function cmsgpack.pack(...)
    local count = select('#', ...)
    if count == 0 then fail_argument(0, 'MessagePack pack needs input.') end
    local out = {}
    for i = 1, count do pack_value(out, (select(i, ...)), 0) end
    return (concat(out))
end

local function need(data, at, size)
    if #data - at + 1 < size then raise('Missing bytes in input.') end
end
local function read_two(data, at)
    local a, b = byte(data, at, at + 1)
    return a * 256 + b
end
local function read_four(data, at)
    local a, b, c, d = byte(data, at, at + 3)
    return ((a * 256 + b) * 256 + c) * 256 + d
end
local unpack_value
local function unpack_array(data, at, count, slots)
    local items = {}
    if slots + 2 > SLOTS_MAX then raise('stack overflow (in function mp_decode_to_lua_array)') end
    for i = 1, count do items[i], at = unpack_value(data, at, slots + 2) end
    return items, at
end
local function unpack_map(data, at, count, slots)
    local map = {}
    for _ = 1, count do
        local key, value
        key, at = unpack_value(data, at, slots + 1)
        value, at = unpack_value(data, at, slots + 2)
        if key == nil then error('table index is nil', 0) end
        if key ~= key then error('table index is NaN', 0) end
        map[key] = value
    end
    return map, at
end
local readers = {}
readers[0xcc] = function(data, at) need(data, at, 2) return byte(data, at + 1), at + 2 end
readers[0xcd] = function(data, at) need(data, at, 3) return read_two(data, at + 1), at + 3 end
readers[0xce] = function(data, at) need(data, at, 5) return read_four(data, at + 1), at + 5 end
readers[0xd0] = function(data, at)
    need(data, at, 2)
    local n = byte(data, at + 1)
    return n >= 128 and n - 256 or n, at + 2
end
readers[0xd1] = function(data, at)
    need(data, at, 3)
    local n = read_two(data, at + 1)
    return n >= 32768 and n - TWO_16 or n, at + 3
end
readers[0xd2] = function(data, at)
    need(data, at, 5)
    local n = read_four(data, at + 1)
    return n >= 2147483648 and n - TWO_32 or n, at + 5
end
readers[0xd3] = function(data, at)
    need(data, at, 9)
    local high, low = read_four(data, at + 1), read_four(data, at + 5)
    if high >= 2147483648 then high = high - TWO_32 end
    return high * TWO_32 + low, at + 9
end
-- Numbers of 64 bits without a sign get one: so it is done where others read these bytes too.
readers[0xcf] = readers[0xd3]
readers[0xc0] = function(_, at) return nil, at + 1 end
readers[0xc2] = function(_, at) return false, at + 1 end
readers[0xc3] = function(_, at) return true, at + 1 end
readers[0xca] = function(data, at)
    need(data, at, 5)
    return float_of(read_four(data, at + 1)), at + 5
end
readers[0xcb] = function(data, at)
    need(data, at, 9)
    return double_of(read_four(data, at + 1), read_four(data, at + 5)), at + 9
end
local function text_reader(head, size_of)
    return function(data, at)
        need(data, at, head)
        local size = size_of(data, at + 1)
        need(data, at, head + size)
        return sub(data, at + head, at + head + size - 1), at + head + size
    end
end
readers[0xd9] = text_reader(2, byte)
readers[0xda] = text_reader(3, read_two)
readers[0xdb] = text_reader(5, read_four)
local function table_reader(head, size_of, read)
    return function(data, at, slots)
        need(data, at, head)
        local items
        items, at = read(data, at + head, size_of(data, at + 1), slots)
        return items, at
    end
end
readers[0xdc] = table_reader(3, read_two, unpack_array)
readers[0xdd] = table_reader(5, read_four, unpack_array)
readers[0xde] = table_reader(3, read_two, unpack_map)
readers[0xdf] = table_reader(5, read_four, unpack_map)
function unpack_value(data, at, slots)
    local kind = byte(data, at)
    if not kind then raise('Missing bytes in input.') end
    if slots + 1 > SLOTS_MAX then
        raise('stack overflow (too many return values at once; '
            .. 'use unpack_one or unpack_limit instead.)')
    end
    if kind < 0x80 then return kind, at + 1 end
    if kind >= 0xe0 then return kind - 256, at + 1 end
    local read, value = readers[kind], nil
    if read then
        value, at = read(data, at, slots)
    elseif kind >= 0xc0 then
        raise('Bad data format in input.')
    elseif kind >= 0xa0 then
        local size = kind - 0xa0
        need(data, at, 1 + size)
        value, at = sub(data, at + 1, at + size), at + 1 + size
    elseif kind >= 0x90 then
        value, at = unpack_array(data, at + 1, kind - 0x90, slots)
    else
        value, at = unpack_map(data, at + 1, kind - 0x80, slots)
    end
    return value, at
end

local function in_32_bits(n)
    n = n % TWO_32
    return n >= 2147483648 and n - TWO_32 or n
end
local function unpack_all(data, limit, offset, slots)
    if offset < 0 or limit < 0 then
        fail('Invalid request to unpack with offset of ' .. in_32_bits(offset)
            .. ' and limit of ' .. in_32_bits(#data) .. '.')
    elseif offset > #data then
        fail('Start offset ' .. in_32_bits(offset) .. ' greater than input length ' .. #data .. '.')
    end
    local is_all = limit == 0 and offset == 0
    if is_all then limit = INT_MAX end
    local results, found, at = {}, 0, offset + 1
    local first = is_all and 0 or 1
    while at <= #data and found < limit do
        local ok, value, stop = pcall(unpack_value, data, at, slots + found)
        if not ok then fail_with(value) end
        found, at = found + 1, stop
        results[first + found] = value
    end
    if not is_all then
        if slots + found + 1 > SLOTS_MAX then
            fail('stack overflow (in function mp_unpack_full)')
        end
        results[1] = at > #data and -1 or at - 1
    end
    return results, first + found
end
function cmsgpack.unpack(...)
    local count = select('#', ...)
    local results, found = unpack_all(check_string(1, count, (...)), 0, 0, count)
    return unpack(results, 1, found)
end
function cmsgpack.unpack_one(...)
    local count = select('#', ...)
    local data, offset = ...
    offset = optional_integer(2, count, offset, 0)
    local results, found = unpack_all(check_string(1, count, data), 1, offset, 1)
    return unpack(results, 1, found)
end
function cmsgpack.unpack_limit(...)
    local count = select('#', ...)
    local data, limit, offset = ...
    limit = check_integer(2, count, limit)
    offset = optional_integer(3, count, offset, 0)
    local results, found = unpack_all(check_string(1, count, data), limit, offset, 1)
    return unpack(results, 1, found)
end
return cmsgpack
"""
