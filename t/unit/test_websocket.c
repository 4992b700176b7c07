/* Keys of WebSocket handshakes, and what answers them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/websocket.h"
#include "proxy/h1_websocket.h"

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

static struct tg_arena arena;

static struct tg_request_head asked(bool extended_connect, const char *key)
{
    struct tg_request_head head = { .upgrade = TG_SLICE("websocket"), .extended_connect = extended_connect };
    tg_fields_init(&head.fields, &arena);
    if (key)
        assert_true(tg_fields_append(&head.fields, TG_FIELD_SEC_WEBSOCKET_KEY, TG_SLICE("sec-websocket-key"),
                                     tg_slice_from_string(key)));
    return head;
}

static struct tg_response_head answered(const char *accept)
{
    struct tg_response_head head = { .status = 101, .upgrade = TG_SLICE("websocket") };
    tg_fields_init(&head.fields, &arena);
    if (accept)
        assert_true(tg_fields_append(&head.fields, TG_FIELD_SEC_WEBSOCKET_ACCEPT, TG_SLICE("Sec-WebSocket-Accept"),
                                     tg_slice_from_string(accept)));
    return head;
}

static const char key[] = "dGhlIHNhbXBsZSBub25jZQ==", right[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/* [U04] */
static void test_an_extended_connect_gets_a_key_and_a_version_over_http_1(void **state)
{
    (void)state;
    struct tg_slice none = { 0 };
    struct tg_request_head head = asked(true, NULL);
    assert_true(tg_h1_websocket_ask(&head));
    const struct tg_field *line = tg_fields_find(&head.fields, TG_FIELD_SEC_WEBSOCKET_KEY, none);
    assert_non_null(line);
    assert_int_equal(line->value.length, TG_WEBSOCKET_KEY);
    assert_true(tg_fields_has(&head.fields, TG_FIELD_SEC_WEBSOCKET_VERSION));
    assert_true(tg_h1_websocket_ask(&head)); /* once more, over a fresh connection */
    assert_null(tg_fields_find_next(&head.fields, line));
    struct tg_response_head wrong = answered(right), missing = answered(NULL);
    assert_false(tg_h1_websocket_answered(&head, &wrong));
    assert_false(tg_h1_websocket_answered(&head, &missing));
}

static void test_an_upgrade_over_http_1_goes_up_as_it_came(void **state)
{
    (void)state;
    struct tg_request_head head = asked(false, NULL);
    assert_true(tg_h1_websocket_ask(&head));
    assert_int_equal(head.fields.count, 0);
    struct tg_response_head any = answered(NULL);
    assert_true(tg_h1_websocket_answered(&head, &any));
}

/* [U04] [U02] */
static void test_a_101_answers_the_key_that_was_sent(void **state)
{
    (void)state;
    struct tg_request_head head = asked(false, key), other = asked(false, key);
    struct tg_response_head good = answered(right), bad = answered("s3pPLMBiTxaQ9kYGzzhZRbK+xOp="),
                            missing = answered(NULL), twice = answered(right);
    assert_true(tg_fields_append(&twice.fields, TG_FIELD_SEC_WEBSOCKET_ACCEPT, TG_SLICE("sec-websocket-accept"),
                                 tg_slice_from_string(right)));
    assert_true(tg_h1_websocket_answered(&head, &good));
    assert_false(tg_h1_websocket_answered(&head, &bad));
    assert_false(tg_h1_websocket_answered(&head, &missing));
    assert_false(tg_h1_websocket_answered(&head, &twice));
    other.upgrade = TG_SLICE("other");
    assert_true(tg_h1_websocket_answered(&other, &bad));
}

/* [U04] */
static void test_a_client_of_http_1_gets_the_answer_that_upstream_had_none_for(void **state)
{
    (void)state;
    struct tg_slice none = { 0 };
    struct tg_request_head head = asked(false, key), keyless = asked(false, NULL);
    struct tg_response_head from_h2 = answered(NULL), from_h1 = answered(right), unasked = answered(NULL);
    assert_true(tg_h1_websocket_answer(&head, &from_h2));
    const struct tg_field *line = tg_fields_find(&from_h2.fields, TG_FIELD_SEC_WEBSOCKET_ACCEPT, none);
    assert_non_null(line);
    assert_memory_equal(line->value.at, right, TG_WEBSOCKET_ACCEPT);
    assert_true(tg_h1_websocket_answer(&head, &from_h1));
    assert_int_equal(from_h1.fields.count, 1);
    assert_true(tg_h1_websocket_answer(&keyless, &unasked));
    assert_int_equal(unasked.fields.count, 0);
}

static int begin(void **state)
{
    (void)state;
    tg_arena_init(&arena);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tg_arena_deinit(&arena);
    tg_arena_release_thread_pool();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_answer_to_a_key_is_the_one_of_the_rfc),
        cmocka_unit_test(test_each_key_is_another_in_base64_of_16_bytes),
        cmocka_unit_test(test_keys_beyond_reason_have_no_answer),
        cmocka_unit_test(test_an_extended_connect_gets_a_key_and_a_version_over_http_1),
        cmocka_unit_test(test_an_upgrade_over_http_1_goes_up_as_it_came),
        cmocka_unit_test(test_a_101_answers_the_key_that_was_sent),
        cmocka_unit_test(test_a_client_of_http_1_gets_the_answer_that_upstream_had_none_for),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
