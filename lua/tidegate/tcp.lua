--- tg.tcp: connections of scripts, clear or under TLS, and the pool that they go back to.

local core = require "tidegate.core"
local ffi = require "ffi"
local host = require "tidegate.host"
local library = require "tidegate.runtime.library"
local place = require "tidegate.config.place"
local raise = require "tidegate.runtime.raise"
local suggest = require "tidegate.config.suggest"
local waits = require "tidegate.runtime.waits"

place.library()

local C, huge = ffi.C, math.huge
local type, tostring, min, concat = type, tostring, math.min, table.concat
local string_of, cast, bytes_pointer = ffi.string, ffi.cast, ffi.typeof "const char *"
local control = ffi.cast("struct tg_abi_control *", core.control)
local problem = ffi.new "const char *[1]"

local MOST = 64 * 1024 * 1024 -- of one call; the core has the same number
local LINE, ALL = 64 * 1024, 1024 * 1024
local PIECE = 64 * 1024
local TIMEOUT, IDLE, POOL, MOST_KEPT = 10, 60, 32, 1000
local TLS_KINDS = 256

---@class tidegate.Tcp
local methods = {}

local new, kind

local function word_of(state)
  if state == C.TG_ABI_SOCKET_REFUSED then return "refused" end
  if state == C.TG_ABI_SOCKET_RESET then return "reset" end
  if state == C.TG_ABI_SOCKET_TLS or state == C.TG_ABI_SOCKET_UNTRUSTED then return "invalid" end
  if state == C.TG_ABI_SOCKET_BROKEN then return "busy" end
  return "closed"
end

local DETAILS = {
  refused = "nobody listens there, or there is no way to it",
  invalid = "the TLS handshake failed",
  busy = "no descriptor or no memory is left",
}

local function detail_of(socket, word)
  local text = C.tg_abi_socket_problem(socket)
  return text ~= nil and string_of(text) or DETAILS[word]
end

local function check_seconds(what, name, value)
  if type(value) ~= "number" or value ~= value or value <= 0 then
    raise(("%s: %s: seconds expected, got %s"):format(what, name, tostring(value)))
  end
end

-- Waiting -----------------------------------------------------------------------------------------------------------

local function is_there(socket, bytes)
  local state = C.tg_abi_socket_state(socket)
  if state == C.TG_ABI_SOCKET_CONNECTING then return false end
  return bytes == 0 or state ~= C.TG_ABI_SOCKET_OPEN or C.tg_abi_socket_buffered(socket) >= bytes
end

local function check_result(what, result, doing)
  if result == C.TG_ABI_SOCKET_TAKEN then raise(("%s: another coroutine %s it already"):format(what, doing)) end
  if result == C.TG_ABI_SOCKET_NO_RUN then raise(what .. " works in init, phases, tasks and timers") end
  return result
end

-- True: so many bytes are there, or no more will come; 0 bytes: the connect has an outcome. False: the time is over.
local function await(what, socket, bytes, ends)
  waits.check(what)
  while check_result(what, C.tg_abi_socket_await(control, socket, bytes), "waits for") == C.TG_ABI_SOCKET_WAIT do
    local left = ends - C.tg_abi_clock(control)
    waits.wait(left > 0 and left or 0)
    if is_there(socket, bytes) then return true end
    if left <= 0 then return false end
  end
  return true
end

-- Connecting --------------------------------------------------------------------------------------------------------

local kinds, kind_count = {}, 0

