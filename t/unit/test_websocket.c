/* Keys of WebSocket handshakes, and what answers them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/websocket.h"

/* The example of RFC 6455 1.3. [U04] */
static void test_the_answer_to_a_key_is_the_one_of_the_rfc(void **state)
{
    (void)state;
    char accept[TG_WEBSOCKET_ACCEPT];
    assert_true(tg_websocket_accept(TG_SLICE("dGhlIHNhbXBsZSBub25jZQ=="), accept));
    assert_memory_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", TG_WEBSOCKET_ACCEPT);
}

static void test_each_key_is_another_in_base64_of_16_bytes(void **state)
{
    (void)state;
    char first[TG_WEBSOCKET_KEY], second[TG_WEBSOCKET_KEY];
    tg_websocket_make_key(first);
    tg_websocket_make_key(second);
    assert_memory_not_equal(first, second, TG_WEBSOCKET_KEY);
    assert_memory_equal(first + TG_WEBSOCKET_KEY - 2, "==", 2);
    for (int i = 0; i < TG_WEBSOCKET_KEY - 2; i++)
        assert_non_null(memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", first[i], 64));
}

static void test_keys_beyond_reason_have_no_answer(void **state)
{
    (void)state;
    static char much[257];
    char accept[TG_WEBSOCKET_ACCEPT];
    memset(much, 'x', sizeof much);
    assert_true(tg_websocket_accept(tg_slice_of(much, 256), accept));
    assert_true(tg_websocket_accept(TG_SLICE(""), accept));
    assert_false(tg_websocket_accept(tg_slice_of(much, 257), accept));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_answer_to_a_key_is_the_one_of_the_rfc),
        cmocka_unit_test(test_each_key_is_another_in_base64_of_16_bytes),
        cmocka_unit_test(test_keys_beyond_reason_have_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
