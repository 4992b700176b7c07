#include "control/admin_server.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "control/json_text.h"
#include "control/metrics_server.h"
#include "net/loop.h"

enum { CONNECTIONS_MAX = 64, REQUEST_LIMIT = 64 * 1024, READ_SIZE = 4096 };

static const double time_limit = 30;     /* seconds to send a request, and to take a reply */
static const double pause_seconds = 0.2; /* of accepting, where the system has no descriptor left */

struct tg_admin_server {
    struct ev_loop *ev;
    struct tg_admin_socket *socket;
    const struct tg_admin_server_ops *ops;
    void *context;
    ev_io accepting;
    ev_timer pause;
    struct tg_list connections;
    size_t count;
};

struct connection {
    struct tg_admin_server *server;
    struct tg_list link;
    ev_io reading, writing;
    ev_timer limit;
    struct tg_text in, out;
    size_t sent;
    bool spoke;                 /* there was a request already */
    struct tg_admin_call *call; /* not answered yet; may be NULL */
    bool finished;              /* the client sends nothing more */
};

struct tg_admin_call {
    struct connection *connection; /* NULL: the client has left */
    json_t *request;
};

/* The descriptor stays open. */
static void forget_connection(struct connection *connection)
{
    struct tg_admin_server *server = connection->server;
    ev_io_stop(server->ev, &connection->reading);
    ev_io_stop(server->ev, &connection->writing);
    ev_timer_stop(server->ev, &connection->limit);
    if (connection->call)
        connection->call->connection = NULL;
    tg_list_remove(&connection->link);
    server->count--;
    if (server->count < CONNECTIONS_MAX && !ev_is_active(&server->pause))
        ev_io_start(server->ev, &server->accepting);
    tg_text_deinit(&connection->in);
    tg_text_deinit(&connection->out);
    free(connection);
}

static void close_connection(struct connection *connection)
{
    int descriptor = connection->reading.fd;
    forget_connection(connection);
    close(descriptor);
}

static void restart_limit(struct connection *connection)
{
    ev_timer_stop(connection->server->ev, &connection->limit);
    ev_timer_set(&connection->limit, time_limit, 0);
    ev_timer_start(connection->server->ev, &connection->limit);
}

/* False: the connection is gone. */
static bool write_out(struct connection *connection)
{
    while (connection->sent < connection->out.length) {
        ssize_t written = send(connection->writing.fd, connection->out.at + connection->sent,
                               connection->out.length - connection->sent, MSG_NOSIGNAL);
        if (written < 0 && (errno == EAGAIN || errno == EINTR)) {
            ev_io_start(connection->server->ev, &connection->writing);
            return true;
        }
        if (written < 0) {
            close_connection(connection);
            return false;
        }
        connection->sent += (size_t)written;
    }
    tg_text_clear(&connection->out);
    connection->sent = 0;
    ev_io_stop(connection->server->ev, &connection->writing);
    restart_limit(connection);
    return true;
}

static int append_dump(const char *bytes, size_t length, void *context)
{
    tg_text_append(context, tg_slice_of(bytes, length));
    return 0;
}

/* Called from the loop or from whoever answers; the connection goes only in events of its own. */
static void queue_reply(struct connection *connection, json_t *reply)
{
    json_dump_callback(reply, append_dump, &connection->out, JSON_COMPACT);
    tg_text_append(&connection->out, TG_SLICE("\n"));
    ev_io_start(connection->server->ev, &connection->writing);
    restart_limit(connection);
}

static void end_call(struct tg_admin_call *call, json_t *reply)
{
    struct connection *connection = call->connection;
    if (connection && reply) {
        connection->call = NULL;
        queue_reply(connection, reply);
    }
    json_decref(reply);
    json_decref(call->request);
    free(call);
}

json_t *tg_admin_call_request(const struct tg_admin_call *call)
{
    return call->request;
}

const char *tg_admin_call_text(const struct tg_admin_call *call, const char *member)
{
    return json_string_value(json_object_get(call->request, member));
}

void tg_admin_call_answer(struct tg_admin_call *call, json_t *reply)
{
    if (!reply)
        reply = json_object();
    json_object_set_new(reply, "ok", json_true());
    end_call(call, reply);
}

void tg_admin_call_refuse(struct tg_admin_call *call, const char *reason)
{
    end_call(call, json_pack("{sbso}", "ok", 0, "error", tg_json_string(reason)));
}

static void refuse_line(struct connection *connection, const char *reason)
{
    json_t *reply = json_pack("{sbss}", "ok", 0, "error", reason);
    queue_reply(connection, reply);
    json_decref(reply);
}

static void start_call(struct connection *connection, struct tg_slice line)
{
    json_error_t error;
    json_t *request = json_loadb(line.at, line.length, JSON_REJECT_DUPLICATES, &error);
    struct tg_admin_call *call = json_is_object(request) ? calloc(1, sizeof *call) : NULL;
    if (!call) {
        json_decref(request);
        refuse_line(connection, "a request is one JSON object in a line");
        return;
    }
    call->connection = connection;
    call->request = request;
    connection->call = call;
    ev_timer_stop(connection->server->ev, &connection->limit);
    connection->server->ops->on_call(connection->server->context, call);
}

