/* What is said and opened once the first generation serves. */
#ifndef TG_CONTROL_STARTUP_H
#define TG_CONTROL_STARTUP_H

#include "control/gateway.h"

/* Opens the admin socket and prints where the gateway listens, and what to try, to standard error. False: the admin
 * socket can't be used; it has been said. */
bool tg_startup_finish(struct tg_gateway *gateway, const struct tg_generation *generation)
    __attribute__((warn_unused_result));

#endif
