/* Weighted smooth round robin over the peers of a group. Each worker goes through the same order from a random
 * position of its own, and keeps its position when the configuration is loaded anew: it is known by the group's name.
 * The order is arithmetic, not a list: with weights that add up to W, step k takes place k * stride mod W, where the
 * stride is near the golden section of W, so that any run of steps is close to the weights and W steps meet them
 * exactly. */
#ifndef TG_PROXY_BALANCE_H
#define TG_PROXY_BALANCE_H

#include "proxy/balance_tiers.h"

struct tg_worker;
struct tg_balance; /* a worker's positions */

/* The next peer, or NULL when all were tried (or there are none). *tried: a bit for each of the first 64 peers of
 * group->peers; that of the chosen one is set; later ones never count as tried. A first choice (*tried == 0) takes the
 * next step of the order; another one is drawn by weight among those not tried, so that it doesn't disturb the order.
 */
struct tg_peer *tg_balance_choose(struct tg_worker *worker, const struct tg_group *group, uint64_t *tried);

/* In tg_worker_deinit; may be NULL. */
void tg_balance_free(struct tg_balance *balance);

#endif
