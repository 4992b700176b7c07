#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/suggestion.h"

static const char *const words[] = { "run", "reload", "rollback", "status", "stop", "--workers", "--watch" };

static const char *suggest(const char *typed)
{
    return tg_suggestion(typed, words, sizeof words / sizeof *words);
}

static void a_mistyped_word_is_taken_for_the_nearest_one(void **state)
{
    (void)state;
    assert_string_equal(suggest("relod"), "reload");
    assert_string_equal(suggest("rolback"), "rollback");
    assert_string_equal(suggest("stauts"), "status");
    assert_string_equal(suggest("sotp"), "stop");
    assert_string_equal(suggest("--wrkers"), "--workers");
}

static void a_word_far_from_all_others_is_taken_for_none(void **state)
{
    (void)state;
    assert_null(suggest("frobnicate"));
    assert_null(suggest("x"));
    assert_null(suggest(""));
    assert_null(suggest("a word that is longer than any word that anybody would ever want to type by mistake"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mistyped_word_is_taken_for_the_nearest_one),
        cmocka_unit_test(a_word_far_from_all_others_is_taken_for_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
