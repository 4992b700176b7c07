/* What a hostile client may send over HTTP/2, and what a lawful one may send as much as it likes. */
#include "h2_rig.h"

#include <stdlib.h>

#include "base/memory.h"

enum { WINDOW = 65535 };

static char much[1 << 20];

static bool calmed(void)
{
    return atomic_load(&tg_loop_counters(r->loop)->values[TG_COUNTER_H2_CALMED]) == 1 && r->goaways == 1 &&
           r->goaway_code == NGHTTP2_ENHANCE_YOUR_CALM && r->closed_by_gateway;
}

static bool unharmed(void)
{
    return atomic_load(&tg_loop_counters(r->loop)->values[TG_COUNTER_H2_CALMED]) == 0 && r->goaways == 0 &&
           !r->closed_by_gateway;
}

static void reset_stream(uint32_t id)
{
    static const uint8_t cancel[4] = { 0, 0, 0, NGHTTP2_CANCEL };
    h2_raw_frame(NGHTTP2_RST_STREAM, 0, id, cancel, 4);
}

/* [F01] [F03] */
static void test_opening_and_resetting_streams_in_a_loop_ends_the_connection(void **state)
{
    (void)state;
    uint32_t id = 1;
    for (; id < 20000 && !r->closed_by_gateway; id += 2) {
        h2_raw_headers(id, NGHTTP2_FLAG_END_STREAM, h2_raw_get);
        reset_stream(id);
        if (id % 64 == 1)
            h2_settle();
    }
    h2_settle();
    assert_true(calmed());
    assert_true(id > 500 && id < 2500);
    assert_int_equal(r->worker.exchanges, 0);
}

/* [F01] A stream counts until its upstream work has stopped: few at a time reach the upstream. */
static void test_streams_reset_in_one_go_are_never_at_work_together(void **state)
{
    (void)state;
    static uint8_t bytes[64 * 1024];
    const uint8_t reset[] = { 0, 0, 4, NGHTTP2_RST_STREAM, 0, 0, 0, 0, 0, 0, 0, 0, 8 };
    size_t at = 0;
    for (uint32_t id = 1; id < 600; id += 2) {
        size_t length = h2_raw_block(bytes + at + 9, h2_raw_get);
        const uint8_t head[] = { 0, 0, (uint8_t)length, NGHTTP2_HEADERS, 5, 0, 0, (uint8_t)(id >> 8), (uint8_t)id };
        memcpy(bytes + at, head, sizeof head);
        at += 9 + length;
        memcpy(bytes + at, reset, sizeof reset);
        bytes[at + 7] = (uint8_t)(id >> 8);
        bytes[at + 8] = (uint8_t)id;
        at += sizeof reset;
    }
    h2_raw_bytes(bytes, at);
    for (int i = 0; i < 100; i++) {
        assert_true(r->worker.exchanges <= 128);
        h2_settle();
    }
    assert_int_equal(r->worker.exchanges, 0);
    assert_true(unharmed());
}

static void test_cancelled_calls_among_many_that_end_well_are_lawful(void **state)
{
    (void)state;
    uint32_t id = 1;
    for (int i = 0; i < 3000; i++, id += 2) {
        h2_raw_headers(id, NGHTTP2_FLAG_END_STREAM, h2_raw_get);
        h2_settle();
        if (i % 4 == 0) {
            reset_stream(id);
            continue;
        }
        h2_up_head(h2_up(i), 204, TG_FRAMING_NONE, 0, NULL);
        h2_up_end(h2_up(i));
    }
    h2_settle();
    assert_true(unharmed());
}

