#include "proxy/client_h2_budget.h"

#include <math.h>

#include <nghttp2/nghttp2.h>

enum {
    MAGIC = NGHTTP2_CLIENT_MAGIC_LEN,
    PREFIX = 5, /* bytes before a gRPC message: less than that in a frame serves nobody */
    SMALL = 32, /* bytes of a body in a frame which cost more to move than to send */
    CREDITS_FIRST = 64,
    CREDITS_MOST = 16384,
};

static const double period = 30; /* seconds in which a budget fills up */
static const double small_cost = 1.0 / 16;
static const double credits_of_data = 3; /* both windows, and a PING to measure the round trip */
static const double credits_of_head = 3; /* both windows, a priority */

const char *tg_h2_excess_name(enum tg_h2_excess excess)
{
    static const char *const names[] = {
        [TG_H2_EXCESS_NONE] = "none",
        [TG_H2_EXCESS_RESETS] = "resets",
        [TG_H2_EXCESS_CONTROL] = "control frames",
        [TG_H2_EXCESS_IDLE_FRAMES] = "frames that serve nothing",
        [TG_H2_EXCESS_CONTINUATIONS] = "continuations",
        [TG_H2_EXCESS_HEADER_LIST] = "header bytes",
        [TG_H2_EXCESS_QUEUED] = "queued frames",
        [TG_H2_EXCESS_BROKEN] = "the protocol",
    };
    return names[excess];
}

static struct tg_h2_bucket bucket_of(uint32_t most, double now)
{
    return (struct tg_h2_bucket){ .tokens = most, .most = most, .filled_at = now };
}

void tg_client_h2_budget_init(struct tg_client_h2_budget *budget, const struct tg_h2_limits *limits, double now)
{
    *budget = (struct tg_client_h2_budget){
        .resets = bucket_of(limits->resets, now),
        .control = bucket_of(limits->control, now),
        .idle_frames = bucket_of(limits->idle_frames, now),
        .continuations_most = limits->continuations,
        .queued_most = limits->queued,
        .credits = CREDITS_FIRST,
        .magic_left = MAGIC,
    };
}

bool tg_h2_bucket_take(struct tg_h2_bucket *bucket, double amount, double now)
{
    bucket->tokens += (now - bucket->filled_at) * bucket->most / period - amount;
    bucket->tokens = fmin(bucket->tokens, bucket->most);
    bucket->filled_at = now;
    return bucket->tokens >= 0;
}

static enum tg_h2_excess take(struct tg_h2_bucket *bucket, double amount, double now, enum tg_h2_excess excess)
{
    return tg_h2_bucket_take(bucket, amount, now) ? TG_H2_EXCESS_NONE : excess;
}

static enum tg_h2_excess take_credit(struct tg_client_h2_budget *budget, struct tg_h2_bucket *otherwise, double now,
                                     enum tg_h2_excess excess)
{
    if (budget->credits < 1)
        return take(otherwise, 1, now, excess);
    budget->credits--;
    return TG_H2_EXCESS_NONE;
}

static void give_credit(struct tg_client_h2_budget *budget, double credits)
{
    budget->credits = fmin(budget->credits + credits, CREDITS_MOST);
}

void tg_client_h2_budget_sent_data(struct tg_client_h2_budget *budget)
{
    give_credit(budget, credits_of_data);
}

