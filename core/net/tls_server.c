#include "net/tls_server.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "base/text.h"
#include "net/tls_context.h"
#include "net/tls_server_state.h"

enum {
    CHAIN_DEPTH = 5,          /* authorities between a client's certificate and the root */
    CLIENT_CHAIN = 64 << 10,  /* bytes of certificates that a client may send */
    SOON = 14 * 86400,        /* seconds before its end at which a certificate is worth a warning */
    LONGEST_LIFE = 7 * 86400, /* RFC 8446 4.6.1 */
    ENTRIES = 10000,
    EXTRA_CAS = 1000, /* that a listener may have */
    LISTED = 20,      /* names in a message */
};

/* What is being built, and from what. */
struct builder {
    struct tg_tls_server *server;
    const struct tg_tls_server_options *options;
    char *why;
};

static bool out_of_memory(struct builder *builder)
{
    snprintf(builder->why, TG_TLS_WHY, "out of memory");
    return false;
}

static bool warn(struct builder *builder, const struct tg_tls_file *file, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool warn(struct builder *builder, const struct tg_tls_file *file, const char *format, ...)
{
    struct tg_tls_server *server = builder->server;
    char text[TG_TLS_WHY];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    char line[TG_TLS_WHY];
    tg_tls_refuse(line, file, "%s", text);
    char **grown = realloc(server->warnings, (server->warning_count + 1) * sizeof(*grown));
    if (!grown)
        return out_of_memory(builder);
    server->warnings = grown;
    grown[server->warning_count] = strdup(line);
    return grown[server->warning_count] ? (server->warning_count++, true) : out_of_memory(builder);
}

static bool keep_text(struct tg_slice text, struct tg_slice *kept)
{
    char *copy = tg_slice_to_string(text);
    *kept = tg_slice_of(copy, copy ? text.length : 0);
    return copy;
}

/* --- demands ---------------------------------------------------------------------------------------------------- */

static bool digest_part(EVP_MD_CTX *digest, const void *at, size_t length)
{
    uint64_t count = length;
    return EVP_DigestUpdate(digest, &count, sizeof(count)) == 1 && EVP_DigestUpdate(digest, at, length) == 1;
}

/* `authorities`: NULL where none is asked for. */
static bool bind_sessions(struct builder *builder, enum tg_tls_client_auth client_auth,
                          const struct tg_tls_authorities *authorities, struct tg_tls_demand *demand)
{
    struct tg_slice listener = builder->options->listener;
    unsigned char mode = (unsigned char)client_auth;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool bound =
        digest && EVP_DigestInit_ex(digest, tg_tls_library_sha256(builder->server->library), NULL) == 1 &&
        digest_part(digest, listener.at, listener.length) && digest_part(digest, &mode, 1) &&
        digest_part(digest, authorities ? authorities->digest : NULL, authorities ? sizeof(authorities->digest) : 0) &&
        EVP_DigestFinal_ex(digest, demand->binding, NULL) == 1;
    EVP_MD_CTX_free(digest);
    demand->client_auth = client_auth;
    return bound || out_of_memory(builder);
}

static bool same_demand(const struct tg_tls_demand *a, const struct tg_tls_demand *b)
{
    return memcmp(a->binding, b->binding, TG_TLS_BINDING) == 0;
}

/* The number of the first with an equal demand: entries first, then authorities that handlers name. */
static void number_demands(struct tg_tls_server *server)
{
    size_t total = server->count + server->extra_ca_count;
    for (size_t i = 0; i < total; i++) {
        struct tg_tls_demand *demand =
            i < server->count ? &server->entries[i].demand : &server->extra_cas[i - server->count].demand;
        size_t same = 0;
        while (same < i && !same_demand(same < server->count ? &server->entries[same].demand
                                                             : &server->extra_cas[same - server->count].demand,
                                        demand))
            same++;
        demand->policy = (uint32_t)same;
    }
}

/* --- names ------------------------------------------------------------------------------------------------------ */

struct naming {
    struct builder *builder;
    const struct tg_tls_certificate *certificate;
    int32_t index;
    size_t usable;
};

static bool add_name(struct tg_slice name, void *context)
{
    struct naming *naming = context;
    struct builder *builder = naming->builder;
    int32_t index = naming->index;
    switch (tg_tls_names_add(&builder->server->names, name, &index)) {
    case TG_NAME_ADDED: naming->usable++; return true;
    case TG_NAME_TAKEN: {
        struct tg_slice other = builder->options->certificates[index].cert.path;
        return tg_tls_refuse(builder->why, &naming->certificate->cert, "has the name '%.*s', as has %.*s",
                             (int)name.length, name.at, (int)(other.length < 200 ? other.length : 200), other.at);
    }
    case TG_NAME_UNUSABLE: return true;
    default: return out_of_memory(builder);
    }
}

/* One without a name can be the default, or be chosen by a handler. */
static bool add_names(struct builder *builder, size_t index, const X509 *certificate)
{
    const struct tg_tls_certificate *options = &builder->options->certificates[index];
    struct naming naming = { builder, options, (int32_t)index, 0 };
    if (!tg_tls_names_each(certificate, add_name, &naming))
        return false;
    if (naming.usable > 0 || options->name.length > 0 || builder->options->count == 1)
        return true;
    return tg_tls_refuse(builder->why, &options->cert, "has no host name in it, so no client would get it");
}

struct comparison {
    const struct tg_tls_names *names;
    int32_t index;
    struct tg_slice missing;
    char room[256];
};

static bool is_known_name(struct tg_slice name, void *context)
{
    struct comparison *comparison = context;
    if (tg_tls_names_find_text(comparison->names, name) == comparison->index)
        return true;
    size_t length = name.length < sizeof(comparison->room) ? name.length : sizeof(comparison->room);
    memcpy(comparison->room, name.at, length);
    comparison->missing = tg_slice_of(comparison->room, length);
    return false;
}

/* --- certificates ----------------------------------------------------------------------------------------------- */

static bool check_time(struct builder *builder, const struct tg_tls_file *file, const X509 *certificate)
{
    time_t soon = (time_t)(tg_tls_now() / 1000) + SOON;
    struct tg_pem_subject subject = tg_pem_subject_of(certificate);
    if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
        return warn(builder, file, "'%s' isn't valid yet", subject.text);
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        return warn(builder, file, "'%s' has expired", subject.text);
    if (X509_cmp_time(X509_get0_notAfter(certificate), &soon) < 0)
        return warn(builder, file, "'%s' expires within 14 days", subject.text);
    return true;
}

static bool check_times(struct builder *builder, const struct tg_tls_file *file, const struct tg_tls_pair *pair)
{
    bool checked = check_time(builder, file, pair->certificate);
    for (int i = 0; checked && i < sk_X509_num(pair->chain); i++)
        checked = check_time(builder, file, sk_X509_value(pair->chain, i));
    return checked;
}

static bool add_staple(struct builder *builder, const struct tg_tls_file *ocsp, const struct tg_tls_pair *pair,
                       struct tg_tls_staple *staple)
{
    const char *warning;
    if (!tg_tls_file_given(ocsp))
        return true;
    if (!tg_tls_staple_load(ocsp, pair, staple, &warning, builder->why))
        return false;
    return !warning || warn(builder, ocsp, "%s", warning);
}

static bool add_pair(struct builder *builder, struct tg_tls_entry *entry, size_t kind, const struct tg_tls_file *cert,
                     const struct tg_tls_file *key, const struct tg_tls_file *ocsp)
{
    struct tg_tls_pair pair;
    if (!tg_tls_pair_load(builder->server->library, cert, key, &pair, builder->why))
        return false;
    entry->certificates[kind] = pair.certificate;
    X509_up_ref(pair.certificate);
    bool added = tg_tls_pair_use(&pair, entry->context, cert, builder->why) && check_times(builder, cert, &pair) &&
                 add_staple(builder, ocsp, &pair, &entry->staples[kind]);
    tg_tls_pair_deinit(&pair);
    return added;
}

static bool add_second(struct builder *builder, struct tg_tls_entry *entry, size_t index)
{
    const struct tg_tls_certificate *options = &builder->options->certificates[index];
    if (!tg_tls_file_given(&options->cert2))
        return true;
    if (!add_pair(builder, entry, 1, &options->cert2, &options->key2, &options->ocsp2))
        return false;
    EVP_PKEY *first = X509_get0_pubkey(entry->certificates[0]), *second = X509_get0_pubkey(entry->certificates[1]);
    if (EVP_PKEY_get_base_id(first) == EVP_PKEY_get_base_id(second))
        return tg_tls_refuse(builder->why, &options->cert2,
                             "has the same kind of key as %.*s: one takes the other's place",
                             (int)options->cert.path.length, options->cert.path.at);
    struct comparison comparison = { .names = &builder->server->names, .index = (int32_t)index };
    if (!tg_tls_names_each(entry->certificates[1], is_known_name, &comparison))
        return tg_tls_refuse(builder->why, &options->cert2, "has the name '%.*s', which %.*s lacks",
                             (int)comparison.missing.length, comparison.missing.at, (int)options->cert.path.length,
                             options->cert.path.at);
    return true;
}

static bool check_authority_times(struct builder *builder, const struct tg_tls_file *file, X509_STORE *store)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
    bool checked = true;
    for (int i = 0; checked && i < sk_X509_OBJECT_num(objects); i++) {
        const X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        checked = !certificate || check_time(builder, file, certificate);
    }
    return checked;
}

