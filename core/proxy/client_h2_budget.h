/* What a client's HTTP/2 connection may do, counted on the bytes that came, so that frames which the codec drops in
 * silence count as well. Pure counting: no I/O. */
#ifndef TG_PROXY_CLIENT_H2_BUDGET_H
#define TG_PROXY_CLIENT_H2_BUDGET_H

#include "base/slice.h"
#include "http/limits.h"

enum tg_h2_excess {
    TG_H2_EXCESS_NONE,
    TG_H2_EXCESS_RESETS,        /* streams ended by a reset, the client's or one that it drew */
    TG_H2_EXCESS_CONTROL,       /* SETTINGS, PING, PRIORITY, unknown frames */
    TG_H2_EXCESS_IDLE_FRAMES,   /* empty or tiny DATA, frames of dead streams, WINDOW_UPDATE that no data called for */
    TG_H2_EXCESS_CONTINUATIONS, /* frames of one header section */
    TG_H2_EXCESS_HEADER_LIST,   /* decoded bytes of one header section, far beyond the limit that answers 431 */
    TG_H2_EXCESS_QUEUED,        /* control frames that wait for the client to read */
    TG_H2_EXCESS_BROKEN,        /* none, but a fault that the codec passes over: PRIORITY on stream 0 (RFC 9113 6.3) */
};

/* "resets": for the log. */
const char *tg_h2_excess_name(enum tg_h2_excess excess);

/* A budget that fills up evenly: `most` in 30 s. */
struct tg_h2_bucket {
    double tokens, most, filled_at;
};

struct tg_client_h2_budget {
    struct tg_h2_bucket resets, control, idle_frames;
    uint32_t continuations_most, continuations;
    uint32_t queued_most;
    double credits; /* PING, WINDOW_UPDATE and PRIORITY_UPDATE frames that requests and the data sent call for */

    /* Where in the frames the bytes are that came last. */
    uint32_t magic_left;
    uint8_t header[9];
    uint8_t header_have;
    uint8_t type;
    uint32_t payload_left;
    uint64_t frames, frames_known; /* DATA and HEADERS that came, and those of them that the codec told of */
    uint64_t frames_ignored;       /* of the difference, what was charged */
};

void tg_client_h2_budget_init(struct tg_client_h2_budget *budget, const struct tg_h2_limits *limits, double now);
/* Takes `amount`, or gives it back where it is negative; false: nothing is left. */
bool tg_h2_bucket_take(struct tg_h2_bucket *bucket, double amount, double now);

/* Looks at bytes that came, frame by frame, at most up to the point where *heads HEADERS frames or *frames frames other
 * than DATA were begun, which it counts down. Answers how many bytes may be given to the codec. */
size_t tg_client_h2_budget_scan(struct tg_client_h2_budget *budget, struct tg_slice bytes, double now, uint32_t *heads,
                                uint32_t *frames, enum tg_h2_excess *excess);
/* The codec took a DATA frame with so many bytes of a body. */
enum tg_h2_excess tg_client_h2_budget_data(struct tg_client_h2_budget *budget, size_t length, bool end, double now);
/* The codec began to take a HEADERS frame. */
void tg_client_h2_budget_head(struct tg_client_h2_budget *budget);
/* After the codec had the scanned bytes: DATA and HEADERS that it dropped, since their streams are gone. */
enum tg_h2_excess tg_client_h2_budget_ignored(struct tg_client_h2_budget *budget, double now);
/* A DATA frame was sent: it may draw WINDOW_UPDATE and PING. */
void tg_client_h2_budget_sent_data(struct tg_client_h2_budget *budget);

#endif
