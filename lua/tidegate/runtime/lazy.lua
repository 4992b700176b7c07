--- The modules of the library that are loaded when a script first names them.
return {
  "base64", "bytes", "cache", "cookie", "crypto", "hash", "ip", "jwt", "limit", "metrics", "re",
  "semaphore", "tcp", "time", "timer",
}
