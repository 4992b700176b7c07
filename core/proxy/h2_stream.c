/* Streams of a session: heads and bodies out, bodies in. */
#include "proxy/h2_internal.h"

enum {
    FRAME_MAX = 16384, /* of DATA: larger frames would make the codec's buffer grow for good */
    COPIED_OUT = 512,  /* bytes of a body that are copied behind their frame's header */
    COPIED_IN = 1024,
};

/* --- Life --- */

static void enter(struct tg_h2_session *session, struct tg_h2_stream *stream, int32_t id)
{
    stream->session = session;
    stream->id = id;
    tg_list_append(&session->streams, &stream->link);
    session->stream_count++;
}

static void init(struct tg_h2_stream *stream)
{
    memset(stream, 0, offsetof(struct tg_h2_stream, taken));
    stream->sent = 0;
    stream->reading = stream->received_end = stream->has_body = stream->head_sent = false;
    stream->end_known = stream->end_queued = stream->end_sent = stream->reset_queued = false;
    tg_buffer_queue_init(&stream->taken);
    tg_list_init(&stream->link);
}

void tg_h2_stream_open(struct tg_h2_session *session, struct tg_h2_stream *stream, int32_t id)
{
    init(stream);
    enter(session, stream, id);
    nghttp2_session_set_stream_user_data(session->codec, id, stream);
}

void tg_h2_stream_forget(struct tg_h2_stream *stream)
{
    stream->session->stream_count--;
    stream->session->ends_known -= stream->end_known && !stream->end_queued;
    stream->session = NULL;
    tg_list_remove(&stream->link);
    tg_buffer_queue_deinit(&stream->taken);
}

void tg_h2_stream_drop_section(struct tg_h2_stream *stream)
{
    if (stream->session && stream->session->section_stream == stream)
        stream->session->section_stream = NULL;
}

void tg_h2_stream_closed(struct tg_h2_session *session, struct tg_h2_stream *stream, uint32_t code)
{
    if (stream->unconsumed > 0)
        nghttp2_session_consume_connection(session->codec, stream->unconsumed);
    stream->unconsumed = 0;
    tg_h2_stream_forget(stream);
    session->ops->closed(stream, code);
}

void tg_h2_stream_reset(struct tg_h2_stream *stream, uint32_t code)
{
    struct tg_h2_session *session = stream->session;
    if (!session || stream->reset_queued)
        return;
    stream->reset_queued = true;
    nghttp2_submit_rst_stream(session->codec, NGHTTP2_FLAG_NONE, stream->id, code);
    tg_h2_session_wake(session);
}

/* --- In --- */

/* Small pieces side by side: each would hold a whole block of what was read else. */
static struct tg_buffer copy_piece(struct tg_h2_session *session, struct tg_slice data)
{
    struct tg_block *block = session->small;
    if (block && block->references == 1)
        block->used = 0;
    if (!block || block->capacity - block->used < data.length) {
        if (block)
            tg_block_unref(block);
        session->small = block = tg_block_new_of(data.length);
        if (!block)
            return (struct tg_buffer){ NULL, NULL, 0 };
    }
    struct tg_buffer piece = { tg_block_ref(block), block->data + block->used, data.length };
    memcpy(block->data + block->used, data.at, data.length);
    block->used += (uint32_t)data.length;
    return piece;
}

static struct tg_buffer own(struct tg_h2_session *session, struct tg_slice data)
{
    const struct tg_buffer *input = &session->input;
    bool inside = data.at >= input->at && data.at + data.length <= input->at + input->length;
    if (input->block && inside && data.length >= COPIED_IN)
        return tg_buffer_ref((struct tg_buffer){ input->block, data.at, data.length });
    return copy_piece(session, data);
}

