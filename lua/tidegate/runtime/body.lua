--- The body that a handler of `request_body` or `response_body` reads and writes, and the writer that a function gets
--- which makes a whole body. Both are a handle of the request and of what C keeps of the handler.

local ffi = require "ffi"
local handles = require "tidegate.runtime.handles"
local headers = require "tidegate.runtime.headers"
local raise = require "tidegate.runtime.raise"
local waits = require "tidegate.runtime.waits"

ffi.cdef [[
struct tg_handle_body { struct tg_abi_slot *__slot; int32_t __serial; struct tg_abi_body *__body; };
struct tg_handle_writer { struct tg_abi_slot *__slot; int32_t __serial; struct tg_abi_body *__body; };
]]

local C, string_of, cast = ffi.C, ffi.string, ffi.cast
local type, tostring, select, concat = type, tostring, select, table.concat
local min, floor, huge = math.min, math.floor, math.huge

local REQUEST_BODY = C.TG_ABI_REQUEST_BODY
local INPUT, ROOM = 0, 1

-- What may be asked for in one piece: as much waits before whoever sends is held back.
local PIECE_MOST = 256 * 1024

-- Long texts are handed over in parts, between which the receiver may be waited for.
local PART = 64 * 1024

local slot_of = handles.slot_function("body:read()", "the request is over")

local function alive(self)
  slot_of(self)
  local body = self.__body
  if body.closed ~= 0 then raise "the handler of this body is over" end
  return body
end

local function await(self, what, for_what)
  waits.check(what)
  local problem = C.tg_abi_body_await(self.__body, for_what)
  if problem ~= nil then raise(what .. ": " .. string_of(problem)) end
  waits.wait()
  alive(self)
end

local function check_count(what, n, most)
  if type(n) ~= "number" or n ~= floor(n) or n < 1 or n > most then
    raise(("%s: a number of bytes from 1 to %.0f expected, got %s"):format(what, most, tostring(n)))
  end
end

local function optional_count(what, n)
  if n == nil then return huge end
  if type(n) ~= "number" or n ~= floor(n) or n < 0 then
    raise(("%s: a number of bytes expected, got %s"):format(what, tostring(n)))
  end
  return n
end

-- The next bytes, at most so many; nil at the end.
local function read_some(self, body, most, what)
  while true do
    local at = C.tg_abi_body_look(body, most)
    if at ~= nil then
      local length = body.length
      local text = string_of(at, length)
      C.tg_abi_body_take(body, length)
      return text
    end
    if body.ended ~= 0 then return nil end
    await(self, what, INPUT)
  end
end

local function next_chunk(self)
  return read_some(self, alive(self), huge, "body:chunks")
end

---@class tidegate.Body
---@field length integer?  declared length of what comes in
---@field failed "reset"|"cut"|"timeout"|nil  why the source broke off
---@field trailers tidegate.Headers?  once the input has ended; write them as they shall go on
local Body = {}

---Goes over the pieces as they come.
---@return fun(body: tidegate.Body): string?
---@return tidegate.Body
function Body:chunks()
  C.tg_abi_body_begin(alive(self))
  return next_chunk, self
end

---The next piece, at most n bytes; nil at the end.
---@param n integer?
---@return string?
function Body:read(n)
  local body = alive(self)
  if n ~= nil then check_count("body:read", n, 2 ^ 53) end
  C.tg_abi_body_begin(body)
  return read_some(self, body, n or huge, "body:read")
end

local function gather(body, length)
  if length == 0 then return "" end
  local at = C.tg_abi_body_gather(body, length)
  if at == nil then raise "out of memory" end
  return string_of(at, body.length)
end

---Waits for n bytes, or the end, and leaves them in place: fewer where the body is shorter.
---@param n integer  at most 256 KB
---@return string
function Body:peek(n)
  local body = alive(self)
  check_count("body:peek", n, PIECE_MOST)
  while true do
    local have = C.tg_abi_body_have(body)
    if have >= n or body.ended ~= 0 then return gather(body, min(have, n)) end
    await(self, "body:peek", INPUT)
  end
end

---n bytes; or nil, "end" and what there was.
---@param n integer
---@return string? bytes
---@return "end"|nil err
---@return string? partial
function Body:read_exactly(n)
  local body = alive(self)
  check_count("body:read_exactly", n, 2 ^ 31)
  C.tg_abi_body_begin(body)
  local parts, count, left = {}, 0, n
  while left > 0 do
    local text = read_some(self, body, left, "body:read_exactly")
    if not text then return nil, "end", concat(parts) end
    count = count + 1
    parts[count] = text
    left = left - #text
  end
  return concat(parts)
