/* The order of the stages, what the stream tells in each, and the end. */
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "net/proxy_header.h"
#include "proxy/client_door_state.h"
#include "proxy/client_h1.h"
#include "proxy/client_h2.h"

static const char PREFACE[24] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"; /* RFC 9113 3.4 */

enum { TLS_HANDSHAKE_RECORD = 0x16 };

/* --- How it ends --- */

static void forget(struct tg_door *door)
{
    tg_door_end_call(door);
    tg_deadline_deinit(&door->deadline);
    tg_text_deinit(&door->kept);
}

static void forget_ended(struct tg_door *door)
{
    forget(door);
    tg_client_ended(&door->base);
    free(door);
}

void tg_door_close(struct tg_door *door)
{
    tg_stream_close(door->base.stream);
    forget_ended(door);
}

void tg_door_close_gently(struct tg_door *door)
{
    tg_stream_linger(door->base.stream);
    forget_ended(door);
}

void tg_door_hand_over(struct tg_door *door, enum tg_alpn protocol, struct tg_buffer first)
{
    struct tg_worker *worker = door->base.worker;
    struct tg_stream *stream = door->base.stream;
    bool taken = protocol == TG_ALPN_H2 ? tg_client_h2_new(worker, stream, &door->base.info, door->until)
                                        : tg_client_h1_new(worker, stream, &door->base.info, door->until);
    if (!taken) {
        tg_door_close(door);
        return;
    }
    forget(door);
    tg_client_leave(&door->base);
    free(door);
    if (first.length > 0)
        tg_stream_pass_on(stream, first);
}

/* --- First bytes --- */

const struct tg_listener_config *tg_door_listener(const struct tg_door *door)
{
    return tg_worker_listener(door->base.worker, door->base.info.local);
}

static bool keep(struct tg_door *door, struct tg_slice bytes)
{
    tg_text_append(&door->kept, bytes);
    if (!door->kept.failed)
        return true;
    tg_door_close(door);
    return false;
}

static bool may_be_preface(struct tg_slice bytes)
{
    size_t length = bytes.length < sizeof(PREFACE) ? bytes.length : sizeof(PREFACE);
    return memcmp(bytes.at, PREFACE, length) == 0;
}

static void tell_protocol(struct tg_door *door, struct tg_buffer first, bool kept)
{
    bool preface = may_be_preface(tg_buffer_slice(first));
    if (!preface || first.length >= sizeof(PREFACE))
        tg_door_hand_over(door, preface ? TG_ALPN_H2 : TG_ALPN_H1, first);
    else if (!kept)
        (void)keep(door, tg_buffer_slice(first));
}

static void tell_first_bytes(struct tg_door *door, struct tg_buffer first, bool kept)
{
    const struct tg_listener_config *listener = tg_door_listener(door);
    if (!listener && door->guarded)
        tg_door_close_gently(door);
    else if (!listener || !listener->tls)
        tell_protocol(door, first, kept);
    else if (first.at[0] == TLS_HANDSHAKE_RECORD)
        tg_door_start_tls(door, listener, first);
    else
        tg_door_answer_clear(door);
}

/* What was kept of the client's own bytes, in a block; false: no memory, and the door is closed. */
static bool take_kept(struct tg_door *door, struct tg_buffer *bytes)
{
    size_t length = door->kept.length - door->header_length;
    struct tg_block *block = tg_block_new_of(length);
    if (!block) {
        tg_door_close(door);
        return false;
    }
    memcpy(block->data, door->kept.at + door->header_length, length);
    block->used = (uint32_t)length;
    *bytes = (struct tg_buffer){ block, block->data, length };
    return true;
}

static bool has_kept(const struct tg_door *door)
{
    return door->kept.length > door->header_length;
}

static void look_at_kept(struct tg_door *door)
{
    struct tg_buffer bytes;
    if (!has_kept(door) || !take_kept(door, &bytes))
        return;
    tell_first_bytes(door, bytes, true);
    tg_buffer_unref(bytes);
}

void tg_door_admit(struct tg_door *door)
{
    door->stage = TG_DOOR_FIRST_BYTES;
    tg_stream_resume(door->base.stream);
    look_at_kept(door);
}

/* --- The PROXY header --- */

static void accept_or_admit(struct tg_door *door, const struct tg_listener_config *listener)
{
    if (listener && listener->accept.count > 0 && door->base.worker->hooks)
        tg_door_call_accept(door, listener);
    else
        tg_door_admit(door);
}

static void refuse_header(struct tg_door *door, const char *problem)
{
    tg_door_report(door, "refused the PROXY header", problem);
    tg_door_close(door);
}

static void read_header(struct tg_door *door)
{
    struct tg_proxy_header header;
    const char *problem = NULL;
    switch (tg_proxy_header_read(tg_text_slice(&door->kept), &header, &problem)) {
    case TG_PROXY_MORE: return;
    case TG_PROXY_ERROR: refuse_header(door, problem); return;
    case TG_PROXY_DONE: break;
    }
    if (header.has_client)
        tg_stream_set_peer(door->base.stream, &header.client);
    door->header_length = header.length;
    accept_or_admit(door, tg_door_listener(door));
}

