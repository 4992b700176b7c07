/* Assertions over h1_feed.h, for literals: bytes in, outcome out. Each input is fed in every way. */
#ifndef TG_UNIT_H1_EXPECT_H
#define TG_UNIT_H1_EXPECT_H

#include "h1_feed.h"

/* The literal may hold NUL. */
#define REFUSED(kind, status, input) expect_refused((kind), TG_SLICE(input), (status), __LINE__)
#define TAKEN(kind, input, outcome) expect_taken((kind), TG_SLICE(input), (outcome), __LINE__)

/* A request with this line behind a right request line and Host. */
#define REQUEST(line) "POST /p HTTP/1.1\r\nHost: a.example\r\n" line "\r\n\r\n"
#define RESPONSE(line) "HTTP/1.1 200 OK\r\n" line "\r\n\r\n"

void expect_refused(enum feed_kind kind, struct tg_slice input, int status, int line);
void expect_taken(enum feed_kind kind, struct tg_slice input, const char *outcome, int line);
/* `count` times `text` between two other texts, from malloc. */
struct tg_slice expect_repeat(const char *before, const char *text, size_t count, const char *behind);

#endif
