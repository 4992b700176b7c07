--- tg.time: times as HTTP and ISO 8601 write them. A time is a number of seconds since 1970, as tg.now() gives it.

local host = require "tidegate.host"
local library = require "tidegate.runtime.library"
local raise = require "tidegate.runtime.raise"

local type, tonumber, tostring, floor = type, tonumber, tostring, math.floor
local format, match = string.format, string.match

local time = {}

local DAY = 86400
local EARLIEST, LATEST = -62135596800, 253402300799 -- of the years 1 and 9999

local WEEKDAYS = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" } -- the first day of 1970 was a Thursday
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }
local LENGTHS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
local MONTH_NUMBERS, WEEKDAY_NAMES = {}, {}
for i, name in ipairs(MONTHS) do MONTH_NUMBERS[name] = i end
for _, name in ipairs(WEEKDAYS) do WEEKDAY_NAMES[name] = true end
for _, name in ipairs { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday" } do
  WEEKDAY_NAMES[name] = true
end

-- Days since 1970 of a date. Years begin in March here, so that a leap day is the last of its year.
local function days_of(year, month, day)
  local y = month <= 2 and year - 1 or year
  local of_year = floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
  return y * 365 + floor(y / 4) - floor(y / 100) + floor(y / 400) + of_year - 719468
end

local function date_of(days)
  days = days + 719468
  local era = floor(days / 146097)
  local of_era = days - era * 146097
  local year = floor((of_era - floor(of_era / 1460) + floor(of_era / 36524) - floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + floor(year / 4) - floor(year / 100))
  local m = floor((5 * of_year + 2) / 153)
  local month = m < 10 and m + 3 or m - 9
  return era * 400 + year + (month <= 2 and 1 or 0), month, of_year - floor((153 * m + 2) / 5) + 1
end

local function is_leap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

-- Seconds since 1970; nil where there is no such date or time. A leap second is the one after it.
local function seconds_of(year, month, day, hour, minute, second)
  if not month or month < 1 or month > 12 or day < 1 then return nil end
  if day > LENGTHS[month] + (month == 2 and is_leap(year) and 1 or 0) then return nil end
  if hour > 23 or minute > 59 or second > 60 then return nil end
  return days_of(year, month, day) * DAY + hour * 3600 + minute * 60 + second
end

local function check_time(what, t)
  if type(t) ~= "number" or not (t >= EARLIEST and t <= LATEST) then
    raise(("%s: seconds since 1970, of the years 1 to 9999, expected, got %s"):format(what, tostring(t)))
  end
end

local function clock_of(seconds)
  local of_day = seconds % DAY
  return floor(of_day / 3600), floor(of_day / 60) % 60, of_day % 60
end

---A time as header fields have it (RFC 9110 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT".
---@param t number
---@return string
function time.http(t)
  check_time("tg.time.http", t)
  t = floor(t)
  local days = floor(t / DAY)
  local year, month, day = date_of(days)
  return format("%s, %02d %s %04d %02d:%02d:%02d GMT", WEEKDAYS[days % 7 + 1], day, MONTHS[month], year, clock_of(t))
end

-- The year of two digits that is at most 50 years from now (RFC 9110 5.6.7).
local function full_year(short)
  local now = date_of(floor(host.now() / DAY))
  local year = now - now % 100 + short
  return year > now + 50 and year - 100 or year
end

local CLOCK = "(%d%d):(%d%d):(%d%d)"

---The time that a header field says, in one of the three forms of RFC 9110 5.6.7; or nil, "invalid".
---@param text string
---@return integer? t, string? err
function time.parse_http(text)
  library.check_string("tg.time.parse_http", text)
  local name, day, month, year, hour, minute, second = match(text, "^(%u%l%l), (%d%d) (%u%l%l) (%d%d%d%d) " ..
    CLOCK .. " GMT$")
  if not name then
    name, day, month, year, hour, minute, second = match(text, "^(%u%l+), (%d%d)-(%u%l%l)-(%d%d) " .. CLOCK .. " GMT$")
    year = year and full_year(tonumber(year))
  end
  if not name then
    name, month, day, hour, minute, second, year = match(text, "^(%u%l%l) (%u%l%l) ([ %d]%d) " .. CLOCK ..
      " (%d%d%d%d)$")
  end
  if not WEEKDAY_NAMES[name] then return nil, "invalid" end
  local t = seconds_of(tonumber(year), MONTH_NUMBERS[month], tonumber(day), tonumber(hour), tonumber(minute),
    tonumber(second))
  if not t then return nil, "invalid" end
  return t
end

---A time in UTC as RFC 3339 has it: "1994-11-06T08:49:37Z"; with milliseconds where it has any.
---@param t number
---@return string
function time.iso(t)
  check_time("tg.time.iso", t)
  local thousandths = floor(t * 1000 + 0.5)
  local seconds, rest = floor(thousandths / 1000), thousandths % 1000
  local year, month, day = date_of(floor(seconds / DAY))
  local hour, minute, second = clock_of(seconds)
  local fraction = rest > 0 and format(".%03d", rest) or ""
  return format("%04d-%02d-%02dT%02d:%02d:%02d%sZ", year, month, day, hour, minute, second, fraction)
end

-- Seconds by which a zone is ahead of UTC, or nil.
local function zone_of(text)
  if text == "Z" or text == "z" then return 0 end
  local sign, hours, minutes = match(text, "^([+-])(%d%d):(%d%d)$")
  hours, minutes = tonumber(hours), tonumber(minutes)
  if not sign or hours > 23 or minutes > 59 then return nil end
  return (sign == "+" and 1 or -1) * (hours * 3600 + minutes * 60)
end

---The time of an RFC 3339 text, with its zone; or nil, "invalid".
---@param text string
---@return number? t, string? err
function time.parse_iso(text)
  library.check_string("tg.time.parse_iso", text)
  local year, month, day, hour, minute, second, rest = match(text, "^(%d%d%d%d)-(%d%d)-(%d%d)[Tt ]" .. CLOCK .. "(.+)$")
  if not year then return nil, "invalid" end
  local fraction, zone = match(rest, "^(%.%d+)(.*)$")
  local ahead = zone_of(zone or rest)
  local t = seconds_of(tonumber(year), tonumber(month), tonumber(day), tonumber(hour), tonumber(minute),
    tonumber(second))
  if not t or not ahead or #(fraction or "") > 20 then return nil, "invalid" end
  return t - ahead + (fraction and tonumber("0" .. fraction) or 0)
end

return library.module("tg.time", time)
