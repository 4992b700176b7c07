#include "proxy/body_call.h"

#include <math.h>
#include <string.h>

#include "proxy/exchange_steps.h"

static struct tg_body_call *call_of(struct tg_body_stage *stage)
{
    return TG_CONTAINER_OF(stage, struct tg_body_call, stage);
}

/* Bytes go through it as they come. */
static bool is_transparent(const struct tg_body_call *call)
{
    return call->way == TG_BODY_PASS;
}

static void tell(struct tg_body_call *call)
{
    call->exchange->worker->hooks->body_ready(call);
}

static void tell_reader(struct tg_body_call *call)
{
    if (!call->wants_input)
        return;
    call->wants_input = false;
    tell(call);
}

static struct tg_body_stage *stage_of(struct tg_body_call *call)
{
    return call->produces ? NULL : &call->stage;
}

/* Out of memory. */
static void lose(struct tg_body_call *call)
{
    call->pipe->failed = true;
    call->exchange->bodies_lost = call->exchange->bodies_spoke = true;
    tg_exchange_wake(call->exchange);
}

static void emit(struct tg_body_call *call, struct tg_buffer piece)
{
    bool had_failed = call->pipe->failed;
    tg_body_pipe_emit(call->pipe, stage_of(call), piece);
    if (call->pipe->failed && !had_failed)
        lose(call);
    tg_exchange_wake(call->exchange);
}

static void emit_end(struct tg_body_call *call)
{
    tg_body_pipe_emit_end(call->pipe, stage_of(call));
    tg_exchange_wake(call->exchange);
}

static void emit_failure(struct tg_body_call *call)
{
    if (call->next)
        tg_body_call_fail(call->next, call->input_failed);
    else
        call->pipe->failed = true;
    tg_exchange_wake(call->exchange);
}

static void keep(struct tg_body_call *call, struct tg_buffer piece)
{
    if (!tg_buffer_queue_push(&call->input, piece))
        lose(call);
}

/* The part of the piece that goes a way of its own; the rest stays in *piece. */
static struct tg_buffer split_way(struct tg_body_call *call, struct tg_buffer *piece)
{
    struct tg_buffer part = *piece;
    if (call->way_left == UINT64_MAX) {
        piece->length = 0;
        return part;
    }
    if (part.length > call->way_left) {
        part = tg_buffer_ref(part);
        part.length = (size_t)call->way_left;
    }
    piece->at += part.length;
    piece->length -= part.length;
    call->way_left -= part.length;
    return part;
}

static void send_on(struct tg_body_call *call, struct tg_buffer *piece)
{
    enum tg_body_way way = call->way;
    struct tg_buffer part = split_way(call, piece);
    if (call->way_left == 0)
        call->way = TG_BODY_READ;
    if (way == TG_BODY_PASS)
        emit(call, part);
    else
        tg_buffer_unref(part);
}

static void put(struct tg_body_stage *stage, struct tg_body_pipe *pipe, struct tg_buffer piece)
{
    (void)pipe;
    struct tg_body_call *call = call_of(stage);
    if (call->way == TG_BODY_READ) {
        keep(call, piece);
        tell_reader(call);
        return;
    }
    send_on(call, &piece);
    if (call->way != TG_BODY_READ)
        return;
    if (piece.length > 0)
        keep(call, piece);
    tell_reader(call);
}

/* It has no handler any more, or none that looks at the rest. */
static bool ends_with_its_input(const struct tg_body_call *call)
{
    return call->over && !call->finished && !call->cancelled && !call->answered;
}

static void end(struct tg_body_stage *stage, struct tg_body_pipe *pipe)
{
    (void)pipe;
    struct tg_body_call *call = call_of(stage);
    call->input_ended = true;
    if (ends_with_its_input(call))
        emit_end(call);
    else
        tell_reader(call);
}

void tg_body_call_fail(struct tg_body_call *call, enum tg_reason reason)
{
    if (call->input_ended)
        return;
    call->input_ended = true;
    call->input_failed = reason;
    if (ends_with_its_input(call))
        emit_failure(call);
    else
        tell_reader(call);
}

struct tg_body_call *tg_body_call_add(struct tg_exchange *exchange, struct tg_body_call **list,
                                      struct tg_body_pipe *pipe, enum tg_phase phase, uint32_t use)
{
    struct tg_body_call *call = tg_arena_alloc_zeroed(&exchange->arena, sizeof *call), *last = NULL;
    if (!call)
        return NULL;
    for (struct tg_body_call *one = *list; one; one = one->next)
        last = one;
    call->stage.put = put;
    call->stage.end = end;
    call->pipe = pipe;
    call->exchange = exchange;
    call->phase = phase;
    call->use = use;
    call->length = NAN;
    call->previous = last;
    tg_buffer_queue_init(&call->input);
    if (last)
        last->next = call;
    else
        *list = call;
    return call;
}

