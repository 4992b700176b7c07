/* What a handshake came to. All texts of a connection lie in one block behind the facts, which is measured first: the
 * same code runs over a text that only counts. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "net/tls_hello.h"
#include "net/tls_internal.h"
#include "net/tls_stream.h"

enum { SANS = 64, SAN_BYTES = 16 * 1024, NAME_BYTES = 1024, HOST_ROOM = 256 };

struct writer {
    char *at; /* NULL: only counts */
    size_t used;
};

static void put_byte(struct writer *writer, char byte)
{
    if (writer->at)
        writer->at[writer->used] = byte;
    writer->used++;
}

static void put_escaped(struct writer *writer, unsigned char byte)
{
    static const char digits[] = "0123456789ABCDEF";
    put_byte(writer, '\\');
    put_byte(writer, 'x');
    put_byte(writer, digits[byte >> 4]);
    put_byte(writer, digits[byte & 15]);
}

/* Untrusted text: what could end a field's value, a quoted string or a C string is written as \x0A, and so is the
 * backslash, so that different texts stay different [T07]. */
static struct tg_slice put_clean(struct writer *writer, struct tg_slice text)
{
    size_t start = writer->used;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        if (byte < ' ' || byte == 0x7F || byte == '\\' || byte == '"')
            put_escaped(writer, byte);
        else
            put_byte(writer, (char)byte);
    }
    return tg_slice_of(writer->at ? writer->at + start : NULL, writer->used - start);
}

static struct tg_slice put_digest(struct writer *writer, X509 *certificate)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    size_t start = writer->used;
    if (!X509_digest(certificate, EVP_sha256(), digest, &length))
        length = 0;
    for (unsigned int i = 0; i < length; i++) {
        put_byte(writer, digits[digest[i] >> 4]);
        put_byte(writer, digits[digest[i] & 15]);
    }
    return tg_slice_of(writer->at ? writer->at + start : NULL, writer->used - start);
}

/* The most specific, where there are several. */
static struct tg_slice put_common_name(struct writer *writer, X509 *certificate)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    int found = -1;
    for (int next; (next = X509_NAME_get_index_by_NID(subject, NID_commonName, found)) >= 0;)
        found = next;
    unsigned char *text = NULL;
    int length =
        found < 0 ? -1 : ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, found)));
    struct tg_slice name = { 0 };
    if (length > 0 && length <= NAME_BYTES)
        name = put_clean(writer, tg_slice_of((char *)text, (size_t)length));
    OPENSSL_free(text);
    return name;
}

static struct tg_slice put_address(struct writer *writer, const ASN1_STRING *address)
{
    char text[INET6_ADDRSTRLEN];
    int length = ASN1_STRING_length(address);
    int family = length == 4 ? AF_INET : AF_INET6;
    if ((length != 4 && length != 16) || !inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof(text)))
        return (struct tg_slice){ 0 };
    return put_clean(writer, tg_slice_from_string(text));
}

/* Empty: of a kind that isn't given, or too long. */
static struct tg_slice put_san(struct writer *writer, const GENERAL_NAME *name)
{
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    if (type == GEN_IPADD)
        return put_address(writer, value);
    if ((type != GEN_DNS && type != GEN_EMAIL && type != GEN_URI) || ASN1_STRING_length(value) > NAME_BYTES)
        return (struct tg_slice){ 0 };
    return put_clean(writer,
                     tg_slice_of((const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)));
}

static size_t put_sans(struct writer *writer, const GENERAL_NAMES *names, struct tg_slice *sans)
{
    size_t count = 0, start = writer->used;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && count < SANS && writer->used - start < SAN_BYTES; i++) {
        struct tg_slice san = put_san(writer, sk_GENERAL_NAME_value(names, i));
        if (san.length > 0) {
            if (sans)
                sans[count] = san;
            count++;
        }
    }
    return count;
}

/* Of the client. */
static void put_certificate(struct writer *writer, struct tg_tls_facts *facts, X509 *certificate,
                            const GENERAL_NAMES *names, struct tg_slice *sans)
{
    facts->has_certificate = true;
    facts->subject_cn = put_common_name(writer, certificate);
    facts->sha256 = put_digest(writer, certificate);
    facts->sans = sans;
    facts->san_count = put_sans(writer, names, sans);
}

