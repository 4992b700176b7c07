/* What the SSL_CTXs of both directions have in common. net/ only, in a loader's thread. */
#ifndef TG_NET_TLS_CONTEXT_H
#define TG_NET_TLS_CONTEXT_H

#include "net/tls_pem.h"

/* TLS 1.2 and 1.3 with what Mozilla's guideline 'intermediate' lists, under FIPS what is approved of it; or TLS 1.3
 * alone (`modern`). Without renegotiation and compression; buffers of an idle connection are released. NULL: out of
 * memory, or OpenSSL lacks what is asked for. */
SSL_CTX *tg_tls_context_new(const struct tg_tls_library *library, const SSL_METHOD *method, bool modern);

/* The file that gets the secrets of all handshakes, made with mode 0600, appended to. Refuses one that others may read
 * and what isn't a plain file. -1: `why`. */
int tg_tls_key_log_open(const char *path, char why[TG_TLS_WHY]);
/* A line with its end, in one write, so that those of several threads don't mix. */
void tg_tls_key_log_write(int descriptor, const char *line);

/* The time of day in milliseconds since 1970. */
int64_t tg_tls_now(void);

#endif
