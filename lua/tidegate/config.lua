--- The configuration of a generation, for the core: see `tidegate.config.plan` for the contract.

local declarations = require "tidegate.config.declarations"
local plan = require "tidegate.config.plan"

local config = {}

---Ends the declarations: checks them and gives the plan. From here on the words raise.
---@return table
function config.finish()
  declarations.closed = true
  return plan.build()
end

config.serialise = plan.serialise
config.difference = plan.difference

---The use of a handler with this number in `plan.uses`.
---@param n integer
---@return { handler: table, options: table }
function config.use(n)
  local use = declarations.uses[n]
  return { handler = use.handler, options = use.options }
end

return config
