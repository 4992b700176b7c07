#include "net/tls_client.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "base/text.h"
#include "net/tls_context.h"
#include "net/tls_hello.h"
#include "net/tls_internal.h"
#include "net/tls_system_cas.h"

enum {
    CHAIN_DEPTH = 8, /* authorities between a peer's certificate and the root */
    NAME_ROOM = 256,
    PEER_CHAIN = 256 << 10, /* bytes of certificates that a peer may send */
};

struct tg_tls_client {
    _Atomic uint32_t references;
    SSL_CTX *context;
    char *name; /* NULL: the host of the peer's address */
    bool verify;
    int key_log; /* -1: none */
    struct tg_text identity;
};

static bool is_ip(const char *name)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static bool refuse(char why[TG_TLS_WHY], const char *what)
{
    snprintf(why, TG_TLS_WHY, "%s", what);
    ERR_clear_error();
    return false;
}

/* A host name in lower case without trailing dot, or an address. */
static bool take_name(struct tg_tls_client *client, struct tg_slice name, char why[TG_TLS_WHY])
{
    char room[NAME_ROOM];
    size_t length = 0;
    if (name.length == 0)
        return true;
    bool valid = name.length < sizeof(room) && tg_hello_name(name, room, &length);
    client->name = valid ? tg_slice_to_string(length > 0 ? tg_slice_of(room, length) : name) : NULL;
    if (valid)
        return client->name || refuse(why, "out of memory");
    snprintf(why, TG_TLS_WHY, "tls: '%.*s' is no host name and no address",
             (int)(name.length < 200 ? name.length : 200), name.at);
    return false;
}

/* --- what it is told by ----------------------------------------------------------------------------------------- */

static void append_hex(struct tg_text *text, const unsigned char digest[32])
{
    for (size_t i = 0; i < 32; i++)
        tg_text_appendf(text, "%02x", digest[i]);
}

static bool append_digest(struct tg_text *text, const struct tg_tls_library *library, const char *label,
                          const struct tg_tls_file *file)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    tg_text_appendf(text, " %s=", label);
    if (!tg_tls_file_given(file))
        return true;
    if (EVP_Digest(file->content.at, file->content.length, digest, NULL, tg_tls_library_sha256(library), NULL) != 1)
        return false;
    append_hex(text, digest);
    return true;
}

/* Names hold no blank, so that two different settings never read alike. */
static bool tell_identity(struct tg_tls_client *client, const struct tg_tls_library *library,
                          const struct tg_tls_client_options *options, const unsigned char system_cas[32],
                          char why[TG_TLS_WHY])
{
    struct tg_text *text = &client->identity;
    tg_text_appendf(text, "tls verify=%d name=%s alpn=%s%s", options->verify, client->name ? client->name : "",
                    options->offer_h2 ? "h2," : "", options->offer_h1 ? "h1" : "");
    const char *log = options->key_log ? options->key_log : "";
    const struct tg_tls_file key_log = { .content = { options->key_log, strlen(log) } };
    bool told = append_digest(text, library, "ca", &options->ca) &&
                append_digest(text, library, "cert", &options->cert) &&
                append_digest(text, library, "key", &options->key) && append_digest(text, library, "key_log", &key_log);
    if (options->verify && !tg_tls_file_given(&options->ca)) {
        tg_text_appendf(text, " system=");
        append_hex(text, system_cas);
    }
    return (told && !text->failed) || refuse(why, "out of memory");
}

/* --- building --------------------------------------------------------------------------------------------------- */

static bool set_authorities(struct tg_tls_client *client, const struct tg_tls_library *library,
                            const struct tg_tls_client_options *options, unsigned char system_cas[32],
                            char why[TG_TLS_WHY])
{
    if (tg_tls_file_given(&options->ca)) {
        struct tg_tls_authorities authorities;
        if (!tg_tls_authorities_load(library, &options->ca, false, &authorities, why))
            return false;
        SSL_CTX_set1_cert_store(client->context, authorities.store);
        tg_tls_authorities_deinit(&authorities);
        return true;
    }
    if (options->ca.path.length > 0)
        return tg_tls_refuse(why, &options->ca, "is missing");
    if (!options->verify)
        return true;
    X509_STORE *store = tg_tls_system_cas(library, system_cas, why);
    if (store)
        SSL_CTX_set_cert_store(client->context, store);
    return store;
}

static bool set_certificate(struct tg_tls_client *client, const struct tg_tls_library *library,
                            const struct tg_tls_client_options *options, char why[TG_TLS_WHY])
{
    struct tg_tls_pair pair;
    if (!tg_tls_file_given(&options->cert))
        return !tg_tls_file_given(&options->key) || tg_tls_refuse(why, &options->key, "its certificate is missing");
    if (!tg_tls_pair_load(library, &options->cert, &options->key, &pair, why))
        return false;
    bool used = tg_tls_pair_use(&pair, client->context, &options->cert, why);
    tg_tls_pair_deinit(&pair);
    return used;
}

