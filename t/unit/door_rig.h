/* For tests of the door: a worker whose connections are pairs of sockets, one listener, and a route that answers by
 * itself. */
#ifndef TG_UNIT_DOOR_RIG_H
#define TG_UNIT_DOOR_RIG_H

#include "proxy/exchange.h"
#include "run_loop.h"

struct door_rig {
    struct tg_loop *loop;
    struct tg_worker worker;
    struct tg_snapshot *snapshot;
    struct tg_route route;
    struct tg_listener_config listener;
    struct tg_lease lease;
    struct tg_accept_target target;
    int client;
    char got[65536];
    size_t length;
    bool ended; /* the gateway closed, in order or not */
    double opened;
};

extern struct door_rig door;

/* As cmocka's set-up and tear-down. */
int door_rig_set_up(void **state);
int door_rig_tear_down(void **state);
/* A connection from this address. */
void door_open_from(const char *peer);
/* The client's end goes; then the gateway has nothing left of it. */
void door_close_client(void);
void door_send(const char *bytes, size_t length);
void door_read_some(void);
/* Seconds since the connection was opened. */
double door_elapsed(void);
void door_wait_for(const char *text);
void door_wait_for_end(void);

#endif
