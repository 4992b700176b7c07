/* A request or response head as the gateway understands it, in any protocol. What was routed, checked, logged and
 * forwarded is made from this, never from the received bytes. Lives in the arena of its exchange. */
#ifndef TG_HTTP_MESSAGE_H
#define TG_HTTP_MESSAGE_H

#include "http/fields.h"
#include "http/uri.h"

enum tg_version { TG_HTTP_1_0, TG_HTTP_1_1, TG_HTTP_2 };

enum tg_method {
    TG_METHOD_OTHER,
    TG_METHOD_GET,
    TG_METHOD_HEAD,
    TG_METHOD_POST,
    TG_METHOD_PUT,
    TG_METHOD_DELETE,
    TG_METHOD_OPTIONS,
    TG_METHOD_PATCH,
    TG_METHOD_TRACE,
    TG_METHOD_CONNECT,
};

enum tg_method tg_method_of(struct tg_slice text); /* case matters */
bool tg_method_valid(struct tg_slice text);        /* a token of at most 64 bytes */
bool tg_method_idempotent(enum tg_method method);  /* RFC 9110 9.2.2; OTHER is not */

/* How a body's end is known. */
enum tg_framing { TG_FRAMING_NONE, TG_FRAMING_LENGTH, TG_FRAMING_CHUNKED, TG_FRAMING_CLOSE };

struct tg_request_head {
    enum tg_method method;
    enum tg_version version;
    struct tg_slice method_text;
    struct tg_target target;
    struct tg_authority
        authority;           /* reconciled from target and Host; empty only for an HTTP/1.0 request without Host */
    struct tg_fields fields; /* Host and framing lines are marked `own` */
    enum tg_framing framing; /* NONE, LENGTH or CHUNKED */
    uint64_t content_length; /* where LENGTH */
    bool keep_alive;         /* the client wants the connection kept */
    bool expect_continue;    /* Expect: 100-continue, and a body follows */
    bool te_trailers;        /* TE: trailers */
    struct tg_slice upgrade; /* the one protocol asked for, lower case, or empty */
    bool extended_connect;   /* `upgrade` was asked for by an extended CONNECT (RFC 8441): without key and version */
};

/* A body of length 0 is none. */
static inline bool tg_request_has_body(const struct tg_request_head *head)
{
    return head->framing == TG_FRAMING_CHUNKED || (head->framing == TG_FRAMING_LENGTH && head->content_length > 0);
}

struct tg_response_head {
    uint16_t status; /* 100 to 599 */
    enum tg_version version;
    struct tg_fields fields; /* framing lines are marked `own` */
    enum tg_framing framing; /* as the message says, before HEAD, 204 and 304 are considered */
    uint64_t content_length; /* where LENGTH */
    bool has_content_length; /* a length was declared, also where no body may follow (HEAD, 304) */
    bool keep_alive;         /* the upstream keeps the connection */
    struct tg_slice upgrade; /* of a 101: the protocol, lower case */
};

/* The standard phrase, or "" for a status without one. */
struct tg_slice tg_status_reason(int status);
/* No body can follow: 1xx, 204, 304, or a response to HEAD (RFC 9112 6.3). */
bool tg_response_bodyless(int status, enum tg_method request_method);

#endif
