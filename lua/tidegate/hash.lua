--- tg.hash: checksums and digests of strings, and of text that comes in pieces.

local ffi = require "ffi"
local core = require "tidegate.core"
local library = require "tidegate.runtime.library"
local raise = require "tidegate.runtime.raise"
local suggest = require "tidegate.config.suggest"

local C, string_of = ffi.C, ffi.string
local type, tostring = type, tostring
local control = ffi.cast("struct tg_abi_control *", core.control)
local check_string, check_integer, room = library.check_string, library.check_integer, library.room

local NAMES = {
  crc32 = C.TG_ABI_CRC32, murmur3 = C.TG_ABI_MURMUR3, xxhash64 = C.TG_ABI_XXHASH64, md5 = C.TG_ABI_MD5,
  sha1 = C.TG_ABI_SHA1, sha256 = C.TG_ABI_SHA256, sha384 = C.TG_ABI_SHA384, sha512 = C.TG_ABI_SHA512,
}

local hash = {}

local function unavailable(what)
  raise(what .. ": OpenSSL doesn't offer this digest here (under FIPS there is no MD5), or there is no memory")
end

local function hex_of(at, length)
  local to = room(length * 2)
  C.tg_abi_hex(at, length, to)
  return string_of(to, length * 2)
end

-- Functions of their own for each digest, since those that share a prototype share its traces.
local DIGEST = [[
local C, control, string_of, hex_of, check_string, unavailable, what, number = ...
return function(text)
  if type(text) ~= "string" then check_string(what, text) end
  local at = C.tg_abi_digest(control, number, text, #text)
  if at == nil then unavailable(what) end
  return %s(at, control.length)
end
]]

local function digest_function(name, number, form)
  local chunk = assert(load(DIGEST:format(form), "=tidegate/hash/" .. name))
  return chunk(C, control, string_of, hex_of, check_string, unavailable, "tg.hash." .. name, number)
end

for name, number in pairs(NAMES) do
  if name ~= "crc32" and name ~= "murmur3" then hash[name] = digest_function(name, number, "string_of") end
  hash[name .. "_hex"] = digest_function(name .. "_hex", number, "hex_of")
end

---The CRC-32 of a string (as zlib and PNG have it), an integer from 0 to 2^32 - 1.
---@param text string
---@return integer
function hash.crc32(text)
  check_string("tg.hash.crc32", text)
  return C.tg_abi_crc32(text, #text)
end

---MurmurHash3 in 32 bits, an integer from 0 to 2^32 - 1: for buckets, not against forgers.
---@param text string
---@param seed integer?  0
---@return integer
function hash.murmur3(text, seed)
  check_string("tg.hash.murmur3", text)
  if seed == nil then seed = 0 end
  check_integer("tg.hash.murmur3: seed", seed, 0, 4294967295)
  return C.tg_abi_murmur3(text, #text, seed)
end

-- The number of a digest.
local function number_of(what, name, keyed)
  local number = type(name) == "string" and NAMES[name]
  if number and not (keyed and number < C.TG_ABI_MD5) then return number end
  raise(('%s: the name of a digest such as "sha256" expected, got %s%s'):format(what, tostring(name),
    type(name) == "string" and not number and suggest.text(name, NAMES) or ""))
end

local function keyed(what, name, key, text)
  local number = number_of(what, name, true)
  check_string(what .. ": key", key)
  check_string(what, text)
  local at = C.tg_abi_hmac(control, number, key, #key, text, #text)
  if at == nil then unavailable(what) end
  return at
end

---The HMAC (RFC 2104) of a text, as bytes.
---@param name "md5"|"sha1"|"sha256"|"sha384"|"sha512"
---@param key string
---@param text string
---@return string
function hash.hmac(name, key, text)
  local at = keyed("tg.hash.hmac", name, key, text)
  return string_of(at, control.length)
end

---The same in hex.
---@param name "md5"|"sha1"|"sha256"|"sha384"|"sha512"
---@param key string
---@param text string
---@return string
function hash.hmac_hex(name, key, text)
  local at = keyed("tg.hash.hmac_hex", name, key, text)
  return hex_of(at, control.length)
end

---@class tidegate.Digest
local digest = {}

local function state_of(what, self)
  local state = type(self) == "table" and self.__state
  if not state then raise(what .. ": methods are called with a colon, as in digest:add(piece)") end
  return state
end

---Takes a piece; gives itself back. After `bytes` or `hex` it raises.
---@param piece string
---@return tidegate.Digest
function digest:add(piece)
  local state = state_of("digest:add", self)
  check_string("digest:add", piece)
  if state.length ~= 0 then raise "digest:add: the digest is over: bytes or hex was called" end
  if C.tg_abi_digest_add(state, piece, #piece) == 0 then raise "digest:add: OpenSSL has failed" end
  return self
end

local function finished(self, what)
  local state = state_of(what, self)
  if state.length == 0 and C.tg_abi_digest_end(state) == 0 then raise(what .. ": OpenSSL has failed") end
  return state
end

---The digest of all pieces.
---@return string
function digest:bytes()
  local state = finished(self, "digest:bytes")
  return string_of(state.bytes, state.length)
end

---The same in hex.
---@return string
function digest:hex()
  local state = finished(self, "digest:hex")
  return hex_of(ffi.cast("const char *", state.bytes), state.length)
end

local new_digest = library.class("digest", digest)
local digest_state = ffi.typeof "struct tg_abi_digest"

---A digest of text that comes in pieces.
---@param name "crc32"|"murmur3"|"xxhash64"|"md5"|"sha1"|"sha256"|"sha384"|"sha512"
---@return tidegate.Digest
function hash.new(name)
  local number = number_of("tg.hash.new", name)
  local state = digest_state()
  if C.tg_abi_digest_begin(control, state, number) == 0 then unavailable("tg.hash.new: " .. name) end
  if state.context ~= nil then ffi.gc(state, C.tg_abi_digest_drop) end
  return new_digest { __state = state }
end

return library.module("tg.hash", hash)
