/* HTTP/2 header sections (RFC 9113 8) to heads, and heads to the lines that the codec encodes: what HPACK carries has
 * no meaning before it went through here. Knows nothing of connections, streams or frames. */
#ifndef TG_HTTP_H2_HEAD_H
#define TG_HTTP_H2_HEAD_H

#include <nghttp2/nghttp2.h>

#include "http/limits.h"
#include "http/message.h"

enum tg_h2_section_kind { TG_H2_REQUEST, TG_H2_RESPONSE, TG_H2_TRAILERS };

enum tg_h2_pseudo {
    TG_H2_PSEUDO_METHOD,
    TG_H2_PSEUDO_SCHEME,
    TG_H2_PSEUDO_AUTHORITY,
    TG_H2_PSEUDO_PATH,
    TG_H2_PSEUDO_PROTOCOL,
    TG_H2_PSEUDO_STATUS,
    TG_H2_PSEUDO_COUNT,
};

/* A section while it is decoded, line by line. Each line is charged (name, value, limits->field_charge) and counted
 * before anything of it is stored; the first fault is kept and nothing is stored after it. */
struct tg_h2_section {
    enum tg_h2_section_kind kind;
    struct tg_arena *arena; /* NULL: lines are charged and dropped */
    const struct tg_http_limits *limits;
    struct tg_fields fields;
    struct tg_slice pseudo[TG_H2_PSEUDO_COUNT];
    uint32_t pseudo_seen; /* bit mask of enum tg_h2_pseudo */
    uint64_t charged;     /* bytes, counted on beyond the limits */
    uint64_t lines;       /* cookie crumbs one by one [V09] */
    uint32_t crumbs;
    uint64_t crumb_bytes;
    struct tg_problem problem; /* status 0: none. 400: the message is malformed, a stream error (RFC 9113 8.1.1) */
};

void tg_h2_section_init(struct tg_h2_section *section, enum tg_h2_section_kind kind, struct tg_arena *arena,
                        const struct tg_http_limits *limits);
/* The next line as decoded; copied. `sensitive`: it came as never to be indexed (RFC 7541 7.1.3). */
void tg_h2_section_add(struct tg_h2_section *section, struct tg_slice name, struct tg_slice value, bool sensitive);
/* The codec found the next line invalid: charged as any other, and the section is malformed [V06]. */
void tg_h2_section_add_invalid(struct tg_h2_section *section, struct tg_slice name, struct tg_slice value);

/* How a section ended, and on what connection. */
struct tg_h2_request_context {
    bool end;              /* END_STREAM came with it: no body */
    bool secure;           /* the connection is TLS: 443 is the port that isn't written */
    bool extended_connect; /* we have announced RFC 8441 */
};

/* All rules on requests. An extended CONNECT for websocket becomes what an HTTP/1 upgrade is: GET with `upgrade` set,
 * no body, `extended_connect` true. problem->status: 400 is a stream error; any other is the status to answer. *out is
 * filled as far as possible then, for the log. */
bool tg_h2_request_head(struct tg_h2_section *section, const struct tg_h2_request_context *context,
                        struct tg_request_head *out, struct tg_problem *problem) __attribute__((warn_unused_result));
/* All rules on responses (informational ones, too). framing is NONE where `end`, else LENGTH or CHUNKED: the end is
 * told by the stream. problem->status is 502. */
bool tg_h2_response_head(struct tg_h2_section *section, bool end, struct tg_response_head *out,
                         struct tg_problem *problem) __attribute__((warn_unused_result));
/* `end`: END_STREAM came with it, as it must. Fields that no trailer may be are left out, as those of HTTP/1 are. */
bool tg_h2_trailers(struct tg_h2_section *section, bool end, struct tg_fields *out, struct tg_problem *problem)
    __attribute__((warn_unused_result));

/* Lines for nghttp2_submit_*: in the arena, or static, or borrowed from the message; all of it may go after the call
 * that submits them, but for names marked NO_COPY, which are static. Removed fields and those of the hop are left out
 * [V10]. Names are lower case. */
struct tg_h2_lines {
    nghttp2_nv *at;
    size_t count;
};

/* A date is added where the message has none and status is not 1xx. `write_length`: content-length with
 * head->content_length. The answer to an extended CONNECT (status 101) is written as 200 without the fields of the
 * upgrade (RFC 8441 5). false: out of memory. */
bool tg_h2_write_response(const struct tg_response_head *head, bool write_length, struct tg_slice date,
                          struct tg_arena *arena, struct tg_h2_lines *lines) __attribute__((warn_unused_result));

struct tg_h2_request_writing {
    struct tg_slice scheme; /* of the connection: "http" or "https" */
    bool raw_path;          /* send the received path */
    bool write_length;      /* content-length with head->content_length */
    bool te_trailers;       /* write "te: trailers" */
};

/* Where head->upgrade isn't empty it is written as an extended CONNECT with that protocol. false: out of memory. */
bool tg_h2_write_request(const struct tg_request_head *head, const struct tg_h2_request_writing *writing,
                         struct tg_arena *arena, struct tg_h2_lines *lines) __attribute__((warn_unused_result));
/* fields may be NULL: none. */
bool tg_h2_write_trailers(const struct tg_fields *fields, struct tg_arena *arena, struct tg_h2_lines *lines)
    __attribute__((warn_unused_result));

#endif