void tg_h2_stream_received(struct tg_h2_session *session, struct tg_h2_stream *stream, struct tg_slice data)
{
    struct tg_buffer piece = own(session, data);
    stream->unconsumed += data.length;
    if (!piece.at)
        tg_h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
    else
        session->ops->data(stream, piece);
    if (stream->session && stream->reading)
        tg_h2_stream_read(stream, true);
}

void tg_h2_stream_read(struct tg_h2_stream *stream, bool reading)
{
    struct tg_h2_session *session = stream->session;
    stream->reading = reading;
    if (!reading || !session || session->freed || stream->unconsumed == 0)
        return;
    nghttp2_session_consume(session->codec, stream->id, stream->unconsumed);
    stream->unconsumed = 0;
    tg_h2_session_wake(session);
}

/* --- Out --- */

static bool submit_trailers(struct tg_h2_stream *stream, const struct tg_fields *trailers)
{
    struct tg_h2_lines lines;
    struct tg_arena arena;
    tg_arena_init(&arena);
    bool submitted = tg_h2_write_trailers(trailers, &arena, &lines) &&
                     nghttp2_submit_trailer(stream->session->codec, stream->id, lines.at, lines.count) == 0;
    tg_arena_deinit(&arena);
    stream->end_queued = submitted;
    return submitted;
}

/* The codec's read_callback: so much of the body as fits the windows, and its end together with the last bytes. */
static ssize_t read_body(nghttp2_session *codec, int32_t id, uint8_t *to, size_t length, uint32_t *flags,
                         nghttp2_data_source *source, void *user_data)
{
    (void)codec, (void)id, (void)to;
    struct tg_h2_session *session = user_data;
    struct tg_h2_stream *stream = source->ptr;
    const struct tg_fields *trailers = NULL;
    bool end = false;
    if (session->freed)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (stream->end_queued || stream->reset_queued)
        return NGHTTP2_ERR_DEFERRED;
    size_t limit = length < FRAME_MAX ? length : FRAME_MAX;
    if (stream->end_known)
        end = true;
    else if (!session->ops->take(stream, &stream->taken, limit, &end, &trailers))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (session->freed)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    size_t taken = (size_t)tg_buffer_queue_length(&stream->taken);
    if (taken == 0 && !end)
        return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!end)
        return (ssize_t)taken;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    session->ends_known -= stream->end_known;
    stream->end_queued = true;
    if (trailers) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (!submit_trailers(stream, trailers))
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)taken;
}

static bool send_piece(struct tg_h2_session *session, struct tg_slice header, struct tg_buffer piece)
{
    bool copied = piece.length <= COPIED_OUT;
    bool sent = true;
    if (copied || header.length)
        sent = tg_h2_send_copy(session, header, copied ? tg_buffer_slice(piece) : (struct tg_slice){ NULL, 0 });
    if (copied || !sent)
        tg_buffer_unref(piece);
    else
        tg_stream_send(session->stream, piece);
    return sent;
}

int tg_h2_stream_send_frame(nghttp2_session *codec, nghttp2_frame *frame, const uint8_t *header, size_t length,
                            nghttp2_data_source *source, void *user_data)
{
    (void)codec, (void)frame;
    struct tg_h2_session *session = user_data;
    struct tg_h2_stream *stream = source->ptr;
    struct tg_slice head = { (const char *)header, 9 };
    if (session->freed || tg_buffer_queue_length(&stream->taken) < length)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    stream->sent += length;
    do {
        struct tg_buffer piece = { NULL, NULL, 0 };
        if (length)
            piece = tg_buffer_queue_pop(&stream->taken, length);
        length -= piece.length;
        if (!send_piece(session, head, piece))
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        head.length = 0;
    } while (length > 0);
    /* The codec sends on within the same call. */
    return tg_stream_unsent(session->stream) < TG_H2_UNSENT_HIGH ? 0 : NGHTTP2_ERR_PAUSE;
}

static int submit_response(struct tg_h2_stream *stream, const struct tg_h2_lines *lines, bool end)
{
    nghttp2_data_provider provider = { .source.ptr = stream, .read_callback = read_body };
    return nghttp2_submit_response(stream->session->codec, stream->id, lines->at, lines->count, end ? NULL : &provider);
}

