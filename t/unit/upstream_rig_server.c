#include "upstream_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a response still has to send; the stream's user data. */
struct body {
    size_t left;
    bool end;
    const char *text;         /* or NULL: x's */
    const char *name, *value; /* trailers */
};

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t length, uint32_t *flags,
                         nghttp2_data_source *source, void *user_data)
{
    (void)user_data;
    struct body *body = source->ptr;
    size_t part = body->left < length ? body->left : length;
    if (part == 0 && !body->end)
        return NGHTTP2_ERR_DEFERRED;
    if (body->text)
        memcpy(to, body->text, part);
    else
        memset(to, 'x', part);
    body->text = body->text ? body->text + part : NULL;
    body->left -= part;
    if (body->left == 0 && body->end)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (body->left == 0 && body->end && body->name) {
        nghttp2_nv line = { (uint8_t *)(uintptr_t)body->name, (uint8_t *)(uintptr_t)body->value, strlen(body->name),
                            strlen(body->value), NGHTTP2_NV_FLAG_NONE };
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, id, &line, 1);
    }
    return (ssize_t)part;
}

void up_flush(struct up_connection *connection)
{
    const uint8_t *bytes;
    ssize_t length;
    while (connection->open && (length = nghttp2_session_mem_send(connection->session, &bytes)) > 0)
        up_write(connection, bytes, (size_t)length);
}

/* The tests keep what is unread far below what a socket holds, unless the gateway has closed. */
void up_write(struct up_connection *connection, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0 && connection->open) {
        ssize_t sent = send(connection->descriptor, at, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            fail_msg("the socket is full");
        if (sent < 0)
            return;
        at += sent;
        length -= (size_t)sent;
    }
}

void up_submit(struct up_connection *connection, int32_t id, const nghttp2_nv *lines, size_t count, bool end)
{
    struct body *body = calloc(1, sizeof *body);
    nghttp2_data_provider provider = { .source.ptr = body, .read_callback = read_body };
    void *before = nghttp2_session_get_stream_user_data(connection->session, id);
    free(before);
    nghttp2_session_set_stream_user_data(connection->session, id, body);
    assert_int_equal(nghttp2_submit_response(connection->session, id, lines, count, end ? NULL : &provider), 0);
}

#define LINE(name, value)                                                                                              \
    {                                                                                                                  \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE \
    }

void up_respond(struct up_connection *connection, int32_t id, const char *status, const char *body, bool end)
{
    nghttp2_nv lines[] = { LINE(":status", status), LINE("x-test", "yes") };
    up_submit(connection, id, lines, 2, end && !body);
    struct body *waiting = nghttp2_session_get_stream_user_data(connection->session, id);
    waiting->end = end;
    waiting->text = body;
    waiting->left = body ? strlen(body) : 0;
}

void up_data(struct up_connection *connection, int32_t id, size_t length, bool end)
{
    struct body *body = nghttp2_session_get_stream_user_data(connection->session, id);
    assert_non_null(body);
    body->left += length;
    body->end |= end;
    nghttp2_session_resume_data(connection->session, id);
    up_flush(connection);
}

void up_trailers(struct up_connection *connection, int32_t id, const char *name, const char *value)
{
    struct body *body = nghttp2_session_get_stream_user_data(connection->session, id);
    assert_non_null(body);
    body->name = name;
    body->value = value;
    up_data(connection, id, 0, true);
}

void up_reset(struct up_connection *connection, int32_t id, uint32_t code)
{
    assert_int_equal(nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, id, code), 0);
    up_flush(connection);
}

void up_goaway(struct up_connection *connection, int32_t last, uint32_t code, const char *debug)
{
    assert_int_equal(nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE, last, code, (const uint8_t *)debug,
                                           debug ? strlen(debug) : 0),
                     0);
    up_flush(connection);
}

void up_greet(struct up_connection *connection, uint32_t limit)
{
    struct up_server *server = connection->server;
    nghttp2_settings_entry entries[3] = { { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limit } };
    size_t count = 1;
    if (server->websocket)
        entries[count++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 };
    if (server->window)
        entries[count++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)server->window };
    assert_int_equal(nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, entries, count), 0);
    up_flush(connection);
}

static void answer(struct up_connection *connection, int32_t id)
{
    nghttp2_nv empty[] = { LINE(":status", "200"), LINE("content-type", "application/grpc"), LINE("grpc-status", "5") };
    switch (connection->server->answer) {
    case UP_HOLD: break;
    case UP_HELLO: up_respond(connection, id, "200", "hello", true); break;
    case UP_REFUSE:
        connection->server->refused++;
        nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
        break;
    case UP_EMPTY: up_submit(connection, id, empty, 3, true); break;
    }
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    (void)session;
    struct up_connection *connection = user_data;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        connection->server->head[0] = '\0';
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags, void *user_data)
{
    (void)session, (void)frame, (void)flags;
    struct up_server *server = ((struct up_connection *)user_data)->server;
    size_t length = strlen(server->head);
    snprintf(server->head + length, sizeof(server->head) - length, "%.*s: %.*s\n", (int)name_length, name,
             (int)value_length, value);
    return 0;
}

