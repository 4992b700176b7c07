#include "upstream_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/stream_state.h"

/* What a response still has to send; the stream's user data. */
struct body {
    size_t left;
    bool end;
    const char *text;         /* may be NULL; then x's */
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
    for (size_t i = 0; i < part; i++)
        to[i] = body->text && *body->text ? (uint8_t)*body->text++ : 'x';
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

void up_write(struct up_connection *connection, const void *bytes, size_t length)
{
    struct tg_buffer_queue queue;
    tg_buffer_queue_init(&queue);
    assert_true(tg_buffer_queue_append(&queue, tg_slice_of(bytes, length)));
    if (connection->open)
        tg_stream_send_queue(connection->stream, &queue);
    tg_buffer_queue_deinit(&queue);
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
    for (int i = 0; connection->session && i < connection->requests && i < UP_CALLS; i++)
        free_body(connection, connection->streams[i]);
    nghttp2_session_del(connection->session);
    tg_stream_close(connection->stream);
    connection->server->closed++;
}

/* As far as a test needs it: a request without a body is answered at once, and the connection lives. */
static void hear_h1(struct up_connection *connection, struct tg_buffer data)
{
    static const char hello[] = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-test: h1\r\n\r\nhello";
    const char *answer = connection->server->h1 ? connection->server->h1 : hello;
    connection->server->h1_requests += memmem(data.at, data.length, "\r\n\r\n", 4) != NULL;
    up_write(connection, answer, strlen(answer));
    if (connection->server->h1_closes) {
        tg_stream_finish(connection->stream);
    }
}

static void on_data(struct tg_stream *stream, struct tg_buffer data)
{
    struct up_connection *connection = tg_stream_owner(stream);
    if (connection->server->raw)
        return;
    if (!connection->session) {
        hear_h1(connection, data);
        return;
    }
    bool failed = nghttp2_session_mem_recv(connection->session, (const uint8_t *)data.at, data.length) < 0;
    up_flush(connection);
    if (failed)
        up_close(connection);
}

static void on_eof(struct tg_stream *stream)
{
    up_close(tg_stream_owner(stream));
}

static void on_failed(struct tg_stream *stream, enum tg_stream_end end)
{
    (void)end;
    up_close(tg_stream_owner(stream));
}

static void on_drained(struct tg_stream *stream)
{
    (void)stream;
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
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_no_http_messaging(option, 1); /* to be able to be wrong */
    nghttp2_option_set_max_send_header_block_length(option, 1 << 20);
    nghttp2_option_set_stream_reset_rate_limit(option, 1000000, 1000000);
    assert_int_equal(nghttp2_session_server_new2(&connection->session, callbacks, connection, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
}

static void begin(struct up_connection *connection)
{
    struct up_server *server = connection->server;
    if (server->raw) {
        up_write(connection, server->raw, strlen(server->raw));
        return;
    }
    make_session(connection);
    if (!server->late_settings)
        up_greet(connection, server->limit);
}

static void on_connected(struct tg_stream *stream)
{
    struct up_connection *connection = tg_stream_owner(stream);
    const struct tg_tls_facts *facts = tg_stream_tls_facts(stream);
    connection->server->resumed += facts->resumed;
    if (facts->alpn == TG_ALPN_H2)
        begin(connection);
}

static const struct tg_stream_ops stream_ops = { on_connected, on_data, on_eof, on_drained, on_failed, NULL };

static void on_accept(struct ev_loop *ev, ev_io *io, int revents)
{
    (void)ev, (void)revents;
    struct up_server *server = TG_CONTAINER_OF(io, struct up_server, accepting);
    struct tg_address address = { .length = sizeof(address.storage) };
    int descriptor = accept4(server->listener, &address.any, &address.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0)
        return;
    assert_true(server->accepted < UP_CONNECTIONS);
    struct up_connection *connection = &server->connections[server->accepted++];
    connection->server = server;
    connection->stream = tg_stream_accept(server->loop, descriptor, &address, &address);
    assert_non_null(connection->stream);
    connection->open = true;
    tg_stream_set_owner(connection->stream, &stream_ops, connection);
    if (!server->tls)
        begin(connection);
    else
        assert_true(tg_stream_start_tls_server(connection->stream, server->tls, NULL, (struct tg_buffer){ 0 }));
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
    assert_int_equal(setsockopt(server->listener, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)), 0);
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
