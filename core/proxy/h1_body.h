/* The body of an HTTP/1 message on a connection, for both sides: reading by its framing, writing by its framing. */
#ifndef TG_PROXY_H1_BODY_H
#define TG_PROXY_H1_BODY_H

#include "http/h1_chunked.h"
#include "http/message.h"
#include "net/stream.h"

struct tg_h1_body_reader {
    enum tg_framing framing;
    uint64_t remaining; /* where LENGTH */
    struct tg_h1_chunked chunked;
};

void tg_h1_body_reader_init(struct tg_h1_body_reader *reader, enum tg_framing framing, uint64_t length,
                            struct tg_arena *arena, const struct tg_http_limits *limits);
/* As tg_h1_chunked_next, for every framing: END comes as soon as the last byte was taken, also with empty input. A body
 * delimited by close never ends here. */
enum tg_h1_chunk_event tg_h1_body_read(struct tg_h1_body_reader *reader, struct tg_slice input, size_t *used,
                                       struct tg_slice *data, struct tg_fields *trailers, struct tg_problem *problem);

struct tg_h1_body_writer {
    enum tg_framing framing; /* NONE: no body; CLOSE: raw until the end */
    uint64_t remaining;      /* where LENGTH */
    bool ended;
};

void tg_h1_body_writer_init(struct tg_h1_body_writer *writer, enum tg_framing framing, uint64_t length);
/* Sends everything from the queue, and the end where `end`. `trailers` go with a chunked body alone, asked for or not:
 * who doesn't want them passes them over (RFC 9112 7.1.2). false: out of memory, or more or fewer bytes than were
 * promised: the connection must be broken off. */
bool tg_h1_body_write(struct tg_h1_body_writer *writer, struct tg_stream *stream, struct tg_buffer_queue *bytes,
                      bool end, const struct tg_fields *trailers) __attribute__((warn_unused_result));

#endif
