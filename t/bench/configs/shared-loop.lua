-- What both contestants run: how many calls of one kind a second a dictionary takes, as a number in text.
local KEYS = 1000

local keys, texts = {}, {}
for i = 1, KEYS do
  keys[i] = "key-" .. i
  texts[i] = ("%020d"):format(i)
end

local loops = {}

function loops.get_number(dict, n)
  local sum = 0
  for i = 1, n do sum = sum + dict:get(keys[i % KEYS + 1]) end
  return sum
end

function loops.set_number(dict, n)
  for i = 1, n do dict:set(keys[i % KEYS + 1], i) end
end

function loops.incr(dict, n)
  for i = 1, n do dict:incr(keys[i % KEYS + 1], 1, 0) end
end

function loops.get_string(dict, n)
  local sum = 0
  for i = 1, n do sum = sum + #dict:get(keys[i % KEYS + 1]) end
  return sum
end

function loops.set_string(dict, n)
  for i = 1, n do dict:set(keys[i % KEYS + 1], texts[i % KEYS + 1]) end
end

local FIRST = { get_number = "set_number", incr = "set_number", get_string = "set_string" }

return function(dict, name, n)
  loops[FIRST[name] or name](dict, KEYS)
  loops[name](dict, n / 10)
  local began = os.clock()
  loops[name](dict, n)
  return ("%.0f"):format(n / (os.clock() - began))
end