static void take_request(struct up_connection *connection, const nghttp2_frame *frame)
{
    struct up_server *server = connection->server;
    int32_t id = frame->hd.stream_id;
    if (connection->requests < UP_CALLS)
        connection->streams[connection->requests] = id;
    connection->requests++;
    server->requests++;
    if (++connection->open_streams > connection->most_open)
        connection->most_open = connection->open_streams;
    if (!server->answer_at_end)
        answer(connection, id);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    (void)session;
    struct up_connection *connection = user_data;
    bool headers = frame->hd.type == NGHTTP2_HEADERS;
    if (headers && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        take_request(connection, frame);
    else if (headers)
        connection->trailers++;
    if ((headers || frame->hd.type == NGHTTP2_DATA) && frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        connection->ended++;
        if (connection->server->answer_at_end)
            answer(connection, frame->hd.stream_id);
    }
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        connection->resets++;
        connection->server->resets++;
        connection->reset_code = frame->rst_stream.error_code;
    }
    if (frame->hd.type == NGHTTP2_PING && !(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
        connection->pings++;
        connection->server->pings++;
        if (!connection->server->no_ping_ack)
            nghttp2_submit_ping(session, NGHTTP2_FLAG_ACK, frame->ping.opaque_data);
    }
    connection->goaways += frame->hd.type == NGHTTP2_GOAWAY;
    return 0;
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t length,
                    void *user_data)
{
    (void)session, (void)flags, (void)id, (void)data;
    ((struct up_connection *)user_data)->body += length;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user_data)
{
    (void)code;
    struct up_connection *connection = user_data;
    free(nghttp2_session_get_stream_user_data(session, id));
    nghttp2_session_set_stream_user_data(session, id, NULL);
    connection->open_streams--;
    return 0;
}

static void free_body(struct up_connection *connection, int32_t id)
{
    if (nghttp2_session_find_stream(connection->session, id))
        free(nghttp2_session_get_stream_user_data(connection->session, id));
}

void up_close(struct up_connection *connection)
{
    if (!connection->open)
        return;
    connection->open = false;
    ev_io_stop(tg_loop_ev(connection->server->loop), &connection->readable);
    for (int i = 0; i < connection->requests && i < UP_CALLS; i++)
        free_body(connection, connection->streams[i]);
    nghttp2_session_del(connection->session);
    close(connection->descriptor);
    connection->server->closed++;
}

static void on_readable(struct ev_loop *ev, ev_io *io, int revents)
{
    (void)ev, (void)revents;
    struct up_connection *connection = TG_CONTAINER_OF(io, struct up_connection, readable);
    static uint8_t bytes[64 * 1024];
    ssize_t got = recv(connection->descriptor, bytes, sizeof(bytes), 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        up_close(connection);
        return;
    }
    if (connection->server->raw)
        return;
    if (nghttp2_session_mem_recv(connection->session, bytes, (size_t)got) < 0) {
        up_flush(connection);
        up_close(connection);
        return;
    }
    up_flush(connection);
}

static void make_session(struct up_connection *connection)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_option_set_no_auto_ping_ack(option, 1);
    nghttp2_option_set_no_http_messaging(option, 1); /* to be able to be wrong */
    nghttp2_option_set_stream_reset_rate_limit(option, 1000000, 1000000);
    assert_int_equal(nghttp2_session_server_new2(&connection->session, callbacks, connection, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
}

static void on_accept(struct ev_loop *ev, ev_io *io, int revents)
{
    (void)revents;
    struct up_server *server = TG_CONTAINER_OF(io, struct up_server, accepting);
    int descriptor = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0)
        return;
    assert_true(server->accepted < UP_CONNECTIONS);
    struct up_connection *connection = &server->connections[server->accepted++];
    connection->server = server;
    connection->descriptor = descriptor;
    connection->open = true;
    make_session(connection);
    ev_io_init(&connection->readable, on_readable, descriptor, EV_READ);
    ev_io_start(ev, &connection->readable);
    if (server->raw)
        up_write(connection, server->raw, strlen(server->raw));
    else if (!server->late_settings)
        up_greet(connection, server->limit);
}

void up_server_start(struct up_server *server, struct tg_loop *loop)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    server->loop = loop;
    server->limit = 100;
    server->answer = UP_HELLO;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->listener, 512), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
    ev_io_init(&server->accepting, on_accept, server->listener, EV_READ);
    ev_io_start(tg_loop_ev(loop), &server->accepting);
}

void up_server_stop(struct up_server *server)
{
    for (int i = 0; i < server->accepted; i++)
        up_close(&server->connections[i]);
    ev_io_stop(tg_loop_ev(server->loop), &server->accepting);
    if (server->listener >= 0)
        close(server->listener);
    server->listener = -1;
}

void up_stop_listening(void)
{
    ev_io_stop(tg_loop_ev(up->loop), &up->server.accepting);
    close(up->server.listener);
    up->server.listener = -1;
}
