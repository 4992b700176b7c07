/* One request and its response: the centre of the proxy, neutral to protocols. It lives in an arena of its own, in one
 * worker's thread. Its life, in order, one function a state (exchange_states.c): route, request phase, destination,
 * attempt (peer, upstream_request phase, connection), response head, upstream_response and response phases, body, end,
 * log phase. */
#ifndef TG_PROXY_EXCHANGE_H
#define TG_PROXY_EXCHANGE_H

#include "http/forward.h"
#include "proxy/client.h"
#include "proxy/hooks.h"
#include "proxy/lease.h"
#include "proxy/pipe.h"
#include "proxy/router.h"
#include "proxy/side.h"
#include "proxy/worker.h"

enum tg_exchange_state {
    TG_EXCHANGE_REQUEST,          /* the request phase runs or waits */
    TG_EXCHANGE_REQUEST_BODY,     /* its handlers have begun, but haven't let the head go yet */
    TG_EXCHANGE_UPSTREAM_REQUEST, /* that phase of the current attempt */
    TG_EXCHANGE_CONNECTING,
    TG_EXCHANGE_AWAITING_HEAD,     /* sent, or being sent */
    TG_EXCHANGE_UPSTREAM_RESPONSE, /* that phase */
    TG_EXCHANGE_ERROR,             /* the error phase */
    TG_EXCHANGE_RESPONSE,          /* the response phase */
    TG_EXCHANGE_RESPONSE_BODY,     /* as for the request's */
    TG_EXCHANGE_STREAMING,         /* the response head has gone to the client */
    TG_EXCHANGE_TUNNEL,
    TG_EXCHANGE_LOG, /* over for the client; the log phase runs or waits */
    TG_EXCHANGE_OVER,
};

enum tg_response_from { TG_FROM_NOBODY, TG_FROM_UPSTREAM, TG_FROM_SCRIPT, TG_FROM_GATEWAY };

/* Why the gateway itself answers. */
struct tg_exchange_error {
    int status;       /* 0: none */
    const char *code; /* "no_route", "no_upstream", "upstream_failed", "timeout", "script", "too_large", "bad_request",
                         "misdirected", "overload" */
    const char *detail;    /* for logs; may be NULL */
    enum tg_reason reason; /* how a request ended that upstream had got, or a limit of ours; NONE: the status says it */
};

/* Monotonic times; 0 until known. */
struct tg_exchange_times {
    double started, routed, request_done, connect_started, connected, first_byte, head_sent, ended;
    double script; /* seconds inside Lua */
};

/* A header for the answer to come, whoever makes it. */
struct tg_pending_field {
    struct tg_pending_field *next;
    struct tg_slice name, value;
    bool add; /* else replaces */
};

struct tg_body_call; /* proxy/body_call.h */
struct tg_grpc_call; /* proxy/grpc_call.h */

struct tg_exchange {
    struct tg_worker *worker;
    struct tg_arena arena;  /* holds this struct too */
    struct tg_lease *lease; /* NULL once unpinned */
    struct tg_list lease_link;
    struct tg_snapshot *held; /* keeps route and group alive after that; counted */
    enum tg_exchange_state state;

    /* The request; its head is below. */
    struct tg_slice listener; /* its name; lives as long as the snapshot */
    uint16_t listener_port;
    struct tg_tls_facts *tls; /* of the client's connection, counted; NULL: clear */
    struct tg_ip peer_ip;
    struct tg_client_identity client;
    struct tg_route *route;
    struct tg_group *group; /* where to; handlers may change it in the request phase */
    enum tg_half_close half_close;
    bool host_changed; /* req.host was assigned: overrides route->host_header */
    bool rewritten;    /* req.path was assigned by a handler: route->rewrite doesn't apply */
    uint8_t reroutes;
    struct tg_grpc_call *grpc; /* NULL: the request isn't gRPC */

