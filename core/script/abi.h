/* What the Lua library sees of C, by FFI: the part between the marks is handed to ffi.cdef by the build, so that both
 * sides can't drift. Rules: a function called by FFI never calls into Lua and never raises; it answers with a code or
 * a static text that says what is wrong, and Lua raises. Texts are borrowed until the next call: Lua copies them at
 * once. Strings from Lua come with their length. Everything in the worker's thread.
 *
 * A handle of a script is a slot and its serial: when the exchange ends, the slot's serial changes, and the handle is
 * dead. Slots live as long as their VM. */
#ifndef TG_SCRIPT_ABI_H
#define TG_SCRIPT_ABI_H

#include <stdint.h>

/* cdef begin */
struct tg_abi_slot {
    int32_t serial;
    int32_t index;  /* of the VM's tables by slot; from 1 */
    int32_t phase;  /* enum tg_abi_phase: which one runs */
    int32_t length; /* of the text that the last call gave */
};

/* A handler at work on a body. */
struct tg_abi_body {
    int32_t phase;
    int32_t length; /* of what was lent by the last call */
    int32_t ended;  /* as the last look found it: nothing more comes */
    int32_t full;   /* as the last write left it: whoever is next can't take more now */
    int32_t closed; /* the handler is over */
};

struct tg_abi_control {
    struct tg_abi_slot *slot; /* of the coroutine that runs; NULL outside of requests */
    struct tg_abi_body *body; /* likewise, in the phases of bodies; else NULL */
    int32_t length;
};

struct tg_abi_run {
    int32_t serial;
};

enum tg_abi_phase {
    TG_ABI_REQUEST,
    TG_ABI_UPSTREAM_REQUEST,
    TG_ABI_UPSTREAM_RESPONSE,
    TG_ABI_RESPONSE,
    TG_ABI_ERROR,
    TG_ABI_LOG,
    TG_ABI_ACCEPT,
    TG_ABI_CLIENT_HELLO,
    TG_ABI_REQUEST_BODY,
    TG_ABI_RESPONSE_BODY,
    TG_ABI_TRAILERS,
    TG_ABI_NO_PHASE,
};

enum tg_abi_text {
    TG_ABI_ID,
    TG_ABI_METHOD,
    TG_ABI_SCHEME,
    TG_ABI_VERSION,
    TG_ABI_HOST,
    TG_ABI_PATH,
    TG_ABI_RAW_PATH,
    TG_ABI_URL,
    TG_ABI_RAW_QUERY,
    TG_ABI_UPGRADE,
    TG_ABI_UPSTREAM,
    TG_ABI_ROUTE,
    TG_ABI_HALF_CLOSE,
    TG_ABI_CLIENT_IP,
    TG_ABI_PEER_IP,
    TG_ABI_TLS_VERSION,
    TG_ABI_TLS_CIPHER,
    TG_ABI_TLS_SNI,
    TG_ABI_TLS_ALPN,
    TG_ABI_TLS_JA3,
    TG_ABI_TLS_JA4,
    TG_ABI_CERT_SUBJECT_CN,
    TG_ABI_CERT_SHA256,
    TG_ABI_OUT_METHOD,
    TG_ABI_OUT_HOST,
    TG_ABI_OUT_PATH,
    TG_ABI_OUT_RAW_QUERY,
    TG_ABI_RESPONSE_VERSION,
    TG_ABI_RESPONSE_FROM,
    TG_ABI_RESPONSE_UPSTREAM,
    TG_ABI_RESPONSE_PEER,
    TG_ABI_ERROR_CODE,
    TG_ABI_ERROR_DETAIL,
};

enum tg_abi_number {
    TG_ABI_PORT,
    TG_ABI_LENGTH,
    TG_ABI_GENERATION,
    TG_ABI_TIME_LEFT,
    TG_ABI_BYTES_IN,
    TG_ABI_BYTES_OUT,
    TG_ABI_CLIENT_PORT,
    TG_ABI_ATTEMPT,
    TG_ABI_TIME_STARTED,
    TG_ABI_TIME_TOTAL,
    TG_ABI_TIME_QUEUE,
    TG_ABI_TIME_CONNECT,
    TG_ABI_TIME_FIRST_BYTE,
    TG_ABI_TIME_SCRIPT,
    TG_ABI_RESPONSE_STATUS,
    TG_ABI_RESPONSE_LENGTH,
    TG_ABI_ERROR_STATUS,
};

