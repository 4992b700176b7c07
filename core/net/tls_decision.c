/* Who decides on a ClientHello: the owner of the stream where it wants to, asked between two calls of OpenSSL. */
#include "net/tls_internal.h"
#include "net/tls_stream.h"

bool tg_tls_hello_decided(struct tg_tls *tls)
{
    struct tg_tls_handshake *handshake = tls->handshake;
    if (handshake->state == TG_TLS_HELLO_DECIDED)
        return true;
    if (tls->ops && tls->ops->client_hello) {
        handshake->state = TG_TLS_HELLO_CAME;
        return false;
    }
    handshake->state = TG_TLS_HELLO_DECIDED;
    return true;
}
