#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "script/vm_memory.h"

enum { BLOCKS = 2000, STEPS = 60000 };

static void resized_blocks_keep_their_bytes(void **state)
{
    (void)state;
    struct tg_vm_memory memory;
    tg_vm_memory_init(&memory);
    static struct {
        unsigned char *at;
        size_t size;
    } blocks[BLOCKS];
    for (int step = 0; step < STEPS; step++) {
        size_t i = tg_random_u64() % BLOCKS;
        size_t size = tg_random_u64() % (tg_random_u64() % 8 ? 300 : 9000);
        size_t kept = size < blocks[i].size ? size : blocks[i].size;
        unsigned char *moved = tg_vm_memory_realloc(&memory, blocks[i].at, blocks[i].size, size);
        assert_true(size == 0 ? moved == NULL : moved != NULL);
        for (size_t n = 0; n < kept; n++)
            assert_int_equal(moved[n], (unsigned char)i);
        if (size)
            memset(moved, (int)(unsigned char)i, size);
        blocks[i].at = moved;
        blocks[i].size = size;
    }
    size_t sum = 0;
    for (size_t i = 0; i < BLOCKS; i++)
        sum += blocks[i].size;
    assert_int_equal(memory.used, sum);
    tg_vm_memory_deinit(&memory);
    memset(blocks, 0, sizeof(blocks));
}

static void all_that_is_held_is_counted_and_given_back(void **state)
{
    (void)state;
    struct tg_vm_memory memory;
    uint64_t before = tg_memory_held(TG_MEMORY_VMS);
    tg_vm_memory_init(&memory);
    for (size_t size = 1; size < 100000; size += 97)
        assert_non_null(tg_vm_memory_realloc(&memory, NULL, 0, size));
    assert_true(memory.held >= memory.used);
    assert_int_equal(tg_memory_held(TG_MEMORY_VMS) - before, memory.held);
    tg_vm_memory_deinit(&memory);
    assert_int_equal(tg_memory_held(TG_MEMORY_VMS), before);
}

static void nothing_grows_past_the_limit_and_shrinking_never_fails(void **state)
{
    (void)state;
    struct tg_vm_memory memory;
    tg_vm_memory_init(&memory);
    memory.limit = 10000;
    void *block = tg_vm_memory_realloc(&memory, NULL, 0, 8000);
    assert_non_null(block);
    assert_null(tg_vm_memory_realloc(&memory, NULL, 0, 3000));
    assert_null(tg_vm_memory_realloc(&memory, block, 8000, 10001));
    memory.limit = 10;
    block = tg_vm_memory_realloc(&memory, block, 8000, 100);
    assert_non_null(block);
    assert_int_equal(memory.used, 100);
    tg_vm_memory_deinit(&memory);
}

static int exhaust(lua_State *L)
{
    luaL_openlibs(L);
    return luaL_loadstring(L, "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end") || lua_pcall(L, 0, 0, 0)
               ? lua_error(L)
               : 0;
}

static void a_state_that_reached_its_limit_is_usable_afterwards(void **state)
{
    (void)state;
    struct tg_vm_memory memory;
    tg_vm_memory_init(&memory);
    lua_State *L = lua_newstate(tg_vm_memory_realloc, &memory);
    assert_non_null(L);
    for (int round = 0; round < 3; round++) {
        memory.limit = 8 << 20;
        assert_int_equal(lua_cpcall(L, exhaust, NULL), LUA_ERRRUN);
        assert_non_null(strstr(lua_tostring(L, -1), "not enough memory"));
        memory.limit = SIZE_MAX;
        lua_settop(L, 0);
        lua_gc(L, LUA_GCCOLLECT, 0);
        assert_true(memory.used < 1 << 20);
        assert_int_equal(luaL_dostring(L, "assert(#(('y'):rep(100000)) == 100000)"), 0);
    }
    tg_vm_memory_deinit(&memory); /* instead of lua_close */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resized_blocks_keep_their_bytes),
        cmocka_unit_test(all_that_is_held_is_counted_and_given_back),
        cmocka_unit_test(nothing_grows_past_the_limit_and_shrinking_never_fails),
        cmocka_unit_test(a_state_that_reached_its_limit_is_usable_afterwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
