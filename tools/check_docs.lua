-- Checks that the files which the documents name exist: each `code span` that is a path of the repository. A path may
-- begin at a layer of core/, such as `net/stream.h`. Prints what is wrong and exits 1.

local DOCUMENTS = {
  "README.md", "docs/guide.md", "docs/scripting.md", "docs/architecture.md", "docs/traps.md",
}
local LAYERS = { base = true, net = true, http = true, proxy = true, script = true, control = true }
local FOLDERS = { core = true, lua = true, scripts = true, t = true, docs = true, tools = true, make = true }

local function exists(path)
  local file = io.open(path, "rb")
  if file then
    file:close()
  end
  return file ~= nil
end

local problems = 0

local function check_span(document, number, span)
  local first = span:match "^([%w_]+)/[%w_%-./]*$"
  local path = first and (LAYERS[first] and "core/" .. span or FOLDERS[first] and span)
  if path and not exists(path) then
    problems = problems + 1
    io.stderr:write(("%s:%d: there is no %s\n"):format(document, number, path))
  end
end

for _, document in ipairs(DOCUMENTS) do
  local number = 0
  for line in io.lines(document) do
    number = number + 1
    for span in line:gmatch "`([^`]+)`" do
      check_span(document, number, span)
    end
  end
end
os.exit(problems == 0)
