/* Which certificate a host name gets: an exact name, else a wildcard of one label, else none. Built by a loader's
 * thread; looking up changes nothing, so any thread may. net/ only. */
#ifndef TG_NET_TLS_NAMES_H
#define TG_NET_TLS_NAMES_H

#include <openssl/x509.h>

#include "base/map.h"

struct tg_tls_names {
    struct tg_map *exact, *wildcard; /* the latter by what follows "*." */
};

bool tg_tls_names_init(struct tg_tls_names *names) __attribute__((warn_unused_result));
void tg_tls_names_deinit(struct tg_tls_names *names);

enum tg_tls_name_added { TG_NAME_ADDED, TG_NAME_TAKEN, TG_NAME_UNUSABLE, TG_NAME_NO_MEMORY };

/* A name or "*.name", in any case, with or without trailing dot. TAKEN: *index is whose it is. UNUSABLE: no host name,
 * or a wildcard in another place. */
enum tg_tls_name_added tg_tls_names_add(struct tg_tls_names *names, struct tg_slice name, int32_t *index);
/* In any case, with or without trailing dot; -1: nobody's. */
int32_t tg_tls_names_find(const struct tg_tls_names *names, struct tg_slice host);
/* Of exactly this text: "*.name" finds the wildcard only. */
int32_t tg_tls_names_find_text(const struct tg_tls_names *names, struct tg_slice text);

/* Calls `each` for every DNS name of the certificate, for its common name where it has none; stops with false. */
bool tg_tls_names_each(const X509 *certificate, bool (*each)(struct tg_slice name, void *context), void *context);

#endif
