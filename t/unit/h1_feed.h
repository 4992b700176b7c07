/* Feeds HTTP/1 input to the codec as a connection would, whole or in pieces, and words the outcome as text, so that
 * tests and fuzzers can compare. Every piece is handed over in memory of exactly its size, so that a sanitizer sees a
 * read behind it. */
#ifndef TG_UNIT_H1_FEED_H
#define TG_UNIT_H1_FEED_H

#include "base/slice.h"
#include "base/text.h"
#include "http/h1_chunked.h"
#include "http/h1_parse.h"

enum feed_kind { FEED_REQUEST, FEED_RESPONSE, FEED_CHUNKED };

/* A request that is taken reads:
 *     GET /path?query 1.1 host=a.example body=none keep
 *     name: value          one line for each that is forwarded, names in lower case
 *     (7 behind)           where bytes follow the message
 * a chunked body: its data, "|", and the trailer lines. What is refused reads "400 reason", what isn't whole "more". */
void feed_describe(enum feed_kind kind, struct tg_slice input, size_t first_cut, size_t step, struct tg_text *out);

/* The outcome of the input fed whole. NULL where feeding it in another way, cut in two at any byte or byte by byte,
 * gives another; *difference then holds both. */
const char *feed_every_way(enum feed_kind kind, struct tg_slice input, struct tg_text *whole,
                           struct tg_text *difference);

/* Parses, writes and parses again: the second reading must be the first. Returns NULL, or what is wrong. */
const char *feed_check_rewrite(enum feed_kind kind, struct tg_slice input, struct tg_text *first,
                               struct tg_text *second);

extern struct tg_http_limits feed_limits;

#endif