static uint32_t stream_of(const struct tg_client_h2_budget *budget)
{
    const uint8_t *at = budget->header + 5;
    return (uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static enum tg_h2_excess begin_frame(struct tg_client_h2_budget *budget, double now)
{
    switch (budget->type) {
    case NGHTTP2_DATA: budget->frames++; break;
    case NGHTTP2_HEADERS:
        budget->frames++;
        budget->continuations = 0;
        give_credit(budget, credits_of_head);
        break;
    case NGHTTP2_CONTINUATION:
        if (++budget->continuations > budget->continuations_most)
            return TG_H2_EXCESS_CONTINUATIONS;
        break;
    case NGHTTP2_RST_STREAM: break; /* counted with its stream */
    case NGHTTP2_PRIORITY:
        if (stream_of(budget) == 0)
            return TG_H2_EXCESS_BROKEN;
        return take(&budget->control, 1, now, TG_H2_EXCESS_CONTROL);
    case NGHTTP2_PRIORITY_UPDATE:
    case NGHTTP2_PING: return take_credit(budget, &budget->control, now, TG_H2_EXCESS_CONTROL);
    case NGHTTP2_WINDOW_UPDATE: return take_credit(budget, &budget->idle_frames, now, TG_H2_EXCESS_IDLE_FRAMES);
    default: return take(&budget->control, 1, now, TG_H2_EXCESS_CONTROL);
    }
    return TG_H2_EXCESS_NONE;
}

/* Bytes of the preface, of a payload or of a frame's header, up to its end. */
static size_t step_over(struct tg_client_h2_budget *budget, struct tg_slice bytes)
{
    uint32_t *left = budget->magic_left ? &budget->magic_left : &budget->payload_left;
    size_t used;
    if (*left) {
        used = bytes.length < *left ? bytes.length : *left;
        *left -= (uint32_t)used;
        return used;
    }
    size_t missing = sizeof budget->header - budget->header_have;
    used = bytes.length < missing ? bytes.length : missing;
    memcpy(budget->header + budget->header_have, bytes.at, used);
    budget->header_have = (uint8_t)(budget->header_have + used);
    return used;
}

static void read_header(struct tg_client_h2_budget *budget)
{
    const uint8_t *header = budget->header;
    budget->payload_left = (uint32_t)header[0] << 16 | (uint32_t)header[1] << 8 | header[2];
    budget->type = header[3];
    budget->header_have = 0;
}

size_t tg_client_h2_budget_scan(struct tg_client_h2_budget *budget, struct tg_slice bytes, double now, uint32_t *heads,
                                uint32_t *frames, enum tg_h2_excess *excess)
{
    size_t at = 0;
    *excess = TG_H2_EXCESS_NONE;
    while (at < bytes.length && *excess == TG_H2_EXCESS_NONE) {
        bool between = !budget->magic_left && !budget->payload_left && !budget->header_have;
        if (between && (*heads == 0 || *frames == 0))
            break;
        at += step_over(budget, tg_slice_from(bytes, at));
        if (budget->header_have < sizeof budget->header)
            continue;
        read_header(budget);
        *heads -= budget->type == NGHTTP2_HEADERS;
        *frames -= budget->type != NGHTTP2_DATA;
        *excess = begin_frame(budget, now);
    }
    return at;
}

enum tg_h2_excess tg_client_h2_budget_data(struct tg_client_h2_budget *budget, size_t length, bool end, double now)
{
    budget->frames_known++;
    if (length >= SMALL || end)
        return TG_H2_EXCESS_NONE;
    return take(&budget->idle_frames, length < PREFIX ? 1 : small_cost, now, TG_H2_EXCESS_IDLE_FRAMES);
}

void tg_client_h2_budget_head(struct tg_client_h2_budget *budget)
{
    budget->frames_known++;
}

enum tg_h2_excess tg_client_h2_budget_ignored(struct tg_client_h2_budget *budget, double now)
{
    bool counted = budget->type == NGHTTP2_DATA || budget->type == NGHTTP2_HEADERS;
    uint64_t ignored = budget->frames - budget->frames_known;
    if (counted && budget->payload_left > 0 && ignored > 0) /* the codec may tell of it yet */
        ignored--;
    if (ignored <= budget->frames_ignored)
        return TG_H2_EXCESS_NONE;
    uint64_t fresh = ignored - budget->frames_ignored;
    budget->frames_ignored = ignored;
    return take(&budget->idle_frames, (double)fresh, now, TG_H2_EXCESS_IDLE_FRAMES);
}
