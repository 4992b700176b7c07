/* What the files of the session share; nobody else includes this. */
#ifndef TG_PROXY_H2_INTERNAL_H
#define TG_PROXY_H2_INTERNAL_H

#include "proxy/h2_session.h"

/* h2_session.c: both runs of bytes, copied into the loop's output block. false: out of memory. */
bool tg_h2_send_copy(struct tg_h2_session *session, struct tg_slice first, struct tg_slice second)
    __attribute__((warn_unused_result));

/* h2_stream.c */
/* After a turn's sending: ends that the windows, used up by others meanwhile, would hold back. */
void tg_h2_session_free_ends(struct tg_h2_session *session);
/* The codec closes the stream: what wasn't given back to the connection's window is [W09]. */
void tg_h2_stream_closed(struct tg_h2_session *session, struct tg_h2_stream *stream, uint32_t code);
void tg_h2_stream_received(struct tg_h2_session *session, struct tg_h2_stream *stream, struct tg_slice data);
/* The codec's send_data_callback: a frame's header and so much of stream->taken. */
int tg_h2_stream_send_frame(nghttp2_session *codec, nghttp2_frame *frame, const uint8_t *header, size_t length,
                            nghttp2_data_source *source, void *user_data);

/* h2_memory.c */
nghttp2_mem tg_h2_memory_of(struct tg_h2_session *session);

/* h2_callbacks.c: NULL when out of memory. */
nghttp2_session_callbacks *tg_h2_make_callbacks(void);

#endif
