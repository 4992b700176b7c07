/* What listeners' handlers see of a connection that has no request yet, and what they decide. */
#include <math.h>
#include <stdio.h>

#include "net/tls_server.h"
#include "script/run.h"

_Static_assert((int)TG_ABI_ALPN_H1 == (int)TG_ALPN_H1 && (int)TG_ABI_ALPN_H2 == (int)TG_ALPN_H2, "the same numbers");
_Static_assert((int)TG_ABI_ACCEPT == (int)TG_PHASE_ACCEPT && (int)TG_ABI_CLIENT_HELLO == (int)TG_PHASE_CLIENT_HELLO &&
                   (int)TG_ABI_REQUEST_BODY == (int)TG_PHASE_REQUEST_BODY &&
                   (int)TG_ABI_RESPONSE_BODY == (int)TG_PHASE_RESPONSE_BODY &&
                   (int)TG_ABI_TRAILERS == (int)TG_PHASE_TRAILERS && (int)TG_ABI_NO_PHASE == (int)TG_PHASES,
               "the same numbers");

static struct tg_door_call *call_of(const struct tg_abi_slot *slot)
{
    return ((const struct tg_record *)slot)->call;
}

static const char *give_unless_empty(struct tg_abi_slot *slot, struct tg_slice text)
{
    return text.length ? tg_abi_give(slot, text) : NULL;
}

static const char *give_ip(struct tg_abi_slot *slot, const struct tg_address *address)
{
    struct tg_ip ip;
    char *small = tg_record_of_slot(slot)->small;
    tg_address_ip(address, ip.bytes);
    return tg_abi_give(slot, tg_slice_of(small, tg_ip_format(&ip, small)));
}

const char *tg_abi_door_text(struct tg_abi_slot *slot, int32_t field)
{
    const struct tg_door_call *call = call_of(slot);
    switch (field) {
    case TG_ABI_DOOR_IP: return give_ip(slot, call->info->peer);
    case TG_ABI_DOOR_PEER_IP: return give_ip(slot, call->sender);
    case TG_ABI_DOOR_LISTENER: return tg_abi_give(slot, call->listener->name);
    case TG_ABI_DOOR_PROXY_HEADER: return give_unless_empty(slot, call->proxy_header);
    case TG_ABI_HELLO_SNI: return give_unless_empty(slot, call->hello->sni);
    case TG_ABI_HELLO_JA3: return give_unless_empty(slot, call->hello->ja3);
    default: return give_unless_empty(slot, call->hello->ja4);
    }
}

double tg_abi_door_port(struct tg_abi_slot *slot)
{
    uint16_t port = tg_address_port(call_of(slot)->info->peer);
    return port ? port : NAN;
}

void tg_abi_door_refuse(struct tg_abi_slot *slot)
{
    call_of(slot)->refused = true;
}

/* --- client_hello --- */

static const char *give_number(struct tg_abi_slot *slot, uint16_t number)
{
    char *small = tg_record_of_slot(slot)->small;
    int length = snprintf(small, sizeof(tg_record_of_slot(slot)->small), "0x%04x", number);
    return tg_abi_give(slot, tg_slice_of(small, (size_t)length));
}

static const char *give_version(struct tg_abi_slot *slot, uint16_t version)
{
    switch (version) {
    case 0x0304: return tg_abi_give(slot, TG_SLICE("TLSv1.3"));
    case 0x0303: return tg_abi_give(slot, TG_SLICE("TLSv1.2"));
    case 0x0302: return tg_abi_give(slot, TG_SLICE("TLSv1.1"));
    case 0x0301: return tg_abi_give(slot, TG_SLICE("TLSv1"));
    default: return give_number(slot, version);
    }
}

static const char *give_cipher(struct tg_abi_slot *slot, uint16_t cipher)
{
    struct tg_slice name = tg_tls_cipher_name(cipher);
    return name.length ? tg_abi_give(slot, name) : give_number(slot, cipher);
}

const char *tg_abi_hello_item(struct tg_abi_slot *slot, int32_t list, int32_t position)
{
    const struct tg_client_hello *hello = call_of(slot)->hello;
    size_t at = (size_t)position;
    switch (list) {
    case TG_ABI_HELLO_ALPN: return at < hello->alpn_count ? tg_abi_give(slot, hello->alpn[at]) : NULL;
    case TG_ABI_HELLO_VERSIONS: return at < hello->version_count ? give_version(slot, hello->versions[at]) : NULL;
    default: return at < hello->cipher_count ? give_cipher(slot, hello->ciphers[at]) : NULL;
    }
}

void tg_abi_hello_set_alpn(struct tg_abi_slot *slot, int32_t first, int32_t second)
{
    struct tg_hello_choice *choice = call_of(slot)->choice;
    choice->alpn_set = true;
    choice->alpn[0] = (enum tg_alpn)first;
    choice->alpn[1] = (enum tg_alpn)second;
    choice->alpn_count = second == TG_ABI_ALPN_NONE ? 1 : 2;
}

int32_t tg_abi_hello_use_certificate(struct tg_abi_slot *slot, const char *name, uint32_t length)
{
    const struct tg_door_call *call = call_of(slot);
    int32_t found = tg_tls_server_find_certificate(call->listener->tls, tg_slice_of(name, length));
    if (found >= 0)
        call->choice->certificate = found;
    return found >= 0;
}

int32_t tg_abi_hello_ask(struct tg_abi_slot *slot, const char *path, uint32_t length)
{
    const struct tg_door_call *call = call_of(slot);
    const struct tg_tls_server *server = call->listener->tls;
    int32_t found = length ? tg_tls_server_find_client_ca(server, tg_slice_of(path, length))
                           : tg_tls_server_client_ca_of(server, call->choice->certificate, call->hello->sni);
    if (found >= 0)
        call->choice->client_ca = found;
    return found >= 0;
}

static const char *give_list(struct tg_abi_slot *slot,
                             void (*list)(const struct tg_tls_server *server, struct tg_text *text))
{
    struct tg_text *text = &tg_record_of_slot(slot)->joined;
    tg_text_clear(text);
    list(call_of(slot)->listener->tls, text);
    return tg_abi_give(slot, tg_text_slice(text));
}

const char *tg_abi_hello_certificates(struct tg_abi_slot *slot)
{
    return give_list(slot, tg_tls_server_list_certificates);
}

const char *tg_abi_hello_client_cas(struct tg_abi_slot *slot)
{
    return give_list(slot, tg_tls_server_list_client_cas);
}