/* h2 first, where both are offered (RFC 7301 3.1). */
static bool set_alpn(SSL_CTX *context, bool h1, bool h2)
{
    static const unsigned char protocols[] = "\x02h2\x08http/1.1";
    const unsigned char *first = h2 ? protocols : protocols + 3;
    unsigned length = (h2 ? 3U : 0U) + (h1 ? 9U : 0U);
    return length == 0 || SSL_CTX_set_alpn_protos(context, first, length) == 0;
}

static void on_secret(const SSL *ssl, const char *line)
{
    tg_tls_key_log_write(tg_tls_of_ssl(ssl)->client->key_log, line);
}

static bool set_key_log(struct tg_tls_client *client, const char *path, char why[TG_TLS_WHY])
{
    if (!path)
        return true;
    client->key_log = tg_tls_key_log_open(path, why);
    SSL_CTX_set_keylog_callback(client->context, on_secret);
    return client->key_log >= 0;
}

/* The purpose is checked, too: a certificate for clients is no server's. */
static bool set_context(struct tg_tls_client *client, const struct tg_tls_client_options *options)
{
    SSL_CTX *context = client->context;
    SSL_CTX_set_verify(context, options->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_verify_depth(context, CHAIN_DEPTH);
    SSL_CTX_set_max_cert_list(context, PEER_CHAIN);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, tg_tls_sessions_add_of);
    return SSL_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER) == 1 &&
           set_alpn(context, options->offer_h1, options->offer_h2);
}

static bool build(struct tg_tls_client *client, const struct tg_tls_library *library,
                  const struct tg_tls_client_options *options, char why[TG_TLS_WHY])
{
    unsigned char system_cas[32] = { 0 };
    client->verify = options->verify;
    client->context = tg_tls_context_new(library, TLS_client_method(), false);
    if (!client->context || !set_context(client, options))
        return refuse(why, "out of memory");
    return take_name(client, options->name, why) && set_authorities(client, library, options, system_cas, why) &&
           set_certificate(client, library, options, why) && set_key_log(client, options->key_log, why) &&
           tell_identity(client, library, options, system_cas, why);
}

struct tg_tls_client *tg_tls_client_new(struct tg_tls_library *library, const struct tg_tls_client_options *options,
                                        char why[512])
{
    struct tg_tls_client *client = calloc(1, sizeof(*client));
    if (!client) {
        refuse(why, "out of memory");
        return NULL;
    }
    client->references = 1;
    client->key_log = -1;
    tg_text_init(&client->identity);
    bool built = build(client, library, options, why);
    ERR_clear_error();
    if (built)
        return client;
    tg_tls_client_unref(client);
    return NULL;
}

struct tg_tls_client *tg_tls_client_ref(struct tg_tls_client *client)
{
    atomic_fetch_add_explicit(&client->references, 1, memory_order_relaxed);
    return client;
}

void tg_tls_client_unref(struct tg_tls_client *client)
{
    if (!client || atomic_fetch_sub_explicit(&client->references, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(client->context);
    if (client->key_log >= 0)
        close(client->key_log);
    tg_text_deinit(&client->identity);
    free(client->name);
    free(client);
}

/* --- questions -------------------------------------------------------------------------------------------------- */

struct tg_slice tg_tls_client_identity(const struct tg_tls_client *client)
{
    return tg_text_slice(&client->identity);
}

struct tg_slice tg_tls_client_name(const struct tg_tls_client *client, struct tg_slice address)
{
    if (client->name)
        return tg_slice_from_string(client->name);
    if (address.length >= 5 && memcmp(address.at, "unix:", 5) == 0)
        return TG_SLICE("localhost");
    const char *colon = address.length ? memrchr(address.at, ':', address.length) : NULL;
    struct tg_slice host = colon ? tg_slice_of(address.at, (size_t)(colon - address.at)) : address;
    if (host.length >= 2 && host.at[0] == '[' && host.at[host.length - 1] == ']')
        return tg_slice_of(host.at + 1, host.length - 2);
    return host;
}

/* An address is checked as one, and isn't sent as a name (RFC 6066 3). */
static bool set_name(SSL *ssl, const struct tg_tls_client *client, const char *name)
{
    if (is_ip(name))
        return !client->verify || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set_tlsext_host_name(ssl, name) == 1 && (!client->verify || SSL_set1_host(ssl, name) == 1);
}

/* What is no name of a host can be neither sent nor checked. */
static bool read_name(struct tg_slice name, char room[NAME_ROOM])
{
    size_t length = 0;
    if (name.length == 0 || name.length >= NAME_ROOM || !tg_hello_name(name, room, &length))
        return false;
    if (length == 0) {
        memcpy(room, name.at, name.length);
        length = name.length;
    }
    room[length] = '\0';
    return true;
}

SSL *tg_tls_client_ssl_new(struct tg_tls_client *client, struct tg_slice name)
{
    char room[NAME_ROOM];
    bool named = read_name(name, room);
    if (!named && client->verify)
        return NULL;
    SSL *ssl = SSL_new(client->context);
    if (ssl && named && !set_name(ssl, client, room)) {
        SSL_free(ssl);
        ssl = NULL;
    }
    ERR_clear_error();
    return ssl;
}
