/* The one registry of counters: named once, at start, before threads run; each worker adds to a part of its own (one
 * writer, relaxed), and a reader sums the parts. */
#ifndef TG_BASE_COUNTERS_H
#define TG_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum tg_counter {
    TG_COUNTER_CONNECTIONS_ACCEPTED,
    TG_COUNTER_CONNECTIONS_OPEN, /* a gauge: added and subtracted */
    TG_COUNTER_CONNECTIONS_REFUSED,
    TG_COUNTER_ACCEPT_PAUSES,
    TG_COUNTER_REQUESTS,
    TG_COUNTER_REQUESTS_ACTIVE, /* a gauge */
    TG_COUNTER_REQUESTS_REJECTED,
    TG_COUNTER_RESPONSES_1XX,
    TG_COUNTER_RESPONSES_2XX,
    TG_COUNTER_RESPONSES_3XX,
    TG_COUNTER_RESPONSES_4XX,
    TG_COUNTER_RESPONSES_5XX,
    TG_COUNTER_CLIENT_ABORTS,
    TG_COUNTER_BYTES_FROM_CLIENTS,
    TG_COUNTER_BYTES_TO_CLIENTS,
    TG_COUNTER_UPSTREAM_CONNECTS,
    TG_COUNTER_UPSTREAM_CONNECT_FAILURES,
    TG_COUNTER_UPSTREAM_REUSES,
    TG_COUNTER_UPSTREAM_FAILURES,
    TG_COUNTER_UPSTREAM_RETRIES,
    TG_COUNTER_UPSTREAM_PARKED,     /* moved to the shared pool */
    TG_COUNTER_UPSTREAM_ADOPTED,    /* taken from the shared pool */
    TG_COUNTER_TUNNELS_OPEN,        /* a gauge */
    TG_COUNTER_H2_CONNECTIONS_OPEN, /* of clients; a gauge */
    TG_COUNTER_H2_STREAMS,          /* that clients opened */
    TG_COUNTER_H2_RESETS,           /* of those, ended by a reset, the client's or one that it drew */
    TG_COUNTER_H2_CALMED,           /* connections ended with ENHANCE_YOUR_CALM */
    TG_COUNTER_TLS_HANDSHAKES,      /* with clients */
    TG_COUNTER_TLS_HANDSHAKE_FAILURES,
    TG_COUNTER_TLS_RESUMED,             /* of the handshakes */
    TG_COUNTER_UPSTREAM_TLS_HANDSHAKES, /* with peers */
    TG_COUNTER_UPSTREAM_TLS_FAILURES,
    TG_COUNTER_UPSTREAM_TLS_RESUMED,
    TG_COUNTER_SCRIPT_ERRORS,
    TG_COUNTER_SCRIPT_CANCELS,
    TG_COUNTER_SCRIPT_LOGS_SKIPPED, /* exchanges detached from their generation, whose log phase didn't run */
    TG_COUNTER_VMS_REBUILT,
    TG_COUNTER_LOG_LINES,
    TG_COUNTER_LOG_LINES_DROPPED,
    TG_COUNTERS
};

/* One worker's part, on cache lines of its own. */
struct tg_counters {
    _Alignas(128) _Atomic int64_t values[TG_COUNTERS];
};

/* Only the part's owner may call this. */
static inline void tg_counters_add(struct tg_counters *part, enum tg_counter counter, int64_t amount)
{
    int64_t value = atomic_load_explicit(&part->values[counter], memory_order_relaxed);
    atomic_store_explicit(&part->values[counter], value + amount, memory_order_relaxed);
}

/* The name as it stands in status and metrics, such as "connections_accepted". */
const char *tg_counter_name(enum tg_counter counter);
/* Adds a part to the registry, or takes it out keeping its totals. Any thread; locked. */
void tg_counters_register(struct tg_counters *part);
void tg_counters_unregister(struct tg_counters *part);
/* The sum over all parts, living and gone. Any thread. */
int64_t tg_counters_total(enum tg_counter counter);

#endif
