--- tg.listen: where clients connect.

local address = require "tidegate.config.address"
local declarations = require "tidegate.config.declarations"
local place = require "tidegate.config.place"
local values = require "tidegate.config.values"

place.library()

local later = values.later

local read = values.record({
  name = values.text, tls = later, redirect_to = later, proxy_protocol = later, handlers = later,
}, address.listen)

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
  for i = 1, #fields do
    local listener = { name = fields.name or fields[i], address = fields[i], at = at, at_word = fields }
    check_new(listener, at)
    declarations.listeners[#declarations.listeners + 1] = listener
  end
end

return { words = { listen = listen } }
