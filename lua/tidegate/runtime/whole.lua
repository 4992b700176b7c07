--- Bodies as a whole: read within a limit, decoded, replaced.

local ffi = require "ffi"
local handles = require "tidegate.runtime.handles"
local json = require "tidegate.json"
local media = require "tidegate.runtime.media"
local raise = require "tidegate.runtime.raise"
local uri = require "tidegate.uri"
local waits = require "tidegate.runtime.waits"

local C, string_of = ffi.C, ffi.string
local type, tostring, floor = type, tostring, math.floor
local slot_of = handles.slot

local LIMIT_MOST = 1024 ^ 3

local REQUEST, UPSTREAM_RESPONSE, RESPONSE = C.TG_ABI_REQUEST, C.TG_ABI_UPSTREAM_RESPONSE, C.TG_ABI_RESPONSE
local READY, WAIT, TOO_LARGE, FAILED = C.TG_ABI_WHOLE_READY, C.TG_ABI_WHOLE_WAIT, C.TG_ABI_WHOLE_TOO_LARGE,
  C.TG_ABI_WHOLE_FAILED

local function check_request_phase(slot, what)
  if slot.phase ~= REQUEST then
    raise(what .. " works in the request phase only; beside the attempt there is the request_body phase")
  end
end

local function check_response_phase(slot, what)
  if slot.phase ~= RESPONSE and slot.phase ~= UPSTREAM_RESPONSE then
    raise(what .. " works in the phases upstream_response and response only; then there is response_body")
  end
end

local function check_limit(what, limit)
  if type(limit) ~= "number" or limit ~= floor(limit) or limit < 0 or limit > LIMIT_MOST then
    raise(("%s: a limit in bytes expected, at most 1 GB, got %s"):format(what, tostring(limit)))
  end
end

local function bytes_of(slot, what, response)
  local at = C.tg_abi_whole_bytes(slot, response)
  if at == nil then raise(what .. ": out of memory") end
  return string_of(at, slot.length)
end

local function read(self, what, response, limit, check_phase)
  check_limit(what, limit)
  while true do
    local slot = slot_of(self)
    check_phase(slot, what)
    local state = C.tg_abi_whole(slot, response, limit)
    if state == READY then return bytes_of(slot, what, response) end
    if state == TOO_LARGE then return nil, "too_large" end
    if state == FAILED then return nil, string_of(C.tg_abi_whole_failure(slot, response)) end
    if state ~= WAIT then raise(what .. ": a function writes this body, later: use the response_body phase") end
    waits.check(what)
    local problem = C.tg_abi_whole_await(slot)
    if problem ~= nil then raise(what .. ": " .. string_of(problem)) end
    waits.wait()
  end
end

local function replace(self, what, response, text, check_phase)
  local slot = slot_of(self)
  check_phase(slot, what)
  if type(text) ~= "string" then raise(("%s: a string expected, got a %s"):format(what, type(text))) end
  local problem = C.tg_abi_set_body(slot, response, text, #text)
  if problem ~= nil then raise(what .. ": " .. string_of(problem)) end
end

local function decoded(text, err)
  if not text then return nil, err end
  local value, why = json.decode(text)
  if value == nil then return nil, "invalid", why end
  return value
end

local request, response = {}, {}

---The whole body, which is forwarded all the same; or nil and "too_large", "cut" or "timeout".
---@param limit integer
---@return string?
---@return string? err
function request:read_body(limit)
  return read(self, "req:read_body", 0, limit, check_request_phase)
end

---This is the body, whatever came or will come.
---@param text string
function request:set_body(text)
  replace(self, "req:set_body", 0, text, check_request_phase)
end

---The whole body as JSON; or nil and what read_body says, or "invalid" and why.
---@param limit integer
---@return any
---@return string? err
---@return string? detail
function request:json(limit)
  return decoded(read(self, "req:json", 0, limit, check_request_phase))
end

local function unescape(text)
  return uri.decode((text:gsub("+", " ")))
end

local function parse_form(text)
  local form = {}
  for pair in text:gmatch "[^&]+" do
    local name, value = pair:match "^([^=]*)=?(.*)$"
    name, value = unescape(name), unescape(value)
    if not name or not value then return nil, "invalid" end
    if form[name] == nil then form[name] = value end
  end
  return form
end

---The whole body as a form (application/x-www-form-urlencoded): the first value of each name; or nil and what read_body
---says, or "invalid".
---@param limit integer
---@return table<string, string>?
---@return string? err
function request:form(limit)
  local content_type = self.headers:get "content-type"
  if content_type and not media.is("req:form", content_type, "application/x-www-form-urlencoded") then
    return nil, "invalid"
  end
  local text, err = read(self, "req:form", 0, limit, check_request_phase)
  if not text then return nil, err end
  return parse_form(text)
end

---The whole body, which goes on to the client all the same; or nil and "too_large", "reset", "cut" or "timeout".
---@param limit integer
---@return string?
---@return string? err
function response:read_body(limit)
  return read(self, "res:read_body", 1, limit, check_response_phase)
end

---This is the body, whatever came or will come.
---@param text string
function response:set_body(text)
  replace(self, "res:set_body", 1, text, check_response_phase)
end

---The whole body as JSON; or nil and what read_body says, or "invalid" and why.
---@param limit integer
---@return any
---@return string? err
---@return string? detail
function response:json(limit)
  return decoded(read(self, "res:json", 1, limit, check_response_phase))
end

return { request = request, response = response }
