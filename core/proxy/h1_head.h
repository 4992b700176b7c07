/* A head on its way: found in what came, or collected until it is whole. For both sides of the proxy. */
#ifndef TG_PROXY_H1_HEAD_H
#define TG_PROXY_H1_HEAD_H

#include "base/buffer.h"
#include "http/h1_parse.h"

struct tg_h1_head_reader { /* zero it before the first head */
    struct tg_h1_scan scan;
    struct tg_block *partial; /* a head that hasn't come whole */
};

/* DONE: *head is the whole head, inside the input or the reader until the latter is reset, and *used is how much of the
 * input belongs to it. MORE: all was used and kept. ERROR: problem is set; out of memory is one with status 500. */
enum tg_h1_result tg_h1_head_read(struct tg_h1_head_reader *reader, struct tg_slice input,
                                  const struct tg_http_limits *limits, struct tg_slice *head, size_t *used,
                                  struct tg_problem *problem);
/* Forgets the head, for the next one. Its memory goes: call it at the end, too. */
void tg_h1_head_reset(struct tg_h1_head_reader *reader);

#endif
