"""The trusted Lua text that builds the world in which scripts live.

It runs once, before any script, with all of Lua's libraries; scripts see only what it hands on.
Rules: tables of the sandbox are empty proxies, so that no assignment reaches what is behind them;
every function that could write past a metatable is replaced; the host is called with strings and
numbers only, and never raises.
"""

from typing import Final

SANDBOX: Final = rb"""
local host_call, host_service, host_breathe, version, version_number,
    SOURCE, host_register, host_is_late = ...
local type, error, pcall, xpcall, select, tostring = type, error, pcall, xpcall, select, tostring
local tonumber, next, rawget, rawset, setmetatable = tonumber, next, rawget, rawset, setmetatable
local getmetatable, setfenv, loadstring, unpack = getmetatable, setfenv, loadstring, unpack
local getinfo, sethook = debug.getinfo, debug.sethook
local find, sub, format, gsub, rep = string.find, string.sub, string.format, string.gsub, string.rep
local lower = string.lower
local concat, insert, remove, sort = table.concat, table.insert, table.remove, table.sort
local dump, match = string.dump, string.match
local floor, ceil, collect = math.floor, math.ceil, collectgarbage
local READONLY = 'Attempt to modify a readonly table'
local behind = setmetatable({}, {__mode = 'k'})

local function protect(real)
    local proxy = {}
    behind[proxy] = real
    return setmetatable(proxy, {
        __index = real,
        __newindex = function() error(READONLY, 2) end,
        __metatable = false,
    })
end

local function refuse_protected(t)
    if behind[t] then error(READONLY, 0) end
end

-- What is interrupted: every so many instructions the host may serve others, or end the script.
local killed = false
local OWN = getinfo(1, 'S').source
local function hook()
    local running = getinfo(2, 'S')
    if running and running.source == OWN then return end
    if killed or host_breathe() then
        killed = true
        sethook(hook, '', 1)
        error({err = 'ERR Script killed by user with SCRIPT KILL...'}, 0)
    end
end
local INTERVAL = 100000

local G = {_VERSION = _VERSION}
local globals = {}
local g_meta = {__index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end}
setmetatable(G, g_meta)
behind[globals] = G
-- What G lacks is looked for by its own metatable, which complains.
local globals_meta = {
    __index = G,
    __newindex = function() error(READONLY, 2) end,
    __metatable = false,
}
setmetatable(globals, globals_meta)
G._G = globals
for _, name in ipairs{'assert', 'error', 'gcinfo', 'ipairs', 'xpcall', 'rawequal',
        'select', 'tonumber', 'tostring', 'type'} do
    G[name] = _G[name]
end
-- An error that a function of the sandbox raised is told as that of the script that called it.
local PLACE = '^%[string "<python>"%]:%d+: '
local function placed(failure)
    if type(failure) ~= 'string' or not find(failure, PLACE) then return failure end
    local text = gsub(failure, PLACE, '')
    local level = 2
    while true do
        local facts = getinfo(level, 'Sl')
        if not facts then return text end
        if facts.what ~= 'C' and facts.source ~= OWN then
            local index, rest = match(text, "^bad argument #(%d+) to '[^']*'( .*)$")
            local called = getinfo(level - 1, 'n')
            if index and called.name then
                if called.namewhat == 'method' then index = index - 1 end
                text = 'bad argument #' .. index .. " to '" .. called.name .. "'" .. rest
            end
            if facts.currentline < 0 then return text end
            return facts.short_src .. ':' .. facts.currentline .. ': ' .. text
        end
        level = level + 1
    end
end
-- Errors of commands are tables for who does not catch them, and texts for who does.
local function caught(ok, ...)
    if ok then return ok, ... end
    local failure = ...
    if type(failure) == 'table' then
        local text = rawget(failure, 'err')
        if type(text) == 'string' or type(text) == 'number' then failure = text end
    elseif type(failure) == 'string' then
        failure = gsub(failure, PLACE, '')
    end
    return false, failure
end
function G.pcall(...)
    if select('#', ...) == 0 then error("bad argument #1 to 'pcall' (value expected)", 2) end
    return caught(pcall(...))
end
function G.next(t, k) return next(behind[t] or t, k) end
function G.pairs(...)
    local t = ...
    if type(t) ~= 'table' then
        local got = select('#', ...) == 0 and 'no value' or type(t)
        error("bad argument #1 to 'pairs' (table expected, got " .. got .. ')', 2)
    end
    return behind[t] and G.next or next, t, nil
end
G.rawget = function(t, k) return rawget(behind[t] or t, k) end
function G.rawset(t, ...) refuse_protected(t) return rawset(t, ...) end
function G.setmetatable(t, ...) refuse_protected(t) return setmetatable(t, ...) end
function G.unpack(t, i, j)
    i, j = tonumber(i or 1), tonumber(j or #t)
    if i and j and j - i >= 7000 then error('too many results to unpack', 2) end
    return unpack(behind[t] or t, i, j)
end
function G.collectgarbage(what)
    if what == 'count' then return collect('count') end
    if what == nil or what == 'collect' then collect('collect') end
    return 0
end
-- Byte code can break out of Lua; and the collector must rest while a text is compiled.
local function compile(text, name)
    if sub(text, 1, 1) == '\27' then return nil, 'attempt to load a binary chunk' end
    if name == OWN then name = '=?' end
    collect('stop')
    local chunk, message = loadstring(text, name)
    local is_dumped, dumped = pcall(dump, chunk)
    collect('restart')
    if not chunk then return nil, message end
    -- The same once more, with calls whose callers complaints can name.
    chunk = is_dumped and loadstring(host_service('without_tail_calls', dumped))
    if not chunk then return nil, 'not enough memory' end
    return setfenv(chunk, globals)
end
function G.loadstring(text, name)
    if type(text) == 'number' then text = tostring(text) end
    if type(text) ~= 'string' then error("bad argument #1 to 'loadstring'", 2) end
    return compile(text, (gsub(tostring(name or text), '%z.*', '')))
end
function G.load(reader, name)
    local pieces = {}
    while true do
        local piece = reader()
        if piece == nil or piece == '' then break end
        if type(piece) ~= 'string' then return nil, 'reader function must return a string' end
        pieces[#pieces + 1] = piece
    end
    return compile(concat(pieces), (gsub(tostring(name or '=(load)'), '%z.*', '')))
end

local strings = {}
for name, value in next, string do strings[name] = value end
strings.dump = nil
local function check_pattern(pattern)
    if type(pattern) == 'string' and #pattern > 200 then
        local _, count = gsub(pattern, '[*+?%-]', '')
        if count > 200 then error('pattern too complex', 3) end
    end
end
for _, name in ipairs{'find', 'match', 'gmatch', 'gfind', 'gsub'} do
    local plain = string[name]
    strings[name] = function(...)
        local _, pattern = ...
        check_pattern(pattern)
        return plain(...)
    end
end
function strings.rep(...)
    local text, count = ...
    if type(text) == 'string' and #text * (tonumber(count) or 0) > 268435456 then
        error('resulting string too large', 2)
    end
    return rep(...)
end
local string_proxy = protect(strings)
local real_meta = getmetatable('')
real_meta.__index = strings
real_meta.__metatable = false
local shown_meta = protect({__index = string_proxy})
G.getmetatable = function(t)
    if type(t) == 'string' then return shown_meta end
    return getmetatable(t) or nil
end
G.string = string_proxy
local tables = {}
for name, value in next, table do
    if name == 'insert' or name == 'remove' or name == 'sort' or name == 'setn' then
        tables[name] = function(t, ...) refuse_protected(t) return value(t, ...) end
    else
        tables[name] = value
    end
end
G.table = protect(tables)
local maths = {}
for name, value in next, math do maths[name] = value end
-- The generator of 48 bits that Redis has here too: the same numbers everywhere, in each script.
local random_state = 0x1234abcd330e
local random = math.random
local HALF, WHOLE, RANDOM_MAX = 2^24, 2^48, 2147483647
function maths.random(...)
    local low = random_state % HALF
    local high = (random_state - low) / HALF
    local middle = (low * 0x5de + high * 0xece66d) % HALF
    random_state = (low * 0xece66d + middle * HALF + 0xb) % WHOLE
    local share = floor(random_state / 131072) % RANDOM_MAX / RANDOM_MAX
    local count = select('#', ...)
    if count == 0 then return share end
    -- Lua's own knows what is wrong with bounds.
    random(...)
    local first, last = ...
    if count == 1 then first, last = 1, first end
    return floor(share * (floor(last) - floor(first) + 1)) + floor(first)
end
function maths.randomseed(...)
    local seed = ...
    math.randomseed(...)
    random_state = floor(seed) % 4294967296 * 65536 + 0x330e
end
G.math = protect(maths)
local cocreate, coresume, costatus = coroutine.create, coroutine.resume, coroutine.status
local function create(f)
    local co = cocreate(f)
    sethook(co, hook, '', INTERVAL)
    return co
end
local function passed(ok, ...)
    if ok then return ... end
    -- A text gets the place where the coroutine was called, too.
    error((...), type((...)) == 'string' and 3 or 0)
end
G.coroutine = protect({
    create = create, resume = coresume, status = costatus,
    running = coroutine.running, yield = coroutine.yield,
    wrap = function(f)
        local co = create(f)
        return function(...) return passed(coresume(co, ...)) end
    end,
})

-- Replies of commands as values of Lua.
local decode
local function decode_items(raw, at, count)
    local items = {}
    for i = 1, count do
        local size, start = match(raw, '^%$(%d+)\r\n()', at)
        if size then
            at = start + size
            items[i] = sub(raw, start, at - 1)
            at = at + 2
        else
            items[i], at = decode(raw, at)
        end
    end
    return items, at
end
function decode(raw, at)
    local kind, line
    kind, line, at = match(raw, '^(.)([^\r]*)\r\n()', at)
    if kind == '$' then
        local size = tonumber(line)
        if size < 0 then return false, at end
        return sub(raw, at, at + size - 1), at + size + 2
    elseif kind == ':' then return tonumber(line), at
    elseif kind == '+' then return {ok = line}, at
    elseif kind == '-' then return {err = line}, at
    elseif kind == '*' then
        local count = tonumber(line)
        if count < 0 then return false, at end
        return decode_items(raw, at, count)
    elseif kind == '_' then return nil, at
    elseif kind == '#' then return line == 't', at
    elseif kind == ',' then
        local n = line == 'inf' and 1/0 or line == '-inf' and -1/0 or tonumber(line) or 0/0
        return {double = n}, at
    elseif kind == '(' then return {big_number = line}, at
    elseif kind == '=' then
        local size = tonumber(line)
        local text = sub(raw, at, at + size - 1)
        return {verbatim_string = {format = sub(text, 1, 3), string = sub(text, 5)}}, at + size + 2
    elseif kind == '%' then
        local map = {}
        for _ = 1, tonumber(line) do
            local k, v
            k, at = decode(raw, at)
            v, at = decode(raw, at)
            if k ~= nil then map[k] = v end
        end
        return {map = map}, at
    end
    local set = {}
    for _ = 1, tonumber(line) do
        local k
        k, at = decode(raw, at)
        if k ~= nil then set[k] = true end
    end
    return {set = set}, at
end

local function in_one_line(text) return (gsub(text, '[\r\n]', ' ')) end

-- Values of Lua as replies.
local encode
local function encode_items(out, value, protocol, is_three, slots)
    local place, count = #out + 1, 0
    out[place] = ''
    while true do
        local item = rawget(value, count + 1)
        if item == nil then break end
        count = count + 1
        encode(out, item, protocol, is_three, slots + 1)
    end
    out[place] = '*' .. count .. '\r\n'
end
function encode(out, value, protocol, is_three, slots)
    -- As deep as the stack of a converter in C goes, with so many places for each level.
    if slots > 7995 then
        out[#out + 1] = '-ERR reached lua stack limit\r\n'
        return
    end
    local kind = type(value)
    local null = protocol == 3 and '_\r\n' or '$-1\r\n'
    if kind == 'string' then
        out[#out + 1] = '$' .. #value .. '\r\n'
        out[#out + 1] = value
        out[#out + 1] = '\r\n'
    elseif kind == 'number' then
        local whole = value < 0 and ceil(value) or floor(value)
        if value ~= value or whole >= 2^63 or whole < -2^63 then
            out[#out + 1] = ':-9223372036854775808\r\n'
        else
            out[#out + 1] = format(':%d\r\n', whole)
        end
    elseif kind == 'boolean' then
        if is_three and protocol == 3 then
            out[#out + 1] = value and '#t\r\n' or '#f\r\n'
        elseif is_three then
            out[#out + 1] = value and ':1\r\n' or ':0\r\n'
        else
            out[#out + 1] = value and ':1\r\n' or null
        end
    elseif kind ~= 'table' then out[#out + 1] = null
    else
        value = behind[value] or value
        local is_list = not getmetatable(value) and value.err == nil and value.ok == nil
            and value.double == nil and value.map == nil and value.set == nil
            and value.big_number == nil and value.verbatim_string == nil
        if is_list then encode_items(out, value, protocol, is_three, slots) return end
        local got = rawget(value, 'err')
        if type(got) == 'string' then
            out[#out + 1] = '-' .. in_one_line(got) .. '\r\n'
            return
        end
        got = rawget(value, 'ok')
        if type(got) == 'string' then
            out[#out + 1] = '+' .. in_one_line(got) .. '\r\n'
            return
        end
        got = rawget(value, 'double')
        if type(got) == 'number' then
            local text = got ~= got and 'nan' or got == 1/0 and 'inf' or got == -1/0 and '-inf'
                or format('%.17g', got)
            for digits = 16, 15, -1 do
                local shorter = format('%.' .. digits .. 'g', got)
                if tonumber(shorter) == got then text = shorter end
            end
            out[#out + 1] = protocol == 3 and ',' .. text .. '\r\n'
                or '$' .. #text .. '\r\n' .. text .. '\r\n'
            return
        end
        got = rawget(value, 'map')
        if type(got) == 'table' then
            local count = 0
            for _ in next, got do count = count + 1 end
            out[#out + 1] = protocol == 3 and '%' .. count .. '\r\n' or '*' .. 2 * count .. '\r\n'
            for k, v in next, got do
                encode(out, k, protocol, is_three, slots + 4)
                encode(out, v, protocol, is_three, slots + 3)
            end
            return
        end
        got = rawget(value, 'set')
        if type(got) == 'table' then
            local count = 0
            for _ in next, got do count = count + 1 end
            out[#out + 1] = (protocol == 3 and '~' or '*') .. count .. '\r\n'
            for k in next, got do encode(out, k, protocol, is_three, slots + 3) end
            return
        end
        got = rawget(value, 'big_number')
        if type(got) == 'string' then
            got = in_one_line(got)
            out[#out + 1] = protocol == 3 and '(' .. got .. '\r\n'
                or '$' .. #got .. '\r\n' .. got .. '\r\n'
            return
        end
        got = rawget(value, 'verbatim_string')
        if type(got) == 'table' and type(rawget(got, 'string')) == 'string'
                and type(rawget(got, 'format')) == 'string' then
            local text = got.string
            if protocol == 3 then
                text = sub(got.format .. '   ', 1, 3) .. ':' .. text
                out[#out + 1] = '=' .. #text .. '\r\n' .. text .. '\r\n'
            else
                out[#out + 1] = '$' .. #text .. '\r\n' .. text .. '\r\n'
            end
            return
        end
        encode_items(out, value, protocol, is_three, slots)
    end
end

"""