/* Whose header section. */
enum tg_abi_section {
    TG_ABI_OF_REQUEST,
    TG_ABI_OF_OUT,
    TG_ABI_OF_RESPONSE,
    TG_ABI_OF_REQUEST_TRAILERS,
    TG_ABI_OF_RESPONSE_TRAILERS,
};

/* Properties. NULL and NaN: there is none. A setter answers what is wrong, or NULL. An assigned NULL text is nil. */
const char *tg_abi_text(struct tg_abi_slot *slot, int32_t field);
double tg_abi_number(struct tg_abi_slot *slot, int32_t field);
const char *tg_abi_set_text(struct tg_abi_slot *slot, int32_t field, const char *text, uint32_t length);
const char *tg_abi_set_number(struct tg_abi_slot *slot, int32_t field, double value);
/* The number of an upstream, or -1. */
int32_t tg_abi_upstream_number(struct tg_abi_slot *slot, const char *name, uint32_t length);
void tg_abi_set_upstream(struct tg_abi_slot *slot, int32_t number);
int32_t tg_abi_has_response(struct tg_abi_slot *slot);
/* The client's connection: TG_ABI_TLS_NONE, or which of the others it has, added. */
enum tg_abi_tls { TG_ABI_TLS_NONE = 0, TG_ABI_TLS_ON = 1, TG_ABI_TLS_CERT = 2, TG_ABI_TLS_VERIFIED = 4 };
int32_t tg_abi_tls(struct tg_abi_slot *slot);
/* A name in the client's certificate; NULL: there are no more. */
const char *tg_abi_cert_san(struct tg_abi_slot *slot, int32_t position);
/* req.ctx was made: it is dropped with the request. */
void tg_abi_context_made(struct tg_abi_slot *slot);

/* Header sections. A token of 0 means that the name decides. */
int32_t tg_abi_header_token(const char *name, uint32_t length);
const char *tg_abi_header(struct tg_abi_slot *slot, int32_t section, int32_t token, const char *name, uint32_t length);
const char *tg_abi_header_write(struct tg_abi_slot *slot, int32_t section, int32_t token, const char *name,
                                uint32_t length, const char *value, uint32_t value_length, int32_t add);
int32_t tg_abi_header_remove(struct tg_abi_slot *slot, int32_t section, int32_t token, const char *name,
                             uint32_t length);
void tg_abi_header_clear(struct tg_abi_slot *slot, int32_t section);
int32_t tg_abi_header_any(struct tg_abi_slot *slot, int32_t section, int32_t token, const char *name, uint32_t length,
                          const char *value, uint32_t value_length);
/* Goes over the lines: the position of the next one from `from` on with that name (length 0: any), or -1. */
int32_t tg_abi_header_next(struct tg_abi_slot *slot, int32_t section, int32_t from, int32_t token, const char *name,
                           uint32_t length);
const char *tg_abi_header_line_name(struct tg_abi_slot *slot, int32_t section, int32_t position);
const char *tg_abi_header_line_value(struct tg_abi_slot *slot, int32_t section, int32_t position);
int32_t tg_abi_value_valid(const char *value, uint32_t length);
int32_t tg_abi_name_valid(const char *name, uint32_t length);

/* The query: pairs by position. Next: that of the first pair behind the one at `previous` (-1: of all) with that name
 * (NULL: any), or -1. */
const char *tg_abi_query_get(struct tg_abi_slot *slot, const char *name, uint32_t length);
int32_t tg_abi_query_next(struct tg_abi_slot *slot, int32_t previous, const char *name, uint32_t length);
const char *tg_abi_query_name(struct tg_abi_slot *slot, int32_t position);
const char *tg_abi_query_value(struct tg_abi_slot *slot, int32_t position);
const char *tg_abi_query_add(struct tg_abi_slot *slot, const char *name, uint32_t length, const char *value,
                             uint32_t value_length);
/* Replaces the first pair of the name by this one and removes the others; adds it where there is none. */
const char *tg_abi_query_set(struct tg_abi_slot *slot, const char *name, uint32_t length, const char *value,
                             uint32_t value_length);
const char *tg_abi_query_remove(struct tg_abi_slot *slot, const char *name, uint32_t length);

const char *tg_abi_cookie(struct tg_abi_slot *slot, const char *name, uint32_t length);
const char *tg_abi_param(struct tg_abi_slot *slot, const char *name, uint32_t length);
const char *tg_abi_param_name(struct tg_abi_slot *slot, int32_t position);

