/* What one load read and compiled: files, patterns, values of the environment, modules, bytecode. The loader's VM fills
 * it; once sealed it never changes, any thread reads it, and every further VM of the generation gets exactly the same
 * from it, never from the disk. For the files of script/ alone. */
#ifndef TG_SCRIPT_SOURCE_H
#define TG_SCRIPT_SOURCE_H

#include <lua.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/metrics.h"
#include "base/shared_registry.h"
#include "script/script.h"

struct tg_source_chunk {
    struct tg_slice bytecode;
    bool library; /* of tidegate itself: not sealed off */
};

/* A use of a handler, as the plan says. */
struct tg_source_use {
    struct tg_slice name, at;
    uint32_t phases; /* bit mask of enum tg_phase */
    bool must_run;
};

/* A shared dictionary that the generation names, and the size it is to have there. */
struct tg_source_shared {
    struct tg_shared *shared;
    uint64_t size;
};

/* The uses of a route in the order of its chain; the last entry of the array is the one of requests without a route. */
struct tg_source_order {
    const uint16_t *uses;
    size_t count;
};

/* A file that the core alone reads: Lua gets its digest. The content is there while the generation is loaded, and
 * wiped then: private keys stay with OpenSSL. */
struct tg_source_secret {
    struct tg_slice content; /* at is NULL where it could not be read, and once it is forgotten */
    int problem;             /* errno where it could not be read */
    char digest[65];         /* SHA-256 in hex */
};

struct tg_generation_source {
    _Atomic uint32_t references;
    struct tg_arena arena;
    uint64_t generation;
    uint32_t worker_count;
    struct tg_slice folder;   /* of gateway.lua, with a slash at its end; may be empty */
    struct tg_slice main;     /* the file's name within it */
    struct tg_slice lua_path; /* may be empty */
    double load_time;
    struct tg_tls_library *tls; /* what the library's digests and keys are made with; NULL: OpenSSL's default */
    bool sealed;
    struct tg_map *chunks;  /* by chunk name */
    struct tg_map *modules; /* by module name: chunk names; empty text: there is none */
    struct tg_map *files;   /* by path: content as slices; at is NULL where it could not be read */
    struct tg_map *secrets; /* by path */
    struct tg_map *globs;   /* by pattern: paths, each ended by a newline */
    struct tg_map *values;  /* of the environment, by name; at is NULL where unset */
    struct tg_source_entry *entries;
    size_t entry_count, entry_capacity;
    struct tg_slice declarations; /* config.serialise of the loader's plan */
    const struct tg_source_use *uses;
    size_t use_count;
    const struct tg_source_order *orders;
    struct tg_source_shared *shared; /* in the arena; each is held */
    size_t shared_count;
    struct tg_metric **metrics; /* likewise */
    size_t metric_count;
    struct tg_text scratch; /* while loading */
};

struct tg_generation_source *tg_source_new(const struct tg_script_load_options *options);

/* Each is a C function of Lua's, with the source (a light userdata) as its upvalue:
 * module(name): chunk, whether it is the library's; or nil, what is wrong
 * main(): chunk; or nil, message. config_file(path): the same
 * read_file(path): text; or nil, message. file_digest(path): hex digits; or nil, message. glob(pattern): list
 * getenv(name): string or nil. dictionary(name): a light userdata, or nil */
int tg_source_lua_module(lua_State *L);
int tg_source_lua_main(lua_State *L);
int tg_source_lua_config_file(lua_State *L);
int tg_source_lua_read_file(lua_State *L);
int tg_source_lua_file_digest(lua_State *L);
int tg_source_lua_glob(lua_State *L);
int tg_source_lua_getenv(lua_State *L);
int tg_source_lua_dictionary(lua_State *L);
int tg_source_lua_metric(lua_State *L);

/* Pushes the compiled chunk of a file of the library, such as "tidegate/runtime/boot.lua"; or nil and a message. */
int tg_source_push_library(lua_State *L, struct tg_generation_source *source, const char *name);
/* An embedded file, or its replacement from lua_path; at is NULL where there is none. */
struct tg_slice tg_source_embedded(struct tg_generation_source *source, const char *name);

/* The declarations for ffi.cdef. */
struct tg_slice tg_source_abi(void);

/* source_secret.c. The content of a file whose digest the top level asked for; at is NULL where it didn't, and once the
 * contents were forgotten. */
struct tg_slice tg_source_secret(const struct tg_generation_source *source, struct tg_slice path);
void tg_source_forget_secrets(struct tg_generation_source *source);

/* source_file.c: reading, and the record of what was read. */
/* Content of a file, in the arena; at is NULL and errno set where it can't be read. Counts to the generation. */
struct tg_slice tg_source_read(struct tg_generation_source *source, struct tg_slice path);
bool tg_source_note(struct tg_generation_source *source, enum tg_source_kind kind, struct tg_slice path,
                    struct tg_slice content);
/* `path` within the folder of gateway.lua, unless it is absolute; in the arena, with a NUL behind it. */
struct tg_slice tg_source_path(struct tg_generation_source *source, struct tg_slice path);
/* A slice kept in the arena, for a map. */
struct tg_slice *tg_source_keep(struct tg_generation_source *source, struct tg_slice slice);

#endif
