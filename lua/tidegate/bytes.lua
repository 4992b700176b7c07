--- tg.bytes: numbers as bytes in the order of the network, and hex.

local bit = require "bit"
local ffi = require "ffi"
local library = require "tidegate.runtime.library"

local C, string_of = ffi.C, ffi.string
local byte, char = string.byte, string.char
local band, rshift = bit.band, bit.rshift
local check_string, check_integer, room = library.check_string, library.check_integer, library.room

-- Positions are 32 bits wide in string.byte.
local LAST = 2 ^ 31 - 8

local bytes = {}

---Two bytes, the higher one first.
---@param n integer  from 0 to 65535
---@return string
function bytes.u16(n)
  check_integer("tg.bytes.u16", n, 0, 65535)
  return char(rshift(n, 8), band(n, 255))
end

---Four bytes, the highest one first.
---@param n integer  from 0 to 2^32 - 1
---@return string
function bytes.u32(n)
  check_integer("tg.bytes.u32", n, 0, 4294967295)
  return char(rshift(n, 24), band(rshift(n, 16), 255), band(rshift(n, 8), 255), band(n, 255))
end

---The number at that position; or nil, "invalid" where the text ends before.
---@param text string
---@param at integer?  1
---@return integer? n, string? err
function bytes.read_u16(text, at)
  check_string("tg.bytes.read_u16", text)
  if at == nil then at = 1 end
  check_integer("tg.bytes.read_u16: position", at, 1, LAST)
  local a, b = byte(text, at, at + 1)
  if not b then return nil, "invalid" end
  return a * 256 + b
end

---The number at that position; or nil, "invalid" where the text ends before.
---@param text string
---@param at integer?  1
---@return integer? n, string? err
function bytes.read_u32(text, at)
  check_string("tg.bytes.read_u32", text)
  if at == nil then at = 1 end
  check_integer("tg.bytes.read_u32: position", at, 1, LAST)
  local a, b, c, d = byte(text, at, at + 3)
  if not d then return nil, "invalid" end
  return ((a * 256 + b) * 256 + c) * 256 + d
end

---Two digits for each byte, in lower case.
---@param text string
---@return string
function bytes.hex(text)
  check_string("tg.bytes.hex", text)
  local to = room(#text * 2)
  C.tg_abi_hex(text, #text, to)
  return string_of(to, #text * 2)
end

---The bytes of hex digits in either case; or nil, "invalid".
---@param text string
---@return string? bytes, string? err
function bytes.unhex(text)
  check_string("tg.bytes.unhex", text)
  local to = room(#text)
  local length = C.tg_abi_unhex(text, #text, to)
  if length < 0 then return nil, "invalid" end
  return string_of(to, length)
end

return library.module("tg.bytes", bytes)
