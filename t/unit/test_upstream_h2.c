/* Exchanges over HTTP/2 to an upstream that speaks through nghttp2, well and badly. */
#include "upstream_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "run_loop.h"

/* --- messages --- */

static void test_a_request_and_its_answer(void **state)
{
    (void)state;
    struct up_call *call = up_get();
    up_until(&up->over, 1);
    assert_int_equal(call->status, 200);
    assert_int_equal(call->got, 5);
    assert_true(call->end && !call->reset);
    assert_string_equal(call->server_field, "yes");
    assert_non_null(strstr(up->server.head, ":method: GET\n:scheme: http\n:authority: a\n:path: /\n"));
}

static void test_many_at_a_time_share_a_connection(void **state)
{
    (void)state;
    for (int i = 0; i < 80; i++)
        up_get();
    up_until(&up->over, 80);
    assert_int_equal(up->ends, 80);
    assert_int_equal(up->server.accepted, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, up_setup, up_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_request_and_its_answer),
        TEST(test_many_at_a_time_share_a_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
