/* The access log: a line of JSON for each exchange, made in the worker and written by the log thread. */
#ifndef TG_PROXY_ACCESS_LOG_H
#define TG_PROXY_ACCESS_LOG_H

#include "proxy/exchange.h"

/* Once the exchange is over and its log phase has run; times.ended and logged_status are set. Counts it in
 * the metrics, and writes no line where the settings or a handler (exchange->log_skip) say so. Never waits: a full ring
 * drops the line, which is counted. */
void tg_access_log_write(struct tg_exchange *exchange);

#endif
