--- Routes as the plan has them: each narrowed by the groups it stands in, with all defaults filled in.

local declarations = require "tidegate.config.declarations"
local match = require "tidegate.config.match"
local place = require "tidegate.config.place"
local suggest = require "tidegate.config.suggest"
local values = require "tidegate.config.values"

place.library()

local routes = {}

-- The groups around a route, outermost first, and the route itself as the last.
local function chain_of(declared)
  local chain, at = {}, declared
  while at do
    table.insert(chain, 1, at)
    at = at.parent
  end
  return chain
end

local function narrowed(chain, field, narrow, what)
  local result, giver = {}, nil
  for _, link in ipairs(chain) do
    local own = link.fields[field]
    if own then
      local wider = result
      local outside
      result, outside = narrow(own, wider)
      if not result then
        place.raise(link.at, link.word, "%s %q is outside of the group's, which is %q (%s)", what, outside,
          table.concat(wider, ", "), giver.at)
      end
      giver = link
    end
  end
  return result
end

local function full_paths(chain, declared)
  local prefix = ""
  for i = 1, #chain - 1 do prefix = prefix .. (chain[i].fields.path or "") end
  local paths, seen = {}, {}
  for i, path in ipairs(declared.fields.path or { "/*" }) do
    local full, why = match.read_path(prefix .. path)
    if not full then place.raise(declared.at, declared.word, "path: %s", why) end
    if seen[full] then place.raise(declared.at, declared.word, "path: %q stands there twice", full) end
    paths[i], seen[full] = full, true
  end
  return paths
end

local function nearest(chain, field)
  for i = #chain, 1, -1 do
    local value = chain[i].fields[field]
    if value ~= nil then return value end
  end
end

local function merged(chain, field, defaults)
  local result = {}
  for i = #chain, 1, -1 do values.with_defaults(result, chain[i].fields[field] or {}) end
  return values.with_defaults(result, defaults)
end

local function default_name(route)
  local parts = {}
  if #route.methods > 0 then parts[1] = table.concat(route.methods, ",") .. " " end
  parts[#parts + 1] = table.concat(route.hosts, ",")
  parts[#parts + 1] = table.concat(route.paths, ",")
  if #route.listeners > 0 then parts[#parts + 1] = " on " .. table.concat(route.listeners, ",") end
  return table.concat(parts)
end

local function name_of(chain, declared, route)
  local parts = {}
  for i = 1, #chain - 1 do parts[#parts + 1] = chain[i].fields.name end
  parts[#parts + 1] = declared.fields.name or default_name(route)
  return table.concat(parts, ".")
end

local function uses_of(chain)
  local list = {}
  for _, number in ipairs(declarations.global_uses) do list[#list + 1] = number end
  for _, link in ipairs(chain) do
    for _, number in ipairs(link.uses) do list[#list + 1] = number end
  end
  return list
end

local function set_destination(route, chain, fields)
  route.respond, route.redirect, route.rewrite = fields.respond, fields.redirect, fields.rewrite
  if not (route.respond or route.redirect) then route.upstream = nearest(chain, "upstream") end
end

local function one_route(declared, settings)
  local chain, fields = chain_of(declared), declared.fields
  local route = {
    at = declared.at,
    hosts = narrowed(chain, "host", match.narrow_hosts, "host"),
    methods = narrowed(chain, "method", match.narrow_methods, "method"),
    listeners = narrowed(chain, "listener", match.narrow_listeners, "listener"),
    paths = full_paths(chain, declared),
    host_header = nearest(chain, "host_header") or "preserve",
    raw_path = nearest(chain, "raw_path") or false,
    half_close = nearest(chain, "half_close") or "answer",
    on_script_error = nearest(chain, "on_script_error") or "fail",
    timeouts = merged(chain, "timeouts", {
      tunnel_idle = settings.timeouts.tunnel_idle, body_rate = settings.timeouts.body_rate,
    }),
    limits = merged(chain, "limits", { body = settings.limits.body }),
    retry = nearest(chain, "retry"),
    uses = uses_of(chain),
  }
  set_destination(route, chain, fields)
  route.name = name_of(chain, declared, route)
  return route
end

local function check_listeners(route, declared)
  local there, redirecting = {}, {}
  for _, listener in ipairs(declarations.listeners) do
    there[listener.name], redirecting[listener.name] = true, listener.redirect_port ~= nil
  end
  for _, name in ipairs(route.listeners) do
    if not there[name] then
      place.raise(declared.at, declared.word, "unknown listener %q%s", name, suggest.text(name, there))
    end
    if redirecting[name] then
      place.raise(declared.at, declared.word, "listener %q redirects all requests: no route gets one of them", name)
    end
  end
end

local function check_destination(route, declared)
  local upstreams = declarations.upstreams
  if route.upstream and not upstreams[route.upstream] then
    place.raise(declared.at, declared.word, "unknown upstream %q%s", route.upstream,
      suggest.text(route.upstream, upstreams))
  end
  if not (route.upstream or route.respond or route.redirect) and #route.uses == 0 then
    place.raise(declared.at, declared.word, "%q goes nowhere: upstream, respond, redirect or handlers are missing",
      route.name)
  end
  local template = route.rewrite or route.redirect and route.redirect.location
  local why = template and match.missing_parameter(template, route.paths)
  if why then place.raise(declared.at, declared.word, "%s: %s", route.rewrite and "rewrite" or "redirect", why) end
end

local function check_name(route, declared, seen)
  local other = seen[route.name]
  if other then
    local what = declared.fields.name and "name " or ""
    place.raise(declared.at, declared.word, "%s%q is declared twice, first at %s", what, route.name, other.at)
  end
  if route.name == "none" then place.raise(declared.at, declared.word, '"none" is the name of no route') end
  seen[route.name] = route
end

---The routes of the plan, in the order of their words.
---@param settings table  complete
---@return table[]
function routes.build(settings)
  local list, seen = {}, {}
  for i, declared in ipairs(declarations.routes) do
    local route = one_route(declared, settings)
    check_name(route, declared, seen)
    check_listeners(route, declared)
    check_destination(route, declared)
    list[i] = route
  end
  return list
end

return routes
