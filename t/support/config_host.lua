--- The host of the configuration words without the gateway: files in a table, for specs that need no binary.

local bit = require "bit"

local config_host = {}

local CRC = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do c = bit.bxor(bit.rshift(c, 1), bit.band(c, 1) == 1 and 0xedb88320 or 0) end
  CRC[i] = c
end

local function crc32(text)
  local c = -1
  for i = 1, #text do c = bit.bxor(bit.rshift(c, 8), CRC[bit.band(bit.bxor(c, text:byte(i)), 255)]) end
  return bit.bnot(c) % 2 ^ 32
end

local function pattern_of(glob)
  return "^" .. glob:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0"):gsub("%*", "[^/]*"):gsub("%?", "[^/]") .. "$"
end

local function read_real(path)
  local file, why = io.open(path, "rb")
  if not file then return nil, why end
  local content = file:read "*a"
  file:close()
  return content
end

---A host whose files are those of a table, by path.
---@param files table<string, string>
---@param environment table<string, string>?
---@return table host
function config_host.new(files, environment)
  local host = {
    phase = "load", folder = "/gateway", version = "0.1.0", generation = 1, worker_id = 0, worker_count = 0,
    crc32 = crc32, random = math.random, now = os.time, clock = os.clock, logged = {},
  }
  local serial = 0
  function host.uuid()
    serial = serial + 1
    return ("00000000-0000-4000-8000-%012x"):format(serial)
  end
  function host.read_file(path)
    if files[path] then return files[path] end
    return nil, "no such file"
  end
  function host.file_digest(path)
    if files[path] then return ("%064x"):format(crc32(files[path])) end
    return nil, path .. ": no such file"
  end
  function host.load_file(path)
    local text, why = host.read_file(path)
    if not text then return nil, why end
    return loadstring(text, "@" .. path)
  end
  function host.glob(glob)
    local list, pattern = {}, pattern_of(glob)
    for path in pairs(files) do
      if path:find(pattern) then list[#list + 1] = path end
    end
    table.sort(list)
    return list
  end
  function host.getenv(name) return environment and environment[name] end
  function host.sleep() end
  function host.dictionary(name, set_size)
    return setmetatable({ name = name }, { __call = function(self, fields)
      set_size(fields)
      return self
    end })
  end
  function host.log(level, message, fields)
    table.insert(host.logged, { level = level, message = message, fields = fields })
  end
  return host
end

local function forget(files)
  for name in pairs(package.loaded) do
    local path = type(name) == "string" and name:gsub("%.", "/") .. ".lua"
    if name == "tidegate" or path and (name:find "^tidegate%." or files[path]) then package.loaded[name] = nil end
  end
end

---A folder of the disk as files of a host, for configurations that are part of the project.
---@param folder string
---@param names string[]
---@return table<string, string>
function config_host.read(folder, names)
  local files = {}
  for _, name in ipairs(names) do files[name] = assert(read_real(folder .. "/" .. name)) end
  return files
end

---Runs gateway.lua of `files` in a library loaded anew; gives the plan, the module tidegate.config and the host, or nil
---and the error.
---@param files table<string, string>|string  files, or the text of gateway.lua alone
---@param environment table<string, string>?
---@return table?, any, table?
function config_host.configure(files, environment)
  if type(files) == "string" then files = { ["gateway.lua"] = files } end
  local host = config_host.new(files, environment)
  forget(files)
  package.preload["tidegate.host"] = function() return host end
  local function from_files(name)
    local path = name:gsub("%.", "/") .. ".lua"
    if not files[path] then return "\n\tno file " .. path end
    local chunk, why = host.load_file(path)
    if not chunk then error(why, 0) end
    return chunk
  end
  table.insert(package.loaders, 2, from_files)
  local good, plan, config = pcall(function()
    local chunk, why = host.load_file "gateway.lua"
    if not chunk then error(why, 0) end
    chunk()
    local config = require "tidegate.config"
    local plan = config.finish()
    host.phase = "run"
    return plan, config
  end)
  table.remove(package.loaders, 2)
  if not good then return nil, plan, host end
  return plan, config, host
end

return config_host
