--- What `client_hello` gets: the first message of a client that begins with TLS, and the decisions on it.

local ffi = require "ffi"
local handles = require "tidegate.runtime.handles"
local raise = require "tidegate.runtime.raise"

local C, string_of = ffi.C, ffi.string
local type, tostring = type, tostring

local OVER = "the client_hello phase is over"

local slot_of = handles.slot_function("hello:refuse()", OVER, C.TG_ABI_CLIENT_HELLO)

local function text(field) return handles.text(field, "tg_abi_door_text") end
local function list(which) return handles.list("tg_abi_hello_item", which) end

local function port(slot)
  local value = C.tg_abi_door_port(slot)
  if value ~= value then return nil end
  return value
end

local client = handles.define("hello_client", "hello.client", {
  over = OVER,
  getters = { ip = text(C.TG_ABI_DOOR_IP), peer_ip = text(C.TG_ABI_DOOR_PEER_IP), port = port },
})

local PROTOCOLS = { ["http/1.1"] = C.TG_ABI_ALPN_H1, h2 = C.TG_ABI_ALPN_H2 }

local function set_alpn(slot, value)
  local first, second = value, nil
  if type(value) == "table" then
    first, second = value[1], value[2]
    if #value > 2 or first == second then raise 'hello.alpn: "h2" and "http/1.1", each at most once, expected' end
  end
  local one, other = PROTOCOLS[first], PROTOCOLS[second]
  if second == nil then other = C.TG_ABI_ALPN_NONE end
  if not one or not other then
    raise(('hello.alpn: "h2", "http/1.1" or a list of both expected, got %s'):format(tostring(one and second or first)))
  end
  C.tg_abi_hello_set_alpn(slot, one, other)
end

local methods = {}

---Ends the handshake with an alert once the handler has returned; those after it aren't asked.
---@return true
function methods:refuse()
  C.tg_abi_door_refuse(slot_of(self))
  return true
end

local function known(slot, names)
  local at = names(slot)
  local found = string_of(at, slot.length)
  return found == "" and "there are none" or "there are " .. found
end

---Serves this certificate, whatever the SNI.
---@param name string  the name of the certificate in tg.listen, or a DNS name in it
function methods:use_certificate(name)
  local slot = slot_of(self)
  if type(name) ~= "string" then raise("hello:use_certificate: a name expected, got a " .. type(name)) end
  if C.tg_abi_hello_use_certificate(slot, name, #name) == 0 then
    raise(("hello:use_certificate: unknown certificate %q: %s"):format(name, known(slot, C.tg_abi_hello_certificates)))
  end
end

---Requires a certificate of the client.
---@param ca string?  a path as in client_ca or client_cas of tg.listen; default: that of the certificate that is served
function methods:ask_client_certificate(ca)
  local slot = slot_of(self)
  if ca ~= nil and (type(ca) ~= "string" or ca == "") then
    raise("hello:ask_client_certificate: the path of a CA expected, got " .. tostring(ca))
  end
  if C.tg_abi_hello_ask(slot, ca, ca and #ca or 0) ~= 0 then return end
  local what = ca and ("unknown CA %q"):format(ca) or "the certificate that is served has no client_ca"
  raise(("hello:ask_client_certificate: %s: %s"):format(what, known(slot, C.tg_abi_hello_client_cas)))
end

return handles.define("hello", "hello", {
  over = OVER,
  getters = {
    sni = text(C.TG_ABI_HELLO_SNI), ja3 = text(C.TG_ABI_HELLO_JA3), ja4 = text(C.TG_ABI_HELLO_JA4),
    alpn = list(C.TG_ABI_HELLO_ALPN), versions = list(C.TG_ABI_HELLO_VERSIONS),
    ciphers = list(C.TG_ABI_HELLO_CIPHERS), client = handles.child(client), listener = text(C.TG_ABI_DOOR_LISTENER),
  },
  setters = { alpn = set_alpn },
  methods = methods,
})
