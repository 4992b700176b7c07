/* A stapled OCSP response (RFC 6960, RFC 6066 8). net/ only. */
#ifndef TG_NET_TLS_OCSP_H
#define TG_NET_TLS_OCSP_H

#include "net/tls_pem.h"

struct tg_tls_staple {
    unsigned char *at; /* from malloc; NULL: nothing to staple */
    size_t length;
    int64_t next_update; /* milliseconds since 1970, from which on it is stale; INT64_MAX: never */
};

/* Reads a DER response about the pair's certificate. Refuses what is no successful response, is about another
 * certificate, or isn't signed for its issuer, where that is in the chain. A stale one, or one that doesn't say 'good',
 * isn't stapled, and *warning is static text that says so; else NULL. */
bool tg_tls_staple_load(const struct tg_tls_file *file, const struct tg_tls_pair *pair, struct tg_tls_staple *staple,
                        const char **warning, char why[TG_TLS_WHY]) __attribute__((warn_unused_result));
void tg_tls_staple_deinit(struct tg_tls_staple *staple);

#endif
