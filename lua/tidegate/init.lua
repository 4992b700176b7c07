--- The module that scripts require: the words of the configuration, and the library.

local host = require "tidegate.host"
local place = require "tidegate.config.place"
local suggest = require "tidegate.config.suggest"

local rawset = rawset

place.library()

---@class tidegate
local tg = {
  KB = 1024, MB = 1024 ^ 2, GB = 1024 ^ 3,
  SECOND = 1, MINUTE = 60, HOUR = 3600, DAY = 86400,

  version = host.version,
  generation = host.generation,
  worker = { id = host.worker_id, count = host.worker_count },

  now = host.now, clock = host.clock, random = host.random, uuid = host.uuid, sleep = host.sleep,

  json = require "tidegate.json",
  uri = require "tidegate.uri",
  http = require "tidegate.http",
  log = require "tidegate.log",
  split = require "tidegate.split",
}

tg.null = tg.json.null

for _, name in ipairs { "settings", "listen", "upstream", "route", "files", "shared" } do
  for word, declare in pairs(require("tidegate.config.words." .. name).words) do tg[word] = declare end
end

-- From the objects of the run time, which the core brings.
local TASKS = { spawn = true, wait_all = true, wait_any = true }

-- Modules that are loaded when they are first named.
local LAZY = {}
for _, name in ipairs(require "tidegate.runtime.lazy") do LAZY[name] = true end

-- Names that the API has and this version has not.
local LATER = {
  udp = true, dns = true, redis = true,
}

local function missing(_, name)
  if TASKS[name] then
    local value = require("tidegate.runtime.tasks")[name]
    rawset(tg, name, value)
    return value
  end
  if LAZY[name] then
    local value = require("tidegate." .. name)
    rawset(tg, name, value)
    return value
  end
  local at = place.here()
  if LATER[name] then place.not_available(at, "tg." .. name) end
  local known = {}
  for _, names in ipairs { tg, TASKS, LAZY, LATER } do
    for other in pairs(names) do known[other] = true end
  end
  error(("%s: tg.%s: there is no such name%s"):format(at, tostring(name), suggest.text(tostring(name), known)), 0)
end

setmetatable(tg, { __index = missing })

-- What scripts get is empty, so that no name can be set, not even one that is there.
return setmetatable({}, {
  __index = tg,
  __newindex = function(_, name) error(("%s: tg is read only: tg.%s"):format(place.here(), tostring(name)), 0) end,
  __metatable = "tidegate",
})