/* Answers are staged, then made, so that what is refused changes nothing. */
const char *tg_abi_answer_begin(struct tg_abi_slot *slot);
const char *tg_abi_answer_field(struct tg_abi_slot *slot, const char *name, uint32_t length, const char *value,
                                uint32_t value_length);
const char *tg_abi_answer(struct tg_abi_slot *slot, int32_t status, const char *body, uint32_t length,
                          const char *content_type);
/* The body comes from a function that Lua keeps, entered when the head goes. */
const char *tg_abi_answer_produced(struct tg_abi_slot *slot, int32_t status);
const char *tg_abi_inform_begin(struct tg_abi_slot *slot);
const char *tg_abi_inform(struct tg_abi_slot *slot, int32_t status);
/* "" where no route has that name. A NULL name: match again. */
const char *tg_abi_reroute(struct tg_abi_slot *slot, const char *name, uint32_t length);
const char *tg_abi_response_header(struct tg_abi_slot *slot, const char *name, uint32_t length, const char *value,
                                   uint32_t value_length, int32_t add);
int32_t tg_abi_head_sent(struct tg_abi_slot *slot);
void tg_abi_abort(struct tg_abi_slot *slot);

/* Bodies, one call for each. What is lent is bytes of the input, and stays until they are taken. */
/* The first read or write: the head goes, as it is. */
void tg_abi_body_begin(struct tg_abi_body *body);
/* The next bytes, at most so many; NULL: there is nothing (ended: nor will there be). */
const char *tg_abi_body_look(struct tg_abi_body *body, double limit);
/* How many there are. */
double tg_abi_body_have(struct tg_abi_body *body);
/* So many of them, in one piece; NULL: none, or out of memory. */
const char *tg_abi_body_gather(struct tg_abi_body *body, uint32_t length);
/* Bytes of the next line, its line feed with it; 0: its end isn't in the first `limit` bytes. */
double tg_abi_body_line(struct tg_abi_body *body, uint32_t limit);
void tg_abi_body_take(struct tg_abi_body *body, uint32_t length);
const char *tg_abi_body_write(struct tg_abi_body *body, const char *text, uint32_t length);
int32_t tg_abi_body_is_full(struct tg_abi_body *body);
/* The next so many bytes pass on, or are dropped, without Lua. */
void tg_abi_body_send(struct tg_abi_body *body, double length, int32_t passes);
int32_t tg_abi_body_is_sending(struct tg_abi_body *body);
void tg_abi_body_finish(struct tg_abi_body *body);
double tg_abi_body_length(struct tg_abi_body *body);
const char *tg_abi_body_failed(struct tg_abi_body *body);
int32_t tg_abi_body_has_trailers(struct tg_abi_body *body);
/* The next tg_abi_wait ends when more has come, or when there is room again. What is wrong, or NULL. */
const char *tg_abi_body_await(struct tg_abi_body *body, int32_t room);
/* Whole bodies, of the request or the response. */
enum tg_abi_whole {
    TG_ABI_WHOLE_READY,
    TG_ABI_WHOLE_WAIT,
    TG_ABI_WHOLE_TOO_LARGE,
    TG_ABI_WHOLE_FAILED,
    TG_ABI_WHOLE_PRODUCED, /* a function makes it, later */
};
int32_t tg_abi_whole(struct tg_abi_slot *slot, int32_t response, double limit);
const char *tg_abi_whole_await(struct tg_abi_slot *slot);
const char *tg_abi_whole_bytes(struct tg_abi_slot *slot, int32_t response);
const char *tg_abi_whole_failure(struct tg_abi_slot *slot, int32_t response);
const char *tg_abi_set_body(struct tg_abi_slot *slot, int32_t response, const char *text, uint32_t length);
/* Whether the coroutine that runs may still set the response's head, or these trailers. */
int32_t tg_abi_response_open(struct tg_abi_slot *slot);
int32_t tg_abi_trailers_open(struct tg_abi_slot *slot, int32_t section);

/* The access log: value is JSON where `json`, else a string. */
const char *tg_abi_log_member(struct tg_abi_slot *slot, const char *name, uint32_t length, const char *value,
                              uint32_t value_length, int32_t json);
void tg_abi_log_skip(struct tg_abi_slot *slot);