    /* The response. */
    struct tg_response_head response;
    enum tg_response_from from;
    struct tg_pending_field *pending_fields, *pending_last;
    bool pending_applied; /* they are in the response that is being made */
    bool answered;        /* a handler decided the answer: response, answer_body */
    bool head_sent;       /* committed */
    struct tg_exchange_error error;

    /* Attempts. */
    uint32_t attempt;     /* from 1 */
    struct tg_peer *peer; /* of this attempt; counted */
    uint64_t tried;       /* bit set of the group's first 64 peers tried and failed */
    bool fresh_retry_used;
    bool fresh_wanted; /* the next connection is a new one */
    bool h1_wanted;    /* and speaks HTTP/1.1, where the peer's protocol isn't fixed */
    bool request_sent; /* some byte of this attempt may have reached upstream */

    struct tg_client_side *client_side;
    struct tg_upstream_side *upstream_side; /* NULL between attempts */
    bool replayable;                        /* the replay queue is whole so far */
    bool body_wanted;
    bool has_request_trailers, has_response_trailers;
    uint8_t informational; /* 1xx passed on */

    uint64_t bytes_in, bytes_out; /* bodies on the client's side */
    uint16_t logged_status;       /* 499 where the client left; else the status sent */
    struct tg_exchange_times times;
    double total_at;   /* the whole request; INFINITY: none */
    double wait_until; /* of the current state: first byte, between bytes, ...; INFINITY: none */
    enum tg_reason end_reason;

    /* Handlers of bodies. */
    struct tg_body_call *request_bodies, *response_bodies; /* along the pipe; NULL: none */
    struct tg_body_call *producer;                         /* writes the answer's body; NULL: none */
    bool request_changed, response_changed; /* a handler has taken or given bytes: the declared length is over */
    bool response_had_length;               /* before that */
    bool continue_said;                     /* the gateway itself wants the request's body */
    bool trailers_due;                      /* the trailers phase has to run before the response may end */
    bool whole_awaited;                     /* hooks.whole_ready is wanted */
    bool answer_loaded;                     /* an answer of our own is in the response pipe already */

    /* What has happened since the last step. */
    bool bodies_spoke, bodies_lost, bodies_answered; /* a handler of a body failed or answered; memory ran out */
    bool client_left, client_request_ended;
    bool total_over, wait_over;         /* total_at, wait_until have passed */
    struct tg_problem client_problem;   /* status 0: none */
    struct tg_upstream_side *connected; /* the connector's answer */
    void *connecting;                   /* what the connector has under way for this exchange; the connector's */
    enum tg_reason connect_failed, upstream_failed;
    const char *upstream_detail;
    bool upstream_head_ready, upstream_ended;
    bool upstream_reused;               /* the response came over a connection that had carried another exchange */
    bool response_taken, request_taken; /* the side took the end of that pipe */
    uint32_t phases_failed;             /* bit mask: a phase whose script failed isn't run again */

    /* For script/. */
    void *script;                /* its record of this exchange, or NULL */
    enum tg_hook_result resumed; /* result given to tg_exchange_resume */
    enum tg_phase phase;         /* running or waiting */
    bool phase_pending;
    struct tg_text *log_fields; /* JSON members ",\"a\":1" that scripts added; NULL: none; owned by script/ */
    bool log_skip;
    struct tg_task step; /* continues after the current event */

    /* From here on nothing is cleared when an exchange starts: each is set, or initialised, before it is read. */
    char id[32];
    struct tg_request_head request;  /* as received, and as handlers have changed it */
    struct tg_request_head outgoing; /* the head of this attempt: out */
    struct tg_address peer_address;  /* of the client's connection */
    struct tg_route_parameters parameters;
    struct tg_fields request_trailers, response_trailers;
    struct tg_buffer_queue answer_body; /* body of an answer by script or gateway */
    struct tg_buffer_queue replay;      /* what of the request body was taken by upstream and could be sent again */
    struct tg_body_pipe request_pipe, response_pipe;
};

/* Starts an exchange: the head (in arena) was parsed by the client side. `arena` moves into the exchange. NULL when out
 * of memory (the arena is freed). The client side hears its first op after this call has returned. */
