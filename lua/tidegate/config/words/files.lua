--- tg.file, tg.env: text from outside that belongs to the configuration.

local declarations = require "tidegate.config.declarations"
local host = require "tidegate.host"
local place = require "tidegate.config.place"
local values = require "tidegate.config.values"

place.library()

---The content of a file, read at load.
---@param path string  relative to the folder of gateway.lua
---@return string
local function file(path)
  local at = declarations.open "tg.file"
  if type(path) ~= "string" or path == "" or path:find "%z" then
    place.raise(at, "tg.file", "a path expected, got %s", values.shown(path))
  end
  local content, why = host.read_file(path)
  if not content then place.wrong(at, "tg.file", tostring(why):sub(#path + 3), values.shown(path)) end
  return content
end

---A variable of the environment.
---@param name string
---@param default string?  where it is not set; without it an unset variable raises
---@return string
local function env(name, default)
  local at = declarations.open "tg.env"
  if type(name) ~= "string" or name == "" or name:find "[=%z]" then
    place.raise(at, "tg.env", "the name of a variable expected, got %s", values.shown(name))
  end
  if default ~= nil and type(default) ~= "string" then
    place.raise(at, "tg.env", "the default of %s: a string expected, got %s", name, values.shown(default))
  end
  local value = host.getenv(name) or default
  if not value then place.raise(at, "tg.env", "%s is not set, and no default is given", name) end
  return value
end

return { words = { file = file, env = env } }
