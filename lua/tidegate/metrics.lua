--- tg.metrics: counters, gauges and histograms of scripts, which Prometheus reads beside those of the gateway. They are
--- declared at load and work in init, phases, tasks and timers.

local core = require "tidegate.core"
local declarations = require "tidegate.config.declarations"
local ffi = require "ffi"
local library = require "tidegate.runtime.library"
local place = require "tidegate.config.place"
local raise = require "tidegate.runtime.raise"
local values = require "tidegate.config.values"

place.library()

local C, huge = ffi.C, math.huge
local pairs, select, type, tostring, rawset, unpack = pairs, select, type, tostring, rawset, unpack
local concat = table.concat
local control = ffi.cast("struct tg_abi_control *", core.control)

local MOST_LABELS, MOST_BUCKETS, LONGEST_NAME = 10, 64, 200
local MOST_REMEMBERED = 2000 -- of the series of a metric, in this VM: as many values as there are may mean one series

local DEFAULT_BUCKETS = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 }

-- Of each object its labels, for messages; and the objects by name.
local labels_of, objects = {}, {}

local texts, lengths = ffi.new "const char *[10]", ffi.new "uint32_t[10]"
local anchors = {} -- luacheck: ignore 241 (it keeps the texts alive while C looks at them)

local metrics = {}

-- Label values ------------------------------------------------------------------------------------------------------

local function check_count(what, metric, ...)
  local count = metric.__count
  if select("#", ...) ~= count then
    raise(("%s: %d label value%s expected (%s), got %d"):format(what, count, count == 1 and "" or "s",
      count == 0 and "the metric has no labels" or concat(labels_of[metric], ", "), select("#", ...)))
  end
  return count
end

local function text_of(what, metric, i, value)
  if type(value) == "string" then return value end
  if type(value) == "number" then return tostring(value) end
  raise(("%s: label %q: a string or a number expected, got a %s"):format(what, labels_of[metric][i], type(value)))
end

-- The values of this worker in C; true as well where the metric has too many series.
local function ask(what, metric, ...)
  local count = check_count(what, metric, ...)
  if not metric.__metric then raise(what .. " works in init, phases, tasks and timers, not at load") end
  for i = 1, count do
    local text = text_of(what, metric, i, (select(i, ...)))
    anchors[i], texts[i - 1], lengths[i - 1] = text, text, #text
  end
  local part = C.tg_abi_metric_part(control, metric.__metric, texts, lengths, count)
  if part == nil then raise(what .. ": not enough memory") end
  return part, control.length ~= 0
end

local function remember(metric, part, ...)
  local count = metric.__count
  if count == 0 then return rawset(metric, "__parts", part) end
  if metric.__remembered >= MOST_REMEMBERED then return end
  rawset(metric, "__remembered", metric.__remembered + 1)
  local node = metric.__parts
  for i = 1, count - 1 do
    local key = select(i, ...)
    node[key] = node[key] or {}
    node = node[key]
  end
  node[(select(count, ...))] = part
end

local function first(what, metric, ...)
  local part, is_other = ask(what, metric, ...)
  if not is_other then remember(metric, part, ...) end
  return part
end

local function find(what, metric, ...)
  local node = metric.__parts
  local count = check_count(what, metric, ...)
  for i = 1, count do
    if not node then break end
    node = node[(select(i, ...))]
  end
  return node or first(what, metric, ...)
end

-- Objects -----------------------------------------------------------------------------------------------------------

local function check_amount(what, amount)
  if amount == nil then return 1 end
  if type(amount) ~= "number" or not (amount >= 0 and amount < huge) then
    raise(("%s: a number, at least 0, expected, got %s"):format(what, tostring(amount)))
  end
  return amount
end

local function check_number(what, value)
  if type(value) ~= "number" or value ~= value then
    raise(("%s: a number expected, got %s"):format(what, tostring(value)))
  end
  return value
end

local function check_change(what, amount)
  return amount == nil and 1 or check_number(what, amount)
end

-- The methods of a kind of metric: name, check of the value, function in C.
local METHODS = {
  counter = { inc = { check_amount, function(part, n) C.tg_abi_metric_count(part, n) end } },
  gauge = {
    set = { check_number, function(part, n) C.tg_abi_metric_set(part, n) end },
    inc = { check_change, function(part, n) C.tg_abi_metric_change(part, n) end },
  },
  histogram = { observe = { check_number, function(part, n) C.tg_abi_metric_observe(part, n) end } },
}

local constructors = {}

local function is_metric(what, self, kind, label)
  library.check_object(what, self, kind, ("a %s (methods are called with a colon)"):format(label))
end

-- One that is bound to its label values: the first use in a worker finds the place, all others only count.
local function bound_class(label, methods)
  local Bound, kind, new = {}
  local function resolve(what, self)
    local part = ask(what, self.__of, unpack(self.__labels, 1, self.__of.__count))
    rawset(self, "__part", part)
    return part
  end
  for name, method in pairs(methods) do
    local what, check, apply = label .. ":" .. name, method[1], method[2]
    Bound[name] = function(self, value)
      is_metric(what, self, kind, label)
      value = check(what, value)
      apply(self.__part or resolve(what, self), value)
    end
  end
  new, kind = library.class(label, Bound)
  return new
