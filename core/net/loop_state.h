/* Inside net/: what a loop consists of. */
#ifndef TG_NET_LOOP_STATE_H
#define TG_NET_LOOP_STATE_H

#include <ev.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "net/loop.h"
#include "net/spare_queue.h"
#include "net/watch.h"

enum {
    TG_LOOP_BATCH = 128,          /* events taken from the set at once */
    TG_LOOP_PUMP_EARLY = 1 << 16, /* bytes read since the last pump, beyond which it isn't put off: caches are small */
};

enum tg_loop_life {
    TG_LOOP_NEW,
    TG_LOOP_RUNS,
    TG_LOOP_ENDED, /* run has returned: its thread touches nothing any more */
};

struct tg_loop {
    struct ev_loop *ev;
    ev_io set_ready;
    ev_async mail_came;
    ev_check turn_begins;
    ev_prepare turn_ends;
    int set; /* the epoll set */
    bool stopped;
    _Atomic enum tg_loop_life life;
    struct tg_clock *clock;
    void *context;
    double now, wall;
    double turn_began;      /* what libev takes for now */
    struct tg_list tasks;   /* struct tg_task */
    struct tg_list unsent;  /* streams to be flushed */
    struct tg_list streams; /* all */
    struct tg_block *read_block, *output_block;
    struct tg_block *plain_block; /* what was decrypted */
    struct tg_spare_queue *spare_queues;
    uint32_t spare_queue_count;
    struct bio_st *tls_bio; /* of all streams under TLS; NULL: there was none yet */
    size_t unpumped;        /* bytes read since the last pump */
    void **to_free;
    size_t to_free_count, to_free_capacity;
    _Atomic(struct tg_message *) mailbox; /* newest first */
    struct tg_counters counters;
};

/* In stream_flow.c and stream.c. */
void tg_loop_flush_stream(struct tg_list *unsent_link);
void tg_loop_close_streams(struct tg_loop *loop);
/* In tls_bio.c. */
void tg_tls_bio_free(struct tg_loop *loop);

#endif
