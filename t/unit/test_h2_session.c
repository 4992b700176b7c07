/* A session alone: what its owner may do in each of its ops, and what nobody hears after that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/h2_session.h"
#include "run_loop.h"

enum op {
    IN_NOTHING,
    IN_BEGIN,
    IN_SECTION,
    IN_DATA,
    IN_END,
    IN_TAKE,
    IN_SENT,
    IN_RESET,
    IN_CLOSED,
    IN_RECEIVED,
    IN_WENT,
    IN_GOAWAY,
    OPS
};

static struct fixture {
    struct tg_loop *loop;
    struct tg_h2_session session;
    struct tg_stream *stream;
    int socket;
    struct tg_h2_stream streams[4];
    int opened;
    enum op free_in;
    int skip; /* so many calls of it */
    bool over;
    int calls[OPS];
    bool freed;
    struct tg_arena arena;
    struct tg_http_limits limits;
} * f;

static bool free_if(enum op op)
{
    assert_false(f->freed); /* nobody is called after it */
    f->calls[op]++;
    if (f->free_in != op || f->calls[op] <= f->skip)
        return false;
    f->freed = true;
    tg_h2_session_free(&f->session);
    for (int i = 0; i < f->opened; i++)
        assert_null(f->streams[i].session);
    return true;
}

static bool begin_section(struct tg_h2_session *session, struct tg_h2_stream *stream, int32_t id,
                          struct tg_h2_section *section, uint32_t *code)
{
    (void)code;
    if (!stream)
        tg_h2_stream_open(session, &f->streams[f->opened++], id);
    tg_h2_section_init(section, TG_H2_REQUEST, &f->arena, &f->limits);
    free_if(IN_BEGIN);
    return true;
}

static void section(struct tg_h2_stream *stream, struct tg_h2_section *whole, bool end)
{
    (void)end;
    struct tg_h2_lines lines;
    struct tg_response_head head = { .status = 200 };
    if (stream->has_body || whole->problem.status)
        return;
    tg_fields_init(&head.fields, &f->arena);
    assert_true(tg_h2_write_response(&head, false, TG_SLICE("now"), &f->arena, &lines));
    assert_true(tg_h2_stream_respond(stream, &lines, false));
    tg_h2_stream_read(stream, true);
    free_if(IN_SECTION);
}

static void data(struct tg_h2_stream *stream, struct tg_buffer piece)
{
    (void)stream;
    tg_buffer_unref(piece);
    free_if(IN_DATA);
}

static void end(struct tg_h2_stream *stream)
{
    (void)stream;
    free_if(IN_END);
}

static bool take(struct tg_h2_stream *stream, struct tg_buffer_queue *to, size_t limit, bool *is_end,
                 const struct tg_fields **trailers)
{
    (void)trailers;
    *is_end = stream->received_end && stream->sent >= 5;
    if (stream->sent < 5 && limit >= 5)
        assert_true(tg_buffer_queue_push(to, (struct tg_buffer){ NULL, "hello", 5 }));
    if (free_if(IN_TAKE))
        tg_buffer_queue_clear(to);
    return true;
}

static void sent(struct tg_h2_stream *stream)
{
    if (!free_if(IN_SENT))
        tg_h2_stream_body_ready(stream);
}

static void reset(struct tg_h2_stream *stream, uint32_t code)
{
    (void)stream, (void)code;
    free_if(IN_RESET);
}

static void closed(struct tg_h2_stream *stream, uint32_t code)
{
    (void)code;
    assert_null(stream->session);
    free_if(IN_CLOSED);
}

static void frame_received(struct tg_h2_session *session, const nghttp2_frame *frame)
{
    (void)session, (void)frame;
    free_if(IN_RECEIVED);
}

static void frame_sent(struct tg_h2_session *session, const nghttp2_frame *frame)
{
    (void)session, (void)frame;
    free_if(IN_WENT);
}

static void goaway(struct tg_h2_session *session, int32_t last, uint32_t code, struct tg_slice debug)
{
    (void)session, (void)last, (void)code, (void)debug;
    free_if(IN_GOAWAY);
}

static void over(struct tg_h2_session *session, const char *detail)
{
    (void)session, (void)detail;
    assert_false(f->over);
    f->over = true;
}

static const struct tg_h2_session_ops ops = {
    begin_section, section, data, end, take, sent, reset, closed, frame_received, frame_sent, goaway, over,
};