/* [F15] [W09] Then a large body arrives: nothing of the dead streams is held. */
static void test_ten_thousand_cancelled_uploads_leave_room_for_a_large_one(void **state)
{
    (void)state;
    r->snapshot->settings.h2.resets = 1000 * 1000;
    h2_reconnect(true);
    uint32_t id = 1;
    for (int i = 0; i < 10000; i++, id += 2) {
        h2_raw_headers(id, 0, h2_raw_post);
        h2_raw_frame(NGHTTP2_DATA, 0, id, much, 1000);
        reset_stream(id);
        if (i % 50 == 0)
            h2_settle();
    }
    h2_settle();
    assert_true(unharmed());
    assert_int_equal(r->worker.exchanges, 0);
    int ups = r->up_count;
    h2_raw_headers(id, 0, h2_raw_post);
    h2_settle();
    assert_int_equal(r->up_count, ups + 1);
    for (int i = 0; i < 640; i++) {
        h2_raw_frame(NGHTTP2_DATA, i == 639 ? NGHTTP2_FLAG_END_STREAM : 0, id, much, 16384);
        h2_settle();
    }
    assert_int_equal(h2_up(ups)->body, 640 * 16384);
    assert_true(h2_up(ups)->end);
    assert_true(unharmed());
}

/* [F02] A window that overflows draws a reset from us. */
static void test_resets_that_the_client_draws_count_as_its_own(void **state)
{
    (void)state;
    static const uint8_t most[4] = { 0x7f, 0xff, 0xff, 0xff };
    uint32_t id = 1;
    for (; id < 20000 && !r->closed_by_gateway; id += 2) {
        h2_raw_headers(id, 0, h2_raw_post);
        h2_raw_frame(NGHTTP2_WINDOW_UPDATE, 0, id, most, 4);
        h2_settle();
    }
    assert_true(calmed());
    assert_true(id < 2500);
    assert_int_equal(r->worker.exchanges, 0);
    for (int i = 0; i < r->up_count && i < RIG_UPS; i++)
        assert_true(h2_up(i)->reset);
}

/* [F02] The same by a malformed request, which never reaches an exchange. */
static void test_malformed_requests_in_a_loop_end_the_connection(void **state)
{
    (void)state;
    const char *const bad[] = { ":method", "GET", ":scheme", "http", ":path", "x", ":authority", "a", NULL };
    uint32_t id = 1;
    for (; id < 20000 && !r->closed_by_gateway; id += 2) {
        h2_raw_headers(id, NGHTTP2_FLAG_END_STREAM, bad);
        if (id % 64 == 1)
            h2_settle();
    }
    h2_settle();
    assert_true(calmed());
    assert_true(id < 2500);
    assert_int_equal(r->up_count, 0);
}

static void open_twenty_where_ten_are_allowed(bool knows)
{
    r->snapshot->settings.h2.streams = 10;
    r->no_ack = !knows;
    h2_reconnect(true);
    for (uint32_t id = 1; id < 40; id += 2)
        h2_raw_headers(id, 0, h2_raw_post);
    h2_settle();
}

static void test_streams_beyond_the_limit_are_refused(void **state)
{
    (void)state;
    open_twenty_where_ten_are_allowed(false);
    assert_int_equal(r->worker.exchanges, 10);
    assert_int_equal(r->resets, 10);
    assert_int_equal(r->last_reset_code, NGHTTP2_REFUSED_STREAM);
    assert_true(unharmed());
    open_twenty_where_ten_are_allowed(true);
    assert_int_equal(r->goaway_code, NGHTTP2_PROTOCOL_ERROR);
    assert_true(r->closed_by_gateway);
}

/* [F04] */
static void test_continuations_without_end_end_the_connection(void **state)
{
    (void)state;
    h2_raw_frame(NGHTTP2_HEADERS, 0, 1, NULL, 0);
    for (int i = 0; i < 20; i++)
        h2_raw_frame(NGHTTP2_CONTINUATION, 0, 1, NULL, 0);
    h2_settle();
    assert_true(calmed());
    assert_int_equal(r->up_count, 0);
}

