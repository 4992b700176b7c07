--- What `accept` gets: a connection that has no request yet.

local ffi = require "ffi"
local handles = require "tidegate.runtime.handles"

local C = ffi.C

local OVER = "the accept phase is over"

local slot_of = handles.slot_function("conn:refuse()", OVER, C.TG_ABI_ACCEPT)

local function text(field) return handles.text(field, "tg_abi_door_text") end

local methods = {}

---Closes the connection once the handler has returned; those after it aren't asked.
---@return true
function methods:refuse()
  C.tg_abi_door_refuse(slot_of(self))
  return true
end

return handles.define("conn", "conn", {
  over = OVER,
  getters = {
    ip = text(C.TG_ABI_DOOR_IP), peer_ip = text(C.TG_ABI_DOOR_PEER_IP), listener = text(C.TG_ABI_DOOR_LISTENER),
    proxy_header = text(C.TG_ABI_DOOR_PROXY_HEADER),
    port = function(slot)
      local port = C.tg_abi_door_port(slot)
      if port ~= port then return nil end
      return port
    end,
  },
  methods = methods,
})
