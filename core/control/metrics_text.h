/* All metrics as Prometheus reads them, in its text format 0.0.4: those of the process, then those by route and those
 * of scripts, each sorted by name. */
#ifndef TG_CONTROL_METRICS_TEXT_H
#define TG_CONTROL_METRICS_TEXT_H

#include "base/text.h"

/* `context`: the gateway; in control's thread. Asks no worker. */
void tg_metrics_text(void *context, struct tg_text *out);

#endif
