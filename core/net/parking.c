#include "net/parking.h"

#include <ev.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BATCH = 64 };

struct tg_parking {
    struct tg_loop *loop;
    int set;
    ev_io ready;
    void (*stirred)(void *context, uint64_t cookie);
    void *context;
};

static void on_ready(struct ev_loop *ev, ev_io *io, int revents)
{
    (void)ev, (void)revents;
    struct tg_parking *parking = TG_CONTAINER_OF(io, struct tg_parking, ready);
    struct epoll_event events[BATCH];
    int count = epoll_wait(parking->set, events, BATCH, 0);
    for (int i = 0; i < count; i++)
        parking->stirred(parking->context, events[i].data.u64);
}

struct tg_parking *tg_parking_new(struct tg_loop *loop, void (*stirred)(void *context, uint64_t cookie), void *context)
{
    struct tg_parking *parking = malloc(sizeof(*parking));
    int set = epoll_create1(EPOLL_CLOEXEC);
    if (!parking || set < 0) {
        if (set >= 0)
            close(set);
        free(parking);
        return NULL;
    }
    *parking = (struct tg_parking){ .loop = loop, .set = set, .stirred = stirred, .context = context };
    ev_io_init(&parking->ready, on_ready, parking->set, EV_READ);
    ev_io_start(tg_loop_ev(loop), &parking->ready);
    return parking;
}

void tg_parking_free(struct tg_parking *parking)
{
    if (!parking)
        return;
    ev_io_stop(tg_loop_ev(parking->loop), &parking->ready);
    close(parking->set);
    free(parking);
}

bool tg_parking_watch(struct tg_parking *parking, struct tg_socket socket, uint64_t cookie)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data.u64 = cookie };
    return epoll_ctl(parking->set, EPOLL_CTL_ADD, socket.descriptor, &event) == 0;
}

void tg_parking_unwatch(struct tg_parking *parking, struct tg_socket socket)
{
    struct epoll_event event = { 0 };
    epoll_ctl(parking->set, EPOLL_CTL_DEL, socket.descriptor, &event);
}
