/* A request head, some of whose proxies are believed: whatever it says, what is made of it can be written. */
#include "fuzz.h"
#include "http/forward.h"

static void check_fields(const struct tg_fields *fields)
{
    static const struct tg_text none;
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct tg_field *line = &fields->lines[i];
        if (line->removed)
            continue;
        fuzz_require(tg_field_name_valid(line->name), "an invalid name", &none, &none);
        fuzz_require(line->own || tg_field_value_valid(line->value), "an invalid value", &none, &none);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const peers[] = { "10.0.0.1", "192.0.2.1", "2001:db8::1" };
    struct tg_arena arena;
    struct tg_request_head head;
    struct tg_problem problem;
    struct tg_cidr range;
    struct tg_client_identity identity;
    struct tg_ip peer;
    struct tg_text text;
    if (size == 0 || !tg_cidr_parse(TG_SLICE("0.0.0.0/1"), &range) ||
        !tg_ip_parse(tg_slice_from_string(peers[data[0] % 3]), &peer))
        return 0;
    struct tg_trusted_proxies trusted = { &range, 1 };
    tg_text_init(&text);
    tg_text_append(&text, TG_SLICE("GET / HTTP/1.1\r\nHost: a\r\n"));
    tg_text_append(&text, tg_slice_of((const char *)data + 1, size - 1));
    tg_text_append(&text, TG_SLICE("\r\n\r\n"));
    tg_arena_init(&arena);
    if (tg_h1_parse_request(tg_text_slice(&text), &feed_limits, &arena, &head, &problem)) {
        tg_client_identify(&head, &peer, TG_SLICE("http"), &trusted, &identity);
        if (tg_forward_set(&head.fields, &head, &peer, &identity, 8080))
            check_fields(&head.fields);
    }
    tg_arena_deinit(&arena);
    tg_text_deinit(&text);
    return 0;
}
