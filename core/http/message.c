#include "http/message.h"

#include "http/byte_class.h"

enum { METHOD_MAX = 64 };

static inline bool is(struct tg_slice text, const char *word, size_t length)
{
    return text.length == length && memcmp(text.at, word, length) == 0;
}

enum tg_method tg_method_of(struct tg_slice text)
{
    switch (text.length) {
    case 3: return is(text, "GET", 3) ? TG_METHOD_GET : is(text, "PUT", 3) ? TG_METHOD_PUT : TG_METHOD_OTHER;
    case 4: return is(text, "POST", 4) ? TG_METHOD_POST : is(text, "HEAD", 4) ? TG_METHOD_HEAD : TG_METHOD_OTHER;
    case 5: return is(text, "PATCH", 5) ? TG_METHOD_PATCH : is(text, "TRACE", 5) ? TG_METHOD_TRACE : TG_METHOD_OTHER;
    case 6: return is(text, "DELETE", 6) ? TG_METHOD_DELETE : TG_METHOD_OTHER;
    case 7:
        return is(text, "OPTIONS", 7)   ? TG_METHOD_OPTIONS
               : is(text, "CONNECT", 7) ? TG_METHOD_CONNECT
                                        : TG_METHOD_OTHER;
    default: return TG_METHOD_OTHER;
    }
}

bool tg_method_valid(struct tg_slice text)
{
    return text.length <= METHOD_MAX && tg_field_name_valid(text);
}

bool tg_method_idempotent(enum tg_method method)
{
    switch (method) {
    case TG_METHOD_GET:
    case TG_METHOD_HEAD:
    case TG_METHOD_PUT:
    case TG_METHOD_DELETE:
    case TG_METHOD_OPTIONS:
    case TG_METHOD_TRACE: return true;
    default: return false;
    }
}

#define STATUS_REASONS(X)                                                                                              \
    X(100, "Continue")                                                                                                 \
    X(101, "Switching Protocols")                                                                                      \
    X(102, "Processing")                                                                                               \
    X(103, "Early Hints")                                                                                              \
    X(200, "OK")                                                                                                       \
    X(201, "Created")                                                                                                  \
    X(202, "Accepted")                                                                                                 \
    X(203, "Non-Authoritative Information")                                                                            \
    X(204, "No Content")                                                                                               \
    X(205, "Reset Content")                                                                                            \
    X(206, "Partial Content")                                                                                          \
    X(207, "Multi-Status")                                                                                             \
    X(208, "Already Reported")                                                                                         \
    X(226, "IM Used")                                                                                                  \
    X(300, "Multiple Choices")                                                                                         \
    X(301, "Moved Permanently")                                                                                        \
    X(302, "Found")                                                                                                    \
    X(303, "See Other")                                                                                                \
    X(304, "Not Modified")                                                                                             \
    X(305, "Use Proxy")                                                                                                \
    X(307, "Temporary Redirect")                                                                                       \
    X(308, "Permanent Redirect")                                                                                       \
    X(400, "Bad Request")                                                                                              \
    X(401, "Unauthorized")                                                                                             \
    X(402, "Payment Required")                                                                                         \
    X(403, "Forbidden")                                                                                                \
    X(404, "Not Found")                                                                                                \
    X(405, "Method Not Allowed")                                                                                       \
    X(406, "Not Acceptable")                                                                                           \
    X(407, "Proxy Authentication Required")                                                                            \
    X(408, "Request Timeout")                                                                                          \
    X(409, "Conflict")                                                                                                 \
    X(410, "Gone")                                                                                                     \
    X(411, "Length Required")                                                                                          \
    X(412, "Precondition Failed")                                                                                      \
    X(413, "Content Too Large")                                                                                        \
    X(414, "URI Too Long")                                                                                             \
    X(415, "Unsupported Media Type")                                                                                   \
    X(416, "Range Not Satisfiable")                                                                                    \
    X(417, "Expectation Failed")                                                                                       \
    X(421, "Misdirected Request")                                                                                      \
    X(422, "Unprocessable Content")                                                                                    \
    X(423, "Locked")                                                                                                   \
    X(424, "Failed Dependency")                                                                                        \
    X(425, "Too Early")                                                                                                \
    X(426, "Upgrade Required")                                                                                         \
    X(428, "Precondition Required")                                                                                    \
    X(429, "Too Many Requests")                                                                                        \
    X(431, "Request Header Fields Too Large")                                                                          \
    X(451, "Unavailable For Legal Reasons")                                                                            \
    X(500, "Internal Server Error")                                                                                    \
    X(501, "Not Implemented")                                                                                          \
    X(502, "Bad Gateway")                                                                                              \
    X(503, "Service Unavailable")                                                                                      \
    X(504, "Gateway Timeout")                                                                                          \
    X(505, "HTTP Version Not Supported")                                                                               \
    X(506, "Variant Also Negotiates")                                                                                  \
    X(507, "Insufficient Storage")                                                                                     \
    X(508, "Loop Detected")                                                                                            \
    X(511, "Network Authentication Required")

struct tg_slice tg_status_reason(int status)
{
    static const struct tg_slice reasons[600] = {
#define X(number, text) [number] = TG_SLICE(text),
        STATUS_REASONS(X)
#undef X
    };
    bool known = status >= 100 && status < 600 && reasons[status].at;
    return known ? reasons[status] : TG_SLICE("");
}

bool tg_response_bodyless(int status, enum tg_method request_method)
{
    return status < 200 || status == 204 || status == 304 || request_method == TG_METHOD_HEAD;
}