static void give_to_http(struct connection *connection)
{
    struct tg_admin_server *server = connection->server;
    struct tg_text bytes = connection->in;
    int descriptor = connection->reading.fd;
    tg_text_init(&connection->in);
    forget_connection(connection);
    server->ops->on_http(server->context, descriptor, tg_text_slice(&bytes));
    tg_text_deinit(&bytes);
}

/* Begins the next request, unless one waits for its reply, or a reply to be taken. The connection may be gone
 * afterwards, if it hadn't spoken. */
static void take_line(struct connection *connection)
{
    const char *end = connection->in.length > 0 ? memchr(connection->in.at, '\n', connection->in.length) : NULL;
    if (connection->call || connection->out.length > 0 || !end)
        return;
    size_t length = (size_t)(end - connection->in.at);
    struct tg_slice line = { connection->in.at, length };
    if (!connection->spoke && tg_metrics_is_http(line)) {
        give_to_http(connection);
        return;
    }
    connection->spoke = true;
    start_call(connection, line);
    memmove(connection->in.at, connection->in.at + length + 1, connection->in.length - length - 1);
    connection->in.length -= length + 1;
}

static void on_writable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    (void)events;
    struct connection *connection = watcher->data;
    if (!write_out(connection))
        return;
    if (connection->out.length == 0)
        take_line(connection);
    if (connection->out.length == 0 && connection->finished && !connection->call)
        close_connection(connection);
}

/* The end of the client's direction; a reply that is due is still given. */
static void on_end(struct connection *connection)
{
    connection->finished = true;
    ev_io_stop(connection->server->ev, &connection->reading);
    if (!connection->call && connection->out.length == 0)
        close_connection(connection);
}

static void on_readable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    (void)events;
    struct connection *connection = watcher->data;
    char bytes[READ_SIZE];
    ssize_t got = recv(watcher->fd, bytes, sizeof bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        on_end(connection);
        return;
    }
    tg_text_append(&connection->in, tg_slice_of(bytes, (size_t)got));
    if (connection->in.failed || connection->in.length > REQUEST_LIMIT)
        close_connection(connection);
    else
        take_line(connection);
}

static void on_limit(struct ev_loop *ev, ev_timer *watcher, int events)
{
    (void)ev;
    (void)events;
    struct connection *connection = watcher->data;
    if (!connection->call || connection->out.length > 0)
        close_connection(connection);
}

static void add_connection(struct tg_admin_server *server, int descriptor)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        close(descriptor);
        return;
    }
    connection->server = server;
    tg_text_init(&connection->in);
    tg_text_init(&connection->out);
    tg_list_init(&connection->link);
    tg_list_append(&server->connections, &connection->link);
    ev_io_init(&connection->reading, on_readable, descriptor, EV_READ);
    ev_io_init(&connection->writing, on_writable, descriptor, EV_WRITE);
    ev_timer_init(&connection->limit, on_limit, time_limit, 0);
    connection->reading.data = connection->writing.data = connection->limit.data = connection;
    ev_io_start(server->ev, &connection->reading);
    ev_timer_start(server->ev, &connection->limit);
    if (++server->count >= CONNECTIONS_MAX)
        ev_io_stop(server->ev, &server->accepting);
}

static void on_pause_over(struct ev_loop *ev, ev_timer *watcher, int events)
{
    (void)events;
    struct tg_admin_server *server = watcher->data;
    ev_timer_stop(ev, watcher);
    if (server->count < CONNECTIONS_MAX)
        ev_io_start(ev, &server->accepting);
}

/* The connection stays in the queue, and would be announced again and again. */
static void pause_accepting(struct tg_admin_server *server)
{
    ev_io_stop(server->ev, &server->accepting);
    ev_timer_set(&server->pause, pause_seconds, 0);
    ev_timer_start(server->ev, &server->pause);
}

static void on_connection(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    (void)events;
    struct tg_admin_server *server = watcher->data;
    int descriptor = accept4(watcher->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(server);
        return;
    }
    if (tg_admin_socket_trusts(descriptor)) {
        add_connection(server, descriptor);
        return;
    }
    tg_log(TG_LOG_WARN, "a process of another user was turned away from the admin socket");
    close(descriptor);
}

struct tg_admin_server *tg_admin_server_new(struct tg_loop *loop, struct tg_admin_socket *socket,
                                            const struct tg_admin_server_ops *ops, void *context)
{
    struct tg_admin_server *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    server->ev = tg_loop_ev(loop);
    server->socket = socket;
    server->ops = ops;
    server->context = context;
    tg_list_init(&server->connections);
    ev_io_init(&server->accepting, on_connection, socket->descriptor, EV_READ);
    ev_timer_init(&server->pause, on_pause_over, 0, 0);
    server->accepting.data = server->pause.data = server;
    ev_io_start(server->ev, &server->accepting);
    return server;
}

void tg_admin_server_free(struct tg_admin_server *server)
{
    while (!tg_list_empty(&server->connections)) {
        struct connection *connection = TG_CONTAINER_OF(tg_list_first(&server->connections), struct connection, link);
        if (write_out(connection))
            close_connection(connection);
    }
    ev_io_stop(server->ev, &server->accepting);
    ev_timer_stop(server->ev, &server->pause);
    free(server);
}
