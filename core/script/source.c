#include "script/source.h"

#include <errno.h>
#include <glob.h>
#include <lauxlib.h>
#include <stdlib.h>

#include "script/embedded.h"

static void copy_folder(struct tg_generation_source *source, const char *file)
{
    const char *slash = strrchr(file, '/');
    size_t length = slash ? (size_t)(slash - file) + 1 : 0;
    source->folder = tg_arena_copy(&source->arena, tg_slice_of(file, length));
    source->main = tg_arena_copy(&source->arena, tg_slice_from_string(file + length));
}

static bool make_maps(struct tg_generation_source *source)
{
    source->chunks = tg_map_new();
    source->modules = tg_map_new();
    source->files = tg_map_new();
    source->secrets = tg_map_new();
    source->globs = tg_map_new();
    source->values = tg_map_new();
    return source->chunks && source->modules && source->files && source->secrets && source->globs && source->values;
}

struct tg_generation_source *tg_source_new(const struct tg_script_load_options *options)
{
    struct tg_generation_source *source = calloc(1, sizeof(*source));
    if (!source)
        return NULL;
    atomic_init(&source->references, 1);
    tg_arena_init(&source->arena);
    tg_text_init(&source->scratch);
    source->generation = options->generation;
    source->worker_count = options->worker_count;
    source->load_time = options->load_time > 0 ? options->load_time : 10;
    copy_folder(source, options->file);
    if (options->lua_path)
        source->lua_path = tg_arena_copy(&source->arena, tg_slice_from_string(options->lua_path));
    if (!make_maps(source) || !source->main.at) {
        tg_generation_source_unref(source);
        return NULL;
    }
    return source;
}

struct tg_generation_source *tg_generation_source_ref(struct tg_generation_source *source)
{
    atomic_fetch_add_explicit(&source->references, 1, memory_order_relaxed);
    return source;
}

static void free_map(struct tg_map *map)
{
    if (map)
        tg_map_free(map);
}

void tg_generation_source_unref(struct tg_generation_source *source)
{
    if (!source || atomic_fetch_sub_explicit(&source->references, 1, memory_order_acq_rel) != 1)
        return;
    free_map(source->chunks);
    free_map(source->modules);
    free_map(source->files);
    if (source->secrets) {
        tg_source_forget_secrets(source);
        tg_map_free(source->secrets);
    }
    for (size_t i = 0; i < source->shared_count; i++)
        tg_shared_release(source->shared[i].shared);
    for (size_t i = 0; i < source->metric_count; i++)
        tg_metric_release(source->metrics[i]);
    free_map(source->globs);
    free_map(source->values);
    free(source->entries);
    tg_text_deinit(&source->scratch);
    tg_arena_deinit(&source->arena);
    free(source);
}

size_t tg_generation_source_count(const struct tg_generation_source *source)
{
    return source->entry_count;
}

const struct tg_source_entry *tg_generation_source_entry(const struct tg_generation_source *source, size_t index)
{
    return &source->entries[index];
}

static struct tg_generation_source *source_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

static struct tg_slice check_slice(lua_State *L, int index)
{
    struct tg_slice slice;
    slice.at = luaL_checklstring(L, index, &slice.length);
    return slice;
}

static int out_of_memory(lua_State *L)
{
    return luaL_error(L, "out of memory");
}

static struct tg_slice find_embedded(const char *name)
{
    for (size_t i = 0; i < tg_embedded_count; i++)
        if (strcmp(tg_embedded_files[i].name, name) == 0)
            return tg_slice_of(tg_embedded_files[i].text, tg_embedded_files[i].length);
    return (struct tg_slice){ NULL, 0 };
}

struct tg_slice tg_source_abi(void)
{
    return find_embedded("core/script/abi.h");
}

struct tg_slice tg_source_embedded(struct tg_generation_source *source, const char *name)
{
    if (source->lua_path.length) {
        struct tg_text *path = &source->scratch;
        tg_text_clear(path);
        tg_text_appendf(path, "%s/%s", source->lua_path.at, name);
        struct tg_slice kept =
            path->failed ? (struct tg_slice){ NULL, 0 } : tg_arena_copy(&source->arena, tg_text_slice(path));
        struct tg_slice content = kept.at ? tg_source_read(source, kept) : kept;
        if (content.at)
            return content;
    }
    return find_embedded(name);
}

static int append_bytecode(lua_State *L, const void *piece, size_t size, void *context)
{
    (void)L;
    struct tg_text *text = context;
    tg_text_append(text, tg_slice_of(piece, size));
    return text->failed;
}

