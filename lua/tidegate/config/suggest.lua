--- "did you mean": the nearest of the names that would have been right.

local suggest = {}

-- Edit distance with transposition of neighbours; rows of the table are reused in turn.
local function distance(a, b)
  local before, previous, current = {}, {}, {}
  for j = 0, #b do previous[j] = j end
  for i = 1, #a do
    current[0] = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local least = math.min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (same and 0 or 1))
      local swapped = i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j)
      if swapped then least = math.min(least, before[j - 2] + 1) end
      current[j] = least
    end
    before, previous, current = previous, current, before
  end
  return previous[#b]
end

---The candidate that `name` was probably meant to be.
---@param name string
---@param candidates table<string, any>  by name
---@return string?
function suggest.nearest(name, candidates)
  if #name > 64 then return nil end
  local best, best_distance
  for candidate in pairs(candidates) do
    if type(candidate) == "string" and #candidate <= 64 then
      local d = distance(name:lower(), candidate:lower())
      local better = not best or d < best_distance or d == best_distance and candidate < best
      local near = d < #name and d <= math.max(1, math.floor(#name / 3))
      if near and better then best, best_distance = candidate, d end
    end
  end
  return best
end

---As text to put behind a message: ` (did you mean "x"?)`, or nothing.
---@param name string
---@param candidates table<string, any>
---@return string
function suggest.text(name, candidates)
  local nearest = suggest.nearest(name, candidates)
  return nearest and (" (did you mean %q?)"):format(nearest) or ""
end

return suggest
