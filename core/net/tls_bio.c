/* Records come out of the slice that the socket gave, and go into the stream's wire queue. All connections of a loop
 * share one BIO, which belongs to one of them while OpenSSL is called for it, and to none otherwise. */
#include <openssl/err.h>
#include <pthread.h>

#include "net/tls_stream.h"

enum {
    RECORDS_WITHOUT_DATA = 128, /* beyond the handshake: tickets, changes of keys, empty ones, warnings [T10] */
    HANDSHAKE_RECORDS = 4096,   /* a hello may come byte by byte [T05] */
    HANDSHAKE_BYTES = 256 * 1024,
    ANSWERS = 256 * 1024, /* bytes that wait to be sent, beyond which no record is read that could ask for more */
};

static BIO_METHOD *method;

/* Follows the framing (RFC 8446 5.1), to know of records that bring nothing. */
static void follow(struct tg_tls *tls, const uint8_t *at, size_t length)
{
    while (length > 0) {
        if (tls->record_left > 0) {
            size_t part = length < tls->record_left ? length : tls->record_left;
            tls->record_left = (uint16_t)(tls->record_left - part);
            at += part;
            length -= part;
            continue;
        }
        tls->header[tls->header_length++] = *at++;
        length--;
        if (tls->header_length == sizeof(tls->header)) {
            tls->record_left = (uint16_t)(tls->header[3] << 8 | tls->header[4]);
            tls->header_length = 0;
            tls->idle_records++;
            if (tls->handshake)
                tls->handshake->records++;
        }
    }
}

/* A peer that asks for changes of keys among its data, and takes no answers [T10]. */
static bool has_too_much_to_say(struct tg_tls *tls)
{
    if (tls->handshake || tg_spare_queue_length(tls->wire) <= ANSWERS)
        return false;
    tls->problem = "the peer takes none of the answers that its records ask for";
    return true;
}

static bool is_too_much(struct tg_tls *tls)
{
    const struct tg_tls_handshake *handshake = tls->handshake;
    if (handshake ? handshake->records <= HANDSHAKE_RECORDS && handshake->bytes <= HANDSHAKE_BYTES
                  : tls->idle_records <= RECORDS_WITHOUT_DATA)
        return false;
    tls->problem = handshake ? "too much in the handshake" : "too many records without data";
    return true;
}

static int take(BIO *bio, char *to, int room)
{
    struct tg_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (!tls || is_too_much(tls) || has_too_much_to_say(tls))
        return -1;
    struct tg_buffer *unread = &tls->unread;
    if (unread->length == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t length = unread->length < (size_t)room ? unread->length : (size_t)room;
    memcpy(to, unread->at, length);
    follow(tls, (const uint8_t *)unread->at, length);
    if (tls->handshake)
        tls->handshake->bytes += (uint32_t)length;
    unread->at += length;
    unread->length -= length;
    if (unread->length == 0) {
        tg_buffer_unref(*unread);
        unread->block = NULL;
    }
    return (int)length;
}

static int put(BIO *bio, const char *from, int length)
{
    struct tg_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (!tls)
        return -1;
    if (!tg_spare_queue_take(tls->stream->loop, &tls->wire) ||
        !tg_buffer_queue_append(tls->wire, tg_slice_of(from, (size_t)length))) {
        tls->problem = "out of memory";
        return -1;
    }
    return length;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    if (!method)
        return;
    BIO_meth_set_read(method, take);
    BIO_meth_set_write(method, put);
    BIO_meth_set_ctrl(method, control);
}

static BIO *make_bio(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (bio)
        BIO_set_init(bio, 1);
    return bio;
}

bool tg_tls_bio_give(struct tg_tls *tls)
{
    struct tg_loop *loop = tls->stream->loop;
    if (!loop->tls_bio)
        loop->tls_bio = make_bio();
    if (!loop->tls_bio || !BIO_up_ref(loop->tls_bio))
        return false;
    SSL_set_bio(tls->ssl, loop->tls_bio, loop->tls_bio);
    return true;
}

void tg_tls_bio_free(struct tg_loop *loop)
{
    BIO_free(loop->tls_bio);
}

void tg_tls_enter(struct tg_tls *tls)
{
    if (ERR_peek_error())
        ERR_clear_error();
    BIO_set_data(tls->stream->loop->tls_bio, tls);
}

void tg_tls_leave(struct tg_tls *tls)
{
    BIO_set_data(tls->stream->loop->tls_bio, NULL);
}
