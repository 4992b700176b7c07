--- The request that handlers get.

local answers = require "tidegate.runtime.answers"
local ffi = require "ffi"
local handles = require "tidegate.runtime.handles"
local headers = require "tidegate.runtime.headers"
local media = require "tidegate.runtime.media"
local query = require "tidegate.runtime.query"
local raise = require "tidegate.runtime.raise"
local tls = require "tidegate.runtime.tls"
local whole = require "tidegate.runtime.whole"

local C, string_of = ffi.C, ffi.string
local type, tostring, huge = type, tostring, math.huge
local slot_of, text, number, child = handles.slot, handles.text, handles.number, handles.child

local REQUEST, LOG = C.TG_ABI_REQUEST, C.TG_ABI_LOG

-- req.ctx by slot; C drops an entry when its request ends.
local contexts = {}

local client = handles.define("client", "req.client", {
  getters = {
    ip = text(C.TG_ABI_CLIENT_IP), port = number(C.TG_ABI_CLIENT_PORT), peer_ip = text(C.TG_ABI_PEER_IP),
    tls = tls,
  },
})

local route = handles.define("route", "req.route", { getters = { name = text(C.TG_ABI_ROUTE) } })

local times = handles.define("times", "req.times", {
  getters = {
    started = number(C.TG_ABI_TIME_STARTED), total = number(C.TG_ABI_TIME_TOTAL), queue = number(C.TG_ABI_TIME_QUEUE),
    connect = number(C.TG_ABI_TIME_CONNECT), first_byte = number(C.TG_ABI_TIME_FIRST_BYTE),
    script = number(C.TG_ABI_TIME_SCRIPT),
  },
})

-- Names that the gateway itself writes.
local RESERVED = {}
for name in ([[attempts bytes_in bytes_out detail ended error from generation host id ip listener method ms path peer
  peer_ip query reused route status time tls upstream version worker]]):gmatch "%S+" do
  RESERVED[name] = true
end

local function log_value(name, value)
  local kind = type(value)
  if kind == "string" then return value, 0 end
  if kind == "number" then
    if value ~= value or value == huge or value == -huge then return tostring(value), 0 end
    return ("%.14g"):format(value), 1
  end
  if kind == "boolean" then return tostring(value), 1 end
  if kind == "nil" then return nil, 0 end
  raise(("req.log.%s: a string, a number or a boolean expected, got a %s"):format(name, kind))
end