/* Listeners' handlers: the slot is that of a call, of phase `accept` or `client_hello`. */
enum tg_abi_door_text {
    TG_ABI_DOOR_IP,
    TG_ABI_DOOR_PEER_IP,
    TG_ABI_DOOR_LISTENER,
    TG_ABI_DOOR_PROXY_HEADER,
    TG_ABI_HELLO_SNI,
    TG_ABI_HELLO_JA3,
    TG_ABI_HELLO_JA4,
};
enum tg_abi_hello_list { TG_ABI_HELLO_ALPN, TG_ABI_HELLO_VERSIONS, TG_ABI_HELLO_CIPHERS };
enum tg_abi_alpn { TG_ABI_ALPN_NONE, TG_ABI_ALPN_H1, TG_ABI_ALPN_H2 };
const char *tg_abi_door_text(struct tg_abi_slot *slot, int32_t field);
double tg_abi_door_port(struct tg_abi_slot *slot);
void tg_abi_door_refuse(struct tg_abi_slot *slot);
/* NULL: there are no more. */
const char *tg_abi_hello_item(struct tg_abi_slot *slot, int32_t list, int32_t position);
/* Offers one protocol, or both in this order. */
void tg_abi_hello_set_alpn(struct tg_abi_slot *slot, int32_t first, int32_t second);
/* 0: there is none of that name. A CA of length 0: the certificate's own. */
int32_t tg_abi_hello_use_certificate(struct tg_abi_slot *slot, const char *name, uint32_t length);
int32_t tg_abi_hello_ask(struct tg_abi_slot *slot, const char *path, uint32_t length);
/* What there is, for messages. */
const char *tg_abi_hello_certificates(struct tg_abi_slot *slot);
const char *tg_abi_hello_client_cas(struct tg_abi_slot *slot);

/* Shared dictionaries. Types are those of enum tg_shared_type; a result is one of them where a value is asked for, else
 * as tg_abi_shared_result says. The value lies in tg_abi_shared_value until the next call. Seconds to live: INFINITY is
 * for ever. */
struct tg_shared_dict;
struct tg_abi_dictionary {
    struct tg_shared_dict *__dict; /* NULL while the configuration is read */
    int32_t __number;
};
struct tg_abi_value {
    double number, version;
    const char *text;
    uint32_t length;
};
enum tg_abi_shared_type {
    TG_ABI_SHARED_NONE,
    TG_ABI_SHARED_NUMBER,
    TG_ABI_SHARED_BOOLEAN,
    TG_ABI_SHARED_STRING,
    TG_ABI_SHARED_LIST,
};
enum tg_abi_shared_result {
    TG_ABI_SHARED_DONE = 0,
    TG_ABI_SHARED_KEPT = -1,
    TG_ABI_SHARED_WRONG_TYPE = -2,
    TG_ABI_SHARED_TOO_LARGE = -3,
    TG_ABI_SHARED_NO_MEMORY = -4,
    TG_ABI_SHARED_CANT_WAIT = -5,
};
enum tg_abi_shared_store { TG_ABI_SHARED_SET, TG_ABI_SHARED_ADD, TG_ABI_SHARED_REPLACE };
const struct tg_abi_value *tg_abi_shared_value(struct tg_abi_control *control);
int32_t tg_abi_shared_get(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                          uint32_t key_length);
int32_t tg_abi_shared_store(struct tg_shared_dict *dict, const char *key, uint32_t key_length, int32_t how,
                            int32_t type, double number, const char *text, uint32_t length, double seconds);
/* Writes the new value where the old one equals what is expected; a type NONE is no value, on either side. */
int32_t tg_abi_shared_swap(struct tg_shared_dict *dict, const char *key, uint32_t key_length, int32_t old_type,
                           double old_number, const char *old_text, uint32_t old_length, int32_t type, double number,
                           const char *text, uint32_t length, double seconds);