static bool set_client_auth(struct builder *builder, struct tg_tls_entry *entry,
                            const struct tg_tls_certificate *options)
{
    if (options->client_auth == TG_CLIENT_AUTH_NONE)
        return bind_sessions(builder, TG_CLIENT_AUTH_NONE, NULL, &entry->demand);
    if (!tg_tls_file_given(&options->client_ca))
        return tg_tls_refuse(builder->why, &options->cert, "asks for clients' certificates, but client_ca is missing");
    struct tg_tls_authorities authorities;
    if (!tg_tls_authorities_load(builder->server->library, &options->client_ca, true, &authorities, builder->why))
        return false;
    SSL_CTX_set1_cert_store(entry->context, authorities.store);
    SSL_CTX_set_client_CA_list(entry->context, authorities.names);
    authorities.names = NULL;
    bool bound = bind_sessions(builder, options->client_auth, &authorities, &entry->demand) &&
                 check_authority_times(builder, &options->client_ca, authorities.store);
    tg_tls_authorities_deinit(&authorities);
    return bound;
}

static bool set_sessions(SSL_CTX *context, const struct tg_tls_server *server)
{
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (server->session_life == 0) {
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        return SSL_CTX_set_num_tickets(context, 0) == 1;
    }
    SSL_CTX_set_timeout(context, (long)((server->session_life + 999) / 1000));
    return SSL_CTX_set_num_tickets(context, 1) == 1;
}