/* [F10] A line put into the table once, then one byte each. */
static void test_a_section_of_thousands_of_indexed_lines_is_refused_before_it_is_stored(void **state)
{
    (void)state;
    static uint8_t block[16384];
    size_t at = h2_raw_block(block, h2_raw_get);
    block[at++] = 0x40; /* with indexing: "x" with 3000 bytes */
    block[at++] = 1;
    block[at++] = 'x';
    block[at++] = 127;
    block[at++] = (3000 - 127) % 128 + 128;
    block[at++] = (3000 - 127) / 128;
    memset(block + at, 'v', 3000);
    at += 3000;
    memset(block + at, 0x80 + 62, sizeof block - at);
    uint64_t before = tg_memory_held(TG_MEMORY_ARENAS);
    h2_raw_frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, block, sizeof block);
    h2_settle();
    assert_true(tg_memory_held(TG_MEMORY_ARENAS) - before < 512 * 1024);
    h2_raw_frame(NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1, NULL, 0);
    h2_settle();
    assert_true(r->goaways == 1 && r->goaway_code == NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(r->up_count, 0);
}

/* [F10] [F11] [V09] Crumbs are counted one by one. */
static void test_cookie_crumbs_count_as_lines(void **state)
{
    (void)state;
    static uint8_t block[8192];
    size_t at = h2_raw_block(block, h2_raw_get);
    for (int i = 0; i < 800; i++, at += 9)
        memcpy(block + at, "\0\6cookie\0", 9);
    h2_raw_frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS, 1, block, at);
    h2_settle();
    assert_int_equal(r->up_count, 0);
    assert_non_null(strstr(r->order, "H1")); /* 431 */
    assert_true(unharmed());
}

static void flood(uint8_t type, uint8_t flags, uint32_t id, const void *payload, size_t length, int most)
{
    for (int i = 0; i < most && !r->closed_by_gateway; i++) {
        h2_raw_frame(type, flags, id, payload, length);
        if (i % 100 == 0)
            h2_settle();
    }
    h2_settle();
}

/* [F05] */
static void test_a_flood_of_settings_ends_the_connection(void **state)
{
    (void)state;
    flood(NGHTTP2_SETTINGS, 0, 0, NULL, 0, 3000);
    assert_true(calmed());
}

/* [F05] */
static void test_a_flood_of_pings_ends_the_connection(void **state)
{
    (void)state;
    flood(NGHTTP2_PING, 0, 0, "12345678", 8, 3000);
    assert_true(calmed());
}

/* [F08] */
static void test_a_flood_of_priorities_ends_the_connection(void **state)
{
    (void)state;
    flood(NGHTTP2_PRIORITY, 0, 1, "\0\0\0\5\1", 5, 3000);
    assert_true(calmed());
}

/* [F14] */
static void test_unknown_frames_are_ignored_until_they_are_too_many(void **state)
{
    (void)state;
    flood(0xee, 0xff, 77, "abc", 3, 500);
    h2_raw_headers(1, NGHTTP2_FLAG_END_STREAM, h2_raw_get);
    h2_settle();
    assert_int_equal(r->up_count, 1);
    assert_true(unharmed());
    flood(0xee, 0, 1, NULL, 0, 3000);
    assert_true(calmed());
}

/* [F07] */
static void test_empty_data_frames_end_the_connection(void **state)
{
    (void)state;
    h2_raw_headers(1, 0, h2_raw_post);
    flood(NGHTTP2_DATA, 0, 1, NULL, 0, 12000);
    assert_true(calmed());
    assert_true(h2_up(0)->reset);
}

/* [F07] [F08] */
static void test_data_byte_by_byte_ends_the_connection(void **state)
{
    (void)state;
    h2_raw_headers(1, 0, h2_raw_post);
    flood(NGHTTP2_DATA, 0, 1, "x", 1, 12000);
    assert_true(calmed());
}

static void test_small_messages_are_lawful(void **state)
{
    (void)state;
    h2_raw_headers(1, 0, h2_raw_post);
    flood(NGHTTP2_DATA, 0, 1, "\0\0\0\0\3abc", 8, 20000);
    assert_true(unharmed());
    assert_int_equal(h2_up(0)->body, 20000 * 8);
}

/* [F08] */
static void test_window_updates_that_no_data_called_for_end_the_connection(void **state)
{
    (void)state;
    h2_raw_headers(1, 0, h2_raw_post);
    flood(NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4, 12000);
    assert_true(calmed());
}

