/* What a reason is called in logs and to scripts, and what it means as an answer. */
#ifndef TG_PROXY_REASON_H
#define TG_PROXY_REASON_H

#include "proxy/side.h"

/* "refused", "timeout", "reset", "cut", "invalid", "unprocessed", "untrusted", ...; "" for TG_REASON_NONE. */
const char *tg_reason_name(enum tg_reason reason);
/* The status that answers, or is logged for, a request that ended so: 502, 503, 504, 500, 413, or 499 where the client
 * left. 0 for TG_REASON_NONE. A response that upstream made too large is TG_REASON_INVALID: 502. */
int tg_reason_status(enum tg_reason reason);
/* The code for struct tg_exchange_error: "upstream_failed", "timeout", "overload", "script", "too_large", ... */
const char *tg_reason_code(enum tg_reason reason);

#endif
