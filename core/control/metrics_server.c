#include "control/metrics_server.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/list.h"
#include "net/loop.h"

enum { CONNECTIONS_MAX = 32, HEAD_LIMIT = 8 * 1024, BACKLOG = 64 };

static const double time_limit = 10;     /* seconds for all of a connection */
static const double pause_seconds = 0.2; /* of accepting, where the system has no descriptor left */

struct tg_metrics_server {
    struct ev_loop *ev;
    void (*write)(void *context, struct tg_text *out);
    void *context;
    ev_io accepting; /* fd -1: there is no listener */
    ev_timer pause;
    struct tg_address address; /* of the listener */
    struct tg_address next;    /* of the one that was prepared */
    int prepared;              /* its descriptor; -1: none */
    bool kept;                 /* the listener there is stays */
    struct tg_list connections;
    size_t count;
};

struct connection {
    struct tg_metrics_server *server;
    struct tg_list link;
    ev_io io;
    ev_timer limit;
    struct tg_text in, out;
    size_t sent;
    bool answered;
};

/* --- connections --- */

static void watch(struct connection *connection, int events)
{
    ev_io_stop(connection->server->ev, &connection->io);
    ev_io_set(&connection->io, connection->io.fd, events);
    ev_io_start(connection->server->ev, &connection->io);
}

static void close_connection(struct connection *connection)
{
    struct tg_metrics_server *server = connection->server;
    ev_io_stop(server->ev, &connection->io);
    ev_timer_stop(server->ev, &connection->limit);
    tg_list_remove(&connection->link);
    server->count--;
    if (server->accepting.fd >= 0 && !ev_is_active(&server->pause))
        ev_io_start(server->ev, &server->accepting);
    tg_text_deinit(&connection->in);
    tg_text_deinit(&connection->out);
    close(connection->io.fd);
    free(connection);
}

/* Then waits for the client's end: closing before it has read everything could take the answer from it. */
static void send_out(struct connection *connection)
{
    while (connection->sent < connection->out.length) {
        ssize_t written = send(connection->io.fd, connection->out.at + connection->sent,
                               connection->out.length - connection->sent, MSG_NOSIGNAL);
        if (written < 0 && (errno == EAGAIN || errno == EINTR)) {
            watch(connection, EV_WRITE);
            return;
        }
        if (written < 0) {
            close_connection(connection);
            return;
        }
        connection->sent += (size_t)written;
    }
    shutdown(connection->io.fd, SHUT_WR);
    watch(connection, EV_READ);
}

static void put_head(struct tg_text *out, const char *status, const char *type, size_t length)
{
    tg_text_appendf(out,
                    "HTTP/1.1 %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\ncache-control: no-store\r\n"
                    "connection: close\r\n",
                    status, type, length);
}

static void answer_with(struct connection *connection, const char *status, const char *field)
{
    put_head(&connection->out, status, "text/plain", strlen(status) + 1);
    tg_text_appendf(&connection->out, "%s\r\n%s\n", field, status);
}

static void answer_metrics(struct connection *connection, bool body)
{
    struct tg_text text;
    tg_text_init(&text);
    connection->server->write(connection->server->context, &text);
    if (text.failed) {
        answer_with(connection, "503 Service Unavailable", "");
    } else {
        put_head(&connection->out, "200 OK", "text/plain; version=0.0.4; charset=utf-8", text.length);
        tg_text_append(&connection->out, TG_SLICE("\r\n"));
        if (body)
            tg_text_append(&connection->out, tg_text_slice(&text));
    }
    tg_text_deinit(&text);
}

static struct tg_slice until(struct tg_slice text, char end)
{
    const char *at = text.length > 0 ? memchr(text.at, end, text.length) : NULL;
    return tg_slice_of(text.at, at ? (size_t)(at - text.at) : text.length);
}

static struct tg_slice line_of(struct tg_slice bytes)
{
    struct tg_slice line = until(bytes, '\n');
    if (line.length > 0 && line.at[line.length - 1] == '\r')
        line.length--;
    return line;
}

bool tg_metrics_is_http(struct tg_slice line)
{
    enum { VERSION = sizeof(" HTTP/1.1") - 1 };
    if (line.length > 0 && line.at[line.length - 1] == '\r')
        line.length--;
    if (line.length <= VERSION || memcmp(line.at + line.length - VERSION, " HTTP/1.", VERSION - 1) != 0)
        return false;
    struct tg_slice method = until(line, ' ');
    for (size_t i = 0; i < method.length; i++)
        if (method.at[i] < 'A' || method.at[i] > 'Z')
            return false;
    return method.length > 0 && method.length < line.length - VERSION;
}

static void answer(struct connection *connection)
{
    struct tg_slice line = line_of(tg_text_slice(&connection->in));
    struct tg_slice method = until(line, ' ');
    connection->answered = true;
    if (!tg_metrics_is_http(line)) {
        answer_with(connection, "400 Bad Request", "");
    } else {
        struct tg_slice path = until(until(tg_slice_from(line, method.length + 1), ' '), '?');
        bool get = tg_slice_equal(method, TG_SLICE("GET"));
        if (!tg_slice_equal(path, TG_SLICE("/metrics")))
            answer_with(connection, "404 Not Found", "");
        else if (get || tg_slice_equal(method, TG_SLICE("HEAD")))
            answer_metrics(connection, get);
        else
            answer_with(connection, "405 Method Not Allowed", "allow: GET, HEAD\r\n");
    }
    if (connection->out.failed)
        close_connection(connection);
    else
        send_out(connection);
}