/* [W04] */
static void test_data_for_a_stream_that_is_gone_is_ignored_for_a_while(void **state)
{
    (void)state;
    h2_raw_headers(1, 0, h2_raw_post);
    h2_settle();
    h2_up_answer(h2_up(0), 403, "no");
    assert_int_equal(r->resets, 1);
    flood(NGHTTP2_DATA, 0, 1, much, 16384, 100); /* what was on its way; the connection's window is given back */
    assert_true(unharmed());
    h2_raw_headers(3, 0, h2_raw_post);
    for (int i = 0; i < 20; i++)
        h2_raw_frame(NGHTTP2_DATA, 0, 3, much, 3000);
    h2_settle();
    assert_int_equal(h2_up(1)->body, 60000);
    flood(NGHTTP2_DATA, 0, 1, "x", 1, 12000);
    assert_true(calmed());
}

/* [W04] Their lines have to be decoded, though nobody reads them. */
static void test_heads_for_streams_that_are_gone_end_the_connection(void **state)
{
    (void)state;
    static uint8_t block[256];
    size_t length = h2_raw_block(block, h2_raw_get);
    h2_raw_headers(1, NGHTTP2_FLAG_END_STREAM, h2_raw_get);
    h2_settle();
    h2_up_answer(h2_up(0), 200, "ok");
    flood(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS, 1, block, length, 100);
    assert_true(unharmed());
    flood(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS, 1, block, length, 12000);
    assert_true(calmed());
    assert_int_equal(r->up_count, 1);
}

/* [W05] */
static void test_padding_leaves_body_and_windows(void **state)
{
    (void)state;
    static uint8_t padded[1 + 5 + 255];
    padded[0] = 255;
    memcpy(padded + 1, "hello", 5);
    h2_raw_headers(1, 0, h2_raw_post);
    for (int i = 0; i < 1000; i++) {
        h2_raw_frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, padded, sizeof padded);
        if (i % 50 == 0)
            h2_settle();
    }
    h2_settle();
    assert_int_equal(h2_up(0)->body, 5000);
    assert_true(unharmed());
    padded[0] = 6; /* more than there is */
    h2_raw_frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, padded, 6);
    h2_settle();
    assert_int_equal(r->goaway_code, NGHTTP2_PROTOCOL_ERROR);
    assert_true(r->closed_by_gateway);
}

/* [F05] [F06] Nothing is read from us: what waits is bounded, and reading stops. */
static void test_a_client_that_floods_and_reads_nothing_is_not_read_any_more(void **state)
{
    (void)state;
    static const uint8_t window[6] = { 0, 4, 0x3f, 0xff, 0xff, 0xff };
    static const uint8_t update[4] = { 0x3f, 0xff, 0, 0 };
    r->snapshot->settings.h2.control = 1000 * 1000;
    h2_reconnect(true);
    h2_raw_frame(NGHTTP2_SETTINGS, 0, 0, window, 6);
    h2_raw_frame(NGHTTP2_WINDOW_UPDATE, 0, 0, update, 4);
    h2_raw_headers(1, NGHTTP2_FLAG_END_STREAM, h2_raw_get);
    h2_settle();
    r->deaf = true;
    h2_up_head(h2_up(0), 200, TG_FRAMING_CHUNKED, 0, NULL);
    h2_up_body(h2_up(0), much, sizeof much);
    h2_settle();
    uint64_t before = tg_stream_received(r->stream);
    for (int i = 0; i < 2000; i++)
        h2_raw_frame(NGHTTP2_PING, 0, 0, "12345678", 8);
    assert_true(tg_stream_received(r->stream) - before < 64 * 1024);
    assert_true(tg_stream_unsent(r->stream) < 256 * 1024);
    h2_wait(12);
    h2_wait(12);
    assert_true(tg_list_empty(&r->worker.clients));
}

/* [F09] */
static void hostile_block(const uint8_t *block, size_t length)
{
    h2_reconnect(true);
    h2_raw_frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, block, length);
    h2_settle();
    assert_int_equal(r->goaways, 1);
    assert_int_equal(r->goaway_code, NGHTTP2_COMPRESSION_ERROR);
    assert_true(r->closed_by_gateway);
}

