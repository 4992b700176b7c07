#include "http/h1_chunked.h"

#include "http/byte_scan.h"
#include "http/h1_lines.h"

enum { SIZE_DIGITS = 16, TRAILER_FIRST = 512 };

enum state {
    STATE_SIZE,         /* the digits of a size line */
    STATE_BLANK,        /* blanks after the digits, which an extension must follow */
    STATE_EXTENSION,    /* after a ';' */
    STATE_SIZE_LF,      /* after the CR of a size line */
    STATE_DATA,         /* inside a chunk */
    STATE_DATA_CR,      /* right behind a chunk's data */
    STATE_DATA_LF,      /* after the CR behind the data */
    STATE_TRAILER,      /* at the start of a line of the trailer section */
    STATE_TRAILER_LINE, /* inside one */
    STATE_TRAILER_LF,   /* after the CR of one */
    STATE_LAST_LF,      /* after the CR of the empty line */
    STATE_ENDED,
};

/* One call's view of the input. */
struct feed {
    const char *start, *at, *end;
    struct tg_slice *data;
    struct tg_fields *trailers;
    struct tg_problem *problem;
};

void tg_h1_chunked_init(struct tg_h1_chunked *decoder, struct tg_arena *arena, const struct tg_http_limits *limits)
{
    *decoder = (struct tg_h1_chunked){ .state = STATE_SIZE, .arena = arena, .limits = limits };
}

/* Extensions and padding are free up to a part of the data: a body of many small, plain chunks is no attack. */
static bool count_extras(struct tg_h1_chunked *decoder, uint64_t bytes, struct tg_problem *problem)
{
    decoder->extras += bytes;
    if (decoder->extras <= decoder->limits->chunk_extras + decoder->data / 4)
        return true;
    return tg_problem_refuse(problem, 400, "more bytes of chunk extensions than the limit");
}

static bool take_digit(struct tg_h1_chunked *decoder, int value, struct tg_problem *problem)
{
    if (decoder->digits == SIZE_DIGITS)
        return tg_problem_refuse(problem, 400, "a chunk size of more than 16 digits");
    decoder->digits++;
    bool padding = decoder->remaining == 0 && value == 0 && decoder->digits > 1;
    decoder->remaining = decoder->remaining << 4 | (uint64_t)value;
    return !padding || count_extras(decoder, 1, problem);
}

static bool take_size(struct tg_h1_chunked *decoder, struct feed *feed)
{
    while (feed->at < feed->end) {
        char byte = *feed->at++;
        int value = tg_byte_hex_value(byte);
        if (value >= 0) {
            if (!take_digit(decoder, value, feed->problem))
                return false;
            continue;
        }
        if (decoder->digits == 0)
            return tg_problem_refuse(feed->problem, 400, "a chunk size without digits");
        if (byte == '\r')
            decoder->state = STATE_SIZE_LF;
        else if (byte == ';')
            decoder->state = STATE_EXTENSION;
        else if (tg_byte_is_blank(byte))
            decoder->state = STATE_BLANK;
        else
            return tg_problem_refuse(feed->problem, 400, "junk in a chunk size");
        return decoder->state == STATE_SIZE_LF || count_extras(decoder, 1, feed->problem);
    }
    return true;
}

static bool take_blank(struct tg_h1_chunked *decoder, struct feed *feed)
{
    char byte = *feed->at++;
    if (byte == ';')
        decoder->state = STATE_EXTENSION;
    else if (!tg_byte_is_blank(byte))
        return tg_problem_refuse(feed->problem, 400, "junk behind a chunk size");
    return count_extras(decoder, 1, feed->problem);
}

/* A line ends at its first CRLF, quotes or not. */
static bool take_extension(struct tg_h1_chunked *decoder, struct feed *feed)
{
    const char *stop = tg_scan_control(feed->start, feed->at, feed->end);
    if (!count_extras(decoder, (uint64_t)(stop - feed->at), feed->problem))
        return false;
    feed->at = stop;
    if (stop == feed->end)
        return true;
    if (*stop != '\r')
        return tg_problem_refuse(feed->problem, 400, "a control byte in a chunk extension");
    feed->at++;
    decoder->state = STATE_SIZE_LF;
    return true;
}

static bool end_size_line(struct tg_h1_chunked *decoder, struct feed *feed)
{
    if (*feed->at++ != '\n')
        return tg_problem_refuse(feed->problem, 400, "a chunk size line that doesn't end in CRLF");
    decoder->digits = 0;
    decoder->state = decoder->remaining ? STATE_DATA : STATE_TRAILER;
    if (decoder->remaining > (uint64_t)INT64_MAX - decoder->data)
        return tg_problem_refuse(feed->problem, 400, "a chunk size beyond 63 bits");
    return true;
}

static void take_data(struct tg_h1_chunked *decoder, struct feed *feed)
{
    size_t available = (size_t)(feed->end - feed->at);
    size_t length = available < decoder->remaining ? available : (size_t)decoder->remaining;
    *feed->data = tg_slice_of(feed->at, length);
    feed->at += length;
    decoder->data += length;
    decoder->remaining -= length;
    if (decoder->remaining == 0)
        decoder->state = STATE_DATA_CR;
}

static bool expect(struct tg_h1_chunked *decoder, struct feed *feed, char byte, enum state next, const char *reason)
{
    if (*feed->at++ != byte)
        return tg_problem_refuse(feed->problem, 400, reason);
    decoder->state = (uint8_t)next;
    return true;
}

