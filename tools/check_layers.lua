-- Checks how core/ is laid out: a file includes only its own layer and lower ones, headers form no circle, no file is
-- over 800 lines or named after nothing, no function is over 120 lines, nothing is left to do. Prints what is wrong and
-- exits 1. With the argument `statistics` it also prints how long functions are.

local LAYERS = { base = 1, net = 2, http = 3, proxy = 4, script = 5, control = 6 }
local MAX_LINES = 800
local MAX_FUNCTION_LINES = 120
local EMPTY_NAMES = { util = true, utils = true, common = true, misc = true, helpers = true, helper = true }

local problems = 0
local function_lengths = {}

local function report(...)
  problems = problems + 1
  io.stderr:write(string.format(...), "\n")
end

local function list_files()
  local files = {}
  local pipe = assert(io.popen "find core -name '*.[ch]' | LC_ALL=C sort")
  for path in pipe:lines() do
    files[#files + 1] = path:match "^core/(.*)$"
  end
  pipe:close()
  return files
end

local function check_include(path, number, target)
  local own, other = path:match "^([^/]+)/", target:match "^([^/]+)/"
  if not other or not LAYERS[other] then
    report('core/%s:%d: include "%s": write the path from core/, such as "base/slice.h"', path, number, target)
  elseif LAYERS[other] > LAYERS[own] then
    report('core/%s:%d: %s/ may not include %s/ ("%s")', path, number, own, other, target)
  end
end

local function read_includes(path)
  local includes, number = {}, 0
  for line in io.lines("core/" .. path) do
    number = number + 1
    local target = line:match '^%s*#%s*include%s+"([^"]+)"'
    if target then
      check_include(path, number, target)
      includes[#includes + 1] = target
    end
  end
  if number > MAX_LINES then
    report("core/%s: %d lines; a file has one subject and at most %d lines", path, number, MAX_LINES)
  end
  return includes
end

-- In formatted code a function's body stands between braces in the first column.
local function measure_functions(path)
  local opened, number = nil, 0
  for line in io.lines("core/" .. path) do
    number = number + 1
    if line == "{" then
      opened = number
    elseif line == "}" and opened then
      local length = number - opened - 1
      function_lengths[#function_lengths + 1] = length
      if length > MAX_FUNCTION_LINES then
        report("core/%s:%d: a function of %d lines; at most %d", path, opened, length, MAX_FUNCTION_LINES)
      end
      opened = nil
    elseif line:find("TO" .. "DO", 1, true) or line:find("FIX" .. "ME", 1, true) then
      report("core/%s:%d: left to do", path, number)
    end
  end
end

local function print_statistics()
  table.sort(function_lengths)
  local count = #function_lengths
  print(("%d functions: median %d lines, nine in ten up to %d, longest %d"):format(
    count,
    function_lengths[math.ceil(count / 2)] or 0,
    function_lengths[math.ceil(count * 0.9)] or 0,
    function_lengths[count] or 0
  ))
end

local function check_name(path)
  local layer, name = path:match "^([^/]+)/", path:match "([^/]+)%.[ch]$"
  if not LAYERS[layer or ""] then
    report("core/%s: is in no layer (base, net, http, proxy, script, control)", path)
    return false
  end
  if EMPTY_NAMES[name] then
    report("core/%s: the name doesn't say what is in the file", path)
  end
  return true
end

local function find_circles(includes)
  local state = {}
  local function visit(path, trail)
    if state[path] == "done" or not includes[path] then
      return
    end
    if state[path] == "open" then
      report("core/%s: includes itself: %s -> %s", path, table.concat(trail, " -> "), path)
      return
    end
    state[path] = "open"
    trail[#trail + 1] = path
    for _, target in ipairs(includes[path]) do
      visit(target, trail)
    end
    trail[#trail] = nil
    state[path] = "done"
  end
  for path in pairs(includes) do
    visit(path, {})
  end
end

local includes = {}
for _, path in ipairs(list_files()) do
  if check_name(path) then
    includes[path] = read_includes(path)
    measure_functions(path)
  end
end
find_circles(includes)
if arg[1] == "statistics" then
  print_statistics()
end
os.exit(problems == 0)
