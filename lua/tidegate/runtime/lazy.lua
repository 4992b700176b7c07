--- The modules of the library that are loaded when a script first names them.
return { "base64", "bytes", "hash", "ip", "re" }
