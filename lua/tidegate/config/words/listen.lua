--- tg.listen: where clients connect.

local address = require "tidegate.config.address"
local declarations = require "tidegate.config.declarations"
local handlers = require "tidegate.config.handlers"
local place = require "tidegate.config.place"
local tls = require "tidegate.config.tls"
local values = require "tidegate.config.values"

place.library()

-- The port of "https" or "https:8443".
local function redirect_to(value)
  local port = value == "https" and 443 or type(value) == "string" and tonumber(value:match "^https:(%d+)$")
  if not port or port < 1 or port > 65535 then return values.expected('"https" or "https:8443"', value) end
  return port
end

local list_of_networks = values.list(address.network, 'a list of networks such as "10.0.0.0/8"')

local function senders(value)
  local list, why, path = list_of_networks(value)
  if not list then return nil, why, path end
  if #list == 0 then return nil, "an empty list has no meaning here" end
  return list
end

local FIELDS = {
  name = values.text, tls = tls.listener, redirect_to = redirect_to, proxy_protocol = senders, handlers = values.any,
}
for _, phase in ipairs(handlers.LISTENER_PHASES) do
  FIELDS[phase] = function() return nil, "a phase by itself goes into handlers" end
end

local read = values.record(FIELDS, address.listen)

local function check_new(listener, at)
  for _, other in ipairs(declarations.listeners) do
    if other.address == listener.address then
      place.raise(at, "tg.listen", "%q is declared twice, first at %s", listener.address, other.at)
    end
    if other.name == listener.name and other.at_word ~= listener.at_word then
      place.raise(at, "tg.listen", "name %q is declared twice, first at %s", listener.name, other.at)
    end
  end
end

---@param given string|table  an address, or addresses by position and fields
local function listen(given)
  local at = declarations.open_outside_groups "tg.listen"
  local fields, why, path = read(type(given) == "string" and { given } or given)
  if not fields then place.wrong(at, "tg.listen", why, path) end
  if #fields == 0 then place.raise(at, "tg.listen", 'has no address: { "127.0.0.1:8080", ... }') end
  if fields.redirect_to and fields.tls then
    place.raise(at, "tg.listen", "redirect_to is for a listener without tls: it sends clients to one that has it")
  end
  local uses = fields.handlers and handlers.declare(fields.handlers, at, "tg.listen", "listener") or {}
  for i = 1, #fields do
    local listener = {
      name = fields.name or fields[i], address = fields[i], at = at, at_word = fields, tls = fields.tls,
      redirect_port = fields.redirect_to, proxy_protocol = fields.proxy_protocol, uses = uses,
    }
    check_new(listener, at)
    declarations.listeners[#declarations.listeners + 1] = listener
  end
end

return { words = { listen = listen } }
