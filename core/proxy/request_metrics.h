/* The gateway's own metrics of requests, by route and upstream: how many ended with which class of status, and how long
 * they took. One for each worker; its thread alone. */
#ifndef TG_PROXY_REQUEST_METRICS_H
#define TG_PROXY_REQUEST_METRICS_H

#include "proxy/exchange.h"

struct tg_request_metrics;

/* NULL when out of memory. */
struct tg_request_metrics *tg_request_metrics_new(uint32_t worker);
/* May be NULL. */
void tg_request_metrics_free(struct tg_request_metrics *metrics);
/* Once the exchange is over: times.ended and logged_status are set. `snapshot` is the exchange's, or NULL. */
void tg_request_metrics_record(struct tg_request_metrics *metrics, const struct tg_exchange *exchange,
                               const struct tg_snapshot *snapshot);

#endif
