/* Frames of HTTP/2 (RFC 9113) by hand, for test programs that want to send what no library would. */
#pragma once

#include "text_buffer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum h2_type {
    H2_DATA,
    H2_HEADERS,
    H2_PRIORITY,
    H2_RST_STREAM,
    H2_SETTINGS,
    H2_PUSH_PROMISE,
    H2_PING,
    H2_GOAWAY,
    H2_WINDOW_UPDATE,
    H2_CONTINUATION,
    H2_TYPES
};

enum { H2_END_STREAM = 1, H2_ACK = 1, H2_END_HEADERS = 4, H2_PADDED = 8, H2_PRIORITY_FLAG = 32 };
enum { H2_HEAD = 9, H2_CANCEL = 8, H2_ENHANCE_YOUR_CALM = 11, H2_MOST_FRAME = 16384 };

struct h2_frame {
    uint32_t length, stream;
    uint8_t type, flags;
    const unsigned char *payload;
};

static inline double h2_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static inline void h2_put32(unsigned char *to, uint32_t value)
{
    to[0] = (unsigned char)(value >> 24);
    to[1] = (unsigned char)(value >> 16);
    to[2] = (unsigned char)(value >> 8);
    to[3] = (unsigned char)value;
}

static inline uint32_t h2_get32(const unsigned char *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static inline void h2_frame_add(struct text_buffer *out, uint8_t type, uint8_t flags, uint32_t stream,
                                const void *payload, size_t length)
{
    unsigned char head[H2_HEAD];
    h2_put32(head, (uint32_t)length << 8 | type);
    head[4] = flags;
    h2_put32(head + 5, stream);
    text_add(out, (const char *)head, sizeof head);
    text_add(out, payload, length);
}

/* A frame whose payload is one number of 32 bits. */
static inline void h2_number_add(struct text_buffer *out, uint8_t type, uint32_t stream, uint32_t value)
{
    unsigned char payload[4];
    h2_put32(payload, value);
    h2_frame_add(out, type, 0, stream, payload, sizeof payload);
}

static inline void h2_setting_add(struct text_buffer *out, uint16_t id, uint32_t value)
{
    unsigned char payload[6] = { (unsigned char)(id >> 8), (unsigned char)id };
    h2_put32(payload + 2, value);
    h2_frame_add(out, H2_SETTINGS, 0, 0, payload, sizeof payload);
}

/* The client's preface. `window` is the initial window of streams; 65535 is the default and isn't sent. */
static inline void h2_preface_add(struct text_buffer *out, uint32_t window)
{
    text_add(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    if (window == 65535)
        h2_frame_add(out, H2_SETTINGS, 0, 0, "", 0);
    else
        h2_setting_add(out, 4, window);
}

/* --- HPACK, literals only ------------------------------------------------------------------------------------------
 */

/* A literal without indexing, with a name of the static table where `index` isn't 0. Lengths below 127. */
static inline void h2_literal_add(struct text_buffer *block, uint8_t index, const char *name, const char *value)
{
    text_add(block, (const char *)&index, 1);
    if (index == 0) {
        char length = (char)strlen(name);
        text_add(block, &length, 1);
        text_add(block, name, strlen(name));
    }
    char length = (char)strlen(value);
    text_add(block, &length, 1);
    text_add(block, value, strlen(value));
}

/* Method GET or POST, scheme http, path and authority. */
static inline void h2_request_block(struct text_buffer *block, bool post, const char *path)
{
    text_add(block, post ? "\x83\x86" : "\x82\x86", 2);
    h2_literal_add(block, 4, "", path);
    h2_literal_add(block, 1, "", "attack.example");
}

static inline void h2_request_add(struct text_buffer *out, uint32_t stream, bool post, const char *path, uint8_t flags)
{
    struct text_buffer block = { 0 };
    h2_request_block(&block, post, path);
    h2_frame_add(out, H2_HEADERS, flags | H2_END_HEADERS, stream, block.at, text_length(&block));
    text_free(&block);
}

/* --- sockets -------------------------------------------------------------------------------------------------------
 */

/* Connected to a port of the loopback, not blocking, or -1. */
static inline int h2_connect(int port)
{
    int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (handle < 0 || connect(handle, (struct sockaddr *)&address, sizeof address) != 0) {
        if (handle >= 0)
            close(handle);
        return -1;
    }
    setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    fcntl(handle, F_SETFL, O_NONBLOCK);
    return handle;
}

/* Sends what it can; false when the connection is gone. */
static inline bool h2_send(int handle, struct text_buffer *out)
{
    while (text_length(out) > 0) {
        ssize_t sent = send(handle, out->at + out->start, text_length(out), MSG_NOSIGNAL);
        if (sent <= 0)
            return sent < 0 && (errno == EAGAIN || errno == EINTR);
        out->start += (size_t)sent;
    }
    return true;
}

/* Reads what there is; false at the end. */
static inline bool h2_receive(int handle, struct text_buffer *in)
{
    for (;;) {
        ssize_t got = recv(handle, text_reserve(in, 65536), 65536, 0);
        if (got <= 0)
            return got < 0 && (errno == EAGAIN || errno == EINTR);
        in->end += (size_t)got;
    }
}

/* Takes the next whole frame; its payload lives until the next read. */
static inline bool h2_next_frame(struct text_buffer *in, struct h2_frame *frame)
{
    const unsigned char *at = (const unsigned char *)in->at + in->start;
    if (text_length(in) < H2_HEAD)
        return false;
    *frame = (struct h2_frame){ .length = h2_get32(at) >> 8,
                                .type = at[3],
                                .flags = at[4],
                                .stream = h2_get32(at + 5) & 0x7fffffff,
                                .payload = at + H2_HEAD };
    if (text_length(in) < H2_HEAD + frame->length)
        return false;
    in->start += H2_HEAD + frame->length;
    return true;
}
