#include "base/counters.h"

#include <assert.h>
#include <pthread.h>

enum { PARTS_LIMIT = 1024 };

static const char *const names[] = {
    [TG_COUNTER_CONNECTIONS_ACCEPTED] = "connections_accepted",
    [TG_COUNTER_CONNECTIONS_OPEN] = "connections_open",
    [TG_COUNTER_CONNECTIONS_REFUSED] = "connections_refused",
    [TG_COUNTER_ACCEPT_PAUSES] = "accept_pauses",
    [TG_COUNTER_REQUESTS] = "requests",
    [TG_COUNTER_REQUESTS_ACTIVE] = "requests_active",
    [TG_COUNTER_REQUESTS_REJECTED] = "requests_rejected",
    [TG_COUNTER_RESPONSES_1XX] = "responses_1xx",
    [TG_COUNTER_RESPONSES_2XX] = "responses_2xx",
    [TG_COUNTER_RESPONSES_3XX] = "responses_3xx",
    [TG_COUNTER_RESPONSES_4XX] = "responses_4xx",
    [TG_COUNTER_RESPONSES_5XX] = "responses_5xx",
    [TG_COUNTER_CLIENT_ABORTS] = "client_aborts",
    [TG_COUNTER_BYTES_FROM_CLIENTS] = "bytes_from_clients",
    [TG_COUNTER_BYTES_TO_CLIENTS] = "bytes_to_clients",
    [TG_COUNTER_UPSTREAM_CONNECTS] = "upstream_connects",
    [TG_COUNTER_UPSTREAM_CONNECT_FAILURES] = "upstream_connect_failures",
    [TG_COUNTER_UPSTREAM_REUSES] = "upstream_reuses",
    [TG_COUNTER_UPSTREAM_FAILURES] = "upstream_failures",
    [TG_COUNTER_UPSTREAM_RETRIES] = "upstream_retries",
    [TG_COUNTER_UPSTREAM_PARKED] = "upstream_parked",
    [TG_COUNTER_UPSTREAM_ADOPTED] = "upstream_adopted",
    [TG_COUNTER_TUNNELS_OPEN] = "tunnels_open",
    [TG_COUNTER_H2_CONNECTIONS_OPEN] = "h2_connections_open",
    [TG_COUNTER_H2_STREAMS] = "h2_streams",
    [TG_COUNTER_H2_RESETS] = "h2_resets",
    [TG_COUNTER_H2_CALMED] = "h2_calmed",
    [TG_COUNTER_TLS_HANDSHAKES] = "tls_handshakes",
    [TG_COUNTER_TLS_HANDSHAKE_FAILURES] = "tls_handshake_failures",
    [TG_COUNTER_TLS_RESUMED] = "tls_resumed",
    [TG_COUNTER_UPSTREAM_TLS_HANDSHAKES] = "upstream_tls_handshakes",
    [TG_COUNTER_UPSTREAM_TLS_FAILURES] = "upstream_tls_failures",
    [TG_COUNTER_UPSTREAM_TLS_RESUMED] = "upstream_tls_resumed",
    [TG_COUNTER_SCRIPT_ERRORS] = "script_errors",
    [TG_COUNTER_SCRIPT_CANCELS] = "script_cancels",
    [TG_COUNTER_SCRIPT_LOGS_SKIPPED] = "script_logs_skipped",
    [TG_COUNTER_VMS_REBUILT] = "vms_rebuilt",
    [TG_COUNTER_LOG_LINES] = "log_lines",
    [TG_COUNTER_LOG_LINES_DROPPED] = "log_lines_dropped",
};

_Static_assert(sizeof(names) / sizeof(names[0]) == TG_COUNTERS, "every counter has a name");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tg_counters *parts[PARTS_LIMIT];
static size_t part_count;
static int64_t totals_of_gone[TG_COUNTERS];

const char *tg_counter_name(enum tg_counter counter)
{
    return names[counter];
}

void tg_counters_register(struct tg_counters *part)
{
    pthread_mutex_lock(&lock);
    assert(part_count < PARTS_LIMIT);
    parts[part_count++] = part;
    pthread_mutex_unlock(&lock);
}

static int64_t value_of(struct tg_counters *part, size_t counter)
{
    return atomic_load_explicit(&part->values[counter], memory_order_relaxed);
}

void tg_counters_unregister(struct tg_counters *part)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < part_count; i++) {
        if (parts[i] != part)
            continue;
        parts[i] = parts[--part_count];
        for (size_t counter = 0; counter < TG_COUNTERS; counter++)
            totals_of_gone[counter] += value_of(part, counter);
        break;
    }
    pthread_mutex_unlock(&lock);
}

int64_t tg_counters_total(enum tg_counter counter)
{
    pthread_mutex_lock(&lock);
    int64_t total = totals_of_gone[counter];
    for (size_t i = 0; i < part_count; i++)
        total += value_of(parts[i], counter);
    pthread_mutex_unlock(&lock);
    return total;
}
