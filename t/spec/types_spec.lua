--- The annotations for editors name what the library has.

local config_host = require "config_host"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

describe("the annotations", function()
  local NAMES = { "tidegate", "library", "sockets" }
  local text = ""
  for _, name in ipairs(NAMES) do text = text .. read("lua/types/" .. name .. ".lua") end

  it("are Lua that parses", function()
    for _, name in ipairs(NAMES) do assert(loadstring(read("lua/types/" .. name .. ".lua"))) end
  end)

  it("name every name of the module and of its parts", function()
    local plan, config = config_host.configure 'local tg = require "tidegate" tg.listen "127.0.0.1:1"'
    assert(plan, config)
    local tg = require "tidegate"
    local function named(name)
      return text:find("[.:]" .. name .. "%(") or text:find("@field " .. name .. " ")
    end
    local count = 0
    for name in pairs(debug.getmetatable(tg).__index) do
      assert.truthy(named(name), "tg." .. name)
      count = count + 1
    end
    assert.is_true(count > 20)
    for _, name in ipairs { "spawn", "wait_all", "wait_any" } do assert.truthy(named(name), "tg." .. name) end
    for _, part in ipairs { "json", "uri", "http", "log", "split" } do
      for name in pairs(tg[part]) do assert.truthy(named(name), "tg." .. part .. "." .. name) end
    end
  end)

  it("name every phase", function()
    local handlers = require "tidegate.config.handlers"
    local phases = { unpack(handlers.PHASES) }
    for _, phase in ipairs(handlers.LISTENER_PHASES) do phases[#phases + 1] = phase end
    for _, phase in ipairs(phases) do
      assert.truthy(text:find("@alias tidegate.phase." .. phase .. " ", 1, true), phase)
    end
  end)

  it("name every default of the settings", function()
    local settings = require "tidegate.config.words.settings"
    for name, default in pairs(settings.DEFAULTS) do
      assert.truthy(text:find("@field " .. name .. " "), name)
      for field in pairs(type(default) == "table" and default or {}) do
        assert.truthy(field == "off" or text:find("[ {]" .. field .. "[ :]"), name .. "." .. field)
      end
    end
  end)
end)
