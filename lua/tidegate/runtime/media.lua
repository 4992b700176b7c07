--- Media types: what a message is, and what a client would rather have (RFC 9110 12.5.1).

local raise = require "tidegate.runtime.raise"

local media = {}

local function check(what, wanted)
  if type(wanted) ~= "string" or not wanted:find "^[^/%s]+/[^/%s]+$" then
    raise(('%s: a media type such as "text/html" expected, got %s'):format(what, tostring(wanted)))
  end
  return wanted:lower()
end

---Whether a content-type is `wanted`, which may be "text/*". Parameters don't matter.
---@param content_type string?
---@param wanted string
function media.is(what, content_type, wanted)
  wanted = check(what, wanted)
  if not content_type then return false end
  local actual = content_type:match "^%s*([^;%s]+)"
  if not actual then return false end
  actual = actual:lower()
  if wanted:sub(-2) == "/*" then return actual:sub(1, #wanted - 1) == wanted:sub(1, -2) end
  return actual == wanted
end

local function quality_of(parameters)
  for name, value in parameters:gmatch ';%s*([^=;%s]+)%s*=%s*"?([^;"%s]*)' do
    if name:lower() == "q" then return tonumber(value) or 0 end
  end
  return 1
end

-- How well a range of Accept fits: 3 the type itself, 2 "text/*", 1 "*/*"; nil: not.
local function fit(range, wanted)
  if range == wanted then return 3 end
  if range == "*/*" then return 1 end
  if range:sub(-2) == "/*" and wanted:sub(1, #range - 1) == range:sub(1, -2) then return 2 end
end

local function quality(accept, wanted)
  local best, result = 0, 0
  for item in accept:gmatch "[^,]+" do
    local range, parameters = item:match "^%s*([^;%s]+)(.*)$"
    local how = range and fit(range:lower(), wanted)
    if how and how > best then best, result = how, quality_of(parameters) end
  end
  return result
end

---The type of those given that the client likes best; the first of equals; nil: none of them.
---@param accept string?  without it anything goes
---@return string?
function media.best(what, accept, ...)
  local chosen, best = nil, 0
  for i = 1, select("#", ...) do
    local wanted = check(what, (select(i, ...)))
    local value = accept and quality(accept, wanted) or 1
    if value > best then chosen, best = select(i, ...), value end
  end
  return chosen
end

return media