/* The connection may be gone afterwards. */
static void take(struct connection *connection)
{
    const struct tg_text *in = &connection->in;
    bool whole = in->length > 0 &&
                 (memmem(in->at, in->length, "\r\n\r\n", 4) != NULL || memmem(in->at, in->length, "\n\n", 2) != NULL);
    if (in->failed)
        close_connection(connection);
    else if (whole)
        answer(connection);
    else if (in->length > HEAD_LIMIT) {
        connection->answered = true;
        answer_with(connection, "431 Request Header Fields Too Large", "");
        send_out(connection);
    }
}

static void on_ready(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    struct connection *connection = watcher->data;
    char bytes[4096];
    if (events & EV_WRITE) {
        send_out(connection);
        return;
    }
    ssize_t got = recv(watcher->fd, bytes, sizeof bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        close_connection(connection);
    } else if (!connection->answered) {
        tg_text_append(&connection->in, tg_slice_of(bytes, (size_t)got));
        take(connection);
    }
}

static void on_limit(struct ev_loop *ev, ev_timer *watcher, int events)
{
    (void)ev;
    (void)events;
    close_connection(watcher->data);
}

static struct connection *add_connection(struct tg_metrics_server *server, int descriptor)
{
    struct connection *connection = server->count < CONNECTIONS_MAX ? calloc(1, sizeof *connection) : NULL;
    if (!connection) {
        close(descriptor);
        return NULL;
    }
    connection->server = server;
    tg_text_init(&connection->in);
    tg_text_init(&connection->out);
    tg_list_init(&connection->link);
    tg_list_append(&server->connections, &connection->link);
    ev_io_init(&connection->io, on_ready, descriptor, EV_READ);
    ev_timer_init(&connection->limit, on_limit, time_limit, 0);
    connection->io.data = connection->limit.data = connection;
    ev_io_start(server->ev, &connection->io);
    ev_timer_start(server->ev, &connection->limit);
    if (++server->count >= CONNECTIONS_MAX)
        ev_io_stop(server->ev, &server->accepting);
    return connection;
}

void tg_metrics_server_adopt(struct tg_metrics_server *server, int descriptor, struct tg_slice bytes)
{
    struct connection *connection = add_connection(server, descriptor);
    if (!connection)
        return;
    tg_text_append(&connection->in, bytes);
    take(connection);
}

/* --- the listener --- */

static void on_pause_over(struct ev_loop *ev, ev_timer *watcher, int events)
{
    (void)events;
    struct tg_metrics_server *server = watcher->data;
    ev_timer_stop(ev, watcher);
    if (server->accepting.fd >= 0 && server->count < CONNECTIONS_MAX)
        ev_io_start(ev, &server->accepting);
}

static void on_connection(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)events;
    struct tg_metrics_server *server = watcher->data;
    int descriptor = accept4(watcher->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
        add_connection(server, descriptor);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        ev_io_stop(ev, watcher);
        ev_timer_set(&server->pause, pause_seconds, 0);
        ev_timer_start(ev, &server->pause);
    }
}

static void close_listener(struct tg_metrics_server *server)
{
    ev_io_stop(server->ev, &server->accepting);
    if (server->accepting.fd >= 0)
        close(server->accepting.fd);
    ev_io_set(&server->accepting, -1, EV_READ);
}

void tg_metrics_server_cancel(struct tg_metrics_server *server)
{
    if (server->prepared >= 0)
        close(server->prepared);
    server->prepared = -1;
    server->kept = true;
}

static int open_listener(const struct tg_address *address)
{
    int on = 1;
    int descriptor = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(descriptor, &address->any, address->length) == 0 && listen(descriptor, BACKLOG) == 0)
        return descriptor;
    int problem = errno;
    close(descriptor);
    errno = problem;
    return -1;
}

bool tg_metrics_server_prepare(struct tg_metrics_server *server, const struct tg_address *address, struct tg_text *why)
{
    tg_metrics_server_cancel(server);
    server->kept = address && server->accepting.fd >= 0 && tg_address_equal(address, &server->address);
    if (!address || server->kept)
        return true;
    char text[128];
    server->prepared = open_listener(address);
    server->next = *address;
    if (server->prepared >= 0)
        return true;
    int problem = errno;
    int length = (int)tg_address_format(address, text);
    tg_text_appendf(why, "metrics: can't listen on %.*s: %s", length, text, strerror(problem));
    server->kept = true;
    return false;
}

void tg_metrics_server_settle(struct tg_metrics_server *server)
{
    if (!server->kept)
        close_listener(server);
    server->kept = true;
    if (server->prepared < 0)
        return;
    ev_io_set(&server->accepting, server->prepared, EV_READ);
    server->address = server->next;
    server->prepared = -1;
    if (server->count < CONNECTIONS_MAX)
        ev_io_start(server->ev, &server->accepting);
}

struct tg_metrics_server *tg_metrics_server_new(struct tg_loop *loop, void (*write)(void *context, struct tg_text *out),
                                                void *context)
{
    struct tg_metrics_server *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    server->ev = tg_loop_ev(loop);
    server->write = write;
    server->context = context;
    server->prepared = -1;
    server->kept = true;
    tg_list_init(&server->connections);
    ev_io_init(&server->accepting, on_connection, -1, EV_READ);
    ev_timer_init(&server->pause, on_pause_over, 0, 0);
    server->accepting.data = server->pause.data = server;
    return server;
}

void tg_metrics_server_free(struct tg_metrics_server *server)
{
    if (!server)
        return;
    while (!tg_list_empty(&server->connections))
        close_connection(TG_CONTAINER_OF(tg_list_first(&server->connections), struct connection, link));
    tg_metrics_server_cancel(server);
    close_listener(server);
    ev_timer_stop(server->ev, &server->pause);
    free(server);
}