/* An absent key counts from `initial`, for so many seconds; NaN: it is KEPT. */
int32_t tg_abi_shared_add(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                          uint32_t key_length, double by, double initial, double seconds);
int32_t tg_abi_shared_delete(struct tg_shared_dict *dict, const char *key, uint32_t key_length);
int32_t tg_abi_shared_expire(struct tg_shared_dict *dict, const char *key, uint32_t key_length, double seconds);
double tg_abi_shared_left(struct tg_shared_dict *dict, const char *key, uint32_t key_length);
/* The length is the value's number. */
int32_t tg_abi_shared_push(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                           uint32_t key_length, int32_t type, double number, const char *text, uint32_t length);
int32_t tg_abi_shared_pop(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                          uint32_t key_length);
/* Their number is the value's, and its text has each key behind its length: two bytes, the lower one first. */
int32_t tg_abi_shared_keys(struct tg_abi_control *control, struct tg_shared_dict *dict, uint32_t max);
void tg_abi_shared_clear(struct tg_shared_dict *dict);
/* NONE: the coroutine is woken at the next write of the key. */
int32_t tg_abi_shared_watch(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                            uint32_t key_length, double seen);

/* Waiting: Lua registers what it waits for, then yields. 0: nothing that could wait is running. */
int32_t tg_abi_wait(struct tg_abi_control *control, double seconds);
int32_t tg_abi_watch(struct tg_abi_control *control, struct tg_abi_run *task, int32_t serial);

/* What the library keeps in shared dictionaries: DONE, KEPT where it can't be had, or NO_MEMORY. */
/* Held by the task or the timer that runs, until it ends. While it is held the key's value is a boolean. */
int32_t tg_abi_shared_lock(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                           uint32_t key_length);
/* Held by the request until it ends. */
int32_t tg_abi_shared_enter(struct tg_abi_slot *slot, struct tg_shared_dict *dict, const char *key, uint32_t key_length,
                            double most);
/* The value's number is what remains where it is DONE, else in how many seconds there will be enough. */
int32_t tg_abi_shared_bucket(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                             uint32_t key_length, double rate, double burst, double count);
int32_t tg_abi_shared_window(struct tg_abi_control *control, struct tg_shared_dict *dict, const char *key,
                             uint32_t key_length, double limit, double per, double count);

/* tg.metrics. A part is this worker's values of one series, there as long as the VM. */
struct tg_metric;
struct tg_metric_part;
/* control->length is 1 where the metric has too many series, and this is the one of "other". NULL: no memory. */
struct tg_metric_part *tg_abi_metric_part(struct tg_abi_control *control, struct tg_metric *metric,
                                          const char *const *values, const uint32_t *lengths, uint32_t count);
void tg_abi_metric_count(struct tg_metric_part *part, double amount);
void tg_abi_metric_set(struct tg_metric_part *part, double value);
void tg_abi_metric_change(struct tg_metric_part *part, double amount);
void tg_abi_metric_observe(struct tg_metric_part *part, double value);

/* tg.semaphore. NULL: there are too many. */
enum tg_abi_enter {
    TG_ABI_ENTER_DONE,
    TG_ABI_ENTER_WAIT, /* where it may wait: the coroutine is woken; else nothing has happened */
    TG_ABI_ENTER_NO_MEMORY,
    TG_ABI_ENTER_NO_RUN, /* nothing that could hold a place is running */
};
struct tg_abi_owned *tg_abi_semaphore_new(struct tg_abi_control *control, uint32_t places);
int32_t tg_abi_semaphore_enter(struct tg_abi_control *control, struct tg_abi_owned *semaphore, int32_t may_wait);
/* Whether the coroutine got what it waited for, however it was woken. */
int32_t tg_abi_granted(struct tg_abi_control *control);
/* 0: it holds none. */
int32_t tg_abi_semaphore_leave(struct tg_abi_control *control, struct tg_abi_owned *semaphore);

/* The process. */
double tg_abi_now(struct tg_abi_control *control);
double tg_abi_clock(struct tg_abi_control *control);
void tg_abi_block(double seconds);
double tg_abi_random(void);
uint32_t tg_abi_crc32(const char *text, uint32_t length);
const char *tg_abi_uuid(struct tg_abi_control *control);
int32_t tg_abi_log_wanted(int32_t level);
void tg_abi_log(struct tg_abi_control *control, int32_t level, const char *text, uint32_t length);

/* The library, from here on. Something of C's that a script can reach and its VM owns (script/owned.h): released once,
 * or with the VM. NULL does no harm. */
struct tg_abi_owned;
void tg_abi_release(struct tg_abi_owned *owned);
/* Whether the VM is still being made ready: the top level or init runs. */
int32_t tg_abi_at_load(struct tg_abi_control *control);

/* Base64 and hex. `to` has room for what comes of it: encoded, 4 characters for 3 bytes begun; decoded, 3 bytes for 4
 * characters begun. -1: it is none. */
