"""The trusted Lua text behind that of the sandbox: table `redis`, loading libraries, running.

It is part of the same chunk, and sees the local names of `sandbox_source.py`.
"""

from typing import Final

CALLS: Final = rb"""
local is_three = false
local function fails(text) return {err = text} end

-- Only Lua still knows the sign of a zero; the host gets whole numbers without one.
local function with_signs(...)
    local words, count = {...}, select('#', ...)
    for i = 1, count do
        if words[i] == 0 and 1 / words[i] < 0 then words[i] = '-0' end
    end
    return unpack(words, 1, count)
end
-- What the host answers: a value; or nil and a reply (a status line if a third is true); or twice
-- nil and the elements of an array.
local function take(value, raw, is_status, ...)
    if value ~= nil then return value end
    if raw == nil then return {is_status, ...} end
    if is_status then return {ok = raw} end
    return (decode(raw, 1))
end
local function redis_pcall(...)
    local a, b, c, d, e, f, g, h = ...
    if a == 0 or b == 0 or c == 0 or d == 0 or e == 0 or f == 0 or g == 0 or h ~= nil then
        return take(host_call(with_signs(...)))
    end
    return take(host_call(...))
end
local redis = {pcall = redis_pcall, REDIS_VERSION = version, REDIS_VERSION_NUM = version_number,
    LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
    REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3}
local function take_or_fail(value, raw, is_status, ...)
    if value ~= nil then return value end
    if raw == nil then return {is_status, ...} end
    if is_status then return {ok = raw} end
    value = decode(raw, 1)
    if sub(raw, 1, 1) == '-' then error(value, 0) end
    return value
end
function redis.call(...)
    local a, b, c, d, e, f, g, h = ...
    if a == 0 or b == 0 or c == 0 or d == 0 or e == 0 or f == 0 or g == 0 or h ~= nil then
        return take_or_fail(host_call(with_signs(...)))
    end
    return take_or_fail(host_call(...))
end
function redis.error_reply(text)
    if type(text) ~= 'string' then return fails('ERR wrong number or type of arguments') end
    if sub(text, 1, 1) == '-' then text = sub(text, 2) end
    if not find(text, ' ', 1, true) then text = 'ERR ' .. text end
    return fails(text)
end
function redis.status_reply(text)
    if type(text) ~= 'string' then return fails('ERR wrong number or type of arguments') end
    return {ok = text}
end
function redis.sha1hex(...)
    if select('#', ...) ~= 1 then error(fails('ERR wrong number of arguments'), 0) end
    return host_service('sha1hex', tostring((...)))
end
function redis.log(...)
    local count = select('#', ...)
    if count < 2 then error(fails('ERR redis.log() requires two arguments or more.'), 0) end
    local level = ...
    if type(level) ~= 'number' then
        error(fails('ERR First argument must be a number (log level).'), 0)
    end
    if level < 0 or level > 3 then error(fails('ERR Invalid debug level.'), 0) end
    local words = {}
    for i = 2, count do words[i - 1] = tostring((select(i, ...))) end
    host_service('log', level, concat(words, ' '))
end
function redis.setresp(...)
    if select('#', ...) ~= 1 then
        error(fails('ERR redis.setresp() requires one argument.'), 0)
    end
    local wanted = ...
    if wanted ~= 2 and wanted ~= 3 then
        error(fails('ERR RESP version must be 2 or 3.'), 0)
    end
    is_three = wanted == 3
    host_service('setresp', wanted)
end
function redis.set_repl(...)
    if select('#', ...) ~= 1 then
        error(fails('ERR redis.set_repl() requires two arguments.'), 0)
    end
    local flags = ...
    if type(flags) ~= 'number' or flags < 0 or flags > 3 then
        error(fails('ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or '
            .. 'REPL_NONE.'), 0)
    end
end
function redis.acl_check_cmd(...)
    local answer = host_service('acl_check_cmd', with_signs(...))
    if type(answer) == 'string' then error(fails(answer), 0) end
    return answer
end
local is_library = SOURCE == 'user_function'
if not is_library then
    function redis.replicate_commands() return true end
    function redis.breakpoint() return false end
    function redis.debug() end
end
G.redis = protect(redis)
local LIBRARY = '=(library)'
local tools = loadstring(host_service('library', 'support'), LIBRARY)(behind)
for _, name in ipairs{'cjson', 'cmsgpack', 'struct', 'bit'} do
    G[name] = protect(loadstring(host_service('library', name), LIBRARY)(tools))
end

-- While a library is loaded it sees less than its functions will see.
local is_loading = false
local function refuse(text) error(fails('ERR ' .. text), 0) end
local flag_names = {['no-writes'] = true, ['allow-oom'] = true, ['allow-stale'] = true,
    ['no-cluster'] = true, ['allow-cross-slot-keys'] = true}
local function is_text(value) return type(value) == 'string' or type(value) == 'number' end
local function read_flags(given)
    if type(given) ~= 'table' then
        refuse('flags argument to redis.register_function must be a table representing function '
            .. 'flags')
    end
    local names = {}
    while given[#names + 1] ~= nil do
        local name = given[#names + 1]
        name = is_text(name) and lower(name)
        if not flag_names[name] then refuse('unknown flag given') end
        names[#names + 1] = name
    end
    return concat(names, ' ')
end
local function read_named(given)
    if type(given) ~= 'table' then
        refuse('calling redis.register_function with a single argument is only applicable to Lua '
            .. 'table (representing named arguments).')
    end
    local name, description, callback
    local flags = ''
    for key, value in next, given do
        if not is_text(key) then
            refuse('named argument key given to redis.register_function is not a string')
        end
        key = lower(key)
        if key == 'function_name' or key == 'description' then
            if not is_text(value) then
                refuse(key .. ' argument given to redis.register_function must be a string')
            end
            if key == 'description' then description = tostring(value)
            else name = tostring(value) end
        elseif key == 'callback' then
            if type(value) ~= 'function' then
                refuse('callback argument given to redis.register_function must be a function')
            end
            callback = value
        elseif key == 'flags' then flags = read_flags(value)
        else refuse('unknown argument given to redis.register_function') end
    end
    if not name then refuse('redis.register_function must get a function name argument') end
    if not callback then refuse('redis.register_function must get a callback argument') end
    return name, callback, flags, description
end
local function register_function(...)
    if not is_loading then
        refuse('redis.register_function can only be called on FUNCTION LOAD command')
    end
    local count = select('#', ...)
    if count < 1 or count > 2 then
        refuse('wrong number of arguments to redis.register_function')
    end
    local name, callback, flags, description = ...
    if count == 1 then
        name, callback, flags, description = read_named(...)
    else
        if not is_text(name) then
            refuse('first argument to redis.register_function must be a string')
        end
        if type(callback) ~= 'function' then
            refuse('second argument to redis.register_function must be a function')
        end
        name, flags = tostring(name), ''
    end
    local complaint = host_register(name, callback, flags, description)
    if complaint then refuse(complaint) end
end
local loading_redis = {register_function = register_function, log = redis.log}
for name, value in next, redis do
    if find(name, '^LOG_') or find(name, '^REDIS_') then loading_redis[name] = value end
end
setmetatable(loading_redis, g_meta)
local loading_globals = setmetatable({redis = protect(loading_redis)}, g_meta)
local function loading_hook()
    local running = getinfo(2, 'S')
    if running and running.source == OWN then return end
    if host_is_late() then
        sethook(loading_hook, 'l')
        refuse('FUNCTION LOAD timeout')
    end
end
local function load_library(text)
    local chunk, message = compile(text, '@' .. SOURCE)
    if not chunk then return 'Error compiling function: ' .. message end
    globals_meta.__index, is_loading = loading_globals, true
    sethook(loading_hook, '', INTERVAL)
    local ok, failure = pcall(chunk)
    sethook(hook, '', INTERVAL)
    globals_meta.__index, is_loading = G, false
    if ok then return nil end
    failure = type(failure) == 'table' and failure.err or 'ERR ' .. tostring(failure)
    return 'Error registering functions: ' .. failure
end

local function on_error(failure)
    failure = placed(failure)
    local is_memory = failure == 'not enough memory'
    if type(failure) ~= 'table' then
        failure = {err = 'ERR ' .. (is_memory and 'not enough memory' or tostring(failure))}
    elseif type(rawget(failure, 'err')) ~= 'string' then
        failure = {err = 'ERR unknown error'}
    end
    local line = 1
    for level = 2, 100 do
        local facts = getinfo(level, 'Sl')
        if not facts then break end
        if facts.source == '@' .. SOURCE and facts.currentline > 0 then
            line = facts.currentline
            break
        end
    end
    return {err = failure.err, line = line}
end
local function load_script(text)
    return compile(text, '@' .. SOURCE)
end
local function answer(protocol, ok, value)
    if not ok then
        if type(value) ~= 'table' then value = {err = 'ERR ' .. tostring(value), line = 1} end
        return false, value.err, value.line
    end
    local kind = type(value)
    if kind == 'string' then return true, value, nil end
    if kind == 'number' and value > -1e15 and value < 1e15 then
        return nil, format(':%d\r\n', value), nil
    end
    local out = {}
    ok, value = pcall(encode, out, value, protocol, is_three, 1)
    if not ok then return false, 'ERR ' .. tostring(value), nil end
    return nil, concat(out), nil
end
local function run(chunk, protocol, keys_count, ...)
    local keys, argv
    if keys_count == 0 then
        keys, argv = {}, {...}
    elseif keys_count == 1 then
        keys, argv = {(...)}, {select(2, ...)}
    else
        local words = {...}
        keys, argv = {}, {}
        for i = 1, keys_count do keys[i] = words[i] end
        for i = keys_count + 1, #words do argv[i - keys_count] = words[i] end
    end
    is_three = false
    if killed then
        killed = false
        sethook(hook, '', INTERVAL)
    end
    if is_library then
        return answer(protocol, xpcall(function() return chunk(keys, argv) end, on_error))
    end
    G.KEYS, G.ARGV = keys, argv
    return answer(protocol, xpcall(chunk, on_error))
end
sethook(hook, '', INTERVAL)
return load_script, run, load_library
"""