local function new_tls(name, tls)
  local ca = tls.ca or ""
  local made = C.tg_abi_tls_new(control, name, #name, ca, #ca, tls.verify == false and 0 or 1, problem)
  if made == nil then return nil, string_of(problem[0]) end
  return ffi.gc(made, C.tg_abi_release)
end

-- The settings are made once for a name, an authority and a way to check.
local function tls_of(name, tls)
  local key = concat({ tostring(tls.verify ~= false), name, tls.ca or "" }, "\n")
  if kinds[key] then return kinds[key] end
  if kind_count >= TLS_KINDS then kinds, kind_count = {}, 0 end
  local made, why = new_tls(name, tls)
  if not made then return nil, "invalid", why end
  kinds[key], kind_count = made, kind_count + 1
  return made
end

local function is_generation(settings)
  return settings.lazy and 1 or 0
end

-- The object of C, on its way to this address.
local function dial(settings, address)
  local tls, name = nil, settings.name or ""
  if settings.tls then
    local err, detail
    tls, err, detail = tls_of(name, settings.tls)
    if not tls then return nil, err, detail end
  end
  local socket = C.tg_abi_socket_new(control, address, #address, tls, name, #name, settings.pool,
    is_generation(settings), problem)
  if socket ~= nil then return ffi.gc(socket, C.tg_abi_release) end
  if control.length == 1 then return nil, "invalid", string_of(problem[0]) end
  return nil, "busy", DETAILS.busy
end

-- Waits for the outcome of a connect.
local function settle(what, socket, ends)
  if not await(what, socket, 0, ends) then
    C.tg_abi_socket_close(socket)
    return nil, "timeout", "the connect took too long"
  end
  local state = C.tg_abi_socket_state(socket)
  if state == C.TG_ABI_SOCKET_OPEN or state == C.TG_ABI_SOCKET_ENDED then return socket end
  local word = word_of(state)
  return nil, word, detail_of(socket, word)
end

local function open(what, settings, timeout)
  local ends = C.tg_abi_clock(control) + timeout
  local socket, err, detail = dial(settings, settings.address)
  if not socket then return nil, err, detail end
  if C.tg_abi_socket_state(socket) ~= C.TG_ABI_SOCKET_CONNECTING then return socket end
  return settle(what, socket, ends)
end

-- One of load is connected when it is first used, and tried again until that has worked once.
local function open_late(what, self)
  check_seconds(what, "the socket's timeout", self.timeout)
  if host.phase == "load" then raise(what .. " works in init, phases, tasks and timers") end
  local ends = C.tg_abi_clock(control) + self.timeout
  if not self.__dialled then
    local dialled, err, detail = dial(self.__settings, self.__settings.address)
    if not dialled then return nil, err, detail end
    self.__dialled = dialled
  end
  local socket, err, detail = settle(what, self.__dialled, ends)
  self.__dialled = false
  if not socket then return nil, err, detail end
  self.__socket = socket
  return socket
end

local function check(what, self)
  library.check_object(what, self, kind, "a socket (methods are called with a colon)")
end

local function opened(what, self)
  local socket = self.__socket
  if socket then return socket end
  return open_late(what, self)
end

local OPTIONS = { timeout = true, tls = true, pool = true }
local TLS_OPTIONS = { sni = "string", ca = "string", verify = "boolean" }

local function check_names(what, given, known)
  if type(given) ~= "table" then raise(("%s: a table expected, got a %s"):format(what, type(given))) end
  for key in pairs(given) do
    if not known[key] then
      raise(("%s: unknown option %q%s"):format(what, tostring(key), suggest.text(tostring(key), known)))
    end
  end
end

local function check_tls(what, tls, name)
  if tls == nil or tls == false then return nil end
  if tls == true then tls = {} end
  check_names(what .. ": tls", tls, TLS_OPTIONS)
  for key, expected in pairs(TLS_OPTIONS) do
    if tls[key] ~= nil and type(tls[key]) ~= expected then
      raise(("%s: tls.%s: a %s expected, got a %s"):format(what, key, expected, type(tls[key])))
    end
  end
  if tls.ca and not tls.ca:find("-----BEGIN", 1, true) then
    raise(what .. ": tls.ca: the text of a PEM file expected, as tg.file gives it")
  end
  if not (tls.sni or name) and tls.verify ~= false then
    raise(what .. ": tls.sni: whom a certificate on a Unix socket must name")
  end
  return { ca = tls.ca, verify = tls.verify, sni = tls.sni }
end

local function host_of(address)
  if address:sub(1, 5) == "unix:" then return nil end
  return address:match "^%[(.*)%]:%d+$" or address:match "^(.*):%d+$"
end

local function check_pool(what, pool)
  if pool == nil then return POOL end
  if pool == false then return 0 end
  library.check_integer(what .. ": pool", pool, 1, MOST_KEPT)
  return pool
end

-- What a script says of a connection, checked.
local function settings_of(what, address, options)
  library.check_string(what, address)
  options = options == nil and {} or options
  check_names(what, options, OPTIONS)
  local timeout = options.timeout == nil and TIMEOUT or options.timeout
  check_seconds(what, "timeout", timeout)
  local name = host_of(address)
  local tls = check_tls(what, options.tls, name)
  return { address = address, tls = tls, name = tls and (tls.sni or name) or nil, timeout = timeout,
    pool = check_pool(what, options.pool), lazy = host.phase == "load" }
end

-- Receiving ---------------------------------------------------------------------------------------------------------

local function take(socket, bytes)
  if bytes == 0 then return "" end
  return string_of(C.tg_abi_socket_take(socket, bytes), bytes)
end

local function take_all(socket, most)
  return take(socket, min(C.tg_abi_socket_buffered(socket), most or huge))
end

local function end_of(socket)
  return word_of(C.tg_abi_socket_state(socket))
end

-- The socket, and by when it must be done.
local function begin(what, self)
  local socket, err = opened(what, self)
  if not socket then return nil, err end
  check_seconds(what, "the socket's timeout", self.timeout)
  return socket, C.tg_abi_clock(control) + self.timeout
end

---Exactly so many bytes.
---@param n integer
---@return string? bytes, string? err, string? partial
function methods:receive(n)
  check("socket:receive", self)
  library.check_integer("socket:receive", n, 0, MOST)
  local socket, ends = begin("socket:receive", self)
  if not socket then return nil, ends, "" end
  if n == 0 then return "" end
  local good = await("socket:receive", socket, n, ends)
  if C.tg_abi_socket_buffered(socket) >= n then return take(socket, n) end
  return nil, good and end_of(socket) or "timeout", take_all(socket)
end

---What there is, from one byte to `max`.
---@param max integer
---@return string? bytes, string? err, string? partial
function methods:receive_some(max)
  check("socket:receive_some", self)
  library.check_integer("socket:receive_some", max, 1, MOST)
  local socket, ends = begin("socket:receive_some", self)
  if not socket then return nil, ends, "" end
  local good = await("socket:receive_some", socket, 1, ends)
  if C.tg_abi_socket_buffered(socket) > 0 then return take_all(socket, max) end
  return nil, good and end_of(socket) or "timeout", ""
end

-- What stands before the text, which goes with it.
local function receive_until(what, self, text, limit)
  local socket, ends = begin(what, self)
  if not socket then return nil, ends, "" end
  local from = 0
  while true do
    local at = C.tg_abi_socket_find(socket, text, #text, from)
    local buffered = C.tg_abi_socket_buffered(socket)
    if at > limit or (at < 0 and buffered >= limit + #text) then return nil, "too_large", take_all(socket, limit) end
    if at >= 0 then return take(socket, at + #text):sub(1, at) end
    from = buffered >= #text and buffered - #text + 1 or 0
    local good = await(what, socket, buffered + 1, ends)
    if C.tg_abi_socket_buffered(socket) == buffered then
      return nil, good and end_of(socket) or "timeout", take_all(socket)
    end
  end
end

---A line without its end, LF or CRLF.
---@param limit integer?  bytes of the line; 64 KB
---@return string? line, string? err, string? partial
function methods:receive_line(limit)
  check("socket:receive_line", self)
  limit = limit == nil and LINE or limit
  library.check_integer("socket:receive_line", limit, 1, MOST)
  local line, err, partial = receive_until("socket:receive_line", self, "\n", limit)
  if not line then return nil, err, partial end
  return line:byte(-1) == 13 and line:sub(1, -2) or line
end

---What comes before the text, which is taken too.
---@param text string
---@param limit integer?  bytes before it; 64 KB
---@return string? bytes, string? err, string? partial
function methods:receive_until(text, limit)
  check("socket:receive_until", self)
  library.check_string("socket:receive_until", text)
  if text == "" then raise "socket:receive_until: the text is empty" end
  limit = limit == nil and LINE or limit
  library.check_integer("socket:receive_until", limit, 1, MOST)
  return receive_until("socket:receive_until", self, text, limit)
end

---All until the peer ends.
---@param limit integer?  bytes; 1 MB
---@return string? bytes, string? err, string? partial
function methods:receive_all(limit)
  check("socket:receive_all", self)
  limit = limit == nil and ALL or limit
  library.check_integer("socket:receive_all", limit, 1, MOST - 1)
  local socket, ends = begin("socket:receive_all", self)
  if not socket then return nil, ends, "" end
  local good = await("socket:receive_all", socket, limit + 1, ends)
  if C.tg_abi_socket_buffered(socket) > limit then return nil, "too_large", take(socket, limit) end
  if good and C.tg_abi_socket_state(socket) == C.TG_ABI_SOCKET_ENDED then return take_all(socket) end
  return nil, good and end_of(socket) or "timeout", take_all(socket)
end

-- Sending -----------------------------------------------------------------------------------------------------------

local function text_of(data)
  if type(data) == "string" then return data end
  if type(data) ~= "table" then raise("socket:send: a string or a list of strings expected, got a " .. type(data)) end
  for i = 1, #data do library.check_string("socket:send", data[i]) end
  return concat(data)
end

-- False: the time is over.
local function wait_for_room(socket, ends)
  while C.tg_abi_socket_room(control, socket) == C.TG_ABI_SOCKET_WAIT do
    local left = ends - C.tg_abi_clock(control)
    if not waits.wait(left > 0 and left or 0) then return false end
  end
  return true
end

---Gives all of it to be sent, and waits while much of it can't go out.
---@param data string|string[]
---@return true? done, string? err
function methods:send(data)
  check("socket:send", self)
  local text = text_of(data)
  local socket, ends = begin("socket:send", self)
  if not socket then return nil, ends end
  waits.check "socket:send"
  local result = check_result("socket:send", C.tg_abi_socket_begin_send(control, socket), "sends to")
  if result ~= C.TG_ABI_SOCKET_READY then return nil, end_of(socket) end
  local at = cast(bytes_pointer, text)
  for offset = 0, #text - 1, PIECE do
    C.tg_abi_socket_send(socket, at + offset, min(PIECE, #text - offset))
    if not wait_for_room(socket, ends) then
      C.tg_abi_socket_reset(socket)
      return nil, "timeout"
    end
  end
  C.tg_abi_socket_end_send(socket)
  local state = C.tg_abi_socket_state(socket)
  if state > C.TG_ABI_SOCKET_ENDED then return nil, word_of(state) end
  return true
end

---Ends our direction, after what was sent.
function methods:finish()
  check("socket:finish", self)
  local socket = opened("socket:finish", self)
  if socket then C.tg_abi_socket_finish(socket) end
end

-- Ending ------------------------------------------------------------------------------------------------------------

---Back to the pool of this worker, for the next connect to the same address with the same settings of TLS. Refused
---where something unread came, or another coroutine waits on it: then it stays as it is.
---@param idle number?  seconds that it may wait there; 60
---@return true? done, string? err, string? detail
function methods:keep(idle)
  check("socket:keep", self)
  idle = idle == nil and IDLE or idle
  check_seconds("socket:keep", "idle", idle)
  if not self.__socket then return nil, "closed" end
  local result = C.tg_abi_socket_keep(self.__socket, idle)
  if result == C.TG_ABI_SOCKET_READY then return true end
  if result == C.TG_ABI_SOCKET_TAKEN then return nil, "busy", "another coroutine waits on it" end
  if result == C.TG_ABI_SOCKET_UNREAD then return nil, "invalid", "something came that nobody has read" end
  if result == C.TG_ABI_SOCKET_NO_MEMORY then return nil, "busy", DETAILS.busy end
  return nil, "invalid", "it is closed, half closed, without a pool, or not all was sent"
end

---Ends it; what was sent before still goes out.
function methods:close()
  check("socket:close", self)
  if self.__socket then C.tg_abi_socket_close(self.__socket) end
end

new, kind = library.class("socket", methods)

local tcp = {}

---@param address string  "10.0.0.1:6379", "[::1]:80", "localhost:80", "unix:/path"
---@param options { timeout: number?, tls: boolean|table|nil, pool: integer|false|nil }?
---@return tidegate.Tcp? socket, string? err, string? detail
function tcp.connect(address, options)
  local settings = settings_of("tg.tcp.connect", address, options)
  if settings.lazy then
    return new { __socket = false, __dialled = false, __settings = settings, timeout = settings.timeout,
      reused = false }
  end
  local socket, err, detail = open("tg.tcp.connect", settings, settings.timeout)
  if not socket then return nil, err, detail end
  return new { __socket = socket, timeout = settings.timeout, reused = C.tg_abi_socket_reused(socket) ~= 0 }
end

return library.module("tg.tcp", tcp)
