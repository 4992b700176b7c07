--- tg.shared: memory that all workers and generations share, by name. The dictionary is there at once, and takes a
--- table where this is the place that says its size.

local declarations = require "tidegate.config.declarations"
local host = require "tidegate.host"
local place = require "tidegate.config.place"
local suggest = require "tidegate.config.suggest"
local values = require "tidegate.config.values"

place.library()

local shared = {}

-- Bytes; the library's own are there without being named.
local DEFAULT = 1024 ^ 2
shared.OWN = { ["tidegate.cache"] = 16 * 1024 ^ 2, ["tidegate.limit"] = 16 * 1024 ^ 2 }

local LONGEST_NAME, MOST = 200, 1000

local read = values.record { size = values.integer(64 * 1024, 2 ^ 40, "a size in bytes, 64 KB to 1 TB,") }

local function set_size(dictionary, given)
  local at = declarations.open "tg.shared"
  local fields, why, path = read(given)
  if not fields then place.wrong(at, "tg.shared", why, path) end
  if fields.size and dictionary.size and dictionary.size ~= fields.size then
    place.raise(at, "tg.shared", "%q has another size at %s", dictionary.name, dictionary.size_at)
  end
  if fields.size then dictionary.size, dictionary.size_at = fields.size, at end
end

local function count(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

local function declare(name, at)
  if #name > LONGEST_NAME then place.raise(at, "tg.shared", "the name has more than %d bytes", LONGEST_NAME) end
  if count(declarations.shared) >= MOST then place.raise(at, "tg.shared", "there are %d dictionaries already", MOST) end
  local dictionary = { name = name, at = at }
  dictionary.object = host.dictionary(name, function(given) set_size(dictionary, given) end)
  declarations.shared[name] = dictionary
  return dictionary
end

---The dictionary of that name. At load it is declared by being named; at run time it must have been.
---@param name string
---@return tidegate.Dictionary
local function word(name)
  local good, why = values.text(name)
  local at = place.here()
  if not good then place.raise(at, "tg.shared", 'the name: %s (tg.shared "name" { size = })', why) end
  local known = declarations.shared[name]
  if not known and declarations.closed then
    place.raise(at, "tg.shared", "%q was not declared at load%s", name, suggest.text(name, declarations.shared))
  end
  return (known or declare(name, at)).object
end

---Those of the library, at the end of the configuration.
function shared.add_own()
  for _, name in ipairs(values.sorted_keys(shared.OWN)) do
    if not declarations.shared[name] then declare(name, "?") end
  end
end

---@return table[]  for the plan
function shared.plan_entries()
  local list = {}
  for i, name in ipairs(values.sorted_keys(declarations.shared)) do
    list[i] = { name = name, size = declarations.shared[name].size or shared.OWN[name] or DEFAULT }
  end
  return list
end

shared.words = { shared = word }

return shared
