/* Keys of the session tickets that clients get, shared by all workers and listeners: the next one, the current one and
 * the one before. They live for the process and are never written anywhere. Any thread; locked. */
#ifndef TG_NET_TLS_TICKETS_H
#define TG_NET_TLS_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

struct tg_ticket_keys;

/* NULL: no memory or no randomness. */
struct tg_ticket_keys *tg_ticket_keys_new(void);
void tg_ticket_keys_free(struct tg_ticket_keys *keys);
/* The next key becomes the current one, and a new one is made: control/ calls it every few hours. false: no randomness;
 * the keys stay. */
bool tg_ticket_keys_rotate(struct tg_ticket_keys *keys) __attribute__((warn_unused_result));

#endif
