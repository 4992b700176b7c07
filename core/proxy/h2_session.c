/* Birth, turn and end of a session; what it does with streams is in h2_stream.c, what the codec tells in
 * h2_callbacks.c.
 */
#include "proxy/h2_internal.h"

enum {
    SEND_HEADERS_MAX = 1024 * 1024,        /* of a header section of ours: what may be received, and what we add */
    RESETS_UNCOUNTED = 1000 * 1000 * 1000, /* the roles count resets themselves, and say what is wrong */
    PEER_STREAMS_ASSUMED = 100,
};

/* --- Birth --- */

static nghttp2_option *make_options(const struct tg_h2_session_settings *settings)
{
    nghttp2_option *option;
    if (nghttp2_option_new(&option) != 0)
        return NULL;
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_send_header_block_length(option, SEND_HEADERS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(option, RESETS_UNCOUNTED, RESETS_UNCOUNTED);
    nghttp2_option_set_max_continuations(option, settings->continuations);
    nghttp2_option_set_peer_max_concurrent_streams(option, PEER_STREAMS_ASSUMED);
    return option;
}

static bool make_codec(struct tg_h2_session *session, const struct tg_h2_session_settings *settings)
{
    nghttp2_session_callbacks *callbacks = tg_h2_make_callbacks();
    nghttp2_option *option = make_options(settings);
    int made = NGHTTP2_ERR_NOMEM;
    if (callbacks && option)
        made = (session->server ? nghttp2_session_server_new3 : nghttp2_session_client_new3)(
            &session->codec, callbacks, session, option, &session->allocator);
    if (made != 0)
        session->codec = NULL;
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return made == 0;
}

static bool greet(struct tg_h2_session *session, const struct tg_h2_session_settings *settings)
{
    nghttp2_settings_entry entries[6];
    size_t count = 0;
    entries[count++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings->streams };
    entries[count++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings->window };
    entries[count++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, settings->header_list };
    entries[count++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 };
    if (!session->server)
        entries[count++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 };
    else if (settings->extended_connect)
        entries[count++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 };
    return nghttp2_submit_settings(session->codec, NGHTTP2_FLAG_NONE, entries, count) == 0 &&
           nghttp2_session_set_local_window_size(session->codec, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)settings->connection_window) == 0;
}

static void pump(struct tg_task *task);

bool tg_h2_session_init(struct tg_h2_session *session, bool server, const struct tg_h2_session_ops *ops,
                        struct tg_stream *stream, const struct tg_h2_session_settings *settings)
{
    *session = (struct tg_h2_session){ .ops = ops, .server = server, .stream = stream };
    session->loop = tg_stream_loop(stream);
    session->allocator = tg_h2_memory_of(session);
    tg_list_init(&session->streams);
    tg_task_init(&session->pump_task, pump);
    if (!make_codec(session, settings) || !greet(session, settings)) {
        tg_h2_session_free(session);
        return false;
    }
    tg_h2_session_wake(session);
    return true;
}

/* --- End --- */

static void free_codec(struct tg_h2_session *session)
{
    nghttp2_session_del(session->codec);
    session->codec = NULL;
    if (session->small)
        tg_block_unref(session->small);
    session->small = NULL;
}

void tg_h2_session_free(struct tg_h2_session *session)
{
    struct tg_list *link;
    while ((link = tg_list_first(&session->streams)) != NULL)
        tg_h2_stream_forget(TG_CONTAINER_OF(link, struct tg_h2_stream, link));
    tg_list_remove(&session->pump_task.link);
    session->stream = NULL;
    session->freed = true;
    if (!session->feeding && !session->pumping)
        free_codec(session);
}

void tg_h2_session_fail(struct tg_h2_session *session, uint32_t code, const char *detail)
{
    if (session->freed || session->fault)
        return;
    session->fault = detail;
    nghttp2_session_terminate_session(session->codec, code);
    tg_h2_session_wake(session);
}

static void codec_failed(struct tg_h2_session *session, int error)
{
    if (!session->fault)
        session->fault = nghttp2_strerror(error);
}

/* --- A turn --- */

