--- tg.crypto: keys, signatures, AES-GCM, random bytes, and a comparison that tells nothing by its time.

local ffi = require "ffi"
local core = require "tidegate.core"
local library = require "tidegate.runtime.library"
local raise = require "tidegate.runtime.raise"
local suggest = require "tidegate.config.suggest"

local C, string_of = ffi.C, ffi.string
local type, tostring = type, tostring
local control = ffi.cast("struct tg_abi_control *", core.control)
local check_string, check_integer, room = library.check_string, library.check_integer, library.room

local crypto = {}

local ALGORITHMS = {
  RS256 = C.TG_ABI_RS256, RS384 = C.TG_ABI_RS384, RS512 = C.TG_ABI_RS512, PS256 = C.TG_ABI_PS256,
  PS384 = C.TG_ABI_PS384, PS512 = C.TG_ABI_PS512, ES256 = C.TG_ABI_ES256, ES384 = C.TG_ABI_ES384,
  ES512 = C.TG_ABI_ES512, EdDSA = C.TG_ABI_EDDSA,
}

local KINDS = {
  [C.TG_ABI_KEY_RSA] = "RSA", [C.TG_ABI_KEY_RSA_PSS] = "RSA-PSS", [C.TG_ABI_KEY_P256] = "P-256",
  [C.TG_ABI_KEY_P384] = "P-384", [C.TG_ABI_KEY_P521] = "P-521", [C.TG_ABI_KEY_ED25519] = "Ed25519",
}

---Whether two texts are equal, in a time that depends on their length alone: for secrets.
---@param a string
---@param b string
---@return boolean
function crypto.equal(a, b)
  check_string("tg.crypto.equal", a)
  check_string("tg.crypto.equal", b)
  return #a == #b and C.tg_abi_equal(a, b, #a) ~= 0
end

local MOST_RANDOM = 65536

---Bytes that can't be guessed.
---@param n integer  from 1 to 65536
---@return string
function crypto.random_bytes(n)
  check_integer("tg.crypto.random_bytes", n, 1, MOST_RANDOM)
  local to = room(n)
  C.tg_abi_random_bytes(to, n)
  return string_of(to, n)
end

---@class tidegate.Key
---@field type "RSA"|"RSA-PSS"|"P-256"|"P-384"|"P-521"|"Ed25519"
---@field bits integer
---@field private boolean
local new_key, key_kind = library.class("key", {})

-- What a key takes outside of Lua's memory, about: the collector should know of it.
local weight = ffi.typeof "char[4096]"

-- The object of a key that C made.
local function wrapped(owned)
  ffi.gc(owned, C.tg_abi_release)
  return new_key {
    __key = owned, __weight = weight(), type = KINDS[C.tg_abi_key_kind(owned)], bits = C.tg_abi_key_bits(owned),
    private = C.tg_abi_key_private(owned) ~= 0,
  }
end

library.key, library.key_kind = wrapped, key_kind

local problem = ffi.new "const char *[1]"