static void test_blocks_that_do_not_decode_end_the_connection(void **state)
{
    (void)state;
    static const uint8_t far_index[] = { 0xff, 0xff, 0x7f };
    static const uint8_t index_zero[] = { 0x80 };
    static const uint8_t endless[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f };
    static const uint8_t large_table[] = { 0x3f, 0xff, 0xff, 0x7f };
    static const uint8_t bad_huffman[] = { 0x00, 0x81, 0x00, 0x81, 0xff };
    hostile_block(far_index, sizeof far_index);
    hostile_block(index_zero, sizeof index_zero);
    hostile_block(endless, sizeof endless);
    hostile_block(large_table, sizeof large_table);
    hostile_block(bad_huffman, sizeof bad_huffman);
}

static void breaks_protocol(uint8_t type, uint8_t flags, uint32_t id, const void *payload, size_t length, uint32_t code)
{
    h2_reconnect(true);
    h2_raw_headers(1, 0, h2_raw_post);
    h2_raw_frame(type, flags, id, payload, length);
    h2_raw_headers(3, 0, h2_raw_post); /* [W08] what comes behind is looked at by nobody */
    h2_settle();
    assert_int_equal(r->goaways, 1);
    assert_int_equal(r->goaway_code, code);
    assert_true(r->closed_by_gateway);
    assert_int_equal(r->worker.exchanges, 0);
    assert_true(tg_list_empty(&r->worker.clients));
}

