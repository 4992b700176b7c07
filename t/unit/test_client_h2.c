/* Requests and answers over a client's HTTP/2 connection. */
#include <stdlib.h>

#include "h2_rig.h"

enum { WINDOW = 65535 };

static char much[1 << 20];

static void test_a_request_goes_up_and_its_answer_comes_down(void **state)
{
    (void)state;
    int32_t id = h2_get("/x?y=1");
    assert_int_equal(r->up_count, 1);
    assert_true(h2_up(0)->head_end);
    assert_non_null(strstr(h2_up(0)->head, "GET /x a none"));
    h2_up_answer(h2_up(0), 200, "hello");
    assert_int_equal(h2_seen(id)->status, 200);
    assert_int_equal(h2_seen(id)->body, 5);
    assert_true(h2_seen(id)->end && h2_seen(id)->closed && !h2_seen(id)->reset);
    assert_true(h2_says(h2_seen(id)->head, "content-length: 5"));
    assert_non_null(strstr(h2_seen(id)->head, "date: "));
    assert_non_null(strstr(r->order, "H1 D1+ "));
    assert_true(h2_up(0)->detached);
}

static void test_a_body_goes_up_with_its_trailers(void **state)
{
    (void)state;
    nghttp2_nv sum = { (uint8_t *)"x-sum", (uint8_t *)"1", 5, 1, 0 };
    int32_t id = h2_post("/", NULL);
    h2_body(id, "hello", 5, false);
    assert_int_equal(h2_up(0)->body, 5);
    assert_false(h2_up(0)->end);
    assert_int_equal(nghttp2_submit_trailer(r->client, id, &sum, 1), 0);
    h2_settle();
    assert_true(h2_up(0)->end);
    assert_true(h2_says(h2_up(0)->trailers, "x-sum: 1"));
    h2_up_answer(h2_up(0), 200, "ok");
    assert_true(h2_seen(id)->closed);
}

static void test_trailers_come_down_behind_the_body_without_an_empty_frame(void **state)
{
    (void)state;
    const char *const status[] = { "grpc-status", "0", NULL };
    int32_t id = h2_get("/");
    h2_up_head(h2_up(0), 200, TG_FRAMING_CHUNKED, 0, NULL);
    h2_settle();
    h2_up_body(h2_up(0), "hello", 5);
    h2_settle();
    h2_up_trailers(h2_up(0), status);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_true(h2_seen(id)->trailers && h2_seen(id)->end);
    assert_true(h2_says(h2_seen(id)->head, "grpc-status: 0"));
    assert_non_null(strstr(r->order, "H1 D1 H1+ "));
}

int main(void)
{
    memset(much, 'm', sizeof much);
    const struct CMUnitTest tests[] = {
        H2_TEST(test_a_request_goes_up_and_its_answer_comes_down),
        H2_TEST(test_a_body_goes_up_with_its_trailers),
        H2_TEST(test_trailers_come_down_behind_the_body_without_an_empty_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
