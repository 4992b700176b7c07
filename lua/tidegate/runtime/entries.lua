--- The functions that C resumes: one for each use of a handler in a phase. Each is made from text, so that it has
--- traces of its own: through one function for all, a call costs the more the more handlers there are.

local body = require "tidegate.runtime.body"
local conn = require "tidegate.runtime.conn"
local core = require "tidegate.core"
local ffi = require "ffi"
local headers = require "tidegate.runtime.headers"
local hello = require "tidegate.runtime.hello"
local objects = require "tidegate.runtime.response"
local producers = require "tidegate.runtime.producers"
local request = require "tidegate.runtime.request"

local control = ffi.cast("struct tg_abi_control *", core.control)

-- The handle of a request is made when it first enters Lua and kept for its later phases. The handler is no tail call:
-- `raise` finds it here where it ended in `return req:respond(...)` and has no frame any more.
local TEXT = [[
local control, requests, new_request, new_object, new_second, has_response, handler, o = ...
return function()
  local slot = control.slot
  local index, serial = slot.index, slot.serial
  local req = requests[index]
  if req == nil or req.__serial ~= serial then
    req = new_request(slot, serial)
    requests[index] = req
  end
  local result = handler(req, %so)
  return result
end
]]

-- A listener's: the handle lives as long as the phase.
local DOOR_TEXT = [[
local control, new_object, handler, o = ...
return function()
  local slot = control.slot
  local result = handler(new_object(slot, slot.serial), o)
  return result
end
]]

-- A function that writes a body.
local PRODUCER_TEXT = [[
local control, requests, new_writer, take = ...
return function()
  local slot = control.slot
  local index = slot.index
  take(index)(new_writer(slot, slot.serial, control.body), requests[index])
end
]]

local OBJECT = "new_object(slot, serial), "
local BODY = "new_second(slot, serial, control.body), "

local ARGUMENTS = {
  request = "", request_body = BODY, response_body = OBJECT .. BODY, trailers = OBJECT .. "new_second(slot), ",
  upstream_request = OBJECT, upstream_response = OBJECT, response = OBJECT, error = OBJECT,
  log = "has_response(slot) ~= 0 and new_object(slot, serial) or nil, ",
}

local OBJECTS = {
  upstream_request = objects.out, upstream_response = objects.response, response = objects.response,
  error = objects.err, log = objects.response, response_body = objects.response, trailers = objects.response,
}

local SECOND = {
  request_body = body.new, response_body = body.new, trailers = headers.of_response_trailers,
}

local DOOR_OBJECTS = { accept = conn, client_hello = hello }

local requests = {}

local entries = {}

function entries.make(phase, handler, options)
  if DOOR_OBJECTS[phase] then
    return assert(load(DOOR_TEXT, "=tidegate/runtime/entry"))(control, DOOR_OBJECTS[phase], handler, options)
  end
  local text = TEXT:format(ARGUMENTS[phase])
  return assert(load(text, "=tidegate/runtime/entry"))(control, requests, request.new, OBJECTS[phase],
    SECOND[phase], ffi.C.tg_abi_has_response, handler, options)
end

function entries.producer()
  local make = assert(load(PRODUCER_TEXT, "=tidegate/runtime/entry"))
  return make(control, requests, body.new_writer, producers.take)
end

return entries
