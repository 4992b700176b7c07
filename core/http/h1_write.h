/* The one writer of HTTP/1 heads: message to bytes. It writes framing itself from the arguments, skips `removed` and
 * `own` lines, and refuses nothing, since everything that reaches a message was checked. One pass into memory whose
 * bound the message gives. */
#ifndef TG_HTTP_H1_WRITE_H
#define TG_HTTP_H1_WRITE_H

#include "http/message.h"

/* How the body of the message being written is delimited on this connection. */
struct tg_h1_framing {
    enum tg_framing framing; /* NONE: no framing field at all, unless write_length */
    uint64_t length;         /* where LENGTH, or for a bodyless answer with write_length */
    bool write_length; /* also write content-length where framing is NONE (HEAD, 304, "0" for POST without body) */
    bool close;        /* write "connection: close" */
    bool keep_alive;   /* write "connection: keep-alive" (to an HTTP/1.0 client) */
    struct tg_slice upgrade; /* not empty: write "connection: upgrade" and "upgrade: ..." */
    bool te_trailers;        /* request: write "te: trailers" and list it in connection */
};

/* An upper bound of what the write function below will need for the same arguments. */
size_t tg_h1_request_bound(const struct tg_request_head *head, const struct tg_h1_framing *framing);
/* Writes "METHOD path?query HTTP/1.1", host from head->authority.text, fields and framing. `raw_path` sends the
 * received path. Returns the length; 0 where `capacity` didn't suffice (a bug in the bound, never memory corruption).
 */
size_t tg_h1_write_request(const struct tg_request_head *head, const struct tg_h1_framing *framing, bool raw_path,
                           char *to, size_t capacity);
size_t tg_h1_response_bound(const struct tg_response_head *head, const struct tg_h1_framing *framing);
/* Always writes HTTP/1.1. A date line is added where the message has none and status is not 1xx. */
size_t tg_h1_write_response(const struct tg_response_head *head, const struct tg_h1_framing *framing,
                            struct tg_slice date, char *to, size_t capacity);
/* The trailer section of a chunked body: "0\r\n", the fields, "\r\n". fields may be NULL. */
size_t tg_h1_last_chunk_bound(const struct tg_fields *trailers);
size_t tg_h1_write_last_chunk(const struct tg_fields *trailers, char *to, size_t capacity);

#endif