---The key of a PEM text: a private key without passphrase, a public key, or that of a certificate. RSA of 2048 to 8192
---bits, P-256, P-384, P-521 and Ed25519. Or nil, "invalid" and why.
---@param pem string
---@return tidegate.Key? key, string? err, string? detail
function crypto.key(pem)
  check_string("tg.crypto.key", pem)
  local owned = C.tg_abi_key_pem(control, pem, #pem, problem)
  if owned == nil then return nil, "invalid", string_of(problem[0]) end
  return wrapped(owned)
end

-- The algorithm's number, for a key that serves it.
local function algorithm_for(what, key, algorithm)
  library.check_object(what, key, key_kind, "a key (tg.crypto.key)")
  local number = type(algorithm) == "string" and ALGORITHMS[algorithm]
  if not number then
    raise(('%s: an algorithm such as "RS256" expected, got %s%s'):format(what, tostring(algorithm),
      type(algorithm) == "string" and suggest.text(algorithm, ALGORITHMS) or ""))
  end
  if C.tg_abi_key_serves(key.__key, number) == 0 then
    raise(("%s: a key of type %s doesn't serve %s"):format(what, key.type, algorithm))
  end
  return number
end

local function is_der(what, form)
  if form == nil then return 0 end
  if form == "der" then return 1 end
  raise(('%s: form: "der" or nothing expected, got %s'):format(what, tostring(form)))
end

local LONGEST_SIGNATURE = 1024

---Signs a text. Signatures of curves are r and s, as in JWTs; with the form "der", as in X.509.
---@param key tidegate.Key  a private one
---@param text string
---@param algorithm string  "RS256", "PS256", "ES256", "EdDSA", ...
---@param form "der"?
---@return string
function crypto.sign(key, text, algorithm, form)
  local number = algorithm_for("tg.crypto.sign", key, algorithm)
  check_string("tg.crypto.sign", text)
  if not key.private then raise "tg.crypto.sign: the key is a public one" end
  local to = room(LONGEST_SIGNATURE)
  local length = C.tg_abi_key_sign(key.__key, number, is_der("tg.crypto.sign", form), text, #text, to)
  if length == 0 then raise "tg.crypto.sign: OpenSSL has failed" end
  return string_of(to, length)
end

---Whether the signature is that of the text.
---@param key tidegate.Key
---@param text string
---@param signature string
---@param algorithm string
---@param form "der"?
---@return boolean
function crypto.verify(key, text, signature, algorithm, form)
  local number = algorithm_for("tg.crypto.verify", key, algorithm)
  check_string("tg.crypto.verify", text)
  check_string("tg.crypto.verify: signature", signature)
  local der = is_der("tg.crypto.verify", form)
  return C.tg_abi_key_verify(key.__key, number, der, text, #text, signature, #signature) ~= 0
end

local KEY_LENGTHS = { [16] = true, [24] = true, [32] = true }
local MOST_SEALED = 64 * 1024 * 1024
local BESIDE = 28 -- nonce and tag

local function check_sealing(what, key, text, beside)
  check_string(what .. ": key", key)
  if not KEY_LENGTHS[#key] then raise(("%s: a key of 16, 24 or 32 bytes expected, got %d"):format(what, #key)) end
  check_string(what, text)
  if #text > MOST_SEALED then raise(("%s: at most 64 MB expected, got %d bytes"):format(what, #text)) end
  if beside ~= nil then check_string(what .. ": what is authenticated only", beside) end
end

---Encrypts a text with AES-GCM under a nonce of its own, drawn at random: nonce, ciphertext and tag in one. `beside` is
---not in it, but `aes_gcm_open` must be given the same. A key serves for 2^32 texts.
---@param key string  16, 24 or 32 bytes
---@param text string
---@param beside string?
---@return string
function crypto.aes_gcm_seal(key, text, beside)
  check_sealing("tg.crypto.aes_gcm_seal", key, text, beside)
  beside = beside or ""
  local to = room(#text + BESIDE)
  if C.tg_abi_aes_gcm_seal(control, key, #key, text, #text, beside, #beside, to) == 0 then
    raise "tg.crypto.aes_gcm_seal: OpenSSL has failed"
  end
  return string_of(to, #text + BESIDE)
end

---What `aes_gcm_seal` encrypted; or nil, "invalid": another key, another `beside`, or it was changed.
---@param key string
---@param sealed string
---@param beside string?
---@return string? text, string? err
function crypto.aes_gcm_open(key, sealed, beside)
  check_sealing("tg.crypto.aes_gcm_open", key, sealed, beside)
  beside = beside or ""
  local to = room(#sealed)
  if C.tg_abi_aes_gcm_open(control, key, #key, sealed, #sealed, beside, #beside, to) == 0 then
    return nil, "invalid"
  end
  return string_of(to, #sealed - BESIDE)
end

return library.module("tg.crypto", crypto)
