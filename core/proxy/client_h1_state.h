/* What the files of the client's connection share; nobody else includes this. */
#ifndef TG_PROXY_CLIENT_H1_STATE_H
#define TG_PROXY_CLIENT_H1_STATE_H

#include "proxy/client_h1.h"
#include "proxy/exchange.h"
#include "proxy/h1_body.h"
#include "proxy/h1_head.h"

enum tg_client_reading {
    TG_CLIENT_READS_HEAD,
    TG_CLIENT_READS_BODY,
    TG_CLIENT_DISCARDS_BODY, /* the answer has gone; what is left of the request is eaten, within a limit */
    TG_CLIENT_WAITS,         /* the request is whole, its answer isn't */
    TG_CLIENT_TUNNELS,
};

enum {
    TG_CLIENT_UNSENT_HIGH = 256 * 1024, /* bytes of a response that may wait in the stream */
    TG_CLIENT_DISCARD_MAX = 64 * 1024,  /* bytes of an unread request body that are eaten to save the connection */
    TG_CLIENT_REQUESTS_A_TURN = 16,
};

struct tg_client_h1 {
    struct tg_client base;
    struct tg_client_side side;
    struct tg_exchange *exchange; /* NULL between requests */
    uint64_t requests;

    /* Reading. */
    enum tg_client_reading reading;
    struct tg_h1_head_reader head;
    struct tg_buffer_queue input; /* came, not yet looked at */
    struct tg_h1_body_reader body;
    uint64_t discarded;
    struct tg_http_limits limits;  /* of the generation under which the request began */
    struct tg_arena discard_arena; /* for a chunked body that outlives its exchange */
    bool paused;                   /* the stream doesn't read */
    bool body_open;                /* something wants the body, or a tunnel's bytes, and isn't paused */
    bool eof;                      /* the client ended its direction, and everything before was looked at */
    bool continued;                /* 100 was sent, or isn't waited for */
    uint32_t turn_budget;
    struct tg_task input_task;   /* looks at `input` after the current event */
    struct tg_message next_turn; /* the same, in the next turn of the loop */
    bool next_turn_posted;

    /* Writing. */
    struct tg_h1_body_writer writer;
    bool head_sent;
    bool close; /* after this answer */
    enum tg_version version;

    /* Time. own_at is the connection's own next time; the exchange may have an earlier one. */
    struct tg_deadline deadline;
    double own_at;
    double head_until;
    uint64_t window_received, window_sent; /* at the start of the current rate window */
    bool window_reads, window_writes;      /* what the window measures */
    bool dead;                             /* closed; memory goes after the event batch */
};

/* client_h1_answer.c */
extern const struct tg_client_side_ops tg_client_h1_ops;

/* client_h1_read.c */
void tg_client_h1_pause(struct tg_client_h1 *client);
/* A head that is no request, or didn't come in time: answered, and seen by no handler. */
void tg_client_h1_reject(struct tg_client_h1 *client, const struct tg_problem *problem);
void tg_client_h1_body_is_wrong(struct tg_client_h1 *client, const struct tg_problem *problem);
/* The exchange is over with part of the request's body still to come. */
void tg_client_h1_discard_body(struct tg_client_h1 *client);
void tg_client_h1_next_request(struct tg_client_h1 *client);
/* Looks at `input`: after the current event; then, when its budget is used up, in the next turn. */
void tg_client_h1_wake_input(struct tg_client_h1 *client);
void tg_client_h1_look_at_input(struct tg_task *task);
void tg_client_h1_read_in_next_turn(struct tg_message *message, struct tg_loop *loop);
void tg_client_h1_on_data(struct tg_stream *stream, struct tg_buffer data);
void tg_client_h1_on_eof(struct tg_stream *stream);
void tg_client_h1_on_peer_finished(struct tg_stream *stream);

/* client_h1_life.c */
const struct tg_settings *tg_client_h1_settings(const struct tg_client_h1 *client);
void tg_client_h1_set_own_time(struct tg_client_h1 *client, double at);
/* Begins a window of the body rate, either way, where there is something to measure. */
void tg_client_h1_watch_rate(struct tg_client_h1 *client);
/* How the connection ends: each also frees it. */
void tg_client_h1_close_gently(struct tg_client_h1 *client);
void tg_client_h1_close_hard(struct tg_client_h1 *client);
void tg_client_h1_close(struct tg_client_h1 *client);

#endif
