/* tg.tcp: sockets of scripts, over the streams of the worker's loop. */
#include "script/socket.h"

#include <math.h>
#include <stdlib.h>

enum { LEAST_ROOM = 4096, KEPT_ROOM = 64 * 1024, UNSENT_MOST = 64 * 1024 };

static struct tg_script_socket *socket_of(struct tg_abi_owned *owned)
{
    return (struct tg_script_socket *)owned;
}

static void wake(struct tg_run_wait *wait)
{
    if (wait->run)
        tg_run_wake(wait->run);
}

static void forget(struct tg_run_wait *wait)
{
    wait->run = NULL;
}

static void forget_waits(struct tg_script_socket *socket)
{
    tg_list_remove(&socket->reader.link);
    tg_list_remove(&socket->writer.link);
    socket->reader.run = socket->writer.run = NULL;
}

/* Both learn of it from the state. */
static void leave(struct tg_script_socket *socket, int32_t state)
{
    socket->stream = NULL;
    socket->state = state;
    tg_list_remove(&socket->hold.link);
    wake(&socket->reader);
    wake(&socket->writer);
}

/* --- the stream's owner ----------------------------------------------------------------------------------------- */

static void on_connected(struct tg_stream *stream)
{
    struct tg_script_socket *socket = tg_stream_owner(stream);
    socket->state = TG_ABI_SOCKET_OPEN;
    wake(&socket->reader);
}

static bool make_room(struct tg_script_socket *socket, size_t length)
{
    size_t buffered = tg_socket_buffered(socket);
    if (socket->capacity - socket->end >= length)
        return true;
    if (socket->begin > 0 && buffered > 0)
        memmove(socket->data, socket->data + socket->begin, buffered);
    socket->begin = 0;
    socket->end = buffered;
    if (socket->capacity - buffered >= length)
        return true;
    size_t capacity = socket->capacity ? socket->capacity * 2 : LEAST_ROOM;
    while (capacity - buffered < length)
        capacity *= 2;
    char *grown = realloc(socket->data, capacity);
    if (!grown)
        return false;
    socket->data = grown;
    socket->capacity = capacity;
    return true;
}

static size_t most_ahead(const struct tg_script_socket *socket)
{
    return socket->want > TG_SOCKET_AHEAD ? socket->want : TG_SOCKET_AHEAD;
}

static void pause_or_resume(struct tg_script_socket *socket)
{
    bool full = tg_socket_buffered(socket) >= most_ahead(socket);
    if (!socket->stream || full == socket->paused)
        return;
    socket->paused = full;
    if (full)
        tg_stream_pause(socket->stream);
    else
        tg_stream_resume(socket->stream);
}

static void fail(struct tg_script_socket *socket, int32_t state)
{
    tg_stream_close(socket->stream);
    leave(socket, state);
}

static void on_data(struct tg_stream *stream, struct tg_buffer data)
{
    struct tg_script_socket *socket = tg_stream_owner(stream);
    if (!make_room(socket, data.length)) {
        fail(socket, TG_ABI_SOCKET_BROKEN);
        return;
    }
    memcpy(socket->data + socket->end, data.at, data.length);
    socket->end += data.length;
    pause_or_resume(socket);
    if (tg_socket_buffered(socket) >= socket->want)
        wake(&socket->reader);
}

static void on_eof(struct tg_stream *stream)
{
    struct tg_script_socket *socket = tg_stream_owner(stream);
    socket->state = TG_ABI_SOCKET_ENDED;
    wake(&socket->reader);
}

static void on_drained(struct tg_stream *stream)
{
    struct tg_script_socket *socket = tg_stream_owner(stream);
    wake(&socket->writer);
}

static int32_t state_of(enum tg_stream_end end)
{
    switch (end) {
    case TG_STREAM_REFUSED: return TG_ABI_SOCKET_REFUSED;
    case TG_STREAM_TLS: return TG_ABI_SOCKET_TLS;
    case TG_STREAM_UNTRUSTED: return TG_ABI_SOCKET_UNTRUSTED;
    case TG_STREAM_ERROR: return TG_ABI_SOCKET_BROKEN;
    default: return TG_ABI_SOCKET_RESET;
    }
}

