--- Headers of a request, of an attempt and of a response.

local ffi = require "ffi"
local handles = require "tidegate.runtime.handles"
local raise = require "tidegate.runtime.raise"

local C, string_of = ffi.C, ffi.string
local type, tostring = type, tostring
local slot_of = handles.slot

local OF_REQUEST, OF_OUT, OF_RESPONSE = C.TG_ABI_OF_REQUEST, C.TG_ABI_OF_OUT, C.TG_ABI_OF_RESPONSE
local OF_REQUEST_TRAILERS, OF_RESPONSE_TRAILERS = C.TG_ABI_OF_REQUEST_TRAILERS, C.TG_ABI_OF_RESPONSE_TRAILERS
local REQUEST, UPSTREAM_REQUEST = C.TG_ABI_REQUEST, C.TG_ABI_UPSTREAM_REQUEST
local UPSTREAM_RESPONSE, RESPONSE, RESPONSE_BODY = C.TG_ABI_UPSTREAM_RESPONSE, C.TG_ABI_RESPONSE,
  C.TG_ABI_RESPONSE_BODY

local LABELS = { [OF_REQUEST] = "req.headers", [OF_OUT] = "out.headers", [OF_RESPONSE] = "res.headers",
  [OF_REQUEST_TRAILERS] = "body.trailers", [OF_RESPONSE_TRAILERS] = "trailers" }

-- Names that weren't in C's list are kept too, as far as this: a script may take names from a client.
local OTHER_NAMES = 1000
local others = 0

local function check_name(name)
  if type(name) ~= "string" then raise("the name of a header is a string, not a " .. type(name)) end
end

-- The arguments of a method that takes a name.
local function check_call(self, name)
  if type(self) ~= "cdata" then raise "methods are called with a colon, as in headers:get(...)" end
  check_name(name)
end