static void on_data(struct tg_stream *stream, struct tg_buffer bytes)
{
    (void)stream;
    if (!f->freed)
        tg_h2_session_feed(&f->session, bytes);
}

static void on_nothing(struct tg_stream *stream)
{
    (void)stream;
}

static const struct tg_stream_ops stream_ops = { .on_data = on_data, .on_eof = on_nothing, .on_drained = on_nothing };

static int setup(void **state)
{
    (void)state;
    int ends[2];
    struct tg_address peer = { 0 };
    const char *why;
    f = calloc(1, sizeof *f);
    f->loop = tg_loop_new(NULL, NULL);
    f->limits = (struct tg_http_limits)TG_HTTP_LIMITS_DEFAULT;
    tg_arena_init(&f->arena);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_true(tg_address_parse(TG_SLICE("127.0.0.1:9"), &peer, &why));
    f->socket = ends[0];
    f->stream = tg_stream_attach(f->loop, (struct tg_socket){ ends[1], NULL }, &peer, &stream_ops, NULL);
    struct tg_h2_session_settings settings = { 10, 65535, 65535, 8, 65536, false };
    assert_true(tg_h2_session_init(&f->session, true, &ops, f->stream, &settings));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (!f->freed)
        tg_h2_session_free(&f->session);
    tg_stream_close(f->stream);
    run_turns(f->loop, 2);
    assert_null(f->session.codec);
    assert_int_equal(f->session.memory, 0);
    tg_loop_free(f->loop);
    close(f->socket);
    tg_arena_deinit(&f->arena);
    tg_arena_release_thread_pool();
    tg_block_release_thread_pool();
    free(f);
    return 0;
}

/* A request with a body, one that is reset, trailers, a GOAWAY. */
static const char conversation[] = NGHTTP2_CLIENT_MAGIC "\0\0\0\4\0\0\0\0\0"                    /* SETTINGS */
                                                        "\0\0\6\1\4\0\0\0\1\x83\x86\x84\x41\1a" /* HEADERS 1: POST */
                                                        "\0\0\3\0\0\0\0\0\1abc"                 /* DATA */
                                                        "\0\0\6\1\4\0\0\0\3\x83\x86\x84\x41\1a" /* HEADERS 3 */
                                                        "\0\0\4\3\0\0\0\0\3\0\0\0\10"           /* RST_STREAM */
                                                        "\0\0\0\0\1\0\0\0\1" /* DATA with END_STREAM */
                                                        "\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\0"; /* GOAWAY */

static void converse(void)
{
    assert_int_equal(send(f->socket, conversation, sizeof conversation - 1, MSG_NOSIGNAL), sizeof conversation - 1);
    run_turns(f->loop, 6);
}

static void test_a_conversation_calls_each_op(void **state)
{
    (void)state;
    converse();
    for (int op = IN_BEGIN; op < OPS; op++)
        assert_true(f->calls[op] > 0);
    assert_int_equal(f->calls[IN_CLOSED], 2);
    assert_true(f->over);
}

/* [W07] */
static void test_a_session_may_be_freed_in_each_op_at_each_of_its_calls(void **state)
{
    int calls[OPS];
    converse();
    memcpy(calls, f->calls, sizeof calls);
    for (int op = IN_BEGIN; op < OPS; op++) {
        for (int skip = 0; skip < calls[op]; skip++) {
            teardown(state);
            setup(state);
            f->free_in = (enum op)op;
            f->skip = skip;
            converse();
            assert_true(f->freed);
            assert_false(f->over);
        }
    }
}

/* [W08] */
static void test_nothing_is_read_after_the_session_has_failed(void **state)
{
    (void)state;
    tg_h2_session_fail(&f->session, NGHTTP2_ENHANCE_YOUR_CALM, "enough");
    converse();
    assert_int_equal(f->opened, 0);
    assert_true(f->over);
}

/* The cap on the codec's memory: it ends this session alone. */
static void test_a_codec_beyond_its_memory_ends_its_session(void **state)
{
    (void)state;
    run_turns(f->loop, 2);
    f->session.memory += TG_H2_MEMORY_MAX;
    converse();
    f->session.memory -= TG_H2_MEMORY_MAX;
    assert_true(f->over);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_conversation_calls_each_op),
        TEST(test_a_session_may_be_freed_in_each_op_at_each_of_its_calls),
        TEST(test_nothing_is_read_after_the_session_has_failed),
        TEST(test_a_codec_beyond_its_memory_ends_its_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
