/* How connections reach the workers: in batches, each to the worker that holds fewest. A batch that its worker doesn't
 * take, since it is held up, is taken back after a while and goes to the others. The accept thread's, except where a
 * function says otherwise. */
#include <stdlib.h>

#include "net/acceptor_place.h"
#include "net/stream_state.h"

static const double LATE_SECONDS = 0.002;

struct arrival {
    int descriptor;
    struct tg_listener *listener; /* counted */
    struct tg_address peer;
};

enum batch_state { BATCH_POSTED, BATCH_TAKEN, BATCH_TAKEN_BACK };

/* Held by the accept thread until it knows the outcome, and by the message until it is run. */
struct tg_accept_batch {
    struct tg_message message;
    struct tg_accept_place *place;
    struct tg_accept_batch *next; /* posted later to the same place */
    double posted_at;
    _Atomic enum batch_state state;
    _Atomic int holders;
    size_t count;
    struct arrival arrivals[TG_ACCEPT_BUDGET];
};

static double now(void)
{
    struct tg_clock *clock = tg_clock_system();
    return clock->monotonic(clock);
}

static void let_go(struct tg_accept_batch *batch)
{
    if (atomic_fetch_sub(&batch->holders, 1) == 1)
        free(batch);
}

/* Whoever decides first has the arrivals. */
static bool decide(struct tg_accept_batch *batch, enum batch_state outcome)
{
    enum batch_state posted = BATCH_POSTED;
    return atomic_compare_exchange_strong(&batch->state, &posted, outcome);
}

static void deliver(struct tg_accept_place *place, struct tg_loop *loop, struct arrival *arrival)
{
    struct tg_stream *stream = tg_stream_accept(loop, arrival->descriptor, &arrival->peer, &arrival->listener->address);
    if (stream)
        place->target.accepted(loop, stream, arrival->listener);
    else
        tg_accept_ended(place->acceptor, place->target.connections);
    tg_listener_unref(arrival->listener);
}

/* In the worker's thread. */
static void take_batch(struct tg_message *message, struct tg_loop *loop)
{
    struct tg_accept_batch *batch = TG_CONTAINER_OF(message, struct tg_accept_batch, message);
    struct tg_acceptor *acceptor = batch->place->acceptor;
    if (decide(batch, BATCH_TAKEN)) {
        for (size_t i = 0; i < batch->count; i++)
            deliver(batch->place, loop, &batch->arrivals[i]);
    }
    let_go(batch);
    tg_acceptor_unref(acceptor);
}

static struct tg_accept_batch *batch_with_room(struct tg_accept_place *place)
{
    if (place->filling)
        return place->filling;
    struct tg_accept_batch *batch = malloc(sizeof(*batch));
    if (!batch)
        return NULL;
    batch->message.run = take_batch;
    batch->place = place;
    batch->next = NULL;
    atomic_init(&batch->state, BATCH_POSTED);
    atomic_init(&batch->holders, 2);
    batch->count = 0;
    place->filling = batch;
    return batch;
}

static void post_batch(struct tg_accept_place *place)
{
    struct tg_accept_batch *batch = place->filling, **end = &place->posted;
    if (!batch)
        return;
    place->filling = NULL;
    while (*end)
        end = &(*end)->next;
    *end = batch;
    batch->posted_at = now();
    atomic_fetch_add(&place->acceptor->references, 1);
    tg_loop_post(place->target.loop, &batch->message);
}

void tg_accept_places_post(struct tg_acceptor *acceptor)
{
    for (size_t i = 0; i < acceptor->count; i++)
        post_batch(&acceptor->places[i]);
}

/* Takes over the arrival's listener reference; false when out of memory. */
static bool add_arrival(struct tg_accept_place *place, const struct arrival *arrival)
{
    struct tg_accept_batch *batch = batch_with_room(place);
    if (!batch)
        return false;
    batch->arrivals[batch->count++] = *arrival;
    atomic_fetch_add(place->target.connections, 1);
    if (batch->count == TG_ACCEPT_BUDGET)
        post_batch(place);
    return true;
}