struct tg_exchange *tg_exchange_start(struct tg_worker *worker, struct tg_arena *arena, struct tg_request_head *head,
                                      struct tg_client_side *side, const struct tg_client_info *info);

/* Likewise for a request whose head was refused by the codec: it is answered with problem's status, seen by no handler,
 * and logged. `head` may be partly filled. */
struct tg_exchange *tg_exchange_start_rejected(struct tg_worker *worker, struct tg_arena *arena,
                                               const struct tg_request_head *head, struct tg_client_side *side,
                                               const struct tg_client_info *info, const struct tg_problem *problem);

/* For hooks. */
/* Continues a phase that was pending. Never from inside tg_hooks.run. */
void tg_exchange_resume(struct tg_exchange *exchange, enum tg_hook_result result);
/* Decides the answer: the status, a body (its buffers are moved; may be NULL) and fields to set afterwards on
 * exchange->response.fields, which is empty now. false where the head has gone already. */
bool tg_exchange_respond(struct tg_exchange *exchange, int status, struct tg_buffer_queue *body)
    __attribute__((warn_unused_result));
/* The same from inside a request_body handler: it takes the place of whatever phase runs or waits beside it. */
bool tg_exchange_respond_beside(struct tg_exchange *exchange, int status, struct tg_buffer_queue *body)
    __attribute__((warn_unused_result));
/* The answer that was just decided gets its body from a function of the handler `use`, as a call without input that
 * is entered when the head goes. NULL: no memory. */
struct tg_body_call *tg_exchange_produce(struct tg_exchange *exchange, uint32_t use);
/* Matches again with the changed head, or takes `route`. false after five hops. */
bool tg_exchange_reroute(struct tg_exchange *exchange, struct tg_route *route) __attribute__((warn_unused_result));
/* Adds or replaces a field of the answer to come; checked and copied. */
bool tg_exchange_pending_field(struct tg_exchange *exchange, struct tg_slice name, struct tg_slice value, bool add,
                               const char **problem) __attribute__((warn_unused_result));
/* How far a body has come that a handler wants whole: READY, or at most `limit` bytes aren't enough, or its source has
 * broken off; WAIT: hooks.whole_ready follows. */
enum tg_whole { TG_WHOLE_READY, TG_WHOLE_WAIT, TG_WHOLE_TOO_LARGE, TG_WHOLE_FAILED };
/* The request's, in its request phase. It stays where it is, to be read again, and to be forwarded. */
enum tg_whole tg_exchange_whole_request(struct tg_exchange *exchange, uint64_t limit);
/* The response's, in the phases upstream_response and response: likewise. */
enum tg_whole tg_exchange_whole_response(struct tg_exchange *exchange, uint64_t limit);
/* What is READY, in one piece; `at` is NULL when out of memory. */
struct tg_slice tg_exchange_whole_bytes(struct tg_exchange *exchange, bool response);
/* In the same phases: these bytes are the body, whatever came or will come. false: no memory. */
bool tg_exchange_replace_request(struct tg_exchange *exchange, struct tg_slice bytes)
    __attribute__((warn_unused_result));
bool tg_exchange_replace_response(struct tg_exchange *exchange, struct tg_slice bytes)
    __attribute__((warn_unused_result));
/* Somebody in the gateway waits for bytes of the request's body. */
void tg_exchange_want_request_body(struct tg_exchange *exchange);
/* Handlers are at work on a body, or have the trailers to come: the exchange can't do without its VM. */
bool tg_exchange_has_body_handlers(const struct tg_exchange *exchange);
void tg_exchange_set_time_left(struct tg_exchange *exchange, double seconds);
/* Breaks off, without an answer. */
void tg_exchange_abort(struct tg_exchange *exchange, enum tg_reason reason);
/* The exchange gives up its generation: no further phase runs (tunnels, streams with log alone). */
void tg_exchange_unpin(struct tg_exchange *exchange);

#endif
