#include "net/loop_state.h"

#include <stdlib.h>
#include <unistd.h>

/* Batches in one turn of libev: asking our set again right away spares libev's own wait while events keep coming. */
enum { BATCHES_A_TURN = 8, BUSY_BATCH = 2 };

static void read_time(struct tg_loop *loop)
{
    loop->now = loop->clock->monotonic(loop->clock);
    loop->wall = loop->clock->wall(loop->clock);
}

static void run_tasks(struct tg_loop *loop)
{
    while (!tg_list_empty(&loop->tasks)) {
        struct tg_task *task = TG_CONTAINER_OF(loop->tasks.next, struct tg_task, link);
        tg_list_remove(&task->link);
        task->run(task);
    }
}

static void flush_streams(struct tg_loop *loop)
{
    while (!tg_list_empty(&loop->unsent)) {
        struct tg_list *link = loop->unsent.next;
        tg_list_remove(link);
        tg_loop_flush_stream(link);
    }
}

/* Streams whose sending fails tell their owners, who may give new work. */
static void pump(struct tg_loop *loop)
{
    do {
        run_tasks(loop);
        flush_streams(loop);
    } while (!tg_list_empty(&loop->tasks));
    loop->unpumped = 0;
}

static void free_ended(struct tg_loop *loop)
{
    for (size_t i = 0; i < loop->to_free_count; i++)
        free(loop->to_free[i]);
    loop->to_free_count = 0;
}

static void settle(struct tg_loop *loop)
{
    pump(loop);
    free_ended(loop);
}

static void dispatch(struct tg_loop *loop, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct tg_watch *watch = events[i].data.ptr;
        if (watch->ended)
            continue;
        watch->ready(watch, events[i].events);
        if (loop->unpumped >= TG_LOOP_PUMP_EARLY)
            pump(loop);
    }
}

static void on_set_ready(struct ev_loop *ev, ev_io *io, int revents)
{
    (void)io, (void)revents;
    struct tg_loop *loop = ev_userdata(ev);
    struct epoll_event events[TG_LOOP_BATCH];
    for (int batch = 0; batch < BATCHES_A_TURN && !loop->stopped; batch++) {
        if (batch > 0)
            read_time(loop);
        int count = epoll_wait(loop->set, events, TG_LOOP_BATCH, 0);
        if (count <= 0)
            return;
        dispatch(loop, events, count);
        settle(loop);
        if (count < BUSY_BATCH)
            return;
    }
}

