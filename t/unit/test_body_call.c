/* Handlers of bodies as stages of a pipe, played by C functions: what holds a head back, ways of the bytes, the end,
 * failures, back-pressure. */
#include "exchange_rig.h"
#include "proxy/body_call.h"

enum { CALLS_MOST = 3 };

static struct {
    int count; /* of handlers */
    struct tg_body_call *call[CALLS_MOST];
    void (*on_start)(struct tg_body_call *call);
    int started, told, cancelled;
} handlers;

static bool add_calls(struct tg_exchange *exchange, enum tg_phase phase)
{
    bool of_request = phase == TG_PHASE_REQUEST_BODY;
    for (int i = 0; i < handlers.count; i++)
        handlers.call[i] =
            tg_body_call_add(exchange, of_request ? &exchange->request_bodies : &exchange->response_bodies,
                             of_request ? &exchange->request_pipe : &exchange->response_pipe, phase, (uint32_t)i);
    return true;
}

static void start_call(struct tg_body_call *call)
{
    handlers.started++;
    if (handlers.on_start)
        handlers.on_start(call);
}

static void tell_call(struct tg_body_call *call)
{
    (void)call;
    handlers.told++;
}

static void cancel_call(struct tg_body_call *call)
{
    (void)call;
    handlers.cancelled++;
}

static void use_handlers(enum tg_phase phase, int count, void (*on_start)(struct tg_body_call *call))
{
    memset(&handlers, 0, sizeof handlers);
    handlers.count = count;
    handlers.on_start = on_start;
    f->hooks.bodies = add_calls;
    f->hooks.body_start = start_call;
    f->hooks.body_ready = tell_call;
    f->hooks.body_cancel = cancel_call;
    f->snapshot->routes[0].phases |= 1u << phase;
}

static void leave_it(struct tg_body_call *call)
{
    tg_body_call_over(call, false);
}

static void break_down(struct tg_body_call *call)
{
    tg_body_call_over(call, true);
}

static void expect_queue(struct tg_buffer_queue *queue, const char *expected)
{
    assert_int_equal(tg_buffer_queue_length(queue), strlen(expected));
    while (tg_buffer_queue_length(queue) > 0) {
        struct tg_buffer piece = tg_buffer_queue_pop(queue, SIZE_MAX);
        assert_memory_equal(piece.at, expected, piece.length);
        expected += piece.length;
        tg_buffer_unref(piece);
    }
}

static void write_text(struct tg_body_call *call, const char *text)
{
    assert_true(tg_body_call_write(call, tg_slice_from_string(text)));
}

/* Takes all that is there, and writes it with a mark behind each piece. */
static void copy_with(struct tg_body_call *call, const char *mark)
{
    for (struct tg_slice bytes; (bytes = tg_body_call_look(call, SIZE_MAX)).length > 0;) {
        char text[64];
        assert_true(bytes.length < sizeof text);
        memcpy(text, bytes.at, bytes.length);
        text[bytes.length] = 0;
        tg_body_call_begin(call);
        tg_body_call_take(call, bytes.length);
        write_text(call, text);
        write_text(call, mark);
    }
}

static void a_head_waits_for_its_handlers_and_keeps_its_length_where_they_leave_it(void **state)
{
    (void)state;
    use_handlers(TG_PHASE_RESPONSE_BODY, 2, NULL);
    get();
    answer_head(200, TG_FRAMING_LENGTH, 3);
    tg_exchange_from_upstream_body(f->exchange, bytes("abc"));
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_int_equal(handlers.started, 1); /* the second sees the head as the first leaves it */
    assert_int_equal(f->status, 0);
    tg_body_call_over(handlers.call[0], false);
    turn();
    assert_int_equal(handlers.started, 2);
    assert_int_equal(f->status, 0);
    tg_body_call_over(handlers.call[1], false);
    turn();
    assert_int_equal(f->status, 200);
    assert_true(f->declared_length);
    expect_queue(&f->got, "abc");
    assert_true(f->got_end);
}

static void what_one_writes_the_next_one_reads(void **state)
{
    (void)state;
    use_handlers(TG_PHASE_RESPONSE_BODY, 2, NULL);
    get();
    answer_head(200, TG_FRAMING_LENGTH, 2);
    tg_exchange_from_upstream_body(f->exchange, bytes("ab"));
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    copy_with(handlers.call[0], "1");
    turn();
    assert_int_equal(handlers.started, 2);
    copy_with(handlers.call[1], "2");
    turn();
    assert_int_equal(f->status, 200);
    assert_false(f->declared_length);
    tg_body_call_over(handlers.call[0], false);
    turn();
    assert_false(f->got_end);
    tg_body_call_over(handlers.call[1], false);
    turn();
    expect_queue(&f->got, "ab12");
    assert_true(f->got_end);
}