end

local function take(body, length)
  local text = gather(body, length)
  C.tg_abi_body_take(body, length)
  return text
end

---A line without its end (LF or CRLF); or nil, "end" or "too_large", and what there was.
---@param limit integer  bytes of a line, at most 256 KB
---@return string? line
---@return "end"|"too_large"|nil err
---@return string? partial
function Body:read_line(limit)
  local body = alive(self)
  check_count("body:read_line", limit, PIECE_MOST - 2)
  C.tg_abi_body_begin(body)
  while true do
    local length = C.tg_abi_body_line(body, limit + 2)
    local have = C.tg_abi_body_have(body)
    if length > 0 then
      local line = gather(body, length):gsub("\r?\n$", "")
      if #line <= limit then
        C.tg_abi_body_take(body, length)
        return line
      end
    end
    if length > 0 or have >= limit + 2 then return nil, "too_large", take(body, limit) end
    if body.ended ~= 0 then
      if have > limit then return nil, "too_large", take(body, limit) end
      return nil, "end", take(body, have)
    end
    await(self, "body:read_line", INPUT)
  end
end

local function write_part(self, body, at, length, what)
  local problem = C.tg_abi_body_write(body, at, length)
  if problem ~= nil then raise(what .. ": " .. string_of(problem)) end
  if body.full == 0 then return end
  while C.tg_abi_body_is_full(body) ~= 0 do await(self, what, ROOM) end
end

local function write_text(self, body, text, what)
  local length = #text
  if length <= PART then return write_part(self, body, text, length, what) end
  local at, done = cast("const char *", text), 0
  while done < length do
    local part = min(PART, length - done)
    write_part(self, body, at + done, part, what)
    done = done + part
  end
end

local function write_all(self, what, ...)
  local body = alive(self)
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    local kind = type(value)
    if kind == "number" then
      value = tostring(value)
    elseif kind ~= "string" then
      raise(("%s: strings and numbers expected, got a %s"):format(what, kind))
    end
    write_text(self, body, value, what)
  end
end

---Writes strings and numbers; waits while the receiver is slow.
---@param ... string|number
function Body:write(...)
  write_all(self, "body:write", ...)
end

local function send(self, what, n, passes)
  local body = alive(self)
  C.tg_abi_body_send(body, optional_count(what, n), passes)
  while C.tg_abi_body_is_sending(body) ~= 0 do await(self, what, INPUT) end
end

---Lets the next n bytes, or all, go on without becoming Lua strings.
---@param n integer?
function Body:pass(n)
  send(self, "body:pass", n, 1)
end

---Drops the next n bytes, or all.
---@param n integer?
function Body:discard(n)
  send(self, "body:discard", n, 0)
end

---What was written is the whole body, also where the source broke off; the rest of the input is dropped.
function Body:finish()
  C.tg_abi_body_finish(alive(self))
end

local function trailers_of(self)
  local slot = slot_of(self)
  if C.tg_abi_body_has_trailers(self.__body) == 0 then return nil end
  if self.__body.phase == REQUEST_BODY then return headers.of_request_trailers(slot) end
  return headers.of_response_trailers(slot)
end

local getters = { trailers = trailers_of }

function getters.length(self)
  slot_of(self)
  local length = C.tg_abi_body_length(self.__body)
  if length ~= length then return nil end
  return tonumber(length)
end

function getters.failed(self)
  slot_of(self)
  local word = C.tg_abi_body_failed(self.__body)
  return word ~= nil and string_of(word) or nil
end

---@class tidegate.Writer
---@field trailers tidegate.Headers  of the body that is made
local Writer = {}

---Writes strings and numbers; waits while the client is slow. They leave when the script next waits, or returns.
---@param ... string|number
function Writer:write(...)
  write_all(self, "out:write", ...)
end

local function define(name, label, methods, properties)
  local function fixed(key)
    if methods[key] or properties[key] then raise(("%s.%s can't be set"):format(label, key)) end
    raise(("%s.%s: there is no such name"):format(label, tostring(key)))
  end
  return ffi.metatype("struct tg_handle_" .. name, {
    __index = function(self, key)
      local method = methods[key]
      if method then return method end
      local getter = properties[key]
      if not getter then return fixed(key) end
      return getter(self)
    end,
    __newindex = function(_, key) fixed(key) end,
    __tostring = function() return label end,
  })
end

return {
  new = define("body", "body", Body, getters),
  new_writer = define("writer", "out", Writer, { trailers = trailers_of }),
}
