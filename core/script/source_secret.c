/* Files that the core alone reads: certificates and keys. */
#include <errno.h>
#include <lauxlib.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>

#include "script/source.h"

static void set_digest(struct tg_source_secret *secret)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)secret->content.at, secret->content.length, digest);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
        snprintf(secret->digest + 2 * i, 3, "%02x", digest[i]);
}

/* NULL when out of memory. */
static struct tg_source_secret *read_secret(struct tg_generation_source *source, struct tg_slice path)
{
    struct tg_source_secret *secret = tg_arena_alloc_zeroed(&source->arena, sizeof(*secret));
    struct tg_slice whole = tg_source_path(source, path);
    if (!secret || !whole.at)
        return NULL;
    secret->content = tg_source_read(source, whole);
    secret->problem = errno;
    if (secret->content.at)
        set_digest(secret);
    return tg_map_set(source->secrets, path, secret) ? secret : NULL;
}

int tg_source_lua_file_digest(lua_State *L)
{
    struct tg_generation_source *source = lua_touserdata(L, lua_upvalueindex(1));
    struct tg_slice path;
    path.at = luaL_checklstring(L, 1, &path.length);
    const struct tg_source_secret *secret = tg_map_get(source->secrets, path);
    if (!secret && !source->sealed) {
        secret = read_secret(source, path);
        if (!secret)
            return luaL_error(L, "out of memory");
    }
    if (secret && secret->digest[0]) {
        lua_pushstring(L, secret->digest);
        return 1;
    }
    int problem = secret ? secret->problem : ENOENT;
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path.at, problem == EINVAL ? "not a regular file" : strerror(problem));
    return 2;
}

struct tg_slice tg_source_secret(const struct tg_generation_source *source, struct tg_slice path)
{
    const struct tg_source_secret *secret = tg_map_get(source->secrets, path);
    return secret ? secret->content : (struct tg_slice){ NULL, 0 };
}

void tg_source_forget_secrets(struct tg_generation_source *source)
{
    size_t position = 0;
    struct tg_slice path;
    void *value;
    while (tg_map_next(source->secrets, &position, &path, &value)) {
        struct tg_source_secret *secret = value;
        if (secret->content.at)
            OPENSSL_cleanse((char *)(uintptr_t)secret->content.at, secret->content.length);
        secret->content = (struct tg_slice){ NULL, 0 };
    }
}
