/* Names of cipher suites by their numbers, for those that OpenSSL knows. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>

#include "net/tls.h"

enum { KNOWN_MAX = 512 };

static struct known {
    uint16_t number;
    const char *name; /* OpenSSL's own, static */
} known[KNOWN_MAX];

static size_t known_count;

static int compare(const void *a, const void *b)
{
    return (int)((const struct known *)a)->number - (int)((const struct known *)b)->number;
}

static void remember(const STACK_OF(SSL_CIPHER) * ciphers)
{
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers) && known_count < KNOWN_MAX; i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
        const char *name = SSL_CIPHER_get_name(cipher);
        if (name)
            known[known_count++] = (struct known){ SSL_CIPHER_get_protocol_id(cipher), name };
    }
    qsort(known, known_count, sizeof(known[0]), compare);
}

static void ask_openssl(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    if (context && SSL_CTX_set_cipher_list(context, "ALL:COMPLEMENTOFALL:@SECLEVEL=0") == 1 &&
        SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
                                          "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256") == 1)
        remember(SSL_CTX_get_ciphers(context));
    SSL_CTX_free(context);
    ERR_clear_error();
}

struct tg_slice tg_tls_cipher_name(uint16_t number)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct known wanted = { .number = number };
    pthread_once(&once, ask_openssl);
    const struct known *found = bsearch(&wanted, known, known_count, sizeof(known[0]), compare);
    return tg_slice_from_string(found ? found->name : NULL);
}