/* One way for the first bytes, another for the next, wherever the pieces are cut. */
static void bytes_go_their_ways_whatever_the_pieces(void **state)
{
    (void)state;
    static const char text[] = "abcdefgh";
    for (size_t cut = 0; cut <= 8; cut++) {
        for (int later = 0; later < 2; later++) {
            struct tg_exchange exchange = { 0 };
            struct tg_body_pipe *pipe = &exchange.response_pipe;
            exchange.worker = &f->worker;
            tg_arena_init(&exchange.arena);
            tg_list_init(&exchange.step.link);
            tg_body_pipe_init(pipe);
            use_handlers(TG_PHASE_RESPONSE_BODY, 1, NULL);
            struct tg_body_call *call = tg_body_call_add(&exchange, &exchange.response_bodies, pipe, 0, 0);
            tg_body_calls_enter(call, pipe);
            if (later)
                tg_body_call_send(call, TG_BODY_PASS, 3);
            tg_body_pipe_emit(pipe, NULL, (struct tg_buffer){ NULL, text, cut });
            tg_body_pipe_emit(pipe, NULL, (struct tg_buffer){ NULL, text + cut, 8 - cut });
            if (!later)
                tg_body_call_send(call, TG_BODY_PASS, 3);
            tg_body_call_send(call, TG_BODY_DROP, 2);
            assert_int_equal(call->way, TG_BODY_READ);
            assert_int_equal(tg_body_call_gather(call, 2).length, 2);
            assert_memory_equal(tg_body_call_look(call, 2).at, "fg", 2);
            tg_body_call_take(call, 1);
            tg_body_pipe_emit_end(pipe, NULL);
            tg_body_call_over(call, false);
            assert_true(pipe->ended);
            expect_queue(&pipe->waiting, "abcgh");
            tg_body_calls_end(call);
            tg_list_remove(&exchange.step.link);
            tg_body_pipe_deinit(pipe);
            tg_arena_deinit(&exchange.arena);
        }
    }
}

static void a_failed_source_is_told_and_finish_makes_it_whole(void **state)
{
    (void)state;
    use_handlers(TG_PHASE_RESPONSE_BODY, 1, NULL);
    for (int finishes = 0; finishes < 2; finishes++) {
        handlers.told = 0;
        get();
        answer_head(200, TG_FRAMING_LENGTH, 10);
        tg_exchange_from_upstream_body(f->exchange, bytes("ab"));
        turn();
        struct tg_body_call *call = handlers.call[0];
        copy_with(call, "");
        call->wants_input = true;
        turn();
        assert_int_equal(handlers.told, 0);
        tg_exchange_from_upstream_failed(f->exchange, TG_REASON_RESET, NULL);
        assert_int_equal(handlers.told, 1);
        assert_int_equal(call->input_failed, TG_REASON_RESET);
        turn();
        assert_false(f->client_reset);
        if (finishes)
            tg_body_call_finish(call);
        tg_body_call_over(call, false);
        turn();
        assert_int_equal(f->got_end, finishes);
        assert_int_equal(f->client_reset, !finishes);
        expect_queue(&f->got, "ab");
    }
}

static void a_handler_that_fails_before_the_head_is_a_500_of_which_it_sees_nothing(void **state)
{
    (void)state;
    use_handlers(TG_PHASE_RESPONSE_BODY, 1, break_down);
    get();
    answer_whole();
    turn();
    assert_int_equal(f->status, 500);
    assert_int_equal(handlers.started, 1);
    use_handlers(TG_PHASE_REQUEST_BODY, 1, break_down);
    get();
    assert_int_equal(f->status, 500);
    assert_int_equal(handlers.started, 2); /* that of the error's own body failed too */
}

/* [J07] */
static void a_client_that_leaves_cancels_those_that_work_once(void **state)
{
    (void)state;
    use_handlers(TG_PHASE_REQUEST_BODY, 2, NULL);
    start(TG_METHOD_POST, TG_SLICE("POST"), TG_FRAMING_LENGTH, 3);
    assert_int_equal(f->acquired, 0);
    assert_int_equal(handlers.started, 1);
    tg_exchange_from_client_left(f->exchange, TG_REASON_CLIENT_LEFT);
    turn();
    assert_int_equal(handlers.cancelled, 1);
    f->client_reset = true;
}

