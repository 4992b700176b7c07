--- The modules of the library that are loaded when a script first names them.
return { "base64", "bytes", "cookie", "crypto", "hash", "ip", "jwt", "re", "semaphore", "time", "timer" }