/* Compiles and keeps the chunk, which is left on the stack; or leaves nil and the message. */
static int compile(lua_State *L, struct tg_generation_source *source, struct tg_slice text, struct tg_slice chunk_name,
                   bool library)
{
    if (text.length && text.at[0] == LUA_SIGNATURE[0]) {
        lua_pushnil(L);
        lua_pushfstring(L, "%s: bytecode isn't taken: give the source", chunk_name.at + 1);
        return 2;
    }
    if (luaL_loadbufferx(L, text.at, text.length, chunk_name.at, "t") != 0) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    tg_text_clear(&source->scratch);
    if (lua_dump(L, append_bytecode, &source->scratch) != 0)
        return out_of_memory(L);
    struct tg_source_chunk *chunk = tg_arena_alloc_zeroed(&source->arena, sizeof(*chunk));
    if (!chunk)
        return out_of_memory(L);
    chunk->bytecode = tg_arena_copy(&source->arena, tg_text_slice(&source->scratch));
    chunk->library = library;
    if (!chunk->bytecode.at || !tg_map_set(source->chunks, chunk_name, chunk))
        return out_of_memory(L);
    lua_pushboolean(L, library);
    return 2;
}

/* Pushes the chunk from its bytecode, and whether it is the library's. */
static int push_chunk(lua_State *L, struct tg_generation_source *source, struct tg_slice chunk_name)
{
    const struct tg_source_chunk *chunk = tg_map_get(source->chunks, chunk_name);
    if (!chunk) {
        lua_pushnil(L);
        lua_pushfstring(L, "%s was not read when the generation was loaded", chunk_name.at + 1);
        return 2;
    }
    if (luaL_loadbufferx(L, chunk->bytecode.at, chunk->bytecode.length, chunk_name.at, "b") != 0)
        return lua_error(L);
    lua_pushboolean(L, chunk->library);
    return 2;
}

/* "=tidegate/x.lua" is the library's, "=scripts/x.lua" a shipped script, "@handlers/x.lua" the operator's. */
static struct tg_slice chunk_name_of(struct tg_generation_source *source, char mark, const char *name)
{
    struct tg_text *text = &source->scratch;
    tg_text_clear(text);
    tg_text_appendf(text, "%c%s", mark, name);
    return text->failed ? (struct tg_slice){ NULL, 0 } : tg_arena_copy(&source->arena, tg_text_slice(text));
}

int tg_source_push_library(lua_State *L, struct tg_generation_source *source, const char *name)
{
    char path[256], chunk[256];
    snprintf(path, sizeof(path), "lua/%s", name);
    snprintf(chunk, sizeof(chunk), "=%s", name);
    if (source->sealed || tg_map_get(source->chunks, tg_slice_from_string(chunk)))
        return push_chunk(L, source, tg_slice_from_string(chunk));
    struct tg_slice text = tg_source_embedded(source, path);
    if (!text.at) {
        lua_pushnil(L);
        lua_pushfstring(L, "%s is not in this binary", path);
        return 2;
    }
    return compile(L, source, text, tg_slice_from_string(chunk), true);
}

/* What a module's name may be found as, in this order; %s is the name with slashes. */
static const struct {
    const char *pattern;
    bool embedded;
} LIBRARY_PLACES[] = { { "lua/%s.lua", true }, { "lua/%s/init.lua", true } }, SCRIPT_PLACES[] = {
    { "%s.lua", false },
    { "%s/init.lua", false },
    { "lua_modules/%s.lua", false },
    { "lua_modules/%s/init.lua", false },
    { "lua_modules/share/lua/5.1/%s.lua", false },
    { "lua_modules/share/lua/5.1/%s/init.lua", false },
    { "%s.lua", true },
    { "%s/init.lua", true },
};

enum { NAME_MAX_LENGTH = 200 };

/* "a.b" as "a/b"; false where it is no module's name. */
static bool path_of_module(struct tg_slice name, char path[NAME_MAX_LENGTH + 1])
{
    if (name.length == 0 || name.length > NAME_MAX_LENGTH)
        return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.at[i];
        bool letter =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        bool edge = i == 0 || i + 1 == name.length || name.at[i - 1] == '.';
        if (!letter && (c != '.' || edge))
            return false;
        path[i] = c == '.' ? '/' : c;
    }
    path[name.length] = '\0';
    return true;
}

static bool is_library_name(struct tg_slice name)
{
    struct tg_slice own = TG_SLICE("tidegate");
    return name.length >= own.length && memcmp(name.at, own.at, own.length) == 0 &&
           (name.length == own.length || name.at[own.length] == '.');
}

static struct tg_slice read_place(struct tg_generation_source *source, const char *place, bool embedded)
{
    if (embedded)
        return tg_source_embedded(source, place);
    struct tg_slice path = tg_source_path(source, tg_slice_from_string(place));
    return path.at ? tg_source_read(source, path) : path;
}

static int read_failed(lua_State *L, const char *path)
{
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path, errno == EINVAL ? "not a regular file" : strerror(errno));
    return 2;
}