enum tg_abi_base64_form {
    TG_ABI_BASE64,
    TG_ABI_BASE64_URL,      /* with its padding or without */
    TG_ABI_BASE64_URL_BARE, /* without padding, as in RFC 7515 2 */
};
void tg_abi_base64_encode(const char *text, uint32_t length, char *to, int32_t url);
int32_t tg_abi_base64_decode(const char *text, uint32_t length, char *to, int32_t form);
/* Piece by piece: what doesn't make a whole group yet. A decoder takes padding at the end of any group. */
struct tg_abi_base64 {
    uint32_t count;
    uint8_t held[4];
    int32_t failed;
};
/* to: for the piece and one group. */
int32_t tg_abi_base64_decoder_add(struct tg_abi_base64 *decoder, const char *text, uint32_t length, char *to);
uint32_t tg_abi_base64_encoder_add(struct tg_abi_base64 *encoder, const char *text, uint32_t length, char *to);
uint32_t tg_abi_base64_encoder_end(struct tg_abi_base64 *encoder, char *to);
void tg_abi_hex(const char *text, uint32_t length, char *to);
int32_t tg_abi_unhex(const char *text, uint32_t length, char *to);

/* Digests. NULL or 0: OpenSSL hasn't this one here, or there is no memory. */
enum tg_abi_digest_name {
    TG_ABI_CRC32,
    TG_ABI_MURMUR3,
    TG_ABI_XXHASH64,
    TG_ABI_MD5,
    TG_ABI_SHA1,
    TG_ABI_SHA256,
    TG_ABI_SHA384,
    TG_ABI_SHA512,
    TG_ABI_DIGESTS,
};
/* Bytes; their number is in control->length. An HMAC is of one of OpenSSL's. */
const char *tg_abi_digest(struct tg_abi_control *control, int32_t algorithm, const char *text, uint32_t length);
const char *tg_abi_hmac(struct tg_abi_control *control, int32_t algorithm, const char *key, uint32_t key_length,
                        const char *text, uint32_t length);
uint32_t tg_abi_murmur3(const char *text, uint32_t length, uint32_t seed);
/* In pieces. Lua's memory, zeroed; dropped by the collector. */
struct tg_abi_digest {
    int32_t algorithm;
    int32_t length;               /* of bytes; 0: it isn't over */
    struct tg_abi_owned *context; /* OpenSSL's; NULL once it is over, and for the others */
    uint64_t state[12];           /* the others' */
    uint8_t bytes[64];
};
int32_t tg_abi_digest_begin(struct tg_abi_control *control, struct tg_abi_digest *digest, int32_t algorithm);
int32_t tg_abi_digest_add(struct tg_abi_digest *digest, const char *text, uint32_t length);
int32_t tg_abi_digest_end(struct tg_abi_digest *digest);
void tg_abi_digest_drop(struct tg_abi_digest *digest);

/* Patterns. Groups of the last match of the VM, of the whole and each group: first byte and the one behind the last,
 * from 0; -1: the group took no part. */
struct tg_abi_spans {
    int32_t at[200];
};
enum tg_abi_re_flag {
    TG_ABI_RE_CASELESS = 1,
    TG_ABI_RE_MULTILINE = 2,
    TG_ABI_RE_DOTALL = 4,
    TG_ABI_RE_EXTENDED = 8,
    TG_ABI_RE_UTF = 16, /* what isn't UTF-8 in a text matches nothing */
    TG_ABI_RE_ANCHORED = 32,
};
/* LIMIT: given up; nothing is known. */
enum tg_abi_re_result { TG_ABI_RE_NONE, TG_ABI_RE_FOUND, TG_ABI_RE_LIMIT };
/* NULL: tg_abi_regex_problem says why. `$` is the end of the text, never before a line feed at its end. */
struct tg_abi_owned *tg_abi_regex_new(struct tg_abi_control *control, const char *pattern, uint32_t length,
                                      int32_t flags);
const char *tg_abi_regex_problem(struct tg_abi_control *control);
int32_t tg_abi_regex_groups(struct tg_abi_owned *regex);
/* Named groups by position, in the order of their names; NULL: there are no more. */
const char *tg_abi_regex_name(struct tg_abi_owned *regex, int32_t position);
int32_t tg_abi_regex_number(struct tg_abi_owned *regex, int32_t position);
/* The same for all patterns of a VM; NULL when out of memory. */
const struct tg_abi_spans *tg_abi_regex_spans(struct tg_abi_control *control);
/* Searches from byte `at` on; not_empty: no empty match just there. */
int32_t tg_abi_regex_match(struct tg_abi_owned *regex, const char *text, uint32_t length, uint32_t at,
                           int32_t not_empty);