static void on_failed(struct tg_stream *stream, enum tg_stream_end end)
{
    struct tg_script_socket *socket = tg_stream_owner(stream);
    bool cut = end == TG_STREAM_TLS && socket->state != TG_ABI_SOCKET_CONNECTING;
    socket->problem = tg_stream_problem(stream);
    fail(socket, cut ? TG_ABI_SOCKET_RESET : state_of(end));
}

static const struct tg_stream_ops stream_ops = {
    .on_connected = on_connected,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_failed = on_failed,
};

/* --- its life --------------------------------------------------------------------------------------------------- */

/* What was given to be sent goes out; but a peer must not take what was cut for the whole. */
static void end_stream(struct tg_script_socket *socket)
{
    struct tg_stream *stream = socket->stream;
    if (!stream)
        return;
    if (socket->sending)
        tg_stream_reset(stream);
    else if (socket->state != TG_ABI_SOCKET_CONNECTING && tg_stream_unsent(stream) > 0)
        tg_stream_linger(stream);
    else
        tg_stream_close(stream);
    leave(socket, TG_ABI_SOCKET_CLOSED);
}

static void release(struct tg_hold *hold)
{
    end_stream(TG_CONTAINER_OF(hold, struct tg_script_socket, hold));
}

static void destroy(struct tg_abi_owned *owned)
{
    struct tg_script_socket *socket = socket_of(owned);
    forget_waits(socket);
    end_stream(socket);
    tg_text_deinit(&socket->key);
    free(socket->data);
    free(socket);
}

static bool make_key(struct tg_script_socket *socket, struct tg_slice address, const struct tg_socket_tls *tls,
                     struct tg_slice name)
{
    struct tg_slice identity = tls ? tg_tls_client_identity(tls->client) : TG_SLICE("clear");
    tg_text_append(&socket->key, address);
    tg_text_append(&socket->key, TG_SLICE("\n"));
    tg_text_append(&socket->key, tls ? name : TG_SLICE(""));
    tg_text_append(&socket->key, TG_SLICE("\n"));
    tg_text_append(&socket->key, identity);
    return !socket->key.failed;
}

static bool dial(struct tg_script_socket *socket, const struct tg_address *address, struct tg_socket_tls *tls,
                 struct tg_slice name)
{
    struct tg_loop *loop = socket->owned.vm->loop;
    socket->stream = tg_stream_connect(loop, address, NULL, &stream_ops, socket);
    if (!socket->stream)
        return false;
    if (!tls || tg_stream_start_tls_client(socket->stream, tls->client, NULL, name))
        return true;
    tg_stream_close(socket->stream);
    socket->stream = NULL;
    return false;
}

static bool open_stream(struct tg_script_socket *socket, const struct tg_address *address, struct tg_socket_tls *tls,
                        struct tg_slice name)
{
    struct tg_stream *kept =
        socket->pool_most > 0 ? tg_socket_pool_take(socket->owned.vm, tg_text_slice(&socket->key)) : NULL;
    if (!kept)
        return dial(socket, address, tls, name);
    tg_stream_set_owner(kept, &stream_ops, socket);
    socket->stream = kept;
    socket->reused = true;
    socket->state = TG_ABI_SOCKET_OPEN;
    return true;
}

static struct tg_script_socket *socket_alloc(struct tg_vm *vm, uint32_t pool)
{
    struct tg_script_socket *socket = tg_owned_new(vm, sizeof(*socket), destroy);
    if (!socket)
        return NULL;
    tg_list_init(&socket->hold.link);
    tg_list_init(&socket->reader.link);
    tg_list_init(&socket->writer.link);
    tg_text_init(&socket->key);
    socket->pool_most = pool;
    return socket;
}

