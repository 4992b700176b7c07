/* What a listener's certificates are, for those who look at a running gateway. */
#include <time.h>

#include <openssl/asn1.h>
#include <openssl/x509.h>

#include "net/tls_server_state.h"

/* A time of RFC 5280 is always UTC. */
static int64_t unix_time(const ASN1_TIME *time)
{
    struct tm parts;
    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

bool tg_tls_server_describe(const struct tg_tls_server *server, size_t index, int kind, int64_t *ends,
                            bool (*visit)(struct tg_slice name, void *context), void *context)
{
    if (index >= server->count || kind < 0 || kind >= TG_TLS_KINDS || !server->entries[index].certificates[kind])
        return false;
    const X509 *certificate = server->entries[index].certificates[kind];
    *ends = unix_time(X509_get0_notAfter(certificate));
    tg_tls_names_each(certificate, visit, context);
    return true;
}
