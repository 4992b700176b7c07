--- tg.base64: bytes as text (RFC 4648) and back. Strict: what isn't exactly what an encoder writes is invalid.

local ffi = require "ffi"
local library = require "tidegate.runtime.library"
local raise = require "tidegate.runtime.raise"

local C, string_of = ffi.C, ffi.string
local type, floor = type, math.floor
local check_string, room = library.check_string, library.room

local STANDARD, URL = C.TG_ABI_BASE64, C.TG_ABI_BASE64_URL

local base64 = {}

---With padding, in the alphabet of RFC 4648 4.
---@param text string
---@return string
function base64.encode(text)
  check_string("tg.base64.encode", text)
  local size = floor((#text + 2) / 3) * 4
  local to = room(size)
  C.tg_abi_base64_encode(text, #text, to, 0)
  return string_of(to, size)
end

---Without padding, in the alphabet for URLs and file names (RFC 4648 5).
---@param text string
---@return string
function base64.encode_url(text)
  check_string("tg.base64.encode_url", text)
  local size = floor((#text * 4 + 2) / 3)
  local to = room(size)
  C.tg_abi_base64_encode(text, #text, to, 1)
  return string_of(to, size)
end

local function decoded(text, form)
  local to = room(floor((#text + 3) / 4) * 3)
  local length = C.tg_abi_base64_decode(text, #text, to, form)
  if length < 0 then return nil, "invalid" end
  return string_of(to, length)
end

---The bytes; or nil, "invalid". Padding is needed, blanks and line breaks are none of it.
---@param text string
---@return string? bytes, string? err
function base64.decode(text)
  check_string("tg.base64.decode", text)
  return decoded(text, STANDARD)
end

---The bytes; or nil, "invalid". Of the alphabet for URLs, with padding or without.
---@param text string
---@return string? bytes, string? err
function base64.decode_url(text)
  check_string("tg.base64.decode_url", text)
  return decoded(text, URL)
end

local state = ffi.typeof "struct tg_abi_base64"

local function state_of(what, self)
  local held = type(self) == "table" and self.__state
  if not held then raise(what .. ": methods are called with a colon, as in decoder:add(piece)") end
  return held
end

---@class tidegate.Base64Decoder
local decoder = {}

---The bytes that this piece completes; or nil, "invalid", then and for all that follows. Padding may end any group of
---four characters, so that texts that were encoded one by one can come one after another.
---@param piece string
---@return string? bytes, string? err
function decoder:add(piece)
  local held = state_of("decoder:add", self)
  check_string("decoder:add", piece)
  local to = room(floor((#piece + 7) / 4) * 3)
  local length = C.tg_abi_base64_decoder_add(held, piece, #piece, to)
  if length < 0 then return nil, "invalid" end
  return string_of(to, length)
end

---Whether the text ended with a whole group; or nil, "invalid".
---@return boolean? whole, string? err
function decoder:finish()
  local held = state_of("decoder:finish", self)
  if held.failed ~= 0 or held.count ~= 0 then return nil, "invalid" end
  return true
end

---@class tidegate.Base64Encoder
local encoder = {}

---The text that this piece completes.
---@param piece string
---@return string
function encoder:add(piece)
  local held = state_of("encoder:add", self)
  check_string("encoder:add", piece)
  local to = room(floor((#piece + 5) / 3) * 4)
  return string_of(to, C.tg_abi_base64_encoder_add(held, piece, #piece, to))
end

---The rest, with its padding.
---@return string
function encoder:finish()
  local held = state_of("encoder:finish", self)
  local to = room(4)
  return string_of(to, C.tg_abi_base64_encoder_end(held, to))
end

local new_decoder = library.class("decoder", decoder)
local new_encoder = library.class("encoder", encoder)

---For text that comes in pieces of any length.
---@return tidegate.Base64Decoder
function base64.decoder()
  return new_decoder { __state = state() }
end

---@return tidegate.Base64Encoder
function base64.encoder()
  return new_encoder { __state = state() }
end

return library.module("tg.base64", base64)
