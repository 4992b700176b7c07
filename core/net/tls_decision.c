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

void tg_tls_ask_owner(struct tg_stream *stream)
{
    struct tg_tls *tls = stream->tls;
    struct tg_hello_choice choice = { .certificate = -1, .client_ca = -1 };
    tls->handshake->state = TG_TLS_HELLO_WAITS;
    if (tls->ops->client_hello(stream, tls->handshake->hello, &choice) == TG_HELLO_WAIT || tg_stream_ended(stream))
        return;
    tls->handshake->choice = choice;
    tls->handshake->state = TG_TLS_HELLO_DECIDED;
}

void tg_stream_decide_hello(struct tg_stream *stream, const struct tg_hello_choice *choice)
{
    struct tg_tls_handshake *handshake = stream->tls ? stream->tls->handshake : NULL;
    if (stream->failed || !handshake || handshake->state != TG_TLS_HELLO_WAITS)
        return;
    handshake->choice = *choice;
    handshake->state = TG_TLS_HELLO_DECIDED;
    tg_tls_run_soon(stream);
}