void tg_body_calls_enter(struct tg_body_call *list, struct tg_body_pipe *pipe)
{
    bool ended = pipe->ended;
    pipe->ended = false;
    for (struct tg_body_call *call = list; call; call = call->next)
        tg_body_pipe_add_stage(pipe, &call->stage);
    struct tg_body_call *inside = list;
    if (!tg_buffer_queue_move(&inside->input, &pipe->waiting))
        lose(inside);
    inside->input_ended = ended;
}

const struct tg_buffer_queue *tg_body_calls_inlet(const struct tg_body_call *list, const struct tg_body_pipe *pipe)
{
    while (list && is_transparent(list))
        list = list->next;
    return list ? &list->input : &pipe->waiting;
}

static const struct tg_buffer_queue *outlet(const struct tg_body_call *call)
{
    const struct tg_body_call *next = call->produces ? call->exchange->response_bodies : call->next;
    return tg_body_calls_inlet(next, call->pipe);
}

/* What may wait there; a client with many streams allows each of them less. */
static uint64_t room_of(const struct tg_body_call *call, const struct tg_buffer_queue *where)
{
    const struct tg_client_side *client = call->exchange->client_side;
    bool bounded = client && client->room && where == &call->exchange->response_pipe.waiting;
    return bounded && *client->room < TG_PIPE_HIGH ? *client->room : TG_PIPE_HIGH;
}

bool tg_body_call_is_full(const struct tg_body_call *call)
{
    const struct tg_buffer_queue *where = outlet(call);
    return tg_buffer_queue_length(where) >= room_of(call, where);
}

static bool has_room_again(const struct tg_body_call *call)
{
    const struct tg_buffer_queue *where = outlet(call);
    uint64_t length = tg_buffer_queue_length(where);
    return length < TG_PIPE_LOW && length <= room_of(call, where) / 2;
}

void tg_body_calls_let_go_on(struct tg_body_call *list)
{
    for (struct tg_body_call *call = list; call; call = call->next) {
        if (!call->wants_room || !has_room_again(call))
            continue;
        call->wants_room = false;
        tell(call);
    }
}

static void close_call(struct tg_body_call *call)
{
    call->way = TG_BODY_DROP;
    call->way_left = UINT64_MAX;
    tg_buffer_queue_clear(&call->input);
}

static void cancel(struct tg_body_call *call)
{
    close_call(call);
    if (call->cancelled)
        return;
    bool runs = call->started && !call->over;
    call->over = call->cancelled = true;
    if (runs)
        call->exchange->worker->hooks->body_cancel(call);
}

void tg_body_calls_cancel(struct tg_body_call *list)
{
    for (struct tg_body_call *call = list; call; call = call->next) {
        if (call->answered)
            close_call(call);
        else
            cancel(call);
    }
}

void tg_body_calls_end(struct tg_body_call *list)
{
    for (struct tg_body_call *call = list; call; call = call->next) {
        cancel(call);
        tg_buffer_queue_deinit(&call->input);
    }
}

/* Without input there is nothing that a read could take away, and the head waits for the first bytes, or the return. */
void tg_body_call_begin(struct tg_body_call *call)
{
    bool was_changed = call->changed;
    bool nothing = call->input_ended && !call->input_failed && tg_buffer_queue_length(&call->input) == 0;
    call->begun = true;
    call->changed = call->changed || !nothing;
    if (call->changed && !was_changed)
        tg_exchange_wake(call->exchange);
}

struct tg_slice tg_body_call_look(const struct tg_body_call *call, uint64_t limit)
{
    struct tg_slice bytes = tg_buffer_slice(tg_buffer_queue_peek(&call->input));
    if (bytes.length > limit)
        bytes.length = (size_t)limit;
    return bytes;
}

static void copy_front(struct tg_buffer_queue *queue, char *to, uint64_t length)
{
    while (length > 0) {
        struct tg_buffer piece = tg_buffer_queue_pop(queue, (size_t)length);
        memcpy(to, piece.at, piece.length);
        to += piece.length;
        length -= piece.length;
        tg_buffer_unref(piece);
    }
}

bool tg_body_join_front(struct tg_buffer_queue *queue, uint64_t length)
{
    struct tg_block *block = tg_block_new_of((size_t)length);
    struct tg_buffer_queue joined;
    if (!block)
        return false;
    tg_buffer_queue_init(&joined);
    copy_front(queue, block->data, length);
    block->used = (uint32_t)length;
    struct tg_buffer front = { block, block->data, (size_t)length };
    bool good = tg_buffer_queue_push(&joined, front) && tg_buffer_queue_move(&joined, queue);
    tg_buffer_queue_deinit(queue);
    *queue = joined;
    return good;
}