/* --- What the stream tells --- */

static void on_data(struct tg_stream *stream, struct tg_buffer data)
{
    struct tg_door *door = tg_stream_owner(stream);
    if (door->stage == TG_DOOR_FIRST_BYTES && !has_kept(door)) {
        tell_first_bytes(door, data, false);
        return;
    }
    if (!keep(door, tg_buffer_slice(data)))
        return;
    switch (door->stage) {
    case TG_DOOR_PROXY_HEADER: read_header(door); break;
    case TG_DOOR_ACCEPT:
        door->call.proxy_header.at = door->kept.at; /* it may have moved */
        tg_stream_pause(stream);
        break;
    case TG_DOOR_FIRST_BYTES: look_at_kept(door); break;
    case TG_DOOR_HANDSHAKE: break;
    }
}

static void on_eof(struct tg_stream *stream)
{
    tg_door_close_gently(tg_stream_owner(stream));
}

/* A client that has sent its request may end its direction while the handlers wait; one that begins with TLS may not.
 */
static void on_peer_finished(struct tg_stream *stream)
{
    struct tg_door *door = tg_stream_owner(stream);
    const struct tg_listener_config *listener = tg_door_listener(door);
    if (listener && listener->tls)
        tg_door_close(door);
}

static void on_connected(struct tg_stream *stream)
{
    tg_door_handshake_done(tg_stream_owner(stream));
}

static void on_failed(struct tg_stream *stream, enum tg_stream_end end)
{
    struct tg_door *door = tg_stream_owner(stream);
    if (end == TG_STREAM_TLS && !door->choice.refuse)
        tg_door_report(door, "failed TLS handshake", tg_stream_problem(stream));
    tg_door_close(door);
}

static void on_drained(struct tg_stream *stream)
{
    (void)stream;
}

static const struct tg_stream_ops stream_ops = {
    .on_connected = on_connected,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_failed = on_failed,
    .on_peer_finished = on_peer_finished,
};

/* --- Time and birth --- */

static bool is_idle(const struct tg_door *door)
{
    return door->stage != TG_DOOR_ACCEPT && door->stage != TG_DOOR_HANDSHAKE && !has_kept(door);
}

/* The beginning of a request is the codec's to answer; its time is over, too. */
static void expired(struct tg_deadline *deadline)
{
    struct tg_door *door = TG_CONTAINER_OF(deadline, struct tg_door, deadline);
    struct tg_buffer bytes;
    if (door->stage == TG_DOOR_HANDSHAKE || door->stage == TG_DOOR_ACCEPT) {
        tg_door_close(door);
    } else if (door->stage == TG_DOOR_PROXY_HEADER || !has_kept(door)) {
        tg_door_close_gently(door);
    } else if (take_kept(door, &bytes)) {
        tg_door_hand_over(door, TG_ALPN_H1, bytes);
        tg_buffer_unref(bytes);
    }
}

static struct tg_door *door_of(struct tg_client *base)
{
    return TG_CONTAINER_OF(base, struct tg_door, base);
}

static void drain(struct tg_client *base, double idle_until)
{
    struct tg_door *door = door_of(base);
    if (is_idle(door))
        tg_deadline_set(&door->deadline, fmin(door->until, idle_until));
}

static void kill(struct tg_client *base)
{
    struct tg_door *door = door_of(base);
    tg_stream_reset(base->stream);
    forget_ended(door);
}

static const struct tg_client_ops client_ops = { .drain = drain, .kill = kill };

static bool is_sender(const struct tg_listener_config *listener, const struct tg_address *peer)
{
    struct tg_ip ip;
    tg_address_ip(peer, ip.bytes);
    for (size_t i = 0; i < listener->senders.count; i++)
        if (tg_cidr_has(&listener->senders.ranges[i], &ip))
            return true;
    return false;
}

static void begin(struct tg_door *door, const struct tg_listener_config *listener)
{
    if (listener)
        door->guarded = listener->tls || listener->accept.count > 0;
    if (listener && listener->proxy_protocol && is_sender(listener, door->base.info.peer))
        door->stage = TG_DOOR_PROXY_HEADER;
    else
        accept_or_admit(door, listener);
}

bool tg_client_door_open(struct tg_worker *worker, struct tg_stream *stream, bool guarded)
{
    struct tg_door *door = worker->current ? calloc(1, sizeof *door) : NULL; /* NULL: the worker is ending */
    if (!door)
        return false;
    struct tg_client_info info = { tg_stream_peer(stream), tg_stream_local(stream), NULL };
    door->sender = *info.peer;
    tg_client_enter(&door->base, &client_ops, worker, stream, &info);
    tg_text_init(&door->kept);
    tg_list_init(&door->call.link);
    door->guarded = guarded;
    door->until = tg_loop_now(worker->loop) + worker->current->snapshot->settings.timeouts.header;
    tg_deadline_init(&door->deadline, worker->loop, expired);
    tg_deadline_set(&door->deadline, worker->draining ? fmin(door->until, worker->drain_idle_until) : door->until);
    tg_stream_set_owner(stream, &stream_ops, door);
    begin(door, tg_door_listener(door));
    return true;
}
