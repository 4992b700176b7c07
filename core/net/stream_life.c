#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/tls_stream.h"

static const struct tg_stream_ops no_owner;

struct tg_stream *tg_stream_adopt(struct tg_loop *loop, int descriptor, uint32_t interest,
                                  const struct tg_address *peer)
{
    struct tg_stream *stream = malloc(sizeof(*stream));
    if (!stream)
        return NULL;
    memset(stream, 0, offsetof(struct tg_stream, peer));
    tg_list_init(&stream->unsent_link);
    tg_list_init(&stream->outcome.link);
    stream->local.length = 0;
    stream->watch.ready = tg_stream_ready;
    stream->watch.descriptor = descriptor;
    stream->loop = loop;
    stream->ops = &no_owner;
    stream->peer = *peer;
    if (!tg_watch_start(loop, &stream->watch, interest)) {
        free(stream);
        return NULL;
    }
    tg_list_append(&loop->streams, &stream->all_link);
    return stream;
}

struct tg_stream *tg_stream_accept(struct tg_loop *loop, int descriptor, const struct tg_address *peer,
                                   const struct tg_address *local)
{
    struct tg_stream *stream = tg_stream_adopt(loop, descriptor, TG_STREAM_READING, peer);
    if (!stream) {
        close(descriptor);
        return NULL;
    }
    stream->local = *local;
    tg_counters_add(&loop->counters, TG_COUNTER_CONNECTIONS_ACCEPTED, 1);
    return stream;
}

void tg_stream_set_owner(struct tg_stream *stream, const struct tg_stream_ops *ops, void *owner)
{
    stream->ops = ops;
    stream->owner = owner;
}

void *tg_stream_owner(const struct tg_stream *stream)
{
    return stream->owner;
}

void tg_stream_pass_on(struct tg_stream *stream, struct tg_buffer data)
{
    stream->ops->on_data(stream, data);
}

struct tg_loop *tg_stream_loop(const struct tg_stream *stream)
{
    return stream->loop;
}

const struct tg_address *tg_stream_peer(const struct tg_stream *stream)
{
    return &stream->peer;
}

void tg_stream_set_peer(struct tg_stream *stream, const struct tg_address *peer)
{
    stream->peer = *peer;
}

/* Asked of the system only when somebody wants to know. */
const struct tg_address *tg_stream_local(const struct tg_stream *stream)
{
    if (stream->local.length == 0) {
        struct tg_address *local = (struct tg_address *)&stream->local;
        local->length = sizeof(local->storage);
        if (getsockname(stream->watch.descriptor, &local->any, &local->length) != 0)
            *local = (struct tg_address){ .length = sizeof(sa_family_t) };
    }
    return &stream->local;
}

uint64_t tg_stream_unsent(const struct tg_stream *stream)
{
    return tg_spare_queue_length(stream->out) + (stream->tls ? tg_spare_queue_length(stream->tls->wire) : 0);
}

uint64_t tg_stream_sent(const struct tg_stream *stream)
{
    return stream->sent;
}

uint64_t tg_stream_received(const struct tg_stream *stream)
{
    return stream->received;
}

/* Leaves loop, set and owner; the descriptor stays open. */
static void leave(struct tg_stream *stream)
{
    tg_watch_stop(stream->loop, &stream->watch);
    stream->watch.ended = true;
    tg_list_remove(&stream->all_link);
    tg_list_remove(&stream->unsent_link);
    tg_list_remove(&stream->outcome.link);
    tg_stream_end_linger(stream);
    tg_spare_queue_give_back(stream->loop, &stream->out);
    if (stream->tls)
        tg_tls_free(stream->tls);
    stream->tls = NULL;
    tg_loop_free_later(stream->loop, stream);
}

static void end(struct tg_stream *stream)
{
    leave(stream);
    close(stream->watch.descriptor);
}

void tg_stream_close(struct tg_stream *stream)
{
    if (stream->tls)
        tg_tls_say_goodbye(stream);
    end(stream);
}

void tg_stream_reset(struct tg_stream *stream)
{
    struct linger at_once = { .l_onoff = 1 };
    setsockopt(stream->watch.descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    end(stream);
}

void tg_loop_close_streams(struct tg_loop *loop)
{
    while (!tg_list_empty(&loop->streams))
        end(TG_CONTAINER_OF(loop->streams.next, struct tg_stream, all_link));
}

struct tg_socket tg_stream_detach(struct tg_stream *stream)
{
    struct tg_socket socket = { stream->watch.descriptor, stream->tls };
    if (stream->tls)
        tg_tls_detach(stream->tls);
    stream->tls = NULL;
    leave(stream);
    return socket;
}

static bool is_silent(int descriptor)
{
    char byte;
    ssize_t got;
    do {
        got = recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

struct tg_stream *tg_stream_attach(struct tg_loop *loop, struct tg_socket socket, const struct tg_address *peer,
                                   const struct tg_stream_ops *ops, void *owner)
{
    bool silent = socket.tls || is_silent(socket.descriptor);
    struct tg_stream *stream = silent ? tg_stream_adopt(loop, socket.descriptor, TG_STREAM_READING, peer) : NULL;
    if (!stream) {
        tg_socket_close(socket);
        return NULL;
    }
    if (socket.tls && !tg_tls_attach(socket.tls, stream)) {
        end(stream);
        return NULL;
    }
    tg_stream_set_owner(stream, ops, owner);
    return stream;
}

bool tg_stream_silent(struct tg_stream *stream)
{
    if (stream->failed || stream->peer_ended)
        return false;
    return stream->tls ? tg_tls_silent(stream) : is_silent(stream->watch.descriptor);
}

void tg_socket_close(struct tg_socket socket)
{
    if (socket.tls)
        tg_tls_free(socket.tls);
    if (socket.descriptor >= 0)
        close(socket.descriptor);
}
