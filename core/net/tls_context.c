#include "net/tls_context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Those of the guideline with forward secrecy by elliptic curves: clients that know DHE only don't exist any more. */
static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                              "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                              "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char fips_ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                   "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
static const char suites[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char fips_suites[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
static const char signatures[] = "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:RSA-PSS+SHA256:RSA-PSS+SHA384:"
                                 "RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512";
static const char fips_signatures[] = "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:RSA-PSS+SHA256:RSA-PSS+SHA384:"
                                      "RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512";

static bool set_algorithms(SSL_CTX *context, bool fips)
{
    return SSL_CTX_set_cipher_list(context, fips ? fips_ciphers : ciphers) == 1 &&
           SSL_CTX_set_ciphersuites(context, fips ? fips_suites : suites) == 1 &&
           SSL_CTX_set1_groups_list(context, fips ? "P-256:P-384" : "X25519:P-256:P-384") == 1 &&
           SSL_CTX_set1_sigalgs_list(context, fips ? fips_signatures : signatures) == 1;
}

SSL_CTX *tg_tls_context_new(const struct tg_tls_library *library, const SSL_METHOD *method, bool modern)
{
    SSL_CTX *context = SSL_CTX_new_ex(tg_tls_library_context(library), tg_tls_library_properties(library), method);
    if (!context)
        return NULL;
    SSL_CTX_set_security_level(context, 2);
    /* Whatever openssl.cnf says of versions and preferences: the settings are ours. */
    SSL_CTX_clear_options(context, SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3 | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                       SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    if (SSL_CTX_set_min_proto_version(context, modern ? TLS1_3_VERSION : TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_max_proto_version(context, 0) == 1 && set_algorithms(context, tg_tls_library_is_fips(library)))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

int tg_tls_key_log_open(const char *path, char why[TG_TLS_WHY])
{
    struct stat found;
    int descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
    if (descriptor < 0 || fstat(descriptor, &found) < 0) {
        snprintf(why, TG_TLS_WHY, "%.300s: can't be opened: %s", path, strerror(errno));
    } else if (!S_ISREG(found.st_mode)) {
        snprintf(why, TG_TLS_WHY, "%.300s: isn't a plain file", path);
    } else if ((found.st_mode & 077) != 0) {
        snprintf(why, TG_TLS_WHY, "%.300s: others may read the secrets in it: chmod 600", path);
    } else {
        return descriptor;
    }
    if (descriptor >= 0)
        close(descriptor);
    return -1;
}

void tg_tls_key_log_write(int descriptor, const char *line)
{
    struct iovec parts[2] = { { (void *)line, strlen(line) }, { (void *)"\n", 1 } };
    ssize_t written = writev(descriptor, parts, 2);
    (void)written; /* a full disk costs the log its line, never the connection */
}

int64_t tg_tls_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
