/* What request heads, response heads and trailer sections of HTTP/1 have in common: field lines, the fields of a hop,
 * and the two framing fields. For the codec itself; others use h1_parse.h and h1_chunked.h. */
#ifndef TG_HTTP_H1_LINES_H
#define TG_HTTP_H1_LINES_H

#include "http/fields.h"
#include "http/limits.h"
#include "http/problem.h"

/* Parses field lines up to the empty line, which must end `text`. */
bool tg_h1_parse_lines(struct tg_slice text, const struct tg_http_limits *limits, struct tg_fields *fields,
                       struct tg_problem *problem) __attribute__((warn_unused_result));

/* What the fields of this hop say, besides framing. */
struct tg_h1_hop {
    bool close, keep_alive;   /* options of Connection */
    bool upgrade;             /* the option of Connection */
    bool te_trailers;         /* a member of TE */
    struct tg_slice protocol; /* the one protocol that Upgrade names, or empty */
};

/* Removes what is of the hop (RFC 9110 7.6.1): Keep-Alive, Proxy-Connection, TE and what Connection names, but no
 * framing and no end-to-end field. Connection itself and Upgrade stay to be read. */
void tg_h1_take_hop(struct tg_fields *fields, struct tg_h1_hop *hop);
/* The protocol in lower case where both Upgrade and the Connection option are there, else empty, and Upgrade is
 * removed then. "h2c" is never taken. false: out of memory. */
bool tg_h1_take_upgrade(struct tg_fields *fields, const struct tg_h1_hop *hop, struct tg_slice *upgrade)
    __attribute__((warn_unused_result));

/* The one Content-Length, which must be there. At most 19 digits, leading zeros included. */
bool tg_h1_content_length(const struct tg_fields *fields, uint64_t *length, struct tg_problem *problem)
    __attribute__((warn_unused_result));
/* Is Transfer-Encoding, which must be there, "chunked" and nothing else? */
bool tg_h1_only_chunked(const struct tg_fields *fields, struct tg_problem *problem) __attribute__((warn_unused_result));

/* What Expect asks for (RFC 9110 10.1.1), once framing is known. Without a body, and in HTTP/1.0, there is nothing to
 * wait for and the field is dropped. */
struct tg_request_head;
bool tg_h1_take_expectation(struct tg_request_head *head, struct tg_problem *problem)
    __attribute__((warn_unused_result));

/* May a trailer field be passed on (RFC 9110 6.5.1)? */
bool tg_h1_trailer_allowed(const struct tg_field *field);

#endif
