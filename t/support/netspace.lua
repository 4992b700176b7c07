---A network of this process alone: loopback, and nothing else on it. Configurations with fixed addresses run in it as
---they stand, beside whatever else the machine runs. To be required before anything is started.
local ffi = require "ffi"

ffi.cdef "int unshare(int flags);"

local NEW_USER, NEW_NET = 0x10000000, 0x40000000

assert(ffi.C.unshare(NEW_NET) == 0 or ffi.C.unshare(NEW_USER + NEW_NET) == 0,
  "a network of its own: " .. ffi.errno())
assert(os.execute "ip link set lo up" == 0, "lo does not come up")

return true