/* A context for the entry, with what doesn't differ between entries, since the first one's counts for some of it. */
static bool make_context(struct builder *builder, struct tg_tls_entry *entry)
{
    struct tg_tls_server *server = builder->server;
    entry->context =
        tg_tls_context_new(server->library, TLS_server_method(), builder->options->policy == TG_TLS_MODERN);
    if (!entry->context || !set_sessions(entry->context, server) ||
        SSL_CTX_set_purpose(entry->context, X509_PURPOSE_SSL_CLIENT) != 1)
        return out_of_memory(builder);
    SSL_CTX_set_verify_depth(entry->context, CHAIN_DEPTH);
    SSL_CTX_set_max_cert_list(entry->context, CLIENT_CHAIN);
    SSL_CTX_set_max_early_data(entry->context, 0); /* tickets can't tell a replay [T12] */
    tg_tls_server_hook(entry->context, server);
    return true;
}

static bool add_entry(struct builder *builder, size_t index)
{
    const struct tg_tls_certificate *options = &builder->options->certificates[index];
    struct tg_tls_entry *entry = &builder->server->entries[index];
    builder->server->count = index + 1;
    return make_context(builder, entry) && (keep_text(options->name, &entry->name) || out_of_memory(builder)) &&
           add_pair(builder, entry, 0, &options->cert, &options->key, &options->ocsp) &&
           add_names(builder, index, entry->certificates[0]) && add_second(builder, entry, index) &&
           set_client_auth(builder, entry, options);
}

