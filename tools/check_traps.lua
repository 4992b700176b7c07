-- Checks docs/traps.md: each line has an id of its own and says which test holds it, and that test carries the id.
-- A line is `- **L01** trap = what is right. test: t/unit/test_x.c, t/spec/y_spec.lua`, or ends in `later: WORK`
-- (held by later work), or in `open: WHAT` (no test yet; counted). Prints what is wrong and exits 1.

local LATER = { ["bodies and library"] = true, ["steering"] = true, ["hardening"] = true }
local FILE = "docs/traps.md"

local problems = 0
local counts = { test = 0, later = 0, open = 0 }

local function report(number, ...)
  problems = problems + 1
  io.stderr:write(FILE, ":", number, ": ", string.format(...), "\n")
end

local texts = {}
local function text_of(path)
  if texts[path] == nil then
    local file = io.open(path, "rb")
    texts[path] = file and file:read "*a" or false
    if file then
      file:close()
    end
  end
  return texts[path]
end

local function check_tests(number, id, list)
  for path in list:gmatch "[^,%s]+" do
    local text = text_of(path)
    if not text then
      report(number, "%s: there is no file %s", id, path)
    elseif not text:find("[" .. id .. "]", 1, true) then
      report(number, "%s: no test in %s carries [%s]", id, path, id)
    end
  end
end

local function check_line(number, id, rest)
  local kind, value = rest:match "%s(%l+): ([^:]+)$"
  if kind == "test" then
    check_tests(number, id, value)
  elseif kind == "later" then
    if not LATER[value] then
      report(number, '%s: "later: %s" names no later work', id, value)
    end
  elseif kind ~= "open" then
    report(number, "%s: must end in `test: FILE`, `later: WORK` or `open: WHAT`", id)
    return
  end
  counts[kind] = counts[kind] + 1
end

local seen, number = {}, 0
for line in io.lines(FILE) do
  number = number + 1
  local id, rest = line:match "^%- %*%*(%u%d%d)%*%*(.*)$"
  if id then
    if seen[id] then
      report(number, "%s stands here and on line %d", id, seen[id])
    end
    seen[id] = number
    check_line(number, id, rest)
  elseif line:match "^%- %*%*" then
    report(number, "an id is a capital letter and two digits")
  end
end

print(("traps: %d held by tests, %d for later work, %d open"):format(counts.test, counts.later, counts.open))
os.exit(problems == 0)
