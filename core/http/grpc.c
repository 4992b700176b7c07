#include "http/grpc.h"

#include "http/byte_class.h"
#include "http/uri.h"

enum { TIMEOUT_DIGITS = 8, TIMEOUT_MOST = 99999999, PREFIX = 5 };

bool tg_grpc_content_type(struct tg_slice content_type)
{
    static const struct tg_slice type = TG_SLICE("application/grpc");
    if (content_type.length < type.length ||
        !tg_slice_equal_ignoring_case(tg_slice_of(content_type.at, type.length), type))
        return false;
    struct tg_slice rest = tg_slice_from(content_type, type.length);
    if (rest.length && rest.at[0] == '+')
        return true;
    rest = tg_slice_trim(rest);
    return rest.length == 0 || rest.at[0] == ';';
}

bool tg_grpc_fields(const struct tg_fields *fields)
{
    const struct tg_field *line = tg_fields_find(fields, TG_FIELD_CONTENT_TYPE, (struct tg_slice){ 0 });
    return line && tg_grpc_content_type(line->value);
}

/* Finest first. */
static const struct {
    char name;
    double seconds;
} units[] = { { 'n', 1e-9 }, { 'u', 1e-6 }, { 'm', 1e-3 }, { 'S', 1 }, { 'M', 60 }, { 'H', 3600 } };

enum { UNITS = sizeof units / sizeof *units };

bool tg_grpc_timeout_parse(struct tg_slice text, double *seconds)
{
    if (text.length < 2 || text.length > TIMEOUT_DIGITS + 1)
        return false;
    uint64_t number;
    size_t digits = text.length - 1;
    if (!tg_slice_to_u64(tg_slice_of(text.at, digits), &number))
        return false;
    for (size_t i = 0; i < UNITS; i++) {
        if (text.at[digits] != units[i].name)
            continue;
        *seconds = (double)number * units[i].seconds;
        return true;
    }
    return false;
}

struct tg_slice tg_grpc_timeout_format(double seconds, char out[TG_GRPC_TIMEOUT_MAX])
{
    size_t unit = 0, at = TG_GRPC_TIMEOUT_MAX;
    double most = TIMEOUT_MOST + 1.0;
    while (unit < UNITS - 1 && seconds / units[unit].seconds >= most)
        unit++;
    double exact = seconds / units[unit].seconds;
    uint32_t number = exact >= most ? TIMEOUT_MOST : exact < 1 ? 1 : (uint32_t)exact;
    out[--at] = units[unit].name;
    do {
        out[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return tg_slice_of(out + at, TG_GRPC_TIMEOUT_MAX - at);
}

static bool plain_in_message(unsigned char byte)
{
    return byte >= 0x20 && byte <= 0x7e && byte != '%';
}

bool tg_grpc_message_encode(struct tg_slice text, struct tg_arena *arena, struct tg_slice *out)
{
    return tg_percent_encode_but(text, plain_in_message, arena, out);
}

enum tg_grpc_status tg_grpc_status_of_http(int status)
{
    switch (status) {
    case 400:
    case 431: return TG_GRPC_INTERNAL;
    case 401: return TG_GRPC_UNAUTHENTICATED;
    case 403: return TG_GRPC_PERMISSION_DENIED;
    case 404: return TG_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504: return TG_GRPC_UNAVAILABLE;
    default: return TG_GRPC_UNKNOWN;
    }
}

static const struct tg_field *status_line(const struct tg_fields *fields)
{
    return tg_fields_find(fields, TG_FIELD_OTHER, TG_SLICE("grpc-status"));
}

bool tg_grpc_has_status(const struct tg_fields *fields)
{
    return status_line(fields) != NULL;
}

int tg_grpc_status_in(const struct tg_fields *fields)
{
    const struct tg_field *line = status_line(fields);
    uint64_t number;
    return line && line->value.length <= 9 && tg_slice_to_u64(line->value, &number) ? (int)number : -1;
}

bool tg_grpc_add_status(struct tg_fields *fields, enum tg_grpc_status status, struct tg_slice message)
{
    static const struct tg_slice numbers[] = { TG_SLICE("0"),  TG_SLICE("1"),  TG_SLICE("2"),  TG_SLICE("3"),
                                               TG_SLICE("4"),  TG_SLICE("5"),  TG_SLICE("6"),  TG_SLICE("7"),
                                               TG_SLICE("8"),  TG_SLICE("9"),  TG_SLICE("10"), TG_SLICE("11"),
                                               TG_SLICE("12"), TG_SLICE("13"), TG_SLICE("14"), TG_SLICE("15"),
                                               TG_SLICE("16") };
    return tg_fields_append(fields, TG_FIELD_OTHER, TG_SLICE("grpc-status"), numbers[status]) &&
           tg_fields_append(fields, TG_FIELD_OTHER, TG_SLICE("grpc-message"), message);
}

static void take_prefix(struct tg_grpc_messages *messages, unsigned char byte)
{
    if (messages->prefix > 0) /* the first is the flag */
        messages->length = messages->length << 8 | byte;
    if (++messages->prefix < PREFIX)
        return;
    messages->remaining = messages->length;
    messages->length = messages->prefix = 0;
    messages->whole += messages->remaining == 0;
}

void tg_grpc_messages_count(struct tg_grpc_messages *messages, struct tg_slice bytes)
{
    while (bytes.length) {
        if (messages->remaining == 0) {
            take_prefix(messages, (unsigned char)bytes.at[0]);
            bytes = tg_slice_from(bytes, 1);
            continue;
        }
        size_t used = bytes.length < messages->remaining ? bytes.length : messages->remaining;
        messages->remaining -= (uint32_t)used;
        messages->whole += messages->remaining == 0;
        bytes = tg_slice_from(bytes, used);
    }
}
