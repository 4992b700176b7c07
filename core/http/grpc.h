/* gRPC as far as a proxy needs it ("gRPC over HTTP2", "HTTP to gRPC status code mapping" and "Status codes" of its
 * specification). Knows nothing of connections. */
#ifndef TG_HTTP_GRPC_H
#define TG_HTTP_GRPC_H

#include "http/fields.h"

enum tg_grpc_status {
    TG_GRPC_OK = 0,
    TG_GRPC_CANCELLED = 1,
    TG_GRPC_UNKNOWN = 2,
    TG_GRPC_DEADLINE_EXCEEDED = 4,
    TG_GRPC_PERMISSION_DENIED = 7,
    TG_GRPC_RESOURCE_EXHAUSTED = 8,
    TG_GRPC_UNIMPLEMENTED = 12,
    TG_GRPC_INTERNAL = 13,
    TG_GRPC_UNAVAILABLE = 14,
    TG_GRPC_UNAUTHENTICATED = 16,
};

/* "application/grpc", alone, with a suffix ("+proto") or with parameters; not gRPC-Web. */
bool tg_grpc_content_type(struct tg_slice content_type);
/* The content type of these fields is one. */
bool tg_grpc_fields(const struct tg_fields *fields);

/* grpc-timeout: 1 to 8 digits and one of H, M, S, m, u, n. false: malformed. */
bool tg_grpc_timeout_parse(struct tg_slice text, double *seconds) __attribute__((warn_unused_result));
enum { TG_GRPC_TIMEOUT_MAX = 9 };
/* In the finest unit of which 8 digits suffice, rounded down; at least a nanosecond, at most 99,999,999 hours. */
struct tg_slice tg_grpc_timeout_format(double seconds, char out[TG_GRPC_TIMEOUT_MAX]);

/* grpc-message: all but visible ASCII and blanks, and '%' itself, percent-encoded. false: out of memory. */
bool tg_grpc_message_encode(struct tg_slice text, struct tg_arena *arena, struct tg_slice *out)
    __attribute__((warn_unused_result));

/* What the status of a response without grpc-status means; never OK. */
enum tg_grpc_status tg_grpc_status_of_http(int status);
bool tg_grpc_has_status(const struct tg_fields *fields);
/* The number that grpc-status says; -1: there is none, or it is no number. */
int tg_grpc_status_in(const struct tg_fields *fields);
/* Adds grpc-status and grpc-message; `message` is static or lives as long as the fields, and needs no encoding. false:
 * out of memory. */
bool tg_grpc_add_status(struct tg_fields *fields, enum tg_grpc_status status, struct tg_slice message)
    __attribute__((warn_unused_result));

/* Messages on their way, counted by their five-byte prefixes alone (compressed flag, length). Zero it at the start of a
 * body. Pieces may be cut anywhere. */
struct tg_grpc_messages {
    uint64_t whole;     /* messages */
    uint32_t remaining; /* bytes of the current one behind its prefix */
    uint8_t prefix;     /* bytes of the next prefix that have come */
    uint32_t length;    /* read so far of that */
};

void tg_grpc_messages_count(struct tg_grpc_messages *messages, struct tg_slice bytes);
/* Nothing is left half sent. */
static inline bool tg_grpc_messages_complete(const struct tg_grpc_messages *messages)
{
    return messages->remaining == 0 && messages->prefix == 0;
}

#endif