struct tg_abi_owned *tg_abi_socket_new(struct tg_abi_control *control, const char *address, uint32_t length,
                                       struct tg_abi_owned *tls, const char *name, uint32_t name_length, uint32_t pool,
                                       int32_t for_generation, const char **problem)
{
    struct tg_vm *vm = (struct tg_vm *)control;
    struct tg_address where;
    struct tg_slice text = tg_slice_of(address, length), named = tg_slice_of(name, name_length);
    struct tg_socket_tls *settings = (struct tg_socket_tls *)tls;
    control->length = 1;
    if (!tg_address_parse(text, &where, problem))
        return NULL;
    control->length = 0;
    struct tg_script_socket *socket = socket_alloc(vm, pool);
    if (!socket)
        return NULL;
    if ((pool > 0 && !make_key(socket, text, settings, named)) || !open_stream(socket, &where, settings, named)) {
        tg_abi_release(&socket->owned);
        return NULL;
    }
    if (!for_generation && vm->current->kind != TG_RUN_INIT)
        tg_hold_add(tg_holds_of(vm->current), &socket->hold, release);
    return &socket->owned;
}

int32_t tg_abi_socket_state(struct tg_abi_owned *owned)
{
    return socket_of(owned)->state;
}

int32_t tg_abi_socket_reused(struct tg_abi_owned *owned)
{
    return socket_of(owned)->reused;
}

const char *tg_abi_socket_problem(struct tg_abi_owned *owned)
{
    return socket_of(owned)->problem;
}

void tg_abi_socket_close(struct tg_abi_owned *owned)
{
    end_stream(socket_of(owned));
}

void tg_abi_socket_reset(struct tg_abi_owned *owned)
{
    struct tg_script_socket *socket = socket_of(owned);
    if (!socket->stream)
        return;
    tg_stream_reset(socket->stream);
    leave(socket, TG_ABI_SOCKET_CLOSED);
}

/* --- receiving -------------------------------------------------------------------------------------------------- */

uint32_t tg_abi_socket_buffered(struct tg_abi_owned *owned)
{
    return (uint32_t)tg_socket_buffered(socket_of(owned));
}

int32_t tg_abi_socket_find(struct tg_abi_owned *owned, const char *text, uint32_t length, uint32_t from)
{
    const struct tg_script_socket *socket = socket_of(owned);
    size_t buffered = tg_socket_buffered(socket);
    if (from >= buffered)
        return -1;
    const char *begin = socket->data + socket->begin;
    const char *found = memmem(begin + from, buffered - from, text, length);
    return found ? (int32_t)(found - begin) : -1;
}

const char *tg_abi_socket_take(struct tg_abi_owned *owned, uint32_t length)
{
    struct tg_script_socket *socket = socket_of(owned);
    const char *at = socket->data ? socket->data + socket->begin : "";
    socket->begin += length;
    socket->want = 0;
    pause_or_resume(socket);
    return at;
}

/* A burst's memory isn't kept; what was taken from it has been copied. */
static void shrink(struct tg_script_socket *socket)
{
    if (tg_socket_buffered(socket) > 0)
        return;
    socket->begin = socket->end = 0;
    if (socket->capacity <= KEPT_ROOM)
        return;
    free(socket->data);
    socket->data = NULL;
    socket->capacity = 0;
}

static int32_t wait_on(struct tg_run_wait *wait, struct tg_run *run)
{
    tg_run_wait_for(run, wait, forget);
    return TG_ABI_SOCKET_WAIT;
}

static bool more_comes(const struct tg_script_socket *socket)
{
    return socket->state == TG_ABI_SOCKET_OPEN || socket->state == TG_ABI_SOCKET_CONNECTING;
}

int32_t tg_abi_socket_await(struct tg_abi_control *control, struct tg_abi_owned *owned, uint32_t bytes)
{
    struct tg_script_socket *socket = socket_of(owned);
    struct tg_run *run = tg_run_to_wait((struct tg_vm *)control);
    if (!run)
        return TG_ABI_SOCKET_NO_RUN;
    if (socket->reader.run)
        return TG_ABI_SOCKET_TAKEN;
    bool there = bytes > 0 ? tg_socket_buffered(socket) >= bytes : socket->state != TG_ABI_SOCKET_CONNECTING;
    if (there || !more_comes(socket))
        return TG_ABI_SOCKET_READY;
    shrink(socket);
    socket->want = bytes;
    pause_or_resume(socket);
    return wait_on(&socket->reader, run);
}

