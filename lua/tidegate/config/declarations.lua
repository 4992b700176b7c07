--- What the words have declared so far in this VM, in the order of the files: the words write here, the plan is made of
--- it.

local place = require "tidegate.config.place"
local values = require "tidegate.config.values"

place.library()

---@class tidegate.config.Declarations
---@field closed boolean  the configuration has been read: words raise
---@field settings table?  fields and place of tg.settings
---@field listeners table[]
---@field upstreams table<string, table>
---@field splits table<string, table>
---@field shared table<string, table>
---@field metrics table<string, table>
---@field routes table[]
---@field uses table[]
---@field global_uses integer[]
---@field pending table<table, true>  words that got a name and wait for their table
---@field group table?  the group that is being filled
---@field including string[]  files that are being run by tg.include, innermost last
local declarations = {}

---Forgets everything: a VM starts with it, and tests go on with it.
function declarations.reset()
  declarations.closed = false
  declarations.settings = nil
  declarations.listeners, declarations.upstreams, declarations.splits = {}, {}, {}
  declarations.shared, declarations.metrics = {}, {}
  declarations.routes, declarations.uses, declarations.global_uses = {}, {}, {}
  declarations.pending, declarations.group, declarations.including = {}, nil, {}
end

declarations.reset()

---Raises where the word can't be said here; gives the place of the word.
---@param word string  as the operator writes it: "tg.route"
---@return string at
function declarations.open(word)
  local at = place.here()
  if declarations.closed then error(("%s: %s declares and works at load only"):format(at, word), 0) end
  return at
end

---The same for a word of the whole gateway, which a group's file can't say.
---@param word string
---@return string at
function declarations.open_outside_groups(word)
  local at = declarations.open(word)
  if declarations.group then
    place.raise(at, word, "concerns the whole gateway, so it can't stand in a group (%s)", declarations.group.at)
  end
  return at
end

---A word that takes a name, then a table: `tg.word "name" { }`.
---@param word string
---@param declare fun(name: string, fields: table, at: string): any
function declarations.named(word, declare)
  return function(name, ...)
    local at = declarations.open(word)
    local good, why = values.text(name)
    if not good then place.raise(at, word, 'the name: %s (%s "name" { })', why, word) end
    if select("#", ...) > 0 then place.raise(at, word, "write it %s %q { }", word, name) end
    local waiting = { word = word, name = name, at = at }
    declarations.pending[waiting] = true
    return function(fields)
      declarations.open(word)
      declarations.pending[waiting] = nil
      return declare(name, fields, at)
    end
  end
end

---Raises for a word that got its name and never its table.
function declarations.check_pending()
  local first
  for waiting in pairs(declarations.pending) do
    if not first or waiting.at .. waiting.name < first.at .. first.name then first = waiting end
  end
  if first then place.raise(first.at, first.word, "%q has no table: %s %q { }", first.name, first.word, first.name) end
end

return declarations
