/* The authorities that the system trusts. net/ only. */
#ifndef TG_NET_TLS_SYSTEM_CAS_H
#define TG_NET_TLS_SYSTEM_CAS_H

#include "net/tls_pem.h"

/* A counted store for the caller to free. From SSL_CERT_FILE or SSL_CERT_DIR where one of these is set, else from
 * OpenSSL's file, the bundle in its folder, or the folder. Read now, so that no handshake has to, but for a folder of
 * single files; the store of the same file as before is shared. NULL: `why` [T06]. A loader's thread. `digest`: of what
 * was read, zeros for a folder. */
X509_STORE *tg_tls_system_cas(const struct tg_tls_library *library, unsigned char digest[32], char why[TG_TLS_WHY]);
/* Drops the store that is kept to be shared: called when a library closes. */
void tg_tls_system_cas_forget(void);

#endif
