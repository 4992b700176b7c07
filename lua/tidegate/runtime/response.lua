--- The other objects of phases: response, outgoing attempt, error of the gateway.

local ffi = require "ffi"
local handles = require "tidegate.runtime.handles"
local headers = require "tidegate.runtime.headers"
local media = require "tidegate.runtime.media"
local raise = require "tidegate.runtime.raise"
local whole = require "tidegate.runtime.whole"

local C, string_of = ffi.C, ffi.string
local type, tostring = type, tostring
local text, number = handles.text, handles.number

local UPSTREAM_REQUEST, UPSTREAM_RESPONSE, RESPONSE = C.TG_ABI_UPSTREAM_REQUEST, C.TG_ABI_UPSTREAM_RESPONSE,
  C.TG_ABI_RESPONSE

local function set_status(slot, value)
  if slot.phase ~= RESPONSE and slot.phase ~= UPSTREAM_RESPONSE and not headers.response_is_open(slot) then
    raise "res.status can be set in upstream_response and response, and in response_body until its first read or write"
  end
  if type(value) ~= "number" then raise("res.status: a number expected, got a " .. type(value)) end
  local problem = C.tg_abi_set_number(slot, C.TG_ABI_RESPONSE_STATUS, value)
  if problem ~= nil then raise(("res.status: %s: %s"):format(tostring(value), string_of(problem))) end
end

local response_methods = {}
for name, method in pairs(whole.response) do response_methods[name] = method end

---Whether the response's body has this media type; "text/*" is possible.
---@param wanted string
---@return boolean
function response_methods:is(wanted)
  handles.slot(self)
  return media.is("res:is", self.headers:get "content-type", wanted)
end

local response = handles.define("response", "res", {
  getters = {
    status = number(C.TG_ABI_RESPONSE_STATUS), headers = headers.of_response,
    version = text(C.TG_ABI_RESPONSE_VERSION), length = number(C.TG_ABI_RESPONSE_LENGTH),
    from = text(C.TG_ABI_RESPONSE_FROM), upstream = text(C.TG_ABI_RESPONSE_UPSTREAM),
    peer = text(C.TG_ABI_RESPONSE_PEER), attempt = number(C.TG_ABI_ATTEMPT),
  },
  setters = { status = set_status },
  methods = response_methods,
  later = { digest = true },
})

local function out_setter(name, field, absent)
  return function(slot, value)
    if slot.phase ~= UPSTREAM_REQUEST then
      raise(("out.%s can be set in the upstream_request phase only"):format(name))
    end
    if type(value) ~= "string" and not (value == nil and absent) then
      raise(("out.%s: a string expected, got a %s"):format(name, type(value)))
    end
    local problem = C.tg_abi_set_text(slot, field, value, value and #value or 0)
    if problem ~= nil then raise(("out.%s: %q: %s"):format(name, tostring(value), string_of(problem))) end
  end
end

local out = handles.define("out", "out", {
  getters = {
    method = text(C.TG_ABI_OUT_METHOD), path = text(C.TG_ABI_OUT_PATH), raw_query = text(C.TG_ABI_OUT_RAW_QUERY),
    host = text(C.TG_ABI_OUT_HOST), headers = headers.of_out, attempt = number(C.TG_ABI_ATTEMPT),
  },
  setters = {
    method = out_setter("method", C.TG_ABI_OUT_METHOD), path = out_setter("path", C.TG_ABI_OUT_PATH),
    raw_query = out_setter("raw_query", C.TG_ABI_OUT_RAW_QUERY, true), host = out_setter("host", C.TG_ABI_OUT_HOST),
  },
})

local err = handles.define("error", "err", {
  getters = {
    status = number(C.TG_ABI_ERROR_STATUS), code = text(C.TG_ABI_ERROR_CODE), detail = text(C.TG_ABI_ERROR_DETAIL),
  },
})

return { response = response, out = out, err = err }
