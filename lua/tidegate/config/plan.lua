--- The plan: what the configuration words of one generation come to. This file is where the Lua of the words and the C
--- of `core/script/` meet; the comment is the contract of both sides.
--
-- What C gives: `package.preload["tidegate.host"]`, a table
--
--   phase            "load" while the top level runs, "run" afterwards; C sets it
--   folder           folder of gateway.lua
--   read_file(path)  string, or nil, err; relative paths are meant from `folder`; becomes part of the generation
--   file_digest(path)  SHA-256 in hex of a file that only the core reads, or nil, err; becomes part of the generation
--   glob(pattern)    sorted list of paths relative to `folder`
--   load_file(path)  compiled chunk of that configuration file, or nil, err; chunk name "@" and the short path
--   getenv(name)     string or nil
--   version          string; generation, worker_id (0 in the loader), worker_count: integers
--   dictionary(name, set_size)  the object that tg.shared gives; set_size takes the table behind the name
--   now() clock() random() uuid() crc32(s) sleep(seconds) log(level, message, fields)
--
-- and `require`: folder of gateway.lua, then lua_modules/, then embedded `scripts.NAME` and `tidegate.*`. The tasks of
-- `tidegate.runtime.tasks` appear as `tg.spawn`, `tg.wait_all`, `tg.wait_any`.
--
-- What C calls, in every VM: the chunk of the main file; then
--
--   config: the module tidegate.config
--   plan = config.finish()            checks everything across declarations; raises "file:line: word: message"
--   text = config.serialise(plan)     one line a value, sorted: equal in all VMs of a generation
--   config.difference(text, other)    what differs first, for the message; nil where they are equal
--   config.use(n)                     { handler = table of phase functions, options = o } of plan.uses[n]
--
-- After `finish` the words raise. `handler.init(options)`, where the handler has one, is called by C in each worker,
-- once a use.
--
-- The plan. Seconds and bytes are plain numbers; in timeouts and limits 0 is "none"; lists keep the order of the file
-- unless "sorted" is said; `at` is "file:line" of the word; `?` may be absent, all else is always there.
--
--   settings
--     at?                where tg.settings stands
--     workers            0: one for each CPU (`--workers` wins over it)
--     limits             head, fields, target, body, replay (body bytes kept for a retry), connections (a worker)
--     timeouts           header, idle, tunnel_idle, total (seconds), body_rate (least bytes a second)
--     access_log         file ("stdout", or a path; relative: from `folder`), off (boolean)
--     error_log          file ("stderr", or a path), level ("debug", "info", "warn", "error")
--     trusted_proxies    list of CIDRs "10.0.0.0/8", "::1/128"
--     metrics            listen? (an address), or off (boolean)
--     http2              streams, window, connection_window, resets, control, idle_frames, continuations, queued
--     tls                ticket_rotation (seconds), key_log? (a path; relative: from `folder`)
--     fips               boolean
--     scripts            load_time (seconds), memory (cap of one VM)
--     generations        keep (integer), detach (seconds)
--     stop               grace (seconds an idle client connection waits for one more request), deadline (seconds)
--   listeners            list of { name, address, at, tls?, redirect_port?, proxy_protocol?, uses }; one entry for each
--                        address, so several may share a name (those of one `tg.listen`); address "127.0.0.1:80",
--                        "[::1]:80". A file is { path, sha256 }
--     tls                certificates, client_cas (list of files), policy ("intermediate", "modern"), http2 (boolean),
--                        unknown_names ("default", "refuse"), session_life (seconds)
--       certificates     list, never empty, of { name?, cert, key, cert2?, key2?, ocsp?, ocsp2?, client_ca?,
--                        client_auth }; files, but for name and client_auth ("none", "optional", "require")
--     redirect_port      every request is answered with 308 to https at this port
--     proxy_protocol     list of CIDRs: who begins with a PROXY header
--     uses               list of numbers of uses, whose phases are "accept" and "client_hello"
--   upstreams            list, sorted by name: { name, at, peers, balance, protocol, tls?, timeouts, pool, retry }
--     peers              list of { address, weight, priority }; address "10.0.0.1:80", "[::1]:80", "unix:/path"; weight
--                        1 to 1000; priority 0 to 9, lower ones first
--     balance            "round_robin"
--     protocol           "auto", "h1", "h2"
--     tls                verify (boolean), sni?, ca?, cert?, key? (files)
--     timeouts           connect, tls, send, first_byte, between_bytes, total?
--     pool               size (idle connections for each peer, in all workers), idle (seconds), streams (of an HTTP/2
--                        connection), connections (of HTTP/2, for each peer and worker)
--     retry              attempts (1: none but the first)
--   uses                 list of { name, at, must_run, phases, options }: one entry each time a handler is used
--     phases             list in the order of a request's life: "request", "request_body", "upstream_request",
--                        "upstream_response", "response", "response_body", "trailers", "error", "log"; or, of a
--                        listener's, "accept", "client_hello"
--     options            what can be written down of them; only for `serialise`
--   global_uses          list of numbers of uses: those of `tg.use`
--   splits               list, sorted by name: { name, at, salt, control, arms, request_header?, response_header? };
--                        arms: list, sorted by name, of { name, share, upstream? }; share in hundredths of a percent
--   shared               list, sorted by name: { name, size }; those of the library are always there
--   metrics              list, sorted by name: { name, kind, help, labels, buckets, at }; kind "counter", "gauge" or
--                        "histogram"
--   routes               list: each
--     name, at
--     hosts              list, lower case; "*.x" is any name below x, at any depth; empty: any
--     paths              list, never empty: segments are text (normalised as req.path is), ":name", and as the last one
--                        "*name" or "*" (the rest, which may be empty: "/files/*" matches "/files" and "/files/")
--     methods            list; empty: any; GET takes HEAD too
--     listeners          list of names; empty: any
--     upstream?          name; of upstream, respond and redirect at most one is there
--     respond?           { status, body, headers = { { name, value }, ... } }; has content-type, no framing
--     redirect?          { status, location }; location is a path as in rewrite, or a whole URL with such segments; the
--                        query of the request is added where location has none
--     rewrite?           path with parameters as segments ":name", "*name", "*": replaced by the still encoded text
--     host_header        "preserve", "upstream", or the name to send
--     raw_path           boolean
--     half_close         "answer" or "abort"
--     on_script_error    "fail" or "continue"
--     timeouts           tunnel_idle, body_rate; connect?, tls?, send?, first_byte?, between_bytes?, total?: where
--                        absent, those of the upstream hold, then those of the settings
--     limits             body
--     retry?             { attempts }, over the upstream's
--     uses               list of numbers of uses in the order of the chain: tg.use, groups from outer to inner, the
--                        route's list, its inline phases
--
-- That two routes tie is found by the router in C.

