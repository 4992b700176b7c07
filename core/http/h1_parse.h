/* HTTP/1 heads, strictly (RFC 9112): bytes to message. Knows nothing of connections. */
#ifndef TG_HTTP_H1_PARSE_H
#define TG_HTTP_H1_PARSE_H

#include "http/limits.h"
#include "http/message.h"

enum tg_h1_result { TG_H1_DONE, TG_H1_MORE, TG_H1_ERROR };

/* Finds the end of a head in input that grows, touching each byte once: zero it before the first call, and give the
 * same input with more behind it each time. Line ends are checked here: a bare LF or CR is an error as soon as it is
 * seen. One empty line before a request line is skipped (RFC 9112 2.2) and counts to the head. */
struct tg_h1_scan {
    size_t scanned;    /* bytes looked at */
    size_t line_start; /* of the line being scanned */
    size_t lines;
};

/* DONE: *head_length is the length of the head with its final empty line. ERROR: problem is set (400, 414, 431). */
enum tg_h1_result tg_h1_scan_head(struct tg_h1_scan *scan, struct tg_slice input, const struct tg_http_limits *limits,
                                  size_t *head_length, struct tg_problem *problem);

/* Parses a whole request head, as tg_h1_scan_head delimited it, in place: `head` must be stable for the life of *out
 * (copy it into the arena first). All rules on framing, Host, target and fields are applied; hop-by-hop fields (RFC
 * 9110 7.6.1) and those that Connection names are removed, framing and Host lines marked `own`, end-to-end fields can't
 * be listed away. */
bool tg_h1_parse_request(struct tg_slice head, const struct tg_http_limits *limits, struct tg_arena *arena,
                         struct tg_request_head *out, struct tg_problem *problem) __attribute__((warn_unused_result));

/* Parses a whole response head likewise; problem->reason says what is wrong (the status doesn't matter: it is 502). */
bool tg_h1_parse_response(struct tg_slice head, const struct tg_http_limits *limits, struct tg_arena *arena,
                          struct tg_response_head *out, struct tg_problem *problem) __attribute__((warn_unused_result));

#endif