static struct tg_message *take_mail(struct tg_loop *loop)
{
    struct tg_message *newest = atomic_exchange_explicit(&loop->mailbox, NULL, memory_order_acquire);
    struct tg_message *oldest = NULL;
    while (newest) {
        struct tg_message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void read_mail(struct tg_loop *loop)
{
    for (struct tg_message *message = take_mail(loop), *next; message; message = next) {
        next = message->next;
        message->run(message, loop);
    }
}

static void on_mail(struct ev_loop *ev, ev_async *async, int revents)
{
    (void)async, (void)revents;
    read_mail(ev_userdata(ev));
}

static void on_turn_begins(struct ev_loop *ev, ev_check *check, int revents)
{
    (void)check, (void)revents;
    struct tg_loop *loop = ev_userdata(ev);
    read_time(loop);
    loop->turn_began = loop->now;
}

static void on_turn_ends(struct ev_loop *ev, ev_prepare *prepare, int revents)
{
    (void)prepare, (void)revents;
    settle(ev_userdata(ev));
}

static void start_watchers(struct tg_loop *loop)
{
    ev_set_userdata(loop->ev, loop);
    ev_check_init(&loop->turn_begins, on_turn_begins);
    ev_set_priority(&loop->turn_begins, EV_MAXPRI);
    ev_check_start(loop->ev, &loop->turn_begins);
    ev_prepare_init(&loop->turn_ends, on_turn_ends);
    ev_prepare_start(loop->ev, &loop->turn_ends);
    ev_io_init(&loop->set_ready, on_set_ready, loop->set, EV_READ);
    ev_io_start(loop->ev, &loop->set_ready);
    ev_async_init(&loop->mail_came, on_mail);
    ev_async_start(loop->ev, &loop->mail_came);
}

struct tg_loop *tg_loop_new(struct tg_clock *clock, void *context)
{
    struct tg_loop *loop = aligned_alloc(_Alignof(struct tg_loop), sizeof(*loop));
    if (!loop)
        return NULL;
    *loop = (struct tg_loop){ .clock = clock ? clock : tg_clock_system(), .context = context };
    loop->set = epoll_create1(EPOLL_CLOEXEC);
    loop->ev = loop->set < 0 ? NULL : ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (!loop->ev) {
        if (loop->set >= 0)
            close(loop->set);
        free(loop);
        return NULL;
    }
    tg_list_init(&loop->tasks);
    tg_list_init(&loop->unsent);
    tg_list_init(&loop->streams);
    read_time(loop);
    loop->turn_began = loop->now;
    tg_counters_register(&loop->counters);
    start_watchers(loop);
    return loop;
}

void tg_loop_run(struct tg_loop *loop)
{
    loop->stopped = false;
    atomic_store(&loop->life, TG_LOOP_RUNS);
    ev_run(loop->ev, 0);
    settle(loop);
    atomic_store(&loop->life, TG_LOOP_ENDED);
    read_mail(loop);
    settle(loop);
}

void tg_loop_stop(struct tg_loop *loop)
{
    loop->stopped = true;
    ev_break(loop->ev, EVBREAK_ALL);
}

static void unref_block(struct tg_block **block)
{
    if (*block)
        tg_block_unref(*block);
    *block = NULL;
}

void tg_loop_free(struct tg_loop *loop)
{
    if (!loop)
        return;
    read_mail(loop);
    tg_loop_close_streams(loop);
    free_ended(loop);
    free(loop->to_free);
    unref_block(&loop->read_block);
    unref_block(&loop->output_block);
    unref_block(&loop->plain_block);
    tg_spare_queues_free(loop);
    tg_tls_bio_free(loop);
    ev_loop_destroy(loop->ev);
    close(loop->set);
    tg_counters_unregister(&loop->counters);
    free(loop);
}

void *tg_loop_context(const struct tg_loop *loop)
{
    return loop->context;
}

struct tg_counters *tg_loop_counters(struct tg_loop *loop)
{
    return &loop->counters;
}

struct ev_loop *tg_loop_ev(struct tg_loop *loop)
{
    return loop->ev;
}

double tg_loop_now(const struct tg_loop *loop)
{
    return loop->now;
}

double tg_loop_wall(const struct tg_loop *loop)
{
    return loop->wall;
}

double tg_loop_now_fresh(struct tg_loop *loop)
{
    read_time(loop);
    return loop->now;
}

void tg_loop_defer(struct tg_loop *loop, struct tg_task *task)
{
    if (tg_list_empty(&task->link))
        tg_list_append(&loop->tasks, &task->link);
}

void tg_loop_free_later(struct tg_loop *loop, void *memory)
{
    if (loop->to_free_count == loop->to_free_capacity) {
        size_t capacity = loop->to_free_capacity ? 2 * loop->to_free_capacity : TG_LOOP_BATCH;
        void **larger = realloc(loop->to_free, capacity * sizeof(*larger));
        if (!larger)
            return; /* lost, which is better than freed too soon */
        loop->to_free = larger;
        loop->to_free_capacity = capacity;
    }
    loop->to_free[loop->to_free_count++] = memory;
}

void tg_loop_post(struct tg_loop *loop, struct tg_message *message)
{
    struct tg_message *newest = atomic_load_explicit(&loop->mailbox, memory_order_relaxed);
    do {
        message->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&loop->mailbox, &newest, message, memory_order_release,
                                                    memory_order_relaxed));
    if (!newest)
        ev_async_send(loop->ev, &loop->mail_came);
}

char *tg_loop_reserve(struct tg_loop *loop, size_t capacity)
{
    struct tg_block *block = loop->output_block;
    if (block && block->references == 1)
        block->used = 0;
    if (block && block->capacity - block->used >= capacity)
        return block->data + block->used;
    unref_block(&loop->output_block);
    block = tg_block_new_of(capacity);
    loop->output_block = block;
    return block ? block->data : NULL;
}

struct tg_buffer tg_loop_commit(struct tg_loop *loop, size_t length)
{
    struct tg_block *block = loop->output_block;
    struct tg_buffer buffer = { tg_block_ref(block), block->data + block->used, length };
    block->used += (uint32_t)length;
    return buffer;
}
