/* What `status` and `generations` print for people, from the JSON that the gateway answers. */
#ifndef TG_CONTROL_STATUS_TEXT_H
#define TG_CONTROL_STATUS_TEXT_H

#include <jansson.h>

void tg_print_generations(const json_t *reply);
void tg_print_status(const json_t *reply);

#endif
