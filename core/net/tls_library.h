/* The OpenSSL library context that all TLS settings are made from: the default one, or one of its own with the FIPS
 * provider. Opened once, by the first load, before there is a worker; immutable from then on. */
#ifndef TG_NET_TLS_LIBRARY_H
#define TG_NET_TLS_LIBRARY_H

#include <stdbool.h>

#include "base/slice.h"

struct tg_tls_library;
struct ossl_lib_ctx_st;
struct evp_md_st;
struct evp_cipher_st;

/* `fips`: loads the providers "fips" and "base" into a context of its own, asks for "fips=yes" and tries them; NULL,
 * and `why` says what to do, where that can't be had. */
struct tg_tls_library *tg_tls_library_open(bool fips, char why[512]);
void tg_tls_library_close(struct tg_tls_library *library);
bool tg_tls_library_is_fips(const struct tg_tls_library *library);
/* The providers that serve, such as "default" or "fips 3.0.8"; for status. */
struct tg_slice tg_tls_library_provider(const struct tg_tls_library *library);
/* NULL: the default context. */
struct ossl_lib_ctx_st *tg_tls_library_context(const struct tg_tls_library *library);
/* The property query for fetching: "fips=yes", or NULL. */
const char *tg_tls_library_properties(const struct tg_tls_library *library);

/* Fetched once, since a fetch costs more than a digest of a few hundred bytes. */
const struct evp_md_st *
tg_tls_library_md5(const struct tg_tls_library *library); /* NULL under FIPS, or where openssl.cnf has it so */
const struct evp_md_st *tg_tls_library_sha256(const struct tg_tls_library *library);
const struct evp_cipher_st *tg_tls_library_aes_256_cbc(const struct tg_tls_library *library);

#endif