end

local function metric_class(label, methods)
  local Metric, kind, new = {}
  local bind = bound_class(label, methods)
  for name, method in pairs(methods) do
    local what, check, apply = label .. ":" .. name, method[1], method[2]
    Metric[name] = function(self, value, ...)
      is_metric(what, self, kind, label)
      value = check(what, value)
      apply(find(what, self, ...), value)
    end
  end
  function Metric:with(...)
    local what = label .. ":with"
    is_metric(what, self, kind, label)
    for i = 1, check_count(what, self, ...) do text_of(what, self, i, (select(i, ...))) end
    return bind { __of = self, __labels = { ... }, __part = false }
  end
  new, kind = library.class(label, Metric)
  return new
end

for label, methods in pairs(METHODS) do constructors[label] = metric_class(label, methods) end

-- Declarations ------------------------------------------------------------------------------------------------------

local function check_name(at, word, what, name)
  if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" or #name > LONGEST_NAME then
    place.raise(at, word, "%s: letters, digits and underscores expected, at most %d, no digit first; got %s", what,
      LONGEST_NAME, values.shown(name))
  end
end

local function check_metric_name(at, word, name)
  check_name(at, word, "the name", name)
  if name:find "^tidegate_" then
    place.raise(at, word, "%q: names that begin with tidegate_ are the gateway's own", name)
  end
end

local function check_label(label)
  if type(label) ~= "string" or not label:find "^[%a_][%w_]*$" or #label > LONGEST_NAME then
    return values.expected("letters, digits and underscores, no digit first,", label)
  end
  if label == "le" or label:find "^__" then
    return nil, ("%q: \"le\" and names that begin with two underscores are Prometheus' own"):format(label)
  end
  return label
end

local read_labels = values.list(check_label, "a list of names of labels")

local function labels(at, word, given)
  local list, why, path = read_labels(given or {})
  if not list then place.wrong(at, word, why, path and "labels" .. path or "labels") end
  if #list > MOST_LABELS then place.raise(at, word, "labels: at most %d, got %d", MOST_LABELS, #list) end
  return list
end

local function buckets(at, word, given)
  if given == nil then return DEFAULT_BUCKETS end
  if type(given) ~= "table" or #given < 1 or #given > MOST_BUCKETS then
    place.raise(at, word, "buckets: a list of 1 to %d numbers expected", MOST_BUCKETS)
  end
  local list = {}
  for i = 1, #given do
    if not values.is_number(given[i]) or i > 1 and given[i] <= given[i - 1] then
      place.raise(at, word, "buckets[%d]: a number expected, larger than the one before; got %s", i,
        values.shown(given[i]))
    end
    list[i] = given[i]
  end
  return list
end

local function is_same(a, b)
  return a.kind == b.kind and concat(a.labels, ",") == concat(b.labels, ",")
    and concat(a.buckets, ",") == concat(b.buckets, ",")
end

local function declare(kind, name, help, label_names, bounds)
  local word = "tg.metrics." .. kind
  local at = declarations.open(word)
  check_metric_name(at, word, name)
  local good, why = values.text(help)
  if not good then place.raise(at, word, "help: %s", why) end
  local entry = {
    kind = kind, name = name, help = help, at = at, labels = labels(at, word, label_names),
    buckets = kind == "histogram" and buckets(at, word, bounds) or {},
  }
  local known = declarations.metrics[name]
  if known and not is_same(known, entry) then
    place.raise(at, word, "%q is declared otherwise at %s", name, known.at)
  end
  if known then return objects[name] end
  declarations.metrics[name] = entry
  local object = constructors[kind] {
    __metric = false, __count = #entry.labels, __parts = #entry.labels > 0 and {}, __remembered = 0,
  }
  labels_of[object], objects[name] = entry.labels, object
  return object
end

---What only grows. Its name should end in `_total`.
---@param name string
---@param help string
---@param label_names string[]?
---@return tidegate.Counter
function metrics.counter(name, help, label_names) return declare("counter", name, help, label_names) end

---What goes up and down: one value for all workers.
---@param name string
---@param help string
---@param label_names string[]?
---@return tidegate.Gauge
function metrics.gauge(name, help, label_names) return declare("gauge", name, help, label_names) end

---How values are spread. Its name should end in their unit: `_seconds`, `_bytes`.
---@param name string
---@param help string
---@param label_names string[]?
---@param bounds number[]?  upper ones of the buckets, ascending
---@return tidegate.Histogram
function metrics.histogram(name, help, label_names, bounds)
  return declare("histogram", name, help, label_names, bounds)
end

---The configuration has been read: all of them work from now on.
function core.open_metrics()
  for name, object in pairs(objects) do
    rawset(object, "__metric", ffi.cast("struct tg_metric *", core.metric(name)))
  end
end

return library.module("tg.metrics", metrics)
