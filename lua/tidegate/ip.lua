--- tg.ip: addresses, and sets of networks. An IPv4 address and its IPv6-mapped form are the same everywhere.

local ffi = require "ffi"
local core = require "tidegate.core"
local library = require "tidegate.runtime.library"
local raise = require "tidegate.runtime.raise"

local C, string_of = ffi.C, ffi.string
local type = type
local control = ffi.cast("struct tg_abi_control *", core.control)
local check_string = library.check_string

local ip = {}

local parsed = ffi.new "struct tg_abi_ip"

---@class tidegate.Ip
---@field address string  in its shortest form: "10.0.0.1", "2001:db8::1"
---@field version 4|6
---@field bytes string  4 or 16, in the order of the network

---An address taken apart; or nil, "invalid". Zones and lengths of prefixes are none of it.
---@param text string
---@return tidegate.Ip? ip, string? err
function ip.parse(text)
  check_string("tg.ip.parse", text)
  local version = C.tg_abi_ip_parse(text, #text, parsed)
  if version == 0 then return nil, "invalid" end
  local bytes = version == 4 and string_of(parsed.bytes + 12, 4) or string_of(parsed.bytes, 16)
  return { address = string_of(parsed.text, parsed.length), version = version, bytes = bytes }
end

---@class tidegate.IpSet
local set = {}

---Whether the address is in one of the networks; or nil, "invalid", where the text is no address.
---@param address string
---@return boolean? found, string? err
function set:has(address)
  local owned = type(self) == "table" and self.__set
  if not owned then raise "set:has: methods are called with a colon, as in set:has(address)" end
  if type(address) ~= "string" then check_string("set:has", address) end
  local found = C.tg_abi_ip_set_has(owned, address, #address)
  if found < 0 then return nil, "invalid" end
  return found == 1
end

local new_set = library.class("ip_set", set)

-- A set of a list of networks; or nil and what is wrong with it.
local function made(networks)
  local owned = C.tg_abi_ip_set_new(control)
  if owned == nil then return nil, "out of memory" end
  ffi.gc(owned, C.tg_abi_release)
  for key, network in pairs(networks) do
    if type(key) ~= "number" or type(network) ~= "string" then
      return nil, 'a list of networks such as "10.0.0.0/8" expected'
    end
    local result = C.tg_abi_ip_set_add(owned, network, #network)
    if result == C.TG_ABI_IP_INVALID then return nil, ("%q is no address and no network"):format(network) end
    if result ~= C.TG_ABI_IP_FINE then return nil, "more networks than there is room for" end
  end
  return new_set { __set = owned }
end

library.ip_set = made

---A set of networks ("10.0.0.0/8", "2001:db8::/32") and addresses. It is made once, and asked often.
---@param networks string[]
---@return tidegate.IpSet
function ip.set(networks)
  if type(networks) ~= "table" then raise("tg.ip.set: a list of networks expected, got a " .. type(networks)) end
  local new, why = made(networks)
  if not new then raise("tg.ip.set: " .. why) end
  return new
end

return library.module("tg.ip", ip)