/* --- sending ---------------------------------------------------------------------------------------------------- */

static bool may_send(const struct tg_script_socket *socket)
{
    return socket->stream && socket->state != TG_ABI_SOCKET_CONNECTING && !socket->finished;
}

int32_t tg_abi_socket_begin_send(struct tg_abi_control *control, struct tg_abi_owned *owned)
{
    struct tg_script_socket *socket = socket_of(owned);
    if (!tg_run_to_wait((struct tg_vm *)control))
        return TG_ABI_SOCKET_NO_RUN;
    if (socket->writer.run)
        return TG_ABI_SOCKET_TAKEN;
    if (socket->sending)
        tg_abi_socket_reset(owned);
    if (!may_send(socket))
        return TG_ABI_SOCKET_UNFIT;
    socket->sending = true;
    return TG_ABI_SOCKET_READY;
}

void tg_abi_socket_send(struct tg_abi_owned *owned, const char *text, uint32_t length)
{
    struct tg_script_socket *socket = socket_of(owned);
    struct tg_buffer_queue queue;
    if (!may_send(socket))
        return;
    tg_buffer_queue_init(&queue);
    if (tg_buffer_queue_append(&queue, tg_slice_of(text, length)))
        tg_stream_send_queue(socket->stream, &queue);
    else
        fail(socket, TG_ABI_SOCKET_BROKEN);
    tg_buffer_queue_deinit(&queue);
}

int32_t tg_abi_socket_room(struct tg_abi_control *control, struct tg_abi_owned *owned)
{
    struct tg_script_socket *socket = socket_of(owned);
    struct tg_run *run = tg_run_to_wait((struct tg_vm *)control);
    if (!socket->stream)
        return TG_ABI_SOCKET_UNFIT;
    if (tg_stream_unsent(socket->stream) < UNSENT_MOST)
        return TG_ABI_SOCKET_READY;
    return wait_on(&socket->writer, run);
}

void tg_abi_socket_end_send(struct tg_abi_owned *owned)
{
    socket_of(owned)->sending = false;
}

void tg_abi_socket_finish(struct tg_abi_owned *owned)
{
    struct tg_script_socket *socket = socket_of(owned);
    if (!may_send(socket))
        return;
    socket->finished = true;
    tg_stream_finish(socket->stream);
}

/* --- the pool --------------------------------------------------------------------------------------------------- */

static int32_t fit_to_keep(const struct tg_script_socket *socket)
{
    if (socket->reader.run || socket->writer.run)
        return TG_ABI_SOCKET_TAKEN;
    if (tg_socket_buffered(socket) > 0 || socket->state == TG_ABI_SOCKET_ENDED)
        return TG_ABI_SOCKET_UNREAD;
    bool fit = may_send(socket) && !socket->sending && socket->pool_most > 0;
    if (!fit || tg_stream_unsent(socket->stream) > 0)
        return TG_ABI_SOCKET_UNFIT;
    return tg_stream_silent(socket->stream) ? TG_ABI_SOCKET_READY : TG_ABI_SOCKET_UNREAD;
}

int32_t tg_abi_socket_keep(struct tg_abi_owned *owned, double idle)
{
    struct tg_script_socket *socket = socket_of(owned);
    int32_t result = fit_to_keep(socket);
    if (result != TG_ABI_SOCKET_READY)
        return result;
    if (!tg_socket_pool_keep(owned->vm, tg_text_slice(&socket->key), socket->pool_most, idle, socket->stream))
        return TG_ABI_SOCKET_NO_MEMORY;
    leave(socket, TG_ABI_SOCKET_CLOSED);
    return TG_ABI_SOCKET_READY;
}