void tg_h2_session_feed(struct tg_h2_session *session, struct tg_buffer data)
{
    if (session->freed || session->fault || session->terminated)
        return;
    session->input = data;
    session->feeding = true;
    ssize_t used = nghttp2_session_mem_recv(session->codec, (const uint8_t *)data.at, data.length);
    session->feeding = false;
    session->input = (struct tg_buffer){ NULL, NULL, 0 };
    if (session->freed) {
        free_codec(session);
        return;
    }
    if (used < 0)
        codec_failed(session, (int)used);
    tg_h2_session_wake(session);
}

void tg_h2_session_wake(struct tg_h2_session *session)
{
    if (!session->freed && !session->pumping)
        tg_loop_defer(session->loop, &session->pump_task);
}

bool tg_h2_send_copy(struct tg_h2_session *session, struct tg_slice first, struct tg_slice second)
{
    size_t length = first.length + second.length;
    char *to = tg_loop_reserve(session->loop, length);
    if (!to)
        return false;
    memcpy(to, first.at, first.length);
    if (second.length)
        memcpy(to + first.length, second.at, second.length);
    tg_stream_send(session->stream, tg_loop_commit(session->loop, length));
    return true;
}

static bool may_send(const struct tg_h2_session *session)
{
    uint64_t most = session->fault ? 2 * TG_H2_UNSENT_HIGH : TG_H2_UNSENT_HIGH; /* room for the last word */
    return !session->freed && !session->terminated && tg_stream_unsent(session->stream) < most;
}

static void send_all(struct tg_h2_session *session)
{
    session->pumping = true;
    while (may_send(session)) {
        const uint8_t *bytes;
        ssize_t length = nghttp2_session_mem_send(session->codec, &bytes);
        if (length <= 0 || session->freed) {
            if (length < 0)
                codec_failed(session, (int)length);
            break;
        }
        if (!tg_h2_send_copy(session, tg_slice_of((const char *)bytes, (size_t)length), (struct tg_slice){ NULL, 0 }))
            codec_failed(session, NGHTTP2_ERR_NOMEM);
    }
    session->pumping = false;
}

static bool is_over(const struct tg_h2_session *session)
{
    return session->fault || session->terminated ||
           (!nghttp2_session_want_read(session->codec) && !nghttp2_session_want_write(session->codec));
}

static void pump(struct tg_task *task)
{
    struct tg_h2_session *session = TG_CONTAINER_OF(task, struct tg_h2_session, pump_task);
    send_all(session);
    if (session->freed) {
        free_codec(session);
        return;
    }
    if (session->small && session->small->references == 1) {
        tg_block_unref(session->small);
        session->small = NULL;
    }
    if (session->ends_known > 0)
        tg_h2_session_free_ends(session);
    if (session->over_told || !is_over(session))
        return;
    session->over_told = true;
    session->ops->over(session, session->fault);
}

/* --- What the roles ask --- */

size_t tg_h2_session_queued(const struct tg_h2_session *session)
{
    return nghttp2_session_get_outbound_queue_size(session->codec);
}

bool tg_h2_session_congested(const struct tg_h2_session *session, size_t queued)
{
    return tg_stream_unsent(session->stream) >= TG_H2_UNSENT_HIGH && tg_h2_session_queued(session) >= queued;
}

static void submitted(struct tg_h2_session *session, int result)
{
    if (nghttp2_is_fatal(result))
        codec_failed(session, result);
    tg_h2_session_wake(session);
}

void tg_h2_session_ping(struct tg_h2_session *session, const uint8_t data[8])
{
    submitted(session, nghttp2_submit_ping(session->codec, NGHTTP2_FLAG_NONE, data));
}

void tg_h2_session_announce_end(struct tg_h2_session *session)
{
    submitted(session, nghttp2_submit_shutdown_notice(session->codec));
}

void tg_h2_session_end(struct tg_h2_session *session)
{
    int32_t last = nghttp2_session_get_last_proc_stream_id(session->codec);
    submitted(session, nghttp2_submit_goaway(session->codec, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0));
}

bool tg_h2_session_takes_extended_connect(const struct tg_h2_session *session)
{
    return nghttp2_session_get_remote_settings(session->codec, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

uint32_t tg_h2_session_peer_streams(const struct tg_h2_session *session)
{
    if (!session->greeted)
        return PEER_STREAMS_ASSUMED;
    return nghttp2_session_get_remote_settings(session->codec, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}