static bool add_entries(struct builder *builder)
{
    const struct tg_tls_server_options *options = builder->options;
    builder->server->entries = calloc(options->count, sizeof(*builder->server->entries));
    if (!builder->server->entries)
        return out_of_memory(builder);
    for (size_t i = 0; i < options->count; i++) {
        const struct tg_tls_certificate *certificate = &options->certificates[i];
        for (size_t other = 0; other < i && certificate->name.length > 0; other++)
            if (tg_slice_equal(options->certificates[other].name, certificate->name))
                return tg_tls_refuse(builder->why, &certificate->cert, "is named '%.*s', as is %.*s",
                                     (int)certificate->name.length, certificate->name.at,
                                     (int)options->certificates[other].cert.path.length,
                                     options->certificates[other].cert.path.at);
        if (!add_entry(builder, i))
            return false;
    }
    return true;
}

static bool add_ca(struct builder *builder, const struct tg_tls_file *file, int32_t *index)
{
    struct tg_tls_server *server = builder->server;
    *index = tg_tls_server_find_client_ca(server, file->path);
    if (*index >= 0)
        return true;
    struct tg_tls_extra_ca *ca = &server->extra_cas[server->extra_ca_count];
    *index = (int32_t)server->extra_ca_count++;
    if (!tg_tls_authorities_load(server->library, file, true, &ca->authorities, builder->why) ||
        !bind_sessions(builder, TG_CLIENT_AUTH_REQUIRE, &ca->authorities, &ca->demand))
        return false;
    return keep_text(file->path, &ca->path) || out_of_memory(builder);
}

/* What handlers may ask a client for: the authorities of certificates, which ask of themselves perhaps less, and those
 * that are named beside them. */
