/* Reading: what came is given to the codec in portions, so that no connection takes a whole turn for itself, and each
 * portion is held against what the client may do. */
#include "base/log.h"
#include "proxy/client_h2_state.h"

void tg_client_h2_calm(struct tg_client_h2 *client, enum tg_h2_excess excess)
{
    char text[128];
    if (client->dead || client->session.fault)
        return;
    if (excess == TG_H2_EXCESS_BROKEN) {
        tg_h2_session_fail(&client->session, NGHTTP2_PROTOCOL_ERROR, "PRIORITY on stream 0");
        return;
    }
    tg_counters_add(tg_loop_counters(client->base.worker->loop), TG_COUNTER_H2_CALMED, 1);
    tg_address_format(client->base.info.peer, text);
    tg_log(TG_LOG_WARN, "client %s: HTTP/2 limit passed: %s; the connection ends with ENHANCE_YOUR_CALM", text,
           tg_h2_excess_name(excess));
    tg_h2_session_fail(&client->session, NGHTTP2_ENHANCE_YOUR_CALM, "a limit of HTTP/2 was passed");
}

void tg_client_h2_spend(struct tg_client_h2 *client, enum tg_h2_excess excess, double amount)
{
    struct tg_client_h2_budget *budget = &client->budget;
    struct tg_h2_bucket *bucket = excess == TG_H2_EXCESS_RESETS    ? &budget->resets
                                  : excess == TG_H2_EXCESS_CONTROL ? &budget->control
                                                                   : &budget->idle_frames;
    if (!tg_h2_bucket_take(bucket, amount, tg_loop_now(client->base.worker->loop)))
        tg_client_h2_calm(client, excess);
}

static void pause(struct tg_client_h2 *client)
{
    client->paused = true;
    tg_stream_pause(client->base.stream);
}

static void keep_input(struct tg_client_h2 *client, struct tg_buffer rest)
{
    pause(client);
    tg_client_h2_watch_rates(client); /* of a client that takes nothing */
    if (!tg_buffer_queue_push(&client->input, tg_buffer_ref(rest)))
        tg_h2_session_fail(&client->session, NGHTTP2_INTERNAL_ERROR, "out of memory");
}

static bool may_read(const struct tg_client_h2 *client)
{
    return !client->dead && client->heads_left > 0 && client->frames_left > 0 &&
           !tg_h2_session_congested(&client->session, client->budget.queued_most / 4);
}

/* What the codec has made of the portion. */
static enum tg_h2_excess look_behind(struct tg_client_h2 *client, double now)
{
    const struct tg_h2_section *section = &client->session.section;
    if (client->session.section_stream && section->charged > TG_H2_SECTION_TIMES * (uint64_t)client->limits.head)
        return TG_H2_EXCESS_HEADER_LIST;
    if (tg_h2_session_queued(&client->session) > client->budget.queued_most + 2 * (size_t)client->streams)
        return TG_H2_EXCESS_QUEUED;
    return tg_client_h2_budget_ignored(&client->budget, now);
}

/* How many bytes were used; 0: the turn's share is. */
static size_t read_portion(struct tg_client_h2 *client, struct tg_buffer data)
{
    double now = tg_loop_now(client->base.worker->loop);
    enum tg_h2_excess excess;
    data.length = tg_client_h2_budget_scan(&client->budget, tg_buffer_slice(data), now, &client->heads_left,
                                           &client->frames_left, &excess);
    if (excess == TG_H2_EXCESS_NONE && data.length > 0) {
        tg_h2_session_feed(&client->session, data);
        excess = client->dead ? TG_H2_EXCESS_NONE : look_behind(client, now);
    }
    if (excess != TG_H2_EXCESS_NONE)
        tg_client_h2_calm(client, excess);
    return data.length;
}

/* false: the rest, if there is one, has to wait. */
static bool take_input(struct tg_client_h2 *client, struct tg_buffer data)
{
    while (data.length > 0 && !client->dead && !client->session.fault) {
        size_t used = may_read(client) ? read_portion(client, data) : 0;
        data.at += used;
        data.length -= used;
        if (used == 0) {
            keep_input(client, data);
            return false;
        }
    }
    return true;
}

static void put_off(struct tg_client_h2 *client)
{
    if (client->next_turn_posted)
        return;
    client->next_turn_posted = true;
    tg_loop_post(client->base.worker->loop, &client->next_turn);
}

static void new_turn(struct tg_client_h2 *client)
{
    client->heads_left = TG_CLIENT_H2_TURN_HEADS;
    client->frames_left = TG_CLIENT_H2_TURN_FRAMES;
}

static void after_reading(struct tg_client_h2 *client)
{
    if (client->dead)
        return;
    tg_client_h2_watch_section(client);
    if (client->base.worker->draining && client->session.greeted) /* it came when the others were told */
        tg_client_h2_begin_end(client);
    bool turn_is_over = client->heads_left == 0 || client->frames_left == 0;
    if (turn_is_over && client->paused)
        put_off(client);
}

static void look_at_input(struct tg_client_h2 *client)
{
    bool more = true;
    while (more && may_read(client) && tg_buffer_queue_length(&client->input) > 0) {
        struct tg_buffer data = tg_buffer_queue_pop(&client->input, SIZE_MAX);
        struct tg_buffer_queue rest = client->input;
        tg_buffer_queue_init(&client->input);
        more = take_input(client, data);
        tg_buffer_unref(data);
        if (!tg_buffer_queue_move(&client->input, &rest))
            tg_h2_session_fail(&client->session, NGHTTP2_INTERNAL_ERROR, "out of memory");
        tg_buffer_queue_deinit(&rest);
    }
}

void tg_client_h2_read_on(struct tg_client_h2 *client)
{
    if (client->dead || client->next_turn_posted)
        return;
    look_at_input(client);
    after_reading(client);
    if (client->dead || !client->paused || !may_read(client) || tg_buffer_queue_length(&client->input) > 0)
        return;
    client->paused = false;
    tg_stream_resume(client->base.stream);
}

void tg_client_h2_read_in_next_turn(struct tg_message *message, struct tg_loop *loop)
{
    struct tg_client_h2 *client = TG_CONTAINER_OF(message, struct tg_client_h2, next_turn);
    client->next_turn_posted = false;
    if (client->dead) {
        tg_loop_free_later(loop, client);
        return;
    }
    new_turn(client);
    tg_client_h2_read_on(client);
}

void tg_client_h2_on_data(struct tg_stream *stream, struct tg_buffer data)
{
    struct tg_client_h2 *client = tg_stream_owner(stream);
    tg_counters_add(tg_loop_counters(client->base.worker->loop), TG_COUNTER_BYTES_FROM_CLIENTS, (int64_t)data.length);
    if (tg_buffer_queue_length(&client->input) > 0) {
        keep_input(client, data);
        return;
    }
    new_turn(client);
    take_input(client, data);
    after_reading(client);
}