local function set_log(self, name, value)
  local slot = slot_of(self)
  if type(name) ~= "string" then raise("req.log: a name is a string, not a " .. type(name)) end
  if RESERVED[name] then raise(("req.log.%s is the gateway's own: choose another name"):format(name)) end
  local text_value, json = log_value(name, value)
  local problem = C.tg_abi_log_member(slot, name, #name, text_value, text_value and #text_value or 0, json)
  if problem ~= nil then raise("req.log: " .. string_of(problem)) end
end

local log = handles.collection("log", "req.log", {
  methods = { skip = function(self) C.tg_abi_log_skip(slot_of(self)) end },
  get = function(_, name)
    raise(("req.log.%s: members of the access log can be set, not read"):format(tostring(name)))
  end,
  set = set_log,
})

local function get_context(slot)
  local context = contexts[slot.index]
  if not context then
    context = {}
    contexts[slot.index] = context
    C.tg_abi_context_made(slot)
  end
  return context
end

local INSTEAD = {
  method = "in upstream_request there is out.method", path = "in upstream_request there is out.path",
  raw_query = "in upstream_request there is out.raw_query", host = "in upstream_request there is out.host",
  upstream = "later the destination is fixed", half_close = "later it is too late",
}

local function check_phase(slot, name)
  if slot.phase ~= REQUEST then
    raise(("req.%s can be set in the request phase only; %s"):format(name, INSTEAD[name]))
  end
end

-- A setter of a text; `nil` is allowed where `absent` says so.
local function text_setter(name, field, absent)
  return function(slot, value)
    check_phase(slot, name)
    if type(value) ~= "string" and not (value == nil and absent) then
      raise(("req.%s: a string expected, got a %s"):format(name, type(value)))
    end
    local problem = C.tg_abi_set_text(slot, field, value, value and #value or 0)
    if problem ~= nil then raise(("req.%s: %q: %s"):format(name, tostring(value), string_of(problem))) end
  end
end

-- The numbers of upstreams by their names, as far as they were asked for.
local upstreams = {}

local function number_of_upstream(slot, name)
  if type(name) ~= "string" then raise("req.upstream: the name of an upstream expected, got a " .. type(name)) end
  local found = C.tg_abi_upstream_number(slot, name, #name)
  if found < 0 then raise(("req.upstream: unknown upstream %q"):format(name)) end
  upstreams[name] = found
  return found
end

-- The commonest of setters.
local function set_upstream(slot, name)
  if slot.phase ~= REQUEST then check_phase(slot, "upstream") end
  C.tg_abi_set_upstream(slot, name ~= nil and upstreams[name] or number_of_upstream(slot, name))
end

local function set_time_left(slot, value)
  if slot.phase == LOG then raise "req.time_left: the request is over for the client" end
  if type(value) ~= "number" then raise("req.time_left: seconds expected, got a " .. type(value)) end
  local problem = C.tg_abi_set_number(slot, C.TG_ABI_TIME_LEFT, value)
  if problem ~= nil then raise("req.time_left: " .. string_of(problem)) end
end

local methods = {}
for name, method in pairs(answers) do methods[name] = method end
for name, method in pairs(whole.request) do methods[name] = method end

---Whether the request's body has this media type; "text/*" is possible.
---@param wanted string
---@return boolean
function methods:is(wanted)
  slot_of(self)
  return media.is("req:is", self.headers:get "content-type", wanted)
end

---The media type of those given that the client likes best, or nil.
---@param ... string
---@return string?
function methods:accepts(...)
  slot_of(self)
  return media.best("req:accepts", self.headers:get "accept", ...)
end

-- What is set otherwise than by assignment.
local function set_otherwise(name, how)
  return function() raise(("req.%s can't be set; %s"):format(name, how)) end
end

local new = handles.define("request", "req", {
  getters = {
    id = text(C.TG_ABI_ID), method = text(C.TG_ABI_METHOD), scheme = text(C.TG_ABI_SCHEME),
    version = text(C.TG_ABI_VERSION), host = text(C.TG_ABI_HOST), port = number(C.TG_ABI_PORT),
    path = text(C.TG_ABI_PATH), raw_path = text(C.TG_ABI_RAW_PATH), url = text(C.TG_ABI_URL),
    raw_query = text(C.TG_ABI_RAW_QUERY), query = child(query.new_query), headers = headers.of_request,
    cookies = child(query.new_cookies), params = child(query.new_params), length = number(C.TG_ABI_LENGTH),
    upgrade = text(C.TG_ABI_UPGRADE), client = child(client), route = child(route), upstream = text(C.TG_ABI_UPSTREAM),
    generation = number(C.TG_ABI_GENERATION), time_left = number(C.TG_ABI_TIME_LEFT), times = child(times),
    bytes_in = number(C.TG_ABI_BYTES_IN), bytes_out = number(C.TG_ABI_BYTES_OUT), ctx = get_context,
    log = child(log), half_close = text(C.TG_ABI_HALF_CLOSE),
  },
  setters = {
    method = text_setter("method", C.TG_ABI_METHOD), path = text_setter("path", C.TG_ABI_PATH),
    raw_query = text_setter("raw_query", C.TG_ABI_RAW_QUERY, true), host = text_setter("host", C.TG_ABI_HOST),
    upstream = set_upstream, half_close = text_setter("half_close", C.TG_ABI_HALF_CLOSE),
    time_left = set_time_left,
    route = set_otherwise("route", "req:reroute goes to another one"),
    ctx = set_otherwise("ctx", "it is one table for all handlers"),
    headers = set_otherwise("headers", "set them one by one, after req.headers:clear()"),
    query = set_otherwise("query", "set req.raw_query, or its parts one by one"),
  },
  methods = methods,
  later = {
    mirror = true, retry = true, give_up = true,
  },
})

return { new = new, contexts = contexts }