static bool add_extra_cas(struct builder *builder)
{
    const struct tg_tls_server_options *options = builder->options;
    struct tg_tls_server *server = builder->server;
    int32_t index;
    server->extra_cas = calloc(options->count + options->client_ca_count + 1, sizeof(*server->extra_cas));
    if (!server->extra_cas)
        return out_of_memory(builder);
    for (size_t i = 0; i < options->client_ca_count; i++)
        if (!add_ca(builder, &options->client_cas[i], &index))
            return false;
    for (size_t i = 0; i < options->count; i++) {
        struct tg_tls_entry *entry = &server->entries[i];
        entry->client_ca = -1;
        const struct tg_tls_file *file = &options->certificates[i].client_ca;
        if (tg_tls_file_given(file) && !add_ca(builder, file, &entry->client_ca))
            return false;
    }
    return true;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static bool take_options(struct builder *builder)
{
    const struct tg_tls_server_options *options = builder->options;
    struct tg_tls_server *server = builder->server;
    double life = fmin(fmax(options->session_life, 0), LONGEST_LIFE);
    server->h1_only = options->h1_only;
    server->refuse_unknown_names = options->refuse_unknown_names;
    server->session_life = server->tickets ? (int64_t)(life * 1000) : 0;
    if (options->count == 0 || options->count > ENTRIES || options->client_ca_count > EXTRA_CAS) {
        snprintf(builder->why, TG_TLS_WHY, "tls: %s",
                 options->count == 0 ? "needs a certificate" : "has too many certificates or authorities");
        return false;
    }
    if (options->key_log)
        server->key_log = tg_tls_key_log_open(options->key_log, builder->why);
    if (options->key_log && server->key_log < 0)
        return false;
    return tg_tls_names_init(&server->names) || out_of_memory(builder);
}

struct tg_tls_server *tg_tls_server_new(struct tg_tls_library *library, struct tg_ticket_keys *tickets,
                                        const struct tg_tls_server_options *options, char why[512])
{
    struct tg_tls_server *server = calloc(1, sizeof(*server));
    struct builder builder = { server, options, why };
    if (!server) {
        out_of_memory(&builder);
        return NULL;
    }
    server->references = 1;
    server->library = library;
    server->tickets = tickets;
    server->key_log = -1;
    bool built = take_options(&builder) && add_entries(&builder) && add_extra_cas(&builder);
    ERR_clear_error();
    if (built) {
        number_demands(server);
        return server;
    }
    tg_tls_server_unref(server);
    return NULL;
}

struct tg_tls_server *tg_tls_server_ref(struct tg_tls_server *server)
{
    atomic_fetch_add_explicit(&server->references, 1, memory_order_relaxed);
    return server;
}

static void free_entry(struct tg_tls_entry *entry)
{
    SSL_CTX_free(entry->context);
    free((char *)entry->name.at);
    for (size_t kind = 0; kind < TG_TLS_KINDS; kind++) {
        X509_free(entry->certificates[kind]);
        tg_tls_staple_deinit(&entry->staples[kind]);
    }
}

void tg_tls_server_unref(struct tg_tls_server *server)
{
    if (!server || atomic_fetch_sub_explicit(&server->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < server->count; i++)
        free_entry(&server->entries[i]);
    for (size_t i = 0; i < server->extra_ca_count; i++) {
        tg_tls_authorities_deinit(&server->extra_cas[i].authorities);
        free((char *)server->extra_cas[i].path.at);
    }
    for (size_t i = 0; i < server->warning_count; i++)
        free(server->warnings[i]);
    tg_tls_names_deinit(&server->names);
    if (server->key_log >= 0)
        close(server->key_log);
    free(server->entries);
    free(server->extra_cas);
    free(server->warnings);
    free(server);
}

/* --- questions -------------------------------------------------------------------------------------------------- */

SSL *tg_tls_server_ssl_new(struct tg_tls_server *server)
{
    SSL *ssl = SSL_new(server->entries[0].context);
    ERR_clear_error();
    return ssl;
}

bool tg_tls_server_warning(const struct tg_tls_server *server, size_t index, struct tg_slice *warning)
{
    if (index >= server->warning_count)
        return false;
    *warning = tg_slice_from_string(server->warnings[index]);
    return true;
}

int32_t tg_tls_server_find_certificate(const struct tg_tls_server *server, struct tg_slice name)
{
    for (size_t i = 0; i < server->count; i++)
        if (name.length > 0 && tg_slice_equal(server->entries[i].name, name))
            return (int32_t)i;
    int32_t named = tg_tls_names_find_text(&server->names, name);
    return named >= 0 ? named : tg_tls_names_find(&server->names, name);
}

int32_t tg_tls_server_find_client_ca(const struct tg_tls_server *server, struct tg_slice path)
{
    for (size_t i = 0; i < server->extra_ca_count; i++)
        if (tg_slice_equal(server->extra_cas[i].path, path))
            return (int32_t)i;
    return -1;
}

int32_t tg_tls_server_client_ca_of(const struct tg_tls_server *server, int32_t certificate, struct tg_slice sni)
{
    int32_t served = certificate >= 0 ? certificate : tg_tls_names_find(&server->names, sni);
    return server->entries[served < 0 ? 0 : served].client_ca;
}

static void list(struct tg_text *text, struct tg_slice name)
{
    if (text->length > 0)
        tg_text_append(text, TG_SLICE(", "));
    tg_text_append_json(text, name);
}

static bool list_first(struct tg_slice name, void *context)
{
    list(context, name);
    return false;
}

void tg_tls_server_list_certificates(const struct tg_tls_server *server, struct tg_text *text)
{
    for (size_t i = 0; i < server->count && i < LISTED; i++) {
        const struct tg_tls_entry *entry = &server->entries[i];
        if (entry->name.length > 0)
            list(text, entry->name);
        else
            (void)tg_tls_names_each(entry->certificates[0], list_first, text);
    }
    if (server->count > LISTED)
        tg_text_append(text, TG_SLICE(", ..."));
}

void tg_tls_server_list_client_cas(const struct tg_tls_server *server, struct tg_text *text)
{
    for (size_t i = 0; i < server->extra_ca_count && i < LISTED; i++)
        list(text, server->extra_cas[i].path);
    if (server->extra_ca_count > LISTED)
        tg_text_append(text, TG_SLICE(", ..."));
}

static const struct tg_tls_demand *demand_of(const struct tg_tls_server *server, struct tg_slice host)
{
    int32_t named = tg_tls_names_find(&server->names, host);
    return &server->entries[named < 0 ? 0 : named].demand;
}

uint32_t tg_tls_server_policy_of(const struct tg_tls_server *server, struct tg_slice host)
{
    return demand_of(server, host)->policy;
}

bool tg_tls_server_requires_certificate(const struct tg_tls_server *server, struct tg_slice host)
{
    return demand_of(server, host)->client_auth == TG_CLIENT_AUTH_REQUIRE;
}