struct tg_slice tg_body_call_gather(struct tg_body_call *call, uint64_t length)
{
    if (length > 0 && tg_body_call_look(call, length).length < length && !tg_body_join_front(&call->input, length)) {
        lose(call);
        return (struct tg_slice){ NULL, 0 };
    }
    return tg_body_call_look(call, length);
}

uint64_t tg_body_call_line(struct tg_body_call *call, uint64_t limit)
{
    uint64_t there = tg_buffer_queue_length(&call->input);
    if (there > limit)
        there = limit;
    if (there <= call->scanned)
        return 0;
    struct tg_slice bytes = tg_body_call_gather(call, there);
    if (!bytes.at)
        return 0;
    const char *found = memchr(bytes.at + call->scanned, '\n', bytes.length - (size_t)call->scanned);
    if (!found)
        call->scanned = bytes.length;
    return found ? (uint64_t)(found - bytes.at) + 1 : 0;
}

/* The giver may go on, or the handler before this one. */
static void there_is_room(struct tg_body_call *call)
{
    bool awaited = call->previous ? call->previous->wants_room : call->pipe->giver_paused;
    if (awaited || (call->exchange->producer && call->exchange->producer->wants_room))
        tg_exchange_wake(call->exchange);
}

void tg_body_call_take(struct tg_body_call *call, uint64_t length)
{
    tg_buffer_queue_drop(&call->input, length);
    call->scanned = 0;
    there_is_room(call);
}

/* To the queue in which the bytes will wait, without a buffer of their own: many small writes share a block. No stage
 * of another kind stands behind a call. */
static bool give(struct tg_body_call *next, struct tg_body_pipe *pipe, struct tg_slice bytes)
{
    while (next && bytes.length > 0) {
        if (next->way == TG_BODY_READ) {
            bool kept = tg_buffer_queue_append(&next->input, bytes);
            tell_reader(next);
            return kept;
        }
        struct tg_slice part = bytes;
        if (part.length > next->way_left)
            part.length = (size_t)next->way_left;
        if (next->way == TG_BODY_PASS && !give(next->next, pipe, part))
            return false;
        bytes = tg_slice_from(bytes, part.length);
        if (next->way_left != UINT64_MAX && (next->way_left -= part.length) == 0) {
            next->way = TG_BODY_READ;
            tell_reader(next);
        }
    }
    return tg_buffer_queue_append(&pipe->waiting, bytes);
}

bool tg_body_call_write(struct tg_body_call *call, struct tg_slice bytes)
{
    if (call->over || call->answered || call->finished)
        return true;
    call->begun = call->changed = true;
    if (call->produces)
        call->pipe->passed += bytes.length;
    bool given = give(call->produces ? call->exchange->response_bodies : call->next, call->pipe, bytes);
    if (!given)
        lose(call);
    tg_exchange_wake(call->exchange);
    return given;
}

static void send_what_waits(struct tg_body_call *call)
{
    while (call->way_left > 0 && tg_buffer_queue_length(&call->input) > 0) {
        size_t limit = call->way_left < SIZE_MAX ? (size_t)call->way_left : SIZE_MAX;
        struct tg_buffer piece = tg_buffer_queue_pop(&call->input, limit);
        if (call->way_left != UINT64_MAX)
            call->way_left -= piece.length;
        if (call->way == TG_BODY_PASS)
            emit(call, piece);
        else
            tg_buffer_unref(piece);
    }
    if (call->way_left == 0)
        call->way = TG_BODY_READ;
    call->scanned = 0;
    there_is_room(call);
}

void tg_body_call_send(struct tg_body_call *call, enum tg_body_way way, uint64_t length)
{
    call->way = way;
    call->way_left = length;
    send_what_waits(call);
}

void tg_body_call_finish(struct tg_body_call *call)
{
    call->begun = call->changed = call->finished = true;
    close_call(call);
    tg_exchange_wake(call->exchange);
}

static void end_output(struct tg_body_call *call)
{
    if (call->finished) {
        close_call(call);
        emit_end(call);
        return;
    }
    tg_body_call_send(call, TG_BODY_PASS, UINT64_MAX);
    if (call->input_failed)
        emit_failure(call);
    else if (call->input_ended)
        emit_end(call);
}

void tg_body_call_over(struct tg_body_call *call, bool failed)
{
    if (call->over)
        return;
    call->over = true;
    call->failed = failed;
    if (failed || call->answered)
        close_call(call);
    else
        end_output(call);
    if (failed)
        call->exchange->bodies_spoke = true;
    tg_exchange_wake(call->exchange);
}
