/* The files that the binary carries: the Lua library (lua/), the shipped scripts (scripts/) and the declarations for
 * ffi.cdef (core/script/abi.h). The build generates the table (tools/embed.lua); it never changes, any thread may read
 * it. Each text is followed by a NUL that `length` doesn't count. Names are paths within the repository, such as
 * "lua/tidegate/init.lua". */
#ifndef TG_SCRIPT_EMBEDDED_H
#define TG_SCRIPT_EMBEDDED_H

#include <stddef.h>

struct tg_embedded_file {
    const char *name;
    const char *text;
    size_t length;
};

extern const struct tg_embedded_file tg_embedded_files[];
extern const size_t tg_embedded_count;

#endif
