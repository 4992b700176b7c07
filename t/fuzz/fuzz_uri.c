/* Targets, hosts and percent-encoding: what is normal stays as it is, and no '..' gets through. */
#include "fuzz.h"

static const struct tg_text none;

static bool has_dot_segment(struct tg_slice path)
{
    for (size_t at = 0; at < path.length; at++) {
        if (path.at[at] != '/')
            continue;
        size_t dots = 0;
        while (at + 1 + dots < path.length && path.at[at + 1 + dots] == '.')
            dots++;
        size_t behind = at + 1 + dots;
        bool ends = behind == path.length || path.at[behind] == '/' || path.at[behind] == ';';
        if (ends && (dots == 1 || dots == 2))
            return true;
    }
    return false;
}

static void check_path(struct tg_slice text, struct tg_arena *arena)
{
    struct tg_slice once, twice;
    const char *problem;
    if (!tg_path_normalise(text, arena, &once, &problem))
        return;
    fuzz_require(once.length && once.at[0] == '/' && once.length <= text.length, "not a path", &none, &none);
    fuzz_require(!has_dot_segment(once), "a dot segment", &none, &none);
    fuzz_require(tg_path_normalise(once, arena, &twice, &problem), "normal, then refused", &none, &none);
    fuzz_require(once.at == twice.at && once.length == twice.length, "normal, then changed", &none, &none);
}

static void check_target(struct tg_slice text, struct tg_arena *arena)
{
    struct tg_target target;
    struct tg_problem problem;
    if (!tg_target_parse(text, false, arena, &target, &problem))
        return;
    fuzz_require(target.form != TG_TARGET_AUTHORITY, "the authority form without CONNECT", &none, &none);
    fuzz_require(tg_query_valid(target.query), "an invalid query", &none, &none);
}

static void check_authority(struct tg_slice text, struct tg_arena *arena)
{
    struct tg_authority once, twice;
    const char *problem;
    if (!tg_authority_parse(text, arena, &once, &problem))
        return;
    fuzz_require(tg_authority_parse(once.text, arena, &twice, &problem), "canonical, then refused", &none, &none);
    fuzz_require(tg_slice_equal(once.text, twice.text) && tg_slice_equal(once.host, twice.host),
                 "canonical, then changed", &none, &none);
}

static void check_percent(struct tg_slice text, struct tg_arena *arena)
{
    struct tg_slice encoded, decoded;
    fuzz_require(tg_percent_encode(text, arena, &encoded), "not encoded", &none, &none);
    fuzz_require(tg_percent_decode(encoded, arena, &decoded), "encoded, but not decoded", &none, &none);
    fuzz_require(tg_slice_equal(text, decoded), "encoded and decoded, then changed", &none, &none);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tg_slice text = tg_slice_of((const char *)data, size);
    struct tg_arena arena;
    tg_arena_init(&arena);
    check_path(text, &arena);
    check_target(text, &arena);
    check_authority(text, &arena);
    check_percent(text, &arena);
    tg_arena_deinit(&arena);
    return 0;
}