static void a_request_body_goes_up_without_a_length_once_it_is_touched(void **state)
{
    (void)state;
    use_handlers(TG_PHASE_REQUEST_BODY, 1, NULL);
    start(TG_METHOD_POST, TG_SLICE("POST"), TG_FRAMING_LENGTH, 2);
    tg_exchange_want_request_body(f->exchange);
    assert_true(f->body_wanted);
    tg_exchange_from_client_body(f->exchange, bytes("ab"));
    tg_exchange_from_client_end(f->exchange);
    turn();
    assert_int_equal(f->acquired, 0);
    copy_with(handlers.call[0], "+");
    turn();
    assert_int_equal(f->heads_sent, 1);
    assert_int_equal(f->exchange->outgoing.framing, TG_FRAMING_CHUNKED);
    expect_queue(&f->sent, "ab+");
    assert_false(f->sent_end);
    tg_body_call_over(handlers.call[0], false);
    turn();
    assert_true(f->sent_end);
    answer_whole();
    turn();
    assert_int_equal(f->status, 200);
}

static void an_untouched_request_body_keeps_its_length(void **state)
{
    (void)state;
    use_handlers(TG_PHASE_REQUEST_BODY, 2, leave_it);
    start(TG_METHOD_POST, TG_SLICE("POST"), TG_FRAMING_LENGTH, 2);
    assert_int_equal(f->heads_sent, 1);
    assert_int_equal(f->exchange->outgoing.framing, TG_FRAMING_LENGTH);
    tg_exchange_from_client_body(f->exchange, bytes("ab"));
    tg_exchange_from_client_end(f->exchange);
    turn();
    expect_queue(&f->sent, "ab");
    assert_true(f->sent_end);
    answer_whole();
    turn();
}

/* The giver is held back by what the first handler hasn't read, a handler by what the next one hasn't. */
static void each_waits_for_the_next(void **state)
{
    (void)state;
    static char block[TG_PIPE_HIGH];
    use_handlers(TG_PHASE_RESPONSE_BODY, 2, NULL);
    get();
    answer_head(200, TG_FRAMING_CHUNKED, 0);
    tg_exchange_from_upstream_body(f->exchange, (struct tg_buffer){ NULL, block, sizeof block });
    turn();
    assert_true(f->upstream_held);
    struct tg_body_call *first = handlers.call[0], *second = handlers.call[1];
    tg_body_call_begin(first);
    tg_body_call_take(first, sizeof block);
    turn();
    assert_false(f->upstream_held);
    assert_true(tg_body_call_write(first, tg_slice_of(block, sizeof block)));
    assert_true(tg_body_call_is_full(first));
    first->wants_room = true;
    turn();
    assert_int_equal(handlers.told, 0);
    tg_body_call_begin(second);
    tg_body_call_take(second, sizeof block);
    turn();
    assert_int_equal(handlers.told, 1);
    tg_exchange_from_upstream_failed(f->exchange, TG_REASON_RESET, NULL);
    tg_body_call_over(first, false);
    tg_body_call_over(second, false);
    turn();
    assert_true(f->client_reset);
}

static void a_line_is_found_wherever_the_pieces_are_cut(void **state)
{
    (void)state;
    struct tg_exchange exchange = { 0 };
    exchange.worker = &f->worker;
    tg_arena_init(&exchange.arena);
    tg_list_init(&exchange.step.link);
    tg_body_pipe_init(&exchange.response_pipe);
    struct tg_body_call *call = tg_body_call_add(&exchange, &exchange.response_bodies, &exchange.response_pipe, 0, 0);
    tg_body_calls_enter(call, &exchange.response_pipe);
    for (const char *at = "abc\nd"; *at; at++) {
        assert_int_equal(tg_body_call_line(call, 10), 0);
        tg_body_pipe_emit(&exchange.response_pipe, NULL, (struct tg_buffer){ NULL, at, 1 });
        if (*at == '\n')
            break;
    }
    assert_int_equal(tg_body_call_line(call, 3), 0);
    call->scanned = 0;
    assert_int_equal(tg_body_call_line(call, 10), 4);
    tg_body_calls_end(call);
    tg_list_remove(&exchange.step.link);
    tg_body_pipe_deinit(&exchange.response_pipe);
    tg_arena_deinit(&exchange.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_head_waits_for_its_handlers_and_keeps_its_length_where_they_leave_it),
        TEST(what_one_writes_the_next_one_reads),
        TEST(bytes_go_their_ways_whatever_the_pieces),
        TEST(a_failed_source_is_told_and_finish_makes_it_whole),
        TEST(a_handler_that_fails_before_the_head_is_a_500_of_which_it_sees_nothing),
        TEST(a_client_that_leaves_cancels_those_that_work_once),
        TEST(a_request_body_goes_up_without_a_length_once_it_is_touched),
        TEST(an_untouched_request_body_keeps_its_length),
        TEST(each_waits_for_the_next),
        TEST(a_line_is_found_wherever_the_pieces_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
