#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "net/tls_stream.h"

static enum tg_stream_end end_of(int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL: /* no local port is left */
    case EADDRINUSE: return TG_STREAM_ERROR;
    default: return TG_STREAM_REFUSED;
    }
}

static void tell_outcome(struct tg_stream *stream, int error)
{
    stream->connecting = false;
    if (error) {
        tg_stream_fail(stream, end_of(error));
        return;
    }
    tg_watch_change(stream->loop, &stream->watch, TG_STREAM_READING);
    if (stream->tls) {
        tg_tls_run_soon(stream);
        return;
    }
    if (tg_stream_unsent(stream) > 0 || stream->finishing)
        tg_stream_flush_soon(stream);
    stream->ops->on_connected(stream);
}

void tg_stream_finish_connecting(struct tg_stream *stream, uint32_t events)
{
    if (!tg_list_empty(&stream->outcome.link)) /* known, and about to be told */
        return;
    int error = 0;
    socklen_t length = sizeof(error);
    if ((events & (EPOLLERR | EPOLLHUP)) &&
        (getsockopt(stream->watch.descriptor, SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error == 0))
        error = ECONNREFUSED;
    tell_outcome(stream, error);
}

static void run_outcome(struct tg_task *task)
{
    struct tg_stream *stream = TG_CONTAINER_OF(task, struct tg_stream, outcome);
    tell_outcome(stream, stream->connect_error);
}

static bool bind_source(int descriptor, const struct tg_address *source)
{
    int on = 1;
    if (!source || tg_address_is_unix(source))
        return true;
    setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    return bind(descriptor, &source->any, source->length) == 0;
}

/* 0, EINPROGRESS or what went wrong. A Unix socket's backlog that is full gives EAGAIN. */
static int start_connecting(int descriptor, const struct tg_address *address, const struct tg_address *source)
{
    int on = 1;
    if (!tg_address_is_unix(address))
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (!bind_source(descriptor, source))
        return errno;
    return connect(descriptor, &address->any, address->length) == 0 ? 0 : errno;
}

struct tg_stream *tg_stream_connect(struct tg_loop *loop, const struct tg_address *address,
                                    const struct tg_address *source, const struct tg_stream_ops *ops, void *owner)
{
    int descriptor = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return NULL;
    int error = start_connecting(descriptor, address, source);
    struct tg_stream *stream =
        tg_stream_adopt(loop, descriptor, error == EINPROGRESS ? EPOLLOUT : TG_STREAM_READING, address);
    if (!stream) {
        close(descriptor);
        return NULL;
    }
    tg_stream_set_owner(stream, ops, owner);
    stream->connecting = true;
    tg_task_init(&stream->outcome, run_outcome);
    if (error != EINPROGRESS) {
        stream->connect_error = error;
        tg_loop_defer(loop, &stream->outcome);
    }
    return stream;
}

bool tg_stream_reached(const struct tg_stream *stream)
{
    return !stream->connecting;
}

void tg_stream_limit_silence(struct tg_stream *stream, double seconds)
{
    unsigned milliseconds = (unsigned)(seconds * 1000);
    if (!tg_address_is_unix(&stream->peer))
        setsockopt(stream->watch.descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof(milliseconds));
}