/* Addresses. What stands for one is taken as tg_ip_parse takes it. */
struct tg_abi_ip {
    int32_t length; /* of the text */
    char text[46];
    uint8_t bytes[16]; /* of an IPv4 address: the last four */
};
enum tg_abi_ip_result { TG_ABI_IP_FINE, TG_ABI_IP_INVALID, TG_ABI_IP_TOO_MANY };
/* 4 or 6; 0: it is none. */
int32_t tg_abi_ip_parse(const char *text, uint32_t length, struct tg_abi_ip *to);
/* NULL: out of memory. */
struct tg_abi_owned *tg_abi_ip_set_new(struct tg_abi_control *control);
int32_t tg_abi_ip_set_add(struct tg_abi_owned *set, const char *text, uint32_t length);
/* 1, 0; -1: the text is no address. */
int32_t tg_abi_ip_set_has(struct tg_abi_owned *set, const char *text, uint32_t length);

/* Keys and signatures. A key is public, or has its private half too. */
enum tg_abi_key_kind {
    TG_ABI_KEY_NONE,
    TG_ABI_KEY_RSA,
    TG_ABI_KEY_RSA_PSS,
    TG_ABI_KEY_P256,
    TG_ABI_KEY_P384,
    TG_ABI_KEY_P521,
    TG_ABI_KEY_ED25519,
};
/* As RFC 7518 3.1 and RFC 8037 3.1 name them. */
enum tg_abi_algorithm {
    TG_ABI_RS256,
    TG_ABI_RS384,
    TG_ABI_RS512,
    TG_ABI_PS256,
    TG_ABI_PS384,
    TG_ABI_PS512,
    TG_ABI_ES256,
    TG_ABI_ES384,
    TG_ABI_ES512,
    TG_ABI_EDDSA,
    TG_ABI_ALGORITHMS,
};
/* NULL: *problem says why. A PEM text: a private key without passphrase, a public key or a certificate. */
struct tg_abi_owned *tg_abi_key_pem(struct tg_abi_control *control, const char *text, uint32_t length,
                                    const char **problem);
/* From the numbers of a JWK (RFC 7518 6, RFC 8037 2), big-endian. */
struct tg_abi_owned *tg_abi_key_rsa(struct tg_abi_control *control, const char *modulus, uint32_t modulus_length,
                                    const char *exponent, uint32_t exponent_length, const char **problem);
struct tg_abi_owned *tg_abi_key_ec(struct tg_abi_control *control, int32_t kind, const char *x, const char *y,
                                   uint32_t length, const char **problem);
struct tg_abi_owned *tg_abi_key_ed25519(struct tg_abi_control *control, const char *bytes, uint32_t length,
                                        const char **problem);
int32_t tg_abi_key_kind(struct tg_abi_owned *key);
int32_t tg_abi_key_private(struct tg_abi_owned *key);
int32_t tg_abi_key_bits(struct tg_abi_owned *key);
/* Bytes of a coordinate, and of each half of a signature; 0: it is no curve. */
int32_t tg_abi_key_coordinate(int32_t kind);
int32_t tg_abi_key_serves(struct tg_abi_owned *key, int32_t algorithm);
/* 1 where the signature is right. Signatures of curves: r and s, or DER. */
int32_t tg_abi_key_verify(struct tg_abi_owned *key, int32_t algorithm, int32_t der, const char *text, uint32_t length,
                          const char *signature, uint32_t signature_length);
/* Its length, at most 1024; 0: the key doesn't serve, or OpenSSL has failed. */
int32_t tg_abi_key_sign(struct tg_abi_owned *key, int32_t algorithm, int32_t der, const char *text, uint32_t length,
                        char *to);
/* In a time that depends on the length alone. */
int32_t tg_abi_equal(const char *a, const char *b, uint32_t length);
void tg_abi_random_bytes(char *to, uint32_t length);
/* AES-GCM with a key of 16, 24 or 32 bytes. What is sealed: 12 bytes of nonce, drawn at random; as many as the text
 * has; 16 of tag. `beside` is authenticated only. 0: it has failed. */
