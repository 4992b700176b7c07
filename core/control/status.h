/* What `status` and `generations` show, as JSON. Each worker is asked what it is doing; one that doesn't answer in time
 * is shown as such. */
#ifndef TG_CONTROL_STATUS_H
#define TG_CONTROL_STATUS_H

#include "control/gateway.h"

/* Answers the call, soon: with everything, or with the generations alone. */
void tg_status_answer(struct tg_gateway *gateway, struct tg_admin_call *call, bool everything);

#endif