/* Leaves what compile leaves, or nothing where there is no such file. */
static int try_place(lua_State *L, struct tg_generation_source *source, struct tg_slice module, const char *place,
                     bool embedded, bool library)
{
    struct tg_slice text = read_place(source, place, embedded);
    if (!text.at)
        return embedded || errno == ENOENT || errno == ENOTDIR ? 0 : read_failed(L, place);
    const char *shown = library ? place + 4 : place; /* without "lua/" */
    struct tg_slice chunk_name = chunk_name_of(source, embedded ? '=' : '@', shown);
    struct tg_slice *kept = chunk_name.at ? tg_source_keep(source, chunk_name) : NULL;
    if (!kept || !tg_map_set(source->modules, module, kept))
        return out_of_memory(L);
    return compile(L, source, text, chunk_name, library);
}

static int find_module(lua_State *L, struct tg_generation_source *source, struct tg_slice name, const char *path)
{
    bool library = is_library_name(name);
    size_t count =
        library ? sizeof(LIBRARY_PLACES) / sizeof(*LIBRARY_PLACES) : sizeof(SCRIPT_PLACES) / sizeof(*SCRIPT_PLACES);
    for (size_t i = 0; i < count; i++) {
        char place[NAME_MAX_LENGTH + 64];
        const char *pattern = library ? LIBRARY_PLACES[i].pattern : SCRIPT_PLACES[i].pattern;
        const char *mark = strstr(pattern, "%s");
        snprintf(place, sizeof(place), "%.*s%s%s", (int)(mark - pattern), pattern, path, mark + 2);
        bool embedded = library ? LIBRARY_PLACES[i].embedded : SCRIPT_PLACES[i].embedded;
        if (embedded && !library && strncmp(path, "scripts/", 8) != 0)
            continue;
        int results = try_place(L, source, name, place, embedded, library);
        if (results)
            return results;
    }
    return 0;
}

int tg_source_lua_module(lua_State *L)
{
    struct tg_generation_source *source = source_of(L);
    struct tg_slice name = check_slice(L, 1);
    char path[NAME_MAX_LENGTH + 1];
    const struct tg_slice *known = tg_map_get(source->modules, name);
    if (known)
        return push_chunk(L, source, *known);
    bool is_path = path_of_module(name, path);
    if (is_path && !source->sealed) {
        int results = find_module(L, source, name, path);
        if (results)
            return results;
    }
    lua_pushnil(L);
    if (is_path && !is_library_name(name))
        lua_pushfstring(L, "module '%s' not found: no %s.lua beside %s, nor in lua_modules/", name.at, path,
                        source->main.at);
    else
        lua_pushfstring(L, "module '%s' not found", name.at);
    return 2;
}

/* The content of an operator's file, from this load or the first one. */
static const struct tg_slice *content_of(lua_State *L, struct tg_generation_source *source, struct tg_slice path)
{
    const struct tg_slice *known = tg_map_get(source->files, path);
    if (known || source->sealed) {
        errno = ENOENT;
        return known && known->at ? known : NULL;
    }
    struct tg_slice whole = tg_source_path(source, path);
    if (!whole.at)
        out_of_memory(L);
    struct tg_slice content = tg_source_read(source, whole);
    int problem = errno;
    struct tg_slice *kept = tg_source_keep(source, content);
    if (!kept || !tg_map_set(source->files, path, kept))
        out_of_memory(L);
    errno = problem;
    return content.at ? kept : NULL;
}

static int push_config(lua_State *L, struct tg_generation_source *source, struct tg_slice path)
{
    struct tg_slice chunk_name = { .at = lua_pushfstring(L, "@%s", path.at) };
    chunk_name.length = strlen(chunk_name.at);
    if (tg_map_get(source->chunks, chunk_name) || source->sealed)
        return push_chunk(L, source, chunk_name);
    const struct tg_slice *content = content_of(L, source, path);
    if (!content && path.at == source->main.at && errno == ENOENT) {
        lua_pushnil(L);
        lua_pushfstring(L, "%s: no such file: name the configuration with -c FILE", path.at);
        return 2;
    }
    if (!content)
        return read_failed(L, path.at);
    return compile(L, source, *content, chunk_name, false);
}

int tg_source_lua_main(lua_State *L)
{
    struct tg_generation_source *source = source_of(L);
    return push_config(L, source, source->main);
}

int tg_source_lua_config_file(lua_State *L)
{
    return push_config(L, source_of(L), check_slice(L, 1));
}

int tg_source_lua_read_file(lua_State *L)
{
    struct tg_slice path = check_slice(L, 1);
    const struct tg_slice *content = content_of(L, source_of(L), path);
    if (!content)
        return read_failed(L, path.at);
    lua_pushlstring(L, content->at, content->length);
    return 1;
}