-- The number by which C knows a name; 0: by its text.
local tokens = setmetatable({}, {
  __index = function(self, name)
    check_name(name)
    local token = C.tg_abi_header_token(name, #name)
    if token == 0 then
      if others == OTHER_NAMES then return 0 end
      others = others + 1
    end
    self[name] = token
    return token
  end,
})

local COOKIES = C.tg_abi_header_token("set-cookie", 10)

local function refuse_cookies(self)
  local label = LABELS[self.__section]
  raise(('%s["set-cookie"] would lose cookies: use %s:all, :add and :remove'):format(label, label))
end

local function get(self, name)
  local slot = self.__slot
  if slot.serial ~= self.__serial then slot_of(self) end
  local token = tokens[name]
  if token == COOKIES then refuse_cookies(self) end
  local at = C.tg_abi_header(slot, self.__section, token, name, #name)
  if at == nil then return nil end
  return string_of(at, slot.length)
end

local INSTEAD = {
  [OF_REQUEST] = "in the request phase only (in upstream_request there is out.headers)",
  [OF_OUT] = "in the upstream_request phase only",
  [OF_RESPONSE] = "in upstream_response and response, and in response_body until its first read or write",
  [OF_REQUEST_TRAILERS] = "in the request_body phase only, once the input has ended",
  [OF_RESPONSE_TRAILERS] = "in the phase trailers, and in response_body once the input has ended",
}

local function refuse_phase(self)
  raise(("%s can be set %s"):format(LABELS[self.__section], INSTEAD[self.__section]))
end

---Whether the handler of a response's body that runs may still change the head.
local function response_is_open(slot)
  return slot.phase == RESPONSE_BODY and C.tg_abi_response_open(slot) ~= 0
end

-- The slot, where the section can be changed now.
local function writable(self)
  local slot = self.__slot
  if slot.serial ~= self.__serial then slot_of(self) end
  local section, phase = self.__section, slot.phase
  if section == OF_REQUEST then
    if phase ~= REQUEST then refuse_phase(self) end
  elseif section == OF_OUT then
    if phase ~= UPSTREAM_REQUEST then refuse_phase(self) end
  elseif section == OF_RESPONSE then
    if phase ~= RESPONSE and phase ~= UPSTREAM_RESPONSE and not response_is_open(slot) then refuse_phase(self) end
  elseif C.tg_abi_trailers_open(slot, section) == 0 then
    refuse_phase(self)
  end
  return slot
end

local function refuse(self, name, why)
  raise(("%s: header %q: %s"):format(LABELS[self.__section], name, ffi.string(why)))
end

local function write(self, slot, name, value, add)
  local problem = C.tg_abi_header_write(slot, self.__section, tokens[name], name, #name, value, #value, add)
  if problem ~= nil then refuse(self, name, problem) end
end

local function text_of(self, name, value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return tostring(value) end
  raise(("%s: header %q: a string, a number or a list of them expected, got a %s"):format(LABELS[self.__section],
    name, kind))
end

local function remove(self, name)
  local slot = writable(self)
  if C.tg_abi_header_remove(slot, self.__section, tokens[name], name, #name) < 0 then
    raise(("%s: header %q: belongs to the gateway; a script can't remove it"):format(LABELS[self.__section], name))
  end
end

-- All are checked before the first is written.
local function set_list(self, slot, name, list)
  local values = {}
  for i = 1, #list do
    values[i] = text_of(self, name, list[i])
    if C.tg_abi_value_valid(values[i], #values[i]) == 0 then
      raise(("%s: header %q: the value has a control character or a blank at an end"):format(LABELS[self.__section],
        name))
    end
  end
  for key in pairs(list) do
    if values[key] == nil then text_of(self, name, list) end -- no list, or one with something else in it
  end
  if #values == 0 then return remove(self, name) end
  for i = 1, #values do write(self, slot, name, values[i], i == 1 and 0 or 1) end
end

local function set(self, name, value)
  local slot = writable(self)
  local token = tokens[name]
  if value == nil then return remove(self, name) end
  if token == COOKIES then refuse_cookies(self) end
  if type(value) == "string" then
    local problem = C.tg_abi_header_write(slot, self.__section, token, name, #name, value, #value, 0)
    if problem ~= nil then refuse(self, name, problem) end
  elseif type(value) == "table" then
    set_list(self, slot, name, value)
  else
    write(self, slot, name, text_of(self, name, value), 0)
  end
end

local methods = {}

---The value, or nil; several lines are joined. Works for names that are methods too.
function methods:get(name)
  check_call(self, name)
  return get(self, name)
end

---Adds one more line.
function methods:add(name, value)
  check_call(self, name)
  write(self, writable(self), name, text_of(self, name, value), 1)
end

---Removes all lines of the name.
function methods:remove(name)
  check_call(self, name)
  remove(self, name)
end

function methods:has(name)
  check_call(self, name)
  return C.tg_abi_header(slot_of(self), self.__section, tokens[name], name, #name) ~= nil
end

-- Appends the lines of the name (nil: all) to `values`, their names to `names`.
local function collect(self, name, values, names)
  local slot, section = slot_of(self), self.__section
  local token, length = name and tokens[name] or 0, name and #name or 0
  local position, n = -1, 0
  while true do
    position = C.tg_abi_header_next(slot, section, position + 1, token, name or "", length)
    if position < 0 then return n end
    n = n + 1
    if names then
      local at = C.tg_abi_header_line_name(slot, section, position)
      names[n] = string_of(at, slot.length):lower()
    end
    local at = C.tg_abi_header_line_value(slot, section, position)
    values[n] = string_of(at, slot.length)
  end
end

---A new list of the lines.
---@return string[]
function methods:all(name)
  check_call(self, name)
  local values = {}
  collect(self, name, values)
  return values
end

---Goes over the lines that are there now, in wire order: lower-case name, value.
function methods:each()
  local names, values = {}, {}
  local count, i = collect(self, nil, values, names), 0
  return function()
    if i == count then return nil end
    i = i + 1
    return names[i], values[i]
  end
end

---Whether one of the lines, or one member of a list in them, equals the value.
function methods:any(name, value)
  check_call(self, name)
  value = text_of(self, name, value)
  return C.tg_abi_header_any(slot_of(self), self.__section, tokens[name], name, #name, value, #value) ~= 0
end

---How many lines there are.
function methods:count()
  return collect(self, nil, {})
end

---Removes all lines that are the script's to remove.
function methods:clear()
  C.tg_abi_header_clear(writable(self), self.__section)
end

local headers = {}

local new = handles.collection("headers", "headers", { methods = methods, get = get, set = set })

---A getter of the headers of that section.
local function getter(section)
  return assert(load(([[
local new = ...
return function(slot) return new(slot, slot.serial, %d) end
]]):format(section), "=tidegate/runtime/headers"))(new)
end

headers.of_request, headers.of_out, headers.of_response = getter(OF_REQUEST), getter(OF_OUT), getter(OF_RESPONSE)
headers.of_request_trailers, headers.of_response_trailers = getter(OF_REQUEST_TRAILERS), getter(OF_RESPONSE_TRAILERS)
headers.response_is_open = response_is_open

---Calls stage(name, text) for each line of a table of headers that a script gave; raises where it is none.
function headers.each_given(what, given, stage)
  if type(given) ~= "table" then raise(("%s: a table of headers expected, got a %s"):format(what, type(given))) end
  for name, value in pairs(given) do
    if type(name) ~= "string" then
      raise(("%s: the name of a header is a string, not a %s"):format(what, type(name)))
    end
    local list = type(value) == "table" and value or { value }
    for i = 1, #list do
      local kind = type(list[i])
      if kind ~= "string" and kind ~= "number" then
        raise(("%s: header %q: a string, a number or a list of them expected, got a %s"):format(what, name, kind))
      end
      stage(name, tostring(list[i]))
    end
    if #list == 0 then
      raise(("%s: header %q: a string, a number or a list of them expected, got a table"):format(what, name))
    end
  end
end

return headers
