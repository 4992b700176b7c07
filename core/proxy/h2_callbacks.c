/* What the codec tells, to the session's ops. Nothing here, nor anything it calls, may re-enter the codec's mem_recv or
 * mem_send [W07]. */
#include "proxy/h2_internal.h"

static struct tg_h2_stream *stream_of(const struct tg_h2_session *session, int32_t id)
{
    return id > 0 ? nghttp2_session_get_stream_user_data(session->codec, id) : NULL;
}

/* --- Sections --- */

static int refuse(struct tg_h2_session *session, int32_t id, uint32_t code)
{
    nghttp2_submit_rst_stream(session->codec, NGHTTP2_FLAG_NONE, id, code);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *codec, const nghttp2_frame *frame, void *user_data)
{
    (void)codec;
    struct tg_h2_session *session = user_data;
    int32_t id = frame->hd.stream_id;
    uint32_t code = NGHTTP2_INTERNAL_ERROR;
    if (session->freed)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    session->section_stream = NULL;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    struct tg_h2_stream *stream = stream_of(session, id);
    if (!stream && !session->server)
        return 0;
    bool taken = session->ops->begin_section(session, stream, id, &session->section, &code);
    if (session->freed)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (!taken)
        return refuse(session, id, code);
    session->section_stream = stream ? stream : stream_of(session, id);
    return 0;
}

static struct tg_slice slice_of(const uint8_t *at, size_t length)
{
    return tg_slice_of((const char *)at, length);
}

/* The codec decodes the rest for the sake of its table, but checks and tells no line of it: a reference of one byte can
 * stand for a value of thousands [F10]. */
static bool beyond_all_limits(const struct tg_h2_session *session)
{
    const struct tg_h2_section *section = &session->section;
    return session->section_stream && section->charged > TG_H2_SECTION_TIMES * (uint64_t)section->limits->head;
}

static int on_header(nghttp2_session *codec, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags, void *user_data)
{
    (void)codec, (void)frame;
    struct tg_h2_session *session = user_data;
    if (session->freed)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (session->section_stream)
        tg_h2_section_add(&session->section, slice_of(name, name_length), slice_of(value, value_length),
                          flags & NGHTTP2_NV_FLAG_NO_INDEX);
    return beyond_all_limits(session) ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

/* The codec would go on without the field: rules would have seen another message than came [V06]. */
static int on_invalid_header(nghttp2_session *codec, const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                             void *user_data)
{
    (void)codec, (void)frame, (void)flags;
    struct tg_h2_session *session = user_data;
    if (session->freed)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (session->section_stream)
        tg_h2_section_add_invalid(&session->section, slice_of(name, name_length), slice_of(value, value_length));
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* --- Frames that came --- */

static void on_headers(struct tg_h2_session *session, const nghttp2_frame *frame)
{
    struct tg_h2_stream *stream = stream_of(session, frame->hd.stream_id);
    bool wanted = session->section_stream == stream;
    session->section_stream = NULL;
    if (!stream)
        return;
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    stream->received_end |= end;
    if (wanted)
        session->ops->section(stream, &session->section, end);
}

static void on_data_frame(struct tg_h2_session *session, const nghttp2_frame *frame)
{
    struct tg_h2_stream *stream = stream_of(session, frame->hd.stream_id);
    if (!stream || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return;
    stream->received_end = true;
    session->ops->end(stream);
}

static void on_reset(struct tg_h2_session *session, const nghttp2_frame *frame)
{
    struct tg_h2_stream *stream = stream_of(session, frame->hd.stream_id);
    if (stream && session->ops->reset)
        session->ops->reset(stream, frame->rst_stream.error_code);
}

static void on_goaway(struct tg_h2_session *session, const nghttp2_goaway *goaway)
{
    struct tg_slice debug = slice_of(goaway->opaque_data, goaway->opaque_data_len);
    if (session->ops->goaway)
        session->ops->goaway(session, goaway->last_stream_id, goaway->error_code, debug);
}

static int on_frame_received(nghttp2_session *codec, const nghttp2_frame *frame, void *user_data)
{
    (void)codec;
    struct tg_h2_session *session = user_data;
    if (session->freed)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS: on_headers(session, frame); break;
    case NGHTTP2_DATA: on_data_frame(session, frame); break;
    case NGHTTP2_RST_STREAM: on_reset(session, frame); break;
    case NGHTTP2_GOAWAY: on_goaway(session, &frame->goaway); break;
    case NGHTTP2_SETTINGS: session->greeted |= !(frame->hd.flags & NGHTTP2_FLAG_ACK); break;
    default: break;
    }
    if (!session->freed && session->ops->frame_received)
        session->ops->frame_received(session, frame);
    return session->freed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_data_chunk(nghttp2_session *codec, uint8_t flags, int32_t id, const uint8_t *data, size_t length,
                         void *user_data)
{
    (void)flags;
    struct tg_h2_session *session = user_data;
    if (session->freed)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    struct tg_h2_stream *stream = stream_of(session, id);
    if (!stream)
        nghttp2_session_consume(codec, id, length);
    else if (length)
        tg_h2_stream_received(session, stream, slice_of(data, length));
    return session->freed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_stream_close(nghttp2_session *codec, int32_t id, uint32_t code, void *user_data)
{
    (void)codec;
    struct tg_h2_session *session = user_data;
    if (session->freed)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    struct tg_h2_stream *stream = stream_of(session, id);
    if (session->section_stream == stream)
        session->section_stream = NULL;
    if (stream)
        tg_h2_stream_closed(session, stream, code);
    return session->freed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* --- Frames that went --- */

static void told_end(struct tg_h2_session *session, const nghttp2_frame *frame)
{
    struct tg_h2_stream *stream = stream_of(session, frame->hd.stream_id);
    if (!stream)
        return;
    stream->end_sent |= (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (stream->has_body && !stream->head_sent) {
        stream->head_sent = true;
        if (tg_h2_stream_blocked(stream)) /* the codec won't ask for a body, but its end may be there */
            tg_h2_stream_body_ready(stream);
    }
    if (!session->freed && session->ops->sent && (frame->hd.type == NGHTTP2_DATA || stream->end_sent))
        session->ops->sent(stream);
}

static int on_frame_sent(nghttp2_session *codec, const nghttp2_frame *frame, void *user_data)
{
    (void)codec;
    struct tg_h2_session *session = user_data;
    if (session->freed)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)
        told_end(session, frame);
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
        session->terminated = true;
        if (!session->fault)
            session->fault = nghttp2_http2_strerror(frame->goaway.error_code);
    }
    if (!session->freed && session->ops->frame_sent)
        session->ops->frame_sent(session, frame);
    return session->freed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* A head that can't be sent, of a stream that isn't closing anyway. */
static int on_frame_not_sent(nghttp2_session *codec, const nghttp2_frame *frame, int error, void *user_data)
{
    (void)codec;
    struct tg_h2_session *session = user_data;
    if (session->freed)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    struct tg_h2_stream *stream = frame->hd.type == NGHTTP2_HEADERS ? stream_of(session, frame->hd.stream_id) : NULL;
    bool closing = error == NGHTTP2_ERR_STREAM_CLOSED || error == NGHTTP2_ERR_STREAM_CLOSING ||
                   error == NGHTTP2_ERR_STREAM_SHUT_WR || error == NGHTTP2_ERR_START_STREAM_NOT_ALLOWED;
    if (stream && !closing)
        tg_h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
    return 0;
}

nghttp2_session_callbacks *tg_h2_make_callbacks(void)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_received);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, tg_h2_stream_send_frame);
    return callbacks;
}