int tg_source_lua_dictionary(lua_State *L)
{
    const struct tg_generation_source *source = source_of(L);
    struct tg_slice name = check_slice(L, 1);
    for (size_t i = 0; i < source->shared_count; i++) {
        if (tg_slice_equal(source->shared[i].shared->name, name)) {
            lua_pushlightuserdata(L, source->shared[i].shared->dict);
            return 1;
        }
    }
    lua_pushnil(L);
    return 1;
}

int tg_source_lua_metric(lua_State *L)
{
    const struct tg_generation_source *source = source_of(L);
    struct tg_slice name = check_slice(L, 1);
    for (size_t i = 0; i < source->metric_count; i++) {
        if (tg_slice_equal(tg_metric_name(source->metrics[i]), name)) {
            lua_pushlightuserdata(L, source->metrics[i]);
            return 1;
        }
    }
    lua_pushnil(L);
    return 1;
}

void tg_script_resize_shared(const struct tg_generation_source *source)
{
    for (size_t i = 0; i < source->shared_count; i++)
        tg_shared_dict_resize(source->shared[i].shared->dict, source->shared[i].size);
}

int tg_source_lua_getenv(lua_State *L)
{
    struct tg_generation_source *source = source_of(L);
    struct tg_slice name = check_slice(L, 1);
    const struct tg_slice *known = tg_map_get(source->values, name);
    if (!known && !source->sealed) {
        const char *value = getenv(name.at);
        struct tg_slice copy =
            value ? tg_arena_copy(&source->arena, tg_slice_from_string(value)) : (struct tg_slice){ NULL, 0 };
        struct tg_slice *kept = tg_source_keep(source, copy);
        if (!kept || !tg_map_set(source->values, name, kept))
            return out_of_memory(L);
        known = kept;
    }
    if (known && known->at)
        lua_pushlstring(L, known->at, known->length);
    else
        lua_pushnil(L);
    return 1;
}

/* The folder's own name may hold characters that mean something in a pattern. */
static void append_escaped(struct tg_text *text, struct tg_slice folder)
{
    for (size_t i = 0; i < folder.length; i++) {
        if (strchr("*?[]\\", folder.at[i]))
            tg_text_append(text, TG_SLICE("\\"));
        tg_text_append(text, tg_slice_of(folder.at + i, 1));
    }
}

static bool note_searched_folder(struct tg_generation_source *source, struct tg_slice pattern)
{
    size_t length = strcspn(pattern.at, "*?[");
    while (length && pattern.at[length - 1] != '/')
        length--;
    struct tg_slice path = tg_source_path(source, tg_slice_of(pattern.at, length));
    if (path.length == 0)
        path = TG_SLICE(".");
    return path.at && tg_source_note(source, TG_SOURCE_FOLDER, path, (struct tg_slice){ NULL, 0 });
}

static bool search(struct tg_generation_source *source, struct tg_slice pattern, struct tg_text *found)
{
    struct tg_text *text = &source->scratch;
    size_t skipped = pattern.at[0] == '/' ? 0 : source->folder.length;
    tg_text_clear(text);
    if (skipped)
        append_escaped(text, source->folder);
    tg_text_append(text, pattern);
    if (text->failed)
        return false;
    glob_t matches = { 0 };
    if (glob(text->at, GLOB_ERR, NULL, &matches) == 0)
        for (size_t i = 0; i < matches.gl_pathc; i++)
            tg_text_appendf(found, "%s\n", matches.gl_pathv[i] + skipped);
    globfree(&matches);
    return !found->failed;
}

static void push_lines(lua_State *L, struct tg_slice lines)
{
    lua_newtable(L);
    for (int n = 1; lines.length; n++) {
        const char *end = memchr(lines.at, '\n', lines.length);
        size_t length = (size_t)(end - lines.at);
        lua_pushlstring(L, lines.at, length);
        lua_rawseti(L, -2, n);
        lines = tg_slice_from(lines, length + 1);
    }
}

int tg_source_lua_glob(lua_State *L)
{
    struct tg_generation_source *source = source_of(L);
    struct tg_slice pattern = check_slice(L, 1);
    const struct tg_slice *known = tg_map_get(source->globs, pattern);
    if (!known && !source->sealed) {
        struct tg_text found;
        tg_text_init(&found);
        bool good = note_searched_folder(source, pattern) && search(source, pattern, &found);
        struct tg_slice copy =
            good ? tg_arena_copy(&source->arena, tg_text_slice(&found)) : (struct tg_slice){ NULL, 0 };
        tg_text_deinit(&found);
        struct tg_slice *kept = copy.at ? tg_source_keep(source, copy) : NULL;
        if (!kept || !tg_map_set(source->globs, pattern, kept))
            return out_of_memory(L);
        known = kept;
    }
    push_lines(L, known ? *known : (struct tg_slice){ NULL, 0 });
    return 1;
}