/* [W08] [F13] [F14] */
static void test_a_broken_protocol_ends_the_connection_with_its_streams(void **state)
{
    (void)state;
    breaks_protocol(NGHTTP2_WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff", 4, NGHTTP2_FLOW_CONTROL_ERROR);
    breaks_protocol(NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\0", 4, NGHTTP2_PROTOCOL_ERROR);
    breaks_protocol(NGHTTP2_SETTINGS, 0, 0, "\0\5\0\0\0\0", 6, NGHTTP2_PROTOCOL_ERROR); /* frame size 0 */
    breaks_protocol(NGHTTP2_SETTINGS, 0, 0, "\0\4\xff\xff\xff\xff", 6, NGHTTP2_FLOW_CONTROL_ERROR);
    breaks_protocol(NGHTTP2_SETTINGS, 0, 0, "abc", 3, NGHTTP2_FRAME_SIZE_ERROR);
    breaks_protocol(NGHTTP2_PRIORITY, 0, 0, "\0\0\0\5\1", 5, NGHTTP2_PROTOCOL_ERROR);
    breaks_protocol(NGHTTP2_PING, 0, 0, "1234", 4, NGHTTP2_FRAME_SIZE_ERROR);
    breaks_protocol(NGHTTP2_DATA, 0, 0, "x", 1, NGHTTP2_PROTOCOL_ERROR);
    breaks_protocol(NGHTTP2_HEADERS, 5, 2, "x", 1, NGHTTP2_PROTOCOL_ERROR);
    breaks_protocol(NGHTTP2_PUSH_PROMISE, 4, 1, "\0\0\0\2", 4, NGHTTP2_PROTOCOL_ERROR);
    breaks_protocol(NGHTTP2_CONTINUATION, 4, 1, "", 0, NGHTTP2_PROTOCOL_ERROR);
    breaks_protocol(NGHTTP2_RST_STREAM, 0, 9, "\0\0\0\1", 4, NGHTTP2_PROTOCOL_ERROR);
    breaks_protocol(NGHTTP2_DATA, 0, 1, much, 20000, NGHTTP2_FRAME_SIZE_ERROR);
}

static void test_bytes_that_are_no_preface_close_the_connection(void **state)
{
    (void)state;
    r->mute = true;
    h2_reconnect(false);
    h2_raw_bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
    h2_settle();
    assert_true(r->closed_by_gateway);
}

/* A codec in a budget: what a stream of messages draws from the client is covered by what was sent to it. */
static void test_pings_and_windows_that_follow_the_data_are_lawful(void **state)
{
    (void)state;
    r->snapshot->settings.h2.control = 200;
    r->snapshot->settings.h2.idle_frames = 200;
    h2_reconnect(true);
    h2_raw_headers(1, NGHTTP2_FLAG_END_STREAM, h2_raw_get);
    h2_settle();
    h2_up_head(h2_up(0), 200, TG_FRAMING_CHUNKED, 0, NULL);
    for (int i = 0; i < 3000; i++) {
        h2_up_body(h2_up(0), "\0\0\0\0\5hello", 10);
        h2_settle();
        h2_raw_frame(NGHTTP2_PING, 0, 0, "12345678", 8);
        h2_raw_frame(NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\12", 4);
        h2_raw_frame(NGHTTP2_WINDOW_UPDATE, 0, 1, "\0\0\0\12", 4);
    }
    h2_settle();
    assert_true(unharmed());
}

static void test_a_ping_each_ten_seconds_is_lawful(void **state)
{
    (void)state;
    h2_raw_headers(1, 0, h2_raw_post);
    h2_settle();
    h2_raw_frame(NGHTTP2_DATA, 0, 1, "\0\0\0\0\5hello", 10);
    h2_up_head(h2_up(0), 200, TG_FRAMING_CHUNKED, 0, NULL);
    h2_settle();
    for (int i = 0; i < 100; i++) {
        r->clock.now += 10;
        h2_raw_frame(NGHTTP2_PING, 0, 0, "12345678", 8);
        h2_settle();
    }
    assert_true(unharmed());
    assert_int_equal(r->frames[NGHTTP2_PING], 100);
}

int main(void)
{
    memset(much, 'm', sizeof much);
    const struct CMUnitTest tests[] = {
        H2_RAW_TEST(test_opening_and_resetting_streams_in_a_loop_ends_the_connection),
        H2_RAW_TEST(test_streams_reset_in_one_go_are_never_at_work_together),
        H2_RAW_TEST(test_cancelled_calls_among_many_that_end_well_are_lawful),
        H2_RAW_TEST(test_ten_thousand_cancelled_uploads_leave_room_for_a_large_one),
        H2_RAW_TEST(test_resets_that_the_client_draws_count_as_its_own),
        H2_RAW_TEST(test_malformed_requests_in_a_loop_end_the_connection),
        H2_RAW_TEST(test_streams_beyond_the_limit_are_refused),
        H2_RAW_TEST(test_continuations_without_end_end_the_connection),
        H2_RAW_TEST(test_a_section_of_thousands_of_indexed_lines_is_refused_before_it_is_stored),
        H2_RAW_TEST(test_cookie_crumbs_count_as_lines),
        H2_RAW_TEST(test_a_flood_of_settings_ends_the_connection),
        H2_RAW_TEST(test_a_flood_of_pings_ends_the_connection),
        H2_RAW_TEST(test_a_flood_of_priorities_ends_the_connection),
        H2_RAW_TEST(test_unknown_frames_are_ignored_until_they_are_too_many),
        H2_RAW_TEST(test_empty_data_frames_end_the_connection),
        H2_RAW_TEST(test_data_byte_by_byte_ends_the_connection),
        H2_RAW_TEST(test_small_messages_are_lawful),
        H2_RAW_TEST(test_window_updates_that_no_data_called_for_end_the_connection),
        H2_RAW_TEST(test_data_for_a_stream_that_is_gone_is_ignored_for_a_while),
        H2_RAW_TEST(test_heads_for_streams_that_are_gone_end_the_connection),
        H2_RAW_TEST(test_padding_leaves_body_and_windows),
        H2_RAW_TEST(test_a_client_that_floods_and_reads_nothing_is_not_read_any_more),
        H2_RAW_TEST(test_blocks_that_do_not_decode_end_the_connection),
        H2_RAW_TEST(test_a_broken_protocol_ends_the_connection_with_its_streams),
        H2_RAW_TEST(test_bytes_that_are_no_preface_close_the_connection),
        H2_RAW_TEST(test_pings_and_windows_that_follow_the_data_are_lawful),
        H2_RAW_TEST(test_a_ping_each_ten_seconds_is_lawful),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