int32_t tg_abi_aes_gcm_seal(struct tg_abi_control *control, const char *key, uint32_t key_length, const char *text,
                            uint32_t length, const char *beside, uint32_t beside_length, char *to);
int32_t tg_abi_aes_gcm_open(struct tg_abi_control *control, const char *key, uint32_t key_length, const char *sealed,
                            uint32_t length, const char *beside, uint32_t beside_length, char *to);
/* 1: the text is a JSON object, and no name stands twice in any object of it. */
int32_t tg_abi_json_unique(const char *text, uint32_t length);
/* Sockets. One is refused by NULL: control->length is 1 where the address is at fault (*problem says how), else there
 * is no memory or descriptor. */
enum tg_abi_socket_state {
    TG_ABI_SOCKET_CONNECTING,
    TG_ABI_SOCKET_OPEN,
    TG_ABI_SOCKET_ENDED, /* the peer has ended its direction */
    TG_ABI_SOCKET_CLOSED,
    TG_ABI_SOCKET_REFUSED,
    TG_ABI_SOCKET_RESET,
    TG_ABI_SOCKET_TLS,
    TG_ABI_SOCKET_UNTRUSTED,
    TG_ABI_SOCKET_BROKEN, /* our side failed */
};
enum tg_abi_socket_result {
    TG_ABI_SOCKET_READY,
    TG_ABI_SOCKET_WAIT,  /* the coroutine is woken */
    TG_ABI_SOCKET_TAKEN, /* another one waits already */
    TG_ABI_SOCKET_NO_RUN,
    TG_ABI_SOCKET_UNREAD, /* kept can't be what has bytes, or an end, that nobody took */
    TG_ABI_SOCKET_UNFIT,  /* nor what is closed, half closed, half sent, or without a pool */
    TG_ABI_SOCKET_NO_MEMORY,
};
/* Who is trusted, and whom the certificate must name. `ca`: PEM; of length 0: the system's. */
struct tg_abi_owned *tg_abi_tls_new(struct tg_abi_control *control, const char *name, uint32_t name_length,
                                    const char *ca, uint32_t ca_length, int32_t verify, const char **problem);
/* tls may be NULL. name: to be sent and checked. pool: how many idle ones of this kind are kept; 0: none, and none is
 * taken. for_generation: it isn't closed before the generation ends. */
struct tg_abi_owned *tg_abi_socket_new(struct tg_abi_control *control, const char *address, uint32_t length,
                                       struct tg_abi_owned *tls, const char *name, uint32_t name_length, uint32_t pool,
                                       int32_t for_generation, const char **problem);
int32_t tg_abi_socket_state(struct tg_abi_owned *socket);
int32_t tg_abi_socket_reused(struct tg_abi_owned *socket);
const char *tg_abi_socket_problem(struct tg_abi_owned *socket);
uint32_t tg_abi_socket_buffered(struct tg_abi_owned *socket);
/* The first place of the text at or behind `from`; -1: it isn't there. */
int32_t tg_abi_socket_find(struct tg_abi_owned *socket, const char *text, uint32_t length, uint32_t from);
/* No more than there are. They lie there until the next call. */
const char *tg_abi_socket_take(struct tg_abi_owned *socket, uint32_t length);
/* READY: so many bytes are there, or no more will come; 0 bytes: the connect has an outcome. */
int32_t tg_abi_socket_await(struct tg_abi_control *control, struct tg_abi_owned *socket, uint32_t bytes);
/* Between begin and end of a send, texts are given; room: until few of their bytes wait. A send that was begun and
 * never ended (its coroutine was) has cut what it sent: the socket is reset. */
int32_t tg_abi_socket_begin_send(struct tg_abi_control *control, struct tg_abi_owned *socket);
void tg_abi_socket_send(struct tg_abi_owned *socket, const char *text, uint32_t length);
int32_t tg_abi_socket_room(struct tg_abi_control *control, struct tg_abi_owned *socket);
void tg_abi_socket_end_send(struct tg_abi_owned *socket);
void tg_abi_socket_finish(struct tg_abi_owned *socket);
void tg_abi_socket_close(struct tg_abi_owned *socket);
/* What was sent or is being sent is cut. */
void tg_abi_socket_reset(struct tg_abi_owned *socket);
int32_t tg_abi_socket_keep(struct tg_abi_owned *socket, double idle);
/* cdef end */

#endif
