--- Functions of scripts that write a body: kept by the slot of their request from the answer to its head.

local producers = {}

local waiting = {}

function producers.put(index, produce)
  waiting[index] = produce
end

function producers.take(index)
  local produce = waiting[index]
  waiting[index] = nil
  return produce
end

return producers