bool tg_accept_place_add(struct tg_accept_place *place, int descriptor, struct tg_listener *listener,
                         const struct tg_address *peer)
{
    struct arrival arrival = { descriptor, listener, *peer };
    tg_listener_ref(listener); /* first: a batch that is full goes to its worker at once, who lets go of it */
    if (add_arrival(place, &arrival))
        return true;
    tg_listener_unref(listener);
    return false;
}

static bool was_run(const struct tg_accept_batch *batch)
{
    return atomic_load(&batch->holders) == 1;
}

/* The oldest batch whose message wasn't run yet, taken back or not; forgets those before it. */
static struct tg_accept_batch *oldest_posted(struct tg_accept_place *place)
{
    while (place->posted && was_run(place->posted)) {
        struct tg_accept_batch *done = place->posted;
        place->posted = done->next;
        let_go(done);
    }
    return place->posted;
}

/* A worker that hasn't taken its last batch yet is held up; one that was only just woken isn't. */
static bool is_late(struct tg_accept_place *place)
{
    const struct tg_accept_batch *oldest = oldest_posted(place);
    return oldest && now() - oldest->posted_at > LATE_SECONDS;
}

/* A worker that isn't late before one that is, then the one with fewest. */
static bool is_better(struct tg_accept_place *place, struct tg_accept_place *best)
{
    bool late = is_late(place), best_late = best && is_late(best);
    if (!best || late != best_late)
        return !best || best_late;
    return tg_accept_place_load(place) < tg_accept_place_load(best);
}

struct tg_accept_place *tg_accept_places_choose(struct tg_acceptor *acceptor, uint32_t limit)
{
    struct tg_accept_place *best = NULL;
    for (size_t i = 0; i < acceptor->count; i++) {
        struct tg_accept_place *place = &acceptor->places[i];
        if (tg_accept_place_load(place) < limit && is_better(place, best))
            best = place;
    }
    return best;
}

/* The oldest that can be taken back. */
static struct tg_accept_batch *oldest_undecided(struct tg_accept_place *place)
{
    struct tg_accept_batch *batch = oldest_posted(place);
    while (batch && atomic_load(&batch->state) != BATCH_POSTED)
        batch = batch->next;
    return batch;
}

bool tg_accept_places_wait(struct tg_acceptor *acceptor)
{
    for (size_t i = 0; i < acceptor->count; i++) {
        if (oldest_undecided(&acceptor->places[i]))
            return true;
    }
    return false;
}

/* --- taking back --- */

static void move_arrivals(struct tg_accept_place *from, struct tg_accept_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct tg_accept_place *to = tg_accept_places_choose(from->acceptor, UINT32_MAX);
        atomic_fetch_sub(from->target.connections, 1);
        if (add_arrival(to, &batch->arrivals[i]))
            continue;
        tg_socket_close((struct tg_socket){ batch->arrivals[i].descriptor, NULL });
        tg_listener_unref(batch->arrivals[i].listener);
    }
}

/* false: nothing to take back, or nobody to give it to. Looking for the best place forgets batches that were run, so
 * this one is held meanwhile. */
static bool take_back_oldest(struct tg_accept_place *place)
{
    struct tg_accept_batch *batch = oldest_undecided(place);
    if (!batch)
        return false;
    atomic_fetch_add(&batch->holders, 1);
    struct tg_accept_place *other = tg_accept_places_choose(place->acceptor, atomic_load(&place->acceptor->limit));
    bool possible = other && !is_late(other);
    if (possible && decide(batch, BATCH_TAKEN_BACK))
        move_arrivals(place, batch);
    let_go(batch);
    return possible;
}

static void take_back(struct tg_accept_place *place)
{
    while (is_late(place) && take_back_oldest(place))
        continue;
}

void tg_accept_places_take_back(struct tg_acceptor *acceptor)
{
    for (size_t i = 0; i < acceptor->count; i++)
        take_back(&acceptor->places[i]);
    tg_accept_places_post(acceptor);
}

void tg_accept_places_forget(struct tg_acceptor *acceptor)
{
    for (size_t i = 0; i < acceptor->count; i++) {
        struct tg_accept_place *place = &acceptor->places[i];
        for (struct tg_accept_batch *batch = place->posted, *next; batch; batch = next) {
            next = batch->next;
            let_go(batch);
        }
        place->posted = NULL;
    }
}
