/* Inside net/: what a stream does with its TLS state. Owners are told from tg_tls_run and tg_tls_fail only, so these
 * run as events do; after them the stream may have ended, and its TLS state is gone then. */
#ifndef TG_NET_TLS_STREAM_H
#define TG_NET_TLS_STREAM_H

#include "net/stream_state.h"
#include "net/tls_state.h"

/* --- coming: tls_stream.c --- */

/* Ciphertext from the socket, where nothing is undrained. Takes over the reference. */
void tg_tls_feed(struct tg_tls *tls, struct tg_buffer ciphertext);
/* Shakes hands, decrypts, and tells the owner, as far as the stream takes bytes and there are some. */
void tg_tls_run(struct tg_stream *stream);
/* After the current event. */
void tg_tls_run_soon(struct tg_stream *stream);
/* The peer ended the connection, which without a close_notify is a cut. */
void tg_tls_hear_end(struct tg_stream *stream);
/* Tells the owner of a failure of this layer; an alert that is ready goes out before. `problem`: static text, for where
 * none is known yet; may be NULL. */
void tg_tls_fail(struct tg_stream *stream, enum tg_stream_end end, const char *problem);
/* Of the first entry in OpenSSL's queue; static; NULL: unknown. */
const char *tg_tls_error_text(void);

/* --- the handshake: tls_handshake.c, tls_decision.c --- */

/* One step. */
void tg_tls_shake_hands(struct tg_stream *stream);
/* What a handler makes of the hello; the stream may have ended afterwards. */
void tg_tls_ask_owner(struct tg_stream *stream);
/* Where it isn't done: it has failed. */
void tg_tls_break_off_handshake(struct tg_tls *tls);
void tg_tls_end_handshake(struct tg_tls *tls);

/* --- going: tls_send.c --- */

/* Makes records of what the owner gave, up to so much that the socket has enough to do, and the close_notify behind the
 * last. false: it failed. */
bool tg_tls_encrypt(struct tg_stream *stream) __attribute__((warn_unused_result));
/* Our direction has had its last record. */
bool tg_tls_is_finished(const struct tg_tls *tls);
/* Before the socket closes: a close_notify where all was sent, or the alert of a failure, as far as the socket takes
 * them at once. */
void tg_tls_say_goodbye(struct tg_stream *stream);

/* --- life: tls_stream.c --- */

/* NULL: no memory. */
struct tg_tls *tg_tls_new(struct tg_stream *stream);
/* Any thread, where it is detached. */
void tg_tls_free(struct tg_tls *tls);
void tg_tls_detach(struct tg_tls *tls);
/* The stream's from now on. false: it can't be used. */
bool tg_tls_attach(struct tg_tls *tls, struct tg_stream *stream) __attribute__((warn_unused_result));
/* As tg_stream_silent says; bytes that came stay for the owner. */
bool tg_tls_silent(struct tg_stream *stream);

/* --- parts --- */

/* The loop's BIO becomes the SSL's. false: no memory. */
bool tg_tls_bio_give(struct tg_tls *tls) __attribute__((warn_unused_result));
/* Around each call of OpenSSL that may read or write. The queue of errors is the thread's: a stale one would be taken
 * for this call's. */
void tg_tls_enter(struct tg_tls *tls);
void tg_tls_leave(struct tg_tls *tls);
/* NULL: no memory. */
struct tg_tls_facts *tg_tls_facts_new(const struct tg_tls *tls);
/* A session to be offered, taken out of the stash: the caller frees it. NULL: none. */
SSL_SESSION *tg_tls_sessions_take(struct tg_tls_sessions *sessions);

#endif