static enum tg_alpn alpn_of(const SSL *ssl)
{
    const unsigned char *at;
    unsigned int length;
    SSL_get0_alpn_selected(ssl, &at, &length);
    struct tg_slice chosen = { (const char *)at, length };
    if (tg_slice_equal(chosen, TG_SLICE("h2")))
        return TG_ALPN_H2;
    return tg_slice_equal(chosen, TG_SLICE("http/1.1")) ? TG_ALPN_H1 : TG_ALPN_NONE;
}

static void put_all(struct writer *writer, struct tg_tls_facts *facts, const struct tg_tls *tls, X509 *certificate,
                    const GENERAL_NAMES *names, struct tg_slice *sans)
{
    const struct tg_tls_handshake *handshake = tls->handshake;
    facts->version = tg_slice_from_string(SSL_get_version(tls->ssl)); /* static, both */
    facts->cipher = tg_slice_from_string(SSL_get_cipher_name(tls->ssl));
    if (handshake && handshake->hello) {
        facts->sni = put_clean(writer, handshake->hello->sni);
        facts->ja3 = put_clean(writer, handshake->hello->ja3);
        facts->ja4 = put_clean(writer, handshake->hello->ja4);
    }
    if (certificate)
        put_certificate(writer, facts, certificate, names, sans);
}

static void set_flags(struct tg_tls_facts *facts, const struct tg_tls *tls, const X509 *certificate)
{
    facts->references = 1;
    facts->alpn = alpn_of(tls->ssl);
    facts->resumed = SSL_session_reused(tls->ssl);
    facts->verified = certificate && SSL_get_verify_result(tls->ssl) == X509_V_OK &&
                      (SSL_get_verify_mode(tls->ssl) & SSL_VERIFY_PEER);
    facts->server = tls->server ? tg_tls_server_ref(tls->server) : NULL;
    facts->shown_to_script = tls->ops && tls->ops->client_hello;
    if (tls->handshake)
        facts->policy = tls->handshake->policy;
}

static struct tg_tls_facts *make(const struct tg_tls *tls, X509 *certificate, const GENERAL_NAMES *names)
{
    struct tg_tls_facts measured = { 0 };
    struct writer writer = { 0 };
    put_all(&writer, &measured, tls, certificate, names, NULL);
    size_t slices = measured.san_count * sizeof(struct tg_slice);
    struct tg_tls_facts *facts = calloc(1, sizeof(*facts) + slices + writer.used);
    if (!facts)
        return NULL;
    struct tg_slice *sans = (struct tg_slice *)(facts + 1);
    writer = (struct writer){ .at = (char *)sans + slices };
    put_all(&writer, facts, tls, certificate, names, sans);
    set_flags(facts, tls, certificate);
    return facts;
}

struct tg_tls_facts *tg_tls_facts_new(const struct tg_tls *tls)
{
    X509 *certificate = tls->server ? SSL_get0_peer_certificate(tls->ssl) : NULL;
    GENERAL_NAMES *names = certificate ? X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL) : NULL;
    struct tg_tls_facts *facts = make(tls, certificate, names);
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    return facts;
}

void tg_tls_facts_unref(struct tg_tls_facts *facts)
{
    if (!facts || --facts->references > 0)
        return;
    tg_tls_server_unref(facts->server);
    free(facts);
}

/* The name that a client who wants this host sends; false: none could. */
static bool name_sent_for(struct tg_slice host, char room[HOST_ROOM], struct tg_slice *name)
{
    *name = tg_slice_of(room, 0);
    if (host.length == 0 || host.at[0] == '[')
        return true;
    return host.length < HOST_ROOM && tg_hello_name(host, room, &name->length);
}

bool tg_tls_facts_allow_host(const struct tg_tls_facts *facts, struct tg_slice host)
{
    char room[HOST_ROOM];
    struct tg_slice name;
    if (!facts || !facts->server)
        return true;
    if (facts->shown_to_script)
        return name_sent_for(host, room, &name) && tg_slice_equal(facts->sni, name);
    return tg_tls_server_policy_of(facts->server, host) == facts->policy;
}

/* What handlers of the newer settings would ask for nobody knows. */
bool tg_tls_facts_allow_host_now(const struct tg_tls_facts *facts, const struct tg_tls_server *now,
                                 struct tg_slice host)
{
    if (!tg_tls_facts_allow_host(facts, host))
        return false;
    if (!facts || !now || facts->server == now || facts->shown_to_script)
        return true;
    return facts->verified || !tg_tls_server_requires_certificate(now, host);
}
