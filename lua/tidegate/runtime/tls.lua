--- req.client.tls: what the handshake came to.

local ffi = require "ffi"
local handles = require "tidegate.runtime.handles"

local C = ffi.C
local text = handles.text
local band = require "bit".band

local ON, CERT, VERIFIED = C.TG_ABI_TLS_ON, C.TG_ABI_TLS_CERT, C.TG_ABI_TLS_VERIFIED

local cert = handles.define("cert", "req.client.tls.cert", {
  getters = {
    verified = function(slot) return band(C.tg_abi_tls(slot), VERIFIED) ~= 0 end,
    subject_cn = text(C.TG_ABI_CERT_SUBJECT_CN), sha256 = text(C.TG_ABI_CERT_SHA256),
    sans = handles.list("tg_abi_cert_san"),
  },
})

local tls = handles.define("tls", "req.client.tls", {
  getters = {
    version = text(C.TG_ABI_TLS_VERSION), cipher = text(C.TG_ABI_TLS_CIPHER), sni = text(C.TG_ABI_TLS_SNI),
    alpn = text(C.TG_ABI_TLS_ALPN), ja3 = text(C.TG_ABI_TLS_JA3), ja4 = text(C.TG_ABI_TLS_JA4),
    cert = function(slot)
      if band(C.tg_abi_tls(slot), CERT) == 0 then return nil end
      return cert(slot, slot.serial)
    end,
  },
})

---The getter of req.client.tls: nil on a clear connection.
return function(slot)
  if band(C.tg_abi_tls(slot), ON) == 0 then return nil end
  return tls(slot, slot.serial)
end
