#include "proxy/h1_body.h"

#include "http/h1_write.h"

void tg_h1_body_reader_init(struct tg_h1_body_reader *reader, enum tg_framing framing, uint64_t length,
                            struct tg_arena *arena, const struct tg_http_limits *limits)
{
    reader->framing = framing;
    reader->remaining = length;
    if (framing == TG_FRAMING_CHUNKED)
        tg_h1_chunked_init(&reader->chunked, arena, limits);
}

static enum tg_h1_chunk_event read_counted(struct tg_h1_body_reader *reader, struct tg_slice input, size_t *used,
                                           struct tg_slice *data)
{
    if (reader->remaining == 0)
        return TG_H1_CHUNK_END;
    if (input.length == 0)
        return TG_H1_CHUNK_MORE;
    *used = input.length < reader->remaining ? input.length : (size_t)reader->remaining;
    *data = tg_slice_of(input.at, *used);
    reader->remaining -= *used;
    return TG_H1_CHUNK_DATA;
}

enum tg_h1_chunk_event tg_h1_body_read(struct tg_h1_body_reader *reader, struct tg_slice input, size_t *used,
                                       struct tg_slice *data, struct tg_fields *trailers, struct tg_problem *problem)
{
    *used = 0;
    switch (reader->framing) {
    case TG_FRAMING_NONE: return TG_H1_CHUNK_END;
    case TG_FRAMING_LENGTH: return read_counted(reader, input, used, data);
    case TG_FRAMING_CHUNKED: return tg_h1_chunked_next(&reader->chunked, input, used, data, trailers, problem);
    case TG_FRAMING_CLOSE: break;
    }
    *used = input.length;
    *data = input;
    return input.length ? TG_H1_CHUNK_DATA : TG_H1_CHUNK_MORE;
}

void tg_h1_body_writer_init(struct tg_h1_body_writer *writer, enum tg_framing framing, uint64_t length)
{
    writer->framing = framing;
    writer->remaining = length;
    writer->ended = false;
}

static bool send_chunk_head(struct tg_stream *stream, uint64_t length)
{
    struct tg_loop *loop = tg_stream_loop(stream);
    char *to = tg_loop_reserve(loop, TG_H1_CHUNK_HEAD_MAX);
    if (!to)
        return false;
    tg_stream_send(stream, tg_loop_commit(loop, tg_h1_chunk_head(length, to)));
    return true;
}

static bool send_last_chunk(struct tg_stream *stream, const struct tg_fields *trailers)
{
    struct tg_loop *loop = tg_stream_loop(stream);
    size_t bound = tg_h1_last_chunk_bound(trailers);
    char *to = tg_loop_reserve(loop, bound);
    if (!to)
        return false;
    tg_stream_send(stream, tg_loop_commit(loop, tg_h1_write_last_chunk(trailers, to, bound)));
    return true;
}

static bool write_chunked(struct tg_stream *stream, struct tg_buffer_queue *bytes, bool end,
                          const struct tg_fields *trailers)
{
    static const char line_end[] = "\r\n";
    uint64_t length = tg_buffer_queue_length(bytes);
    if (length > 0) {
        if (!send_chunk_head(stream, length))
            return false;
        tg_stream_send_queue(stream, bytes);
        tg_stream_send(stream, (struct tg_buffer){ NULL, line_end, 2 });
    }
    return !end || send_last_chunk(stream, trailers);
}

bool tg_h1_body_write(struct tg_h1_body_writer *writer, struct tg_stream *stream, struct tg_buffer_queue *bytes,
                      bool end, const struct tg_fields *trailers)
{
    uint64_t length = tg_buffer_queue_length(bytes);
    writer->ended = writer->ended || end;
    switch (writer->framing) {
    case TG_FRAMING_NONE: return length == 0;
    case TG_FRAMING_CHUNKED: return write_chunked(stream, bytes, end, trailers);
    case TG_FRAMING_LENGTH:
        if (length > writer->remaining || (end && length < writer->remaining))
            return false;
        writer->remaining -= length;
        break;
    case TG_FRAMING_CLOSE: break;
    }
    tg_stream_send_queue(stream, bytes);
    return true;
}
