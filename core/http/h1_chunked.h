/* The chunked coding (RFC 9112 7.1): a decoder that is fed as bytes come, and the pieces of an encoder. */
#ifndef TG_HTTP_H1_CHUNKED_H
#define TG_HTTP_H1_CHUNKED_H

#include "http/fields.h"
#include "http/limits.h"
#include "http/problem.h"

struct tg_h1_chunked {
    uint8_t state;
    uint8_t digits;
    uint64_t remaining; /* of the current chunk's data */
    uint64_t data;      /* in all */
    uint64_t extras;    /* bytes of extensions and padding, against limits */
    char *trailer;      /* the trailer section as it comes, in the arena */
    size_t trailer_length, trailer_capacity;
    struct tg_arena *arena;
    const struct tg_http_limits *limits;
};

enum tg_h1_chunk_event {
    TG_H1_CHUNK_MORE,  /* all input used; more is needed */
    TG_H1_CHUNK_DATA,  /* *data is a piece of the body inside the input */
    TG_H1_CHUNK_END,   /* the body and its trailers are complete; what follows *used isn't part of it */
    TG_H1_CHUNK_ERROR, /* problem is set */
};

void tg_h1_chunked_init(struct tg_h1_chunked *decoder, struct tg_arena *arena, const struct tg_http_limits *limits);
/* Takes some of the input; *used says how much. Call again with the rest until MORE, END or ERROR. On END, *trailers is
 * filled with the trailer fields that may be passed on (framing, routing and authentication fields are dropped: RFC
 * 9110 6.5.1). */
enum tg_h1_chunk_event tg_h1_chunked_next(struct tg_h1_chunked *decoder, struct tg_slice input, size_t *used,
                                          struct tg_slice *data, struct tg_fields *trailers,
                                          struct tg_problem *problem);

enum { TG_H1_CHUNK_HEAD_MAX = 18 };
/* Writes the size line of a chunk of `length` > 0 bytes in hand; returns its length. The data and "\r\n" follow it. */
size_t tg_h1_chunk_head(uint64_t length, char out[TG_H1_CHUNK_HEAD_MAX]);

#endif
