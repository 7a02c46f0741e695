"""`cjson`: values as JSON and back, as lua-cjson 2.1 has it.

`cjson.new` makes another library with settings of its own. A text ends at its first zero byte, as
it does in C; numbers are what `strtod` takes, unless `decode_invalid_numbers` is off.
"""

from typing import Final

JSON: Final = rb"""
local tools = ...
local fail, fail_argument, behind, null = tools.fail, tools.fail_argument, tools.behind, tools.null
local raise, fail_with = tools.raise, tools.fail_with
local check_string, check_integer = tools.check_string, tools.check_integer
local type, select, next, rawget, tonumber = type, select, next, rawget, tonumber
local pcall = pcall
local byte, char, sub, find, match = string.byte, string.char, string.sub, string.find, string.match
local gsub, format, lower = string.gsub, string.format, string.lower
local concat, floor = table.concat, math.floor
local HUGE, INT_MAX, SLOTS_MAX = math.huge, 2147483647, tools.SLOTS_MAX

local UNSAFE = '[%z\1-\31"\\/\127]'
local escapes = {['"'] = '\\"', ['\\'] = '\\\\', ['/'] = '\\/', ['\b'] = '\\b', ['\t'] = '\\t',
    ['\n'] = '\\n', ['\f'] = '\\f', ['\r'] = '\\r', ['\127'] = '\\u007f'}
for code = 0, 31 do
    local one = char(code)
    escapes[one] = escapes[one] or format('\\u%04x', code)
end
local function quoted(text)
    if find(text, UNSAFE) then text = gsub(text, UNSAFE, escapes) end
    return '"' .. text .. '"'
end

local LITERALS = {t = {'true', true}, f = {'false', false}, n = {'null', null}}
local UNESCAPED = {['"'] = '"', ['\\'] = '\\', ['/'] = '/', b = '\b', t = '\t', n = '\n',
    f = '\f', r = '\r'}
local TOKENS = {['{'] = 'T_OBJ_BEGIN', ['}'] = 'T_OBJ_END', ['['] = 'T_ARR_BEGIN',
    [']'] = 'T_ARR_END', [','] = 'T_COMMA', [':'] = 'T_COLON', [''] = 'T_END'}

local function utf8_of(point)
    if point < 0x80 then return (char(point)) end
    local low = 0x80 + point % 64
    if point < 0x800 then return (char(0xc0 + floor(point / 64), low)) end
    local middle = 0x80 + floor(point / 64) % 64
    if point < 0x10000 then return (char(0xe0 + floor(point / 4096), middle, low)) end
    return (char(0xf0 + floor(point / 262144), 0x80 + floor(point / 4096) % 64, middle, low))
end
-- A code point from its escape; nil if it is none.
local function read_unicode(text, at)
    local digits = match(text, '^\\u(%x%x%x%x)', at)
    local point = digits and tonumber(digits, 16)
    if not point then return nil, at end
    if point < 0xd800 or point > 0xdfff then return utf8_of(point), at + 6 end
    if point >= 0xdc00 then return nil, at end
    digits = match(text, '^\\u(%x%x%x%x)', at + 6)
    local second = digits and tonumber(digits, 16)
    if not second or second < 0xdc00 or second > 0xdfff then return nil, at end
    return utf8_of((point - 0xd800) * 1024 + second - 0xdc00 + 0x10000), at + 12
end
-- The rest of a string; or nil, where it goes wrong, and how.
local function read_string(text, at)
    local stop = find(text, '["\\]', at)
    if stop and byte(text, stop) == 34 then return sub(text, at, stop - 1), stop + 1 end
    local pieces, count = {}, 0
    while true do
        if not stop then return nil, #text + 1, 'unexpected end of string' end
        count = count + 1
        pieces[count] = sub(text, at, stop - 1)
        if byte(text, stop) == 34 then return concat(pieces), stop + 1 end
        local escape = sub(text, stop + 1, stop + 1)
        local piece = UNESCAPED[escape]
        if piece then
            at = stop + 2
        elseif escape == 'u' then
            piece, at = read_unicode(text, stop)
            if not piece then return nil, stop, 'invalid unicode escape code' end
        else
            return nil, stop, 'invalid escape code'
        end
        count = count + 1
        pieces[count] = piece
        stop = find(text, '["\\]', at)
    end
end
-- As much of a text as `strtod` takes.
local function number_extent(text, at)
    local start = at
    local _, stop = find(text, '^[+-]', at)
    if stop then at = stop + 1 end
    local word = lower(match(text, '^%a*', at))
    if sub(word, 1, 8) == 'infinity' then return at + 7 end
    if sub(word, 1, 3) == 'inf' then return at + 2 end
    if sub(word, 1, 3) == 'nan' then
        _, stop = find(text, '^%([%w_]*%)', at + 3)
        return stop or at + 2
    end
    local whole, fraction = match(text, '^0[xX](%x*)%.?(%x*)', at)
    if whole and #whole + #fraction > 0 then
        _, stop = find(text, '^0[xX]%x*%.?%x*', at)
        local _, exponent_stop = find(text, '^[pP][+-]?%d+', stop + 1)
        return exponent_stop or stop
    end
    whole, fraction = match(text, '^(%d*)%.?(%d*)', at)
    if #whole + #fraction == 0 then return start - 1 end
    _, stop = find(text, '^%d*%.?%d*', at)
    local _, exponent_stop = find(text, '^[eE][+-]?%d+', stop + 1)
    return exponent_stop or stop
end
local function is_beyond_json(text, at)
    local word = lower(sub(text, at, at + 4))
    return find(word, '^%+') or find(word, '^%-?0[x%d]') or find(word, '^%-?inf')
        or find(word, '^%-?nan')
end

local new
local function integer_option(count, index, value, old, low, high)
    if value == nil then return old end
    local number = check_integer(index, count, value) % 4294967296
    if number > INT_MAX then number = number - 4294967296 end
    if number < low or number > high then
        fail_argument(1, 'expected integer between ' .. low .. ' and ' .. high)
    end
    return number
end
local function switch_option(count, index, value, old, can_be_null)
    if value == nil then return old end
    if type(value) == 'boolean' then return value end
    value = check_string(index, count, value)
    if value == 'off' or value == 'on' then return value == 'on' end
    if can_be_null and value == 'null' then return value end
    fail_argument(index, "invalid option '" .. match(value, '^%Z*') .. "'")
end
local function check_count(count, most)
    if count > most then fail_argument(most + 1, 'found too many arguments') end
end

function new()
    local sparse_convert, sparse_ratio, sparse_safe = false, 2, 10
    local encode_max_depth, decode_max_depth = 1000, 1000
    local encode_invalid, decode_invalid = false, true
    local precision, number_format, keep_buffer = 14, '%.14g', true
    local cjson = {_NAME = 'cjson', _VERSION = '2.1.0', null = null}
    function cjson.new() return new() end

    local function shown_number(number)
        if number ~= number or number == HUGE or number == -HUGE then
            if not encode_invalid then
                raise('Cannot serialise number: must not be NaN or Inf')
            end
            if encode_invalid == 'null' then return 'null' end
            if number ~= number then return 'nan' end
        end
        return (format(number_format, number))
    end
    -- How long an array is; not above zero: it is none.
    local function array_length(t)
        local highest, count = 0, 0
        for key in next, t do
            if type(key) ~= 'number' or key < 1 or floor(key) ~= key then return -1 end
            if key > highest then highest = key <= INT_MAX and key or -2147483648 end
            count = count + 1
        end
        if sparse_ratio > 0 and highest > count * sparse_ratio and highest > sparse_safe then
            if not sparse_convert then
                raise('Cannot serialise table: excessively sparse array')
            end
            return -1
        end
        return highest
    end
    local encode_table
    local function encode_value(out, n, value, depth, slots)
        local kind = type(value)
        if kind == 'string' then out[n + 1] = quoted(value)
        elseif kind == 'number' then out[n + 1] = shown_number(value)
        elseif kind == 'table' then
            n = encode_table(out, n, behind[value] or value, depth + 1, slots)
            return n
        elseif kind == 'boolean' then out[n + 1] = value and 'true' or 'false'
        elseif kind == 'nil' or value == null then out[n + 1] = 'null'
        else raise('Cannot serialise ' .. kind .. ': type not supported') end
        return n + 1
    end
    function encode_table(out, n, t, depth, slots)
        if depth > encode_max_depth or slots + 3 > SLOTS_MAX then
            raise('Cannot serialise, excessive nesting (' .. depth .. ')')
        end
        local length = array_length(t)
        if length > 0 then
            for i = 1, length do
                out[n + 1] = i == 1 and '[' or ','
                n = encode_value(out, n + 1, rawget(t, i), depth, slots + 1)
            end
            out[n + 1] = ']'
            return n + 1
        end
        local lead = '{'
        for key, value in next, t do
            local kind = type(key)
            if kind == 'string' then
                out[n + 1] = lead .. quoted(key) .. ':'
            elseif kind == 'number' then
                out[n + 1] = lead .. '"' .. shown_number(key) .. '":'
            else
                raise('Cannot serialise ' .. kind .. ': table key must be a number or string')
            end
            lead = ','
            n = encode_value(out, n + 1, value, depth, slots + 2)
        end
        out[n + 1] = lead == '{' and '{}' or '}'
        return n + 1
    end
    function cjson.encode(...)
        if select('#', ...) ~= 1 then fail_argument(1, 'expected 1 argument') end
        local out = {}
        local ok, failure = pcall(encode_value, out, 0, (...), 0, 1)
        if not ok then fail_with(failure) end
        return (concat(out))
    end

    local function fail_token(text, at, wanted, found)
        if not found then
            local first = sub(text, at, at)
            found = TOKENS[first]
            if not found then
                found = 'invalid token'
                local literal = LITERALS[first]
                if first == '"' then
                    local value, place, problem = read_string(text, at + 1)
                    found = problem or 'T_STRING'
                    if problem then at = place end
                elseif literal and sub(text, at, at + #literal[1] - 1) == literal[1] then
                    found = first == 'n' and 'T_NULL' or 'T_BOOLEAN'
                elseif find(first, '[%d-]') or (decode_invalid and is_beyond_json(text, at)
                        and find(first, '[+iInN]')) then
                    found = 'T_NUMBER'
                    if (not decode_invalid and is_beyond_json(text, at))
                            or number_extent(text, at) < at then
                        found = 'invalid number'
                    end
                end
            end
        end
        raise('Expected ' .. wanted .. ' but found ' .. found .. ' at character ' .. at)
    end
    local function next_place(text, at)
        local code = byte(text, at)
        if code and code > 32 then return at end
        return (find(text, '[^ \t\r\n]', at)) or #text + 1
    end
    local function descend(depth, at, slots)
        if depth > decode_max_depth or slots > SLOTS_MAX then
            raise('Found too many nested data structures (' .. depth .. ') at character ' .. at)
        end
    end
    local decode_value
    local function decode_object(text, at, depth, slots)
        descend(depth, at, slots + 3)
        local object = {}
        at = next_place(text, at + 1)
        if byte(text, at) == 125 then return object, at + 1 end
        while true do
            -- Most keys are taken at once with their colon; the others, and mistakes, in steps.
            local _, stop, key = find(text, '^"([^"\\]*)"[ \t\r\n]*:[ \t\r\n]*', at)
            if key then
                at = stop + 1
            else
                local problem
                if byte(text, at) ~= 34 then fail_token(text, at, 'object key string') end
                key, stop, problem = read_string(text, at + 1)
                if not key then fail_token(text, stop, 'object key string', problem) end
                at = next_place(text, stop)
                if byte(text, at) ~= 58 then fail_token(text, at, 'colon') end
                at = next_place(text, at + 1)
            end
            object[key], at = decode_value(text, at, depth, slots + 2)
            at = next_place(text, at)
            local last = byte(text, at)
            if last == 125 then return object, at + 1 end
            if last ~= 44 then fail_token(text, at, 'comma or object end') end
            at = next_place(text, at + 1)
        end
    end
    local function decode_array(text, at, depth, slots)
        descend(depth, at, slots + 2)
        local array, count = {}, 0
        at = next_place(text, at + 1)
        if byte(text, at) == 93 then return array, at + 1 end
        while true do
            count = count + 1
            array[count], at = decode_value(text, at, depth, slots + 1)
            at = next_place(text, at)
            local last = byte(text, at)
            if last == 93 then return array, at + 1 end
            if last ~= 44 then fail_token(text, at, 'comma or array end') end
            at = next_place(text, at + 1)
        end
    end
    local function decode_number(text, at)
        local _, stop = find(text, '^%-?%d+%.?%d*[eE]?[+-]?%d*', at)
        if stop and decode_invalid and not find(text, '^[xX]', stop + 1) then
            local number = tonumber(sub(text, at, stop))
            if number then return number, stop + 1 end
        end
        if not decode_invalid and is_beyond_json(text, at) then
            fail_token(text, at, 'value', 'invalid number')
        end
        stop = number_extent(text, at)
        if stop < at then fail_token(text, at, 'value', 'invalid number') end
        return tonumber(sub(text, at, stop)), stop + 1
    end
    function decode_value(text, at, depth, slots)
        local code = byte(text, at)
        local value, stop, problem
        if code == 34 then
            value, stop, problem = read_string(text, at + 1)
            if problem then fail_token(text, stop, 'value', problem) end
            return value, stop
        elseif code == 123 then
            value, stop = decode_object(text, at, depth + 1, slots)
            return value, stop
        elseif code == 91 then
            value, stop = decode_array(text, at, depth + 1, slots)
            return value, stop
        elseif code and (code == 45 or (code >= 48 and code <= 57)) then
            value, stop = decode_number(text, at)
            return value, stop
        end
        local first = sub(text, at, at)
        local literal = LITERALS[first]
        if literal and sub(text, at, at + #literal[1] - 1) == literal[1] then
            return literal[2], at + #literal[1]
        end
        if decode_invalid and find(first, '[+iInN]') and is_beyond_json(text, at) then
            value, stop = decode_number(text, at)
            return value, stop
        end
        fail_token(text, at, 'value')
    end
    local function decode_text(text)
        local value, at = decode_value(text, next_place(text, 1), 0, 1)
        at = next_place(text, at)
        if at <= #text then fail_token(text, at, 'the end') end
        return value
    end
    function cjson.decode(...)
        local count = select('#', ...)
        if count ~= 1 then fail_argument(1, 'expected 1 argument') end
        local text = check_string(1, 1, (...))
        local zero = find(text, '%z')
        if zero and zero <= 2 and #text >= 2 then
            fail('JSON parser does not support UTF-16 or UTF-32')
        end
        if zero then text = sub(text, 1, zero - 1) end
        local ok, value = pcall(decode_text, text)
        if not ok then fail_with(value) end
        return value
    end

    function cjson.encode_sparse_array(...)
        local count = select('#', ...)
        check_count(count, 3)
        local convert, ratio, safe = ...
        sparse_convert = switch_option(count, 1, convert, sparse_convert)
        sparse_ratio = integer_option(count, 2, ratio, sparse_ratio, 0, INT_MAX)
        sparse_safe = integer_option(count, 3, safe, sparse_safe, 0, INT_MAX)
        return sparse_convert, sparse_ratio, sparse_safe
    end
    function cjson.encode_max_depth(...)
        local count = select('#', ...)
        check_count(count, 1)
        encode_max_depth = integer_option(count, 1, (...), encode_max_depth, 1, INT_MAX)
        return encode_max_depth
    end
    function cjson.decode_max_depth(...)
        local count = select('#', ...)
        check_count(count, 1)
        decode_max_depth = integer_option(count, 1, (...), decode_max_depth, 1, INT_MAX)
        return decode_max_depth
    end
    function cjson.encode_number_precision(...)
        local count = select('#', ...)
        check_count(count, 1)
        precision = integer_option(count, 1, (...), precision, 1, 14)
        number_format = '%.' .. precision .. 'g'
        return precision
    end
    function cjson.encode_keep_buffer(...)
        local count = select('#', ...)
        check_count(count, 1)
        keep_buffer = switch_option(count, 1, (...), keep_buffer)
        return keep_buffer
    end
    function cjson.encode_invalid_numbers(...)
        local count = select('#', ...)
        check_count(count, 1)
        encode_invalid = switch_option(count, 1, (...), encode_invalid, true)
        return encode_invalid
    end
    function cjson.decode_invalid_numbers(...)
        local count = select('#', ...)
        check_count(count, 1)
        decode_invalid = switch_option(count, 1, (...), decode_invalid)
        return decode_invalid
    end
    return cjson
end
return new()
"""