local declarations = require "tidegate.config.declarations"
local handlers = require "tidegate.config.handlers"
local place = require "tidegate.config.place"
local routes = require "tidegate.config.routes"
local settings = require "tidegate.config.words.settings"
local shared = require "tidegate.config.words.shared"
local suggest = require "tidegate.config.suggest"
local values = require "tidegate.config.values"

place.library()

local plan = {}

local sorted_keys = values.sorted_keys

local function listeners()
  local list = {}
  for i, listener in ipairs(declarations.listeners) do
    list[i] = {
      name = listener.name, address = listener.address, at = listener.at, tls = listener.tls,
      redirect_port = listener.redirect_port, proxy_protocol = listener.proxy_protocol, uses = listener.uses,
    }
  end
  return list
end

local function by_name(declared, entry)
  local list = {}
  for i, name in ipairs(sorted_keys(declared)) do list[i] = entry(declared[name]) end
  return list
end

local function as_it_is(declared) return declared end

local function split_entry(split) return split:plan_entry() end

local function check_splits()
  for _, name in ipairs(sorted_keys(declarations.splits)) do
    local split = declarations.splits[name]
    for _, arm in ipairs(split:plan_entry().arms) do
      if arm.upstream and not declarations.upstreams[arm.upstream] then
        place.raise(split.at, "tg.split", "arms.%s: unknown upstream %q%s", arm.name, arm.upstream,
          suggest.text(arm.upstream, declarations.upstreams))
      end
    end
  end
end

local function resolve_uses(route_list)
  local names = { ["an upstream"] = declarations.upstreams, ["a route"] = {} }
  for _, route in ipairs(route_list) do names["a route"][route.name] = true end
  local list = {}
  for i, use in ipairs(declarations.uses) do
    handlers.resolve(use, names)
    list[i] = handlers.plan_entry(use)
  end
  return list
end

local function check_hellos()
  for _, listener in ipairs(declarations.listeners) do
    for _, number in ipairs(listener.tls and {} or listener.uses) do
      local use = declarations.uses[number]
      if use.handler.client_hello then
        handlers.raise(use, "client_hello never comes: the listener has no tls")
      end
    end
  end
end

---Checks everything across declarations and makes the plan of it; raises a string where something is wrong.
---@return table
function plan.build()
  declarations.check_pending()
  if #declarations.listeners == 0 then
    error('no tg.listen: the gateway would serve nobody (tg.listen "127.0.0.1:8080")', 0)
  end
  local complete = settings.complete(declarations.settings and declarations.settings.fields)
  complete.at = declarations.settings and declarations.settings.at
  local route_list = routes.build(complete)
  check_splits()
  local uses = resolve_uses(route_list)
  check_hellos()
  shared.add_own()
  return {
    settings = complete, listeners = listeners(), upstreams = by_name(declarations.upstreams, as_it_is),
    splits = by_name(declarations.splits, split_entry), routes = route_list, uses = uses,
    global_uses = declarations.global_uses, shared = shared.plan_entries(),
    metrics = by_name(declarations.metrics, as_it_is),
  }
end

local function write_line(lines, path, value)
  local text = type(value) == "number" and ("%.17g"):format(value)
    or type(value) == "string" and ("%q"):format(value):gsub("\\\n", "\\n")
  lines[#lines + 1] = ("%s = %s"):format(path, text or tostring(value))
end

local function write_value(lines, path, value)
  if type(value) ~= "table" then return write_line(lines, path, value) end
  local keys = sorted_keys(value)
  if #keys == 0 then lines[#lines + 1] = path .. " = {}" end
  for _, key in ipairs(keys) do
    local plain = type(key) == "string" and key:find "^[%w_-]+$"
    local step = plain and "." .. key or ("[%s]"):format(values.shown(key))
    write_value(lines, path .. step, value[key])
  end
end

---The plan as text, one line a value, in an order that is the same in all VMs.
---@param built table
---@return string
function plan.serialise(built)
  local lines = {}
  for _, key in ipairs(sorted_keys(built)) do write_value(lines, key, built[key]) end
  return table.concat(lines, "\n") .. "\n"
end

---What differs first between two serialised plans; nil where they are equal.
---@param text string
---@param other string
---@return string?
function plan.difference(text, other)
  if text == other then return nil end
  local next_line, next_other = text:gmatch "([^\n]*)\n", other:gmatch "([^\n]*)\n"
  while true do
    local line, other_line = next_line(), next_other()
    if line ~= other_line then
      return ("%s differs from %s"):format(other_line or "nothing more", line or "nothing more")
    end
    if not line then return nil end
  end
end

return plan
