--- tg.settings: values of the whole process.

local address = require "tidegate.config.address"
local declarations = require "tidegate.config.declarations"
local host = require "tidegate.host"
local place = require "tidegate.config.place"
local values = require "tidegate.config.values"

place.library()

local KB, MB, GB = 1024, 1024 ^ 2, 1024 ^ 3

local settings = {}

settings.DEFAULTS = {
  workers = 0,
  limits = { head = 64 * KB, fields = 200, target = 8 * KB, body = GB, replay = 64 * KB, connections = 8192 },
  timeouts = { header = 15, idle = 75, body_rate = 500, tunnel_idle = 3600, total = 0 },
  access_log = { file = "stdout", off = false },
  error_log = { file = "stderr", level = "info" },
  trusted_proxies = {},
  metrics = { off = true },
  http2 = {
    streams = 128, window = 64 * KB, connection_window = MB, resets = 500, control = 1000, idle_frames = 5000,
    continuations = 8, queued = 500,
  },
  tls = { ticket_rotation = 8 * 3600 },
  fips = false,
  scripts = { load_time = 10, memory = 128 * MB },
  generations = { keep = 8, detach = 60 },
  stop = { grace = 1, deadline = 30 },
}

local later = values.later

-- A log: its fields, or the file alone.
local function log(schema, what)
  local check = values.record(schema)
  return function(value)
    if type(value) == "string" then value = { file = value } end
    if type(value) ~= "table" then return values.expected(what, value) end
    return check(value)
  end
end

local function off_or(check)
  return function(value)
    if value == false then return { off = true } end
    return check(value)
  end
end

-- Where metrics are shown: an address, or its fields. They tell what the gateway serves and to how many.
local function metrics(value)
  if type(value) == "string" then value = { listen = value } end
  if type(value) ~= "table" then
    return values.expected('an address such as "127.0.0.1:9100", or false for none,', value)
  end
  local fields, why, path = values.record { listen = address.listen, public = values.boolean }(value)
  if not fields then return nil, why, path end
  if not fields.listen then return nil, 'listen is missing: { listen = "127.0.0.1:9100" }' end
  if not fields.public and not address.is_loopback(fields.listen) then
    return nil, ("%s can be reached from other machines; where that is meant, write { listen = %q, public = true }")
      :format(fields.listen, fields.listen)
  end
  return { listen = fields.listen, off = false }
end

local function version_numbers(text)
  local major, minor = text:match "^(%d+)%.?(%d*)"
  return tonumber(major), tonumber(minor) or 0
end

local function needs(value)
  local major, minor = version_numbers(type(value) == "string" and value or "")
  if not major then return values.expected('a version such as "1.2"', value) end
  local our_major, our_minor = version_numbers(host.version)
  if our_major and (our_major < major or our_major == major and our_minor < minor) then
    return nil, ("this is tidegate %s, the configuration needs %s"):format(host.version, value)
  end
  return value
end

---The body's limits and the timeouts that a route and a group take too; names of the others, to say where they belong.
settings.route_limits = { body = values.bytes_or_none }
settings.route_timeouts = {
  body_rate = values.rate_or_none, tunnel_idle = values.seconds_or_none, total = values.seconds_or_none,
}

local read = values.record {
  workers = values.integer(1, 256),
  limits = values.record {
    head = values.integer(512, MB), fields = values.integer(1, 10000), target = values.integer(64, MB),
    body = values.bytes_or_none, replay = values.integer(0, 64 * MB), connections = values.integer(1, 2 ^ 20),
  },
  timeouts = values.record {
    header = values.seconds, idle = values.seconds, body_rate = values.rate_or_none,
    tunnel_idle = values.seconds_or_none, total = values.seconds_or_none,
  },
  access_log = off_or(log({ file = values.text }, 'a path, "stdout", or false for no log')),
  error_log = log({ file = values.text, level = values.one_of { "debug", "info", "warn", "error" } },
    'a path or "stderr"'),
  trusted_proxies = values.list(address.network, 'a list of networks such as "10.0.0.0/8"'),
  metrics = off_or(metrics),
  http2 = values.record {
    streams = values.integer(1, 65536), window = values.integer(4 * KB, GB),
    connection_window = values.integer(64 * KB, 2 ^ 31 - 1), resets = values.integer(1, 1000000),
    control = values.integer(1, 1000000), idle_frames = values.integer(1, 10000000),
    continuations = values.integer(1, 8), queued = values.integer(1, 100000),
  },
  tls = values.record { ticket_rotation = values.integer(1, 7 * 86400), key_log = values.text },
  fips = values.boolean,
  scripts = values.record {
    load_time = values.seconds, memory = values.integer(4 * MB, 64 * GB), cpu = later, allow = later,
  },
  generations = values.record { keep = values.integer(2, 64), detach = values.seconds, max_age = later },
  stop = values.record { grace = values.number(0, 3600), deadline = values.number(0, 86400) },
  needs = needs,
  admin = later, state = later,
}

---The settings of the plan, from what was given or nil.
---@param given table?
---@return table
function settings.complete(given)
  local result = {}
  for name, default in pairs(settings.DEFAULTS) do
    local value = given and given[name]
    if type(default) == "table" and next(default) ~= nil then
      value = values.with_defaults(values.with_defaults({}, value or {}), default)
    end
    if value == nil then value = default end
    result[name] = value
  end
  return result
end

local function check_windows(fields, at)
  local http2 = values.with_defaults(values.with_defaults({}, fields.http2 or {}), settings.DEFAULTS.http2)
  if http2.connection_window < http2.window then
    place.raise(at, "tg.settings", "http2: connection_window (%d) is smaller than window (%d), that of one stream",
      http2.connection_window, http2.window)
  end
end

---@param given table
local function word(given)
  local at = declarations.open_outside_groups "tg.settings"
  if declarations.settings then
    place.raise(at, "tg.settings", "stands there twice, first at %s", declarations.settings.at)
  end
  local fields, why, path = read(given)
  if not fields then place.wrong(at, "tg.settings", why, path) end
  check_windows(fields, at)
  declarations.settings = { at = at, fields = fields }
end

settings.words = { settings = word }

return settings