bool tg_h2_stream_respond(struct tg_h2_stream *stream, const struct tg_h2_lines *lines, bool end)
{
    if (!stream->session || stream->reset_queued)
        return true;
    bool submitted = submit_response(stream, lines, end) == 0;
    stream->has_body = !end;
    stream->end_queued = end;
    tg_h2_session_wake(stream->session);
    return submitted;
}

bool tg_h2_stream_inform(struct tg_h2_stream *stream, const struct tg_h2_lines *lines)
{
    if (!stream->session || stream->reset_queued)
        return true;
    int result = nghttp2_submit_headers(stream->session->codec, NGHTTP2_FLAG_NONE, stream->id, NULL, lines->at,
                                        lines->count, NULL);
    tg_h2_session_wake(stream->session);
    return result == 0;
}

bool tg_h2_stream_request(struct tg_h2_session *session, struct tg_h2_stream *stream, const struct tg_h2_lines *lines,
                          bool end)
{
    nghttp2_data_provider provider = { .source.ptr = stream, .read_callback = read_body };
    init(stream);
    int32_t id = nghttp2_submit_request(session->codec, NULL, lines->at, lines->count, end ? NULL : &provider, stream);
    if (id < 0)
        return false;
    enter(session, stream, id);
    stream->has_body = !end;
    stream->end_queued = end;
    tg_h2_session_wake(session);
    return true;
}

bool tg_h2_stream_blocked(const struct tg_h2_stream *stream)
{
    const struct tg_h2_session *session = stream->session;
    return session && (nghttp2_session_get_remote_window_size(session->codec) <= 0 ||
                       nghttp2_session_get_stream_remote_window_size(session->codec, stream->id) <= 0);
}

/* The end, with nothing left to send before it. Trailers need no window; nor does an end without trailers when it is
 * written as a trailer section of no fields: DATA would have to wait, though it be empty. */
static void send_bare_end(struct tg_h2_stream *stream, const struct tg_fields *trailers)
{
    if (trailers || tg_h2_stream_blocked(stream)) {
        if (!submit_trailers(stream, trailers))
            tg_h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    stream->end_known = true;
    stream->session->ends_known++;
    nghttp2_session_resume_data(stream->session->codec, stream->id);
}

void tg_h2_session_free_ends(struct tg_h2_session *session)
{
    struct tg_list *streams = &session->streams;
    for (struct tg_list *link = streams->next; link != streams && session->ends_known > 0; link = link->next) {
        struct tg_h2_stream *stream = TG_CONTAINER_OF(link, struct tg_h2_stream, link);
        if (!stream->end_known || stream->end_queued || !tg_h2_stream_blocked(stream))
            continue;
        session->ends_known--;
        stream->end_known = false;
        if (!submit_trailers(stream, NULL))
            tg_h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
        tg_h2_session_wake(session);
    }
}

void tg_h2_stream_body_ready(struct tg_h2_stream *stream)
{
    struct tg_h2_session *session = stream->session;
    struct tg_buffer_queue nothing;
    const struct tg_fields *trailers = NULL;
    bool end = false;
    if (!session || session->freed || !stream->has_body || stream->end_known || stream->end_queued ||
        stream->reset_queued)
        return;
    if (!stream->head_sent) { /* the codec asks when it is */
        tg_h2_session_wake(session);
        return;
    }
    tg_buffer_queue_init(&nothing);
    bool asked = session->ops->take(stream, &nothing, 0, &end, &trailers);
    tg_buffer_queue_deinit(&nothing);
    if (session->freed)
        return;
    if (!asked)
        tg_h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
    else if (end)
        send_bare_end(stream, trailers);
    else
        nghttp2_session_resume_data(session->codec, stream->id);
    tg_h2_session_wake(session);
}