/* Keeps bytes of the trailer section, which is parsed when it is whole. */
static bool keep_trailer(struct tg_h1_chunked *decoder, struct tg_slice bytes, struct tg_problem *problem)
{
    if (bytes.length > decoder->limits->head - decoder->trailer_length)
        return tg_problem_refuse(problem, 431, "a trailer section beyond the limit");
    size_t length = decoder->trailer_length + bytes.length;
    if (length > decoder->trailer_capacity) {
        size_t capacity = length > TRAILER_FIRST ? length * 2 : TRAILER_FIRST;
        char *grown = tg_arena_alloc(decoder->arena, capacity);
        if (!grown)
            return tg_problem_refuse_for(problem, tg_problem_memory);
        if (decoder->trailer_length)
            memcpy(grown, decoder->trailer, decoder->trailer_length);
        decoder->trailer = grown;
        decoder->trailer_capacity = capacity;
    }
    if (bytes.length)
        memcpy(decoder->trailer + decoder->trailer_length, bytes.at, bytes.length);
    decoder->trailer_length = length;
    return true;
}

static bool take_trailer_line(struct tg_h1_chunked *decoder, struct feed *feed)
{
    const char *stop = tg_scan_line_end(feed->start, feed->at, feed->end);
    bool ends = stop < feed->end;
    const char *behind = ends && *stop == '\r' ? stop + 1 : stop;
    if (!keep_trailer(decoder, tg_slice_of(feed->at, (size_t)(behind - feed->at)), feed->problem))
        return false;
    if (ends && *stop == '\n')
        return tg_problem_refuse(feed->problem, 400, "bare LF in the trailer section");
    feed->at = behind;
    if (ends)
        decoder->state = STATE_TRAILER_LF;
    return true;
}

static bool end_trailer_line(struct tg_h1_chunked *decoder, struct feed *feed)
{
    return expect(decoder, feed, '\n', STATE_TRAILER, "bare CR in the trailer section") &&
           keep_trailer(decoder, TG_SLICE("\n"), feed->problem);
}

static void drop_forbidden(struct tg_fields *trailers)
{
    for (uint32_t i = 0; i < trailers->count; i++)
        if (!tg_h1_trailer_allowed(&trailers->lines[i]))
            trailers->lines[i].removed = true;
}

static bool end_body(struct tg_h1_chunked *decoder, struct feed *feed)
{
    if (!expect(decoder, feed, '\n', STATE_ENDED, "bare CR at the end of a chunked body"))
        return false;
    tg_fields_init(feed->trailers, decoder->arena);
    if (decoder->trailer_length == 0)
        return true;
    if (!keep_trailer(decoder, TG_SLICE("\r\n"), feed->problem))
        return false;
    struct tg_slice text = tg_slice_of(decoder->trailer, decoder->trailer_length);
    if (!tg_h1_parse_lines(text, decoder->limits, feed->trailers, feed->problem))
        return false;
    drop_forbidden(feed->trailers);
    return true;
}

static bool start_trailer_line(struct tg_h1_chunked *decoder, struct feed *feed)
{
    decoder->state = *feed->at == '\r' ? STATE_LAST_LF : STATE_TRAILER_LINE;
    feed->at += *feed->at == '\r';
    return true;
}

static bool step(struct tg_h1_chunked *decoder, struct feed *feed)
{
    switch ((enum state)decoder->state) {
    case STATE_SIZE: return take_size(decoder, feed);
    case STATE_BLANK: return take_blank(decoder, feed);
    case STATE_EXTENSION: return take_extension(decoder, feed);
    case STATE_SIZE_LF: return end_size_line(decoder, feed);
    case STATE_DATA: take_data(decoder, feed); return true;
    case STATE_DATA_CR: return expect(decoder, feed, '\r', STATE_DATA_LF, "a chunk that is longer than its size");
    case STATE_DATA_LF: return expect(decoder, feed, '\n', STATE_SIZE, "a chunk that isn't followed by CRLF");
    case STATE_TRAILER: return start_trailer_line(decoder, feed);
    case STATE_TRAILER_LINE: return take_trailer_line(decoder, feed);
    case STATE_TRAILER_LF: return end_trailer_line(decoder, feed);
    case STATE_LAST_LF: return end_body(decoder, feed);
    case STATE_ENDED: break;
    }
    return tg_problem_refuse(feed->problem, 400, "bytes behind a chunked body");
}

enum tg_h1_chunk_event tg_h1_chunked_next(struct tg_h1_chunked *decoder, struct tg_slice input, size_t *used,
                                          struct tg_slice *data, struct tg_fields *trailers, struct tg_problem *problem)
{
    struct feed feed = { input.at, input.at, input.at + input.length, data, trailers, problem };
    enum tg_h1_chunk_event event = TG_H1_CHUNK_MORE;
    *data = (struct tg_slice){ 0 };
    while (feed.at < feed.end && event == TG_H1_CHUNK_MORE) {
        if (!step(decoder, &feed))
            event = TG_H1_CHUNK_ERROR;
        else if (data->length)
            event = TG_H1_CHUNK_DATA;
        else if (decoder->state == STATE_ENDED)
            event = TG_H1_CHUNK_END;
    }
    *used = (size_t)(feed.at - input.at);
    return event;
}

size_t tg_h1_chunk_head(uint64_t length, char out[TG_H1_CHUNK_HEAD_MAX])
{
    int shift = 60;
    size_t at = 0;
    while (shift > 0 && length >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        out[at++] = "0123456789abcdef"[length >> shift & 15];
    out[at++] = '\r';
    out[at++] = '\n';
    return at;
}
