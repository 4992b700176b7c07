#include "proxy/upstream_auth.h"

static bool begins_with(struct tg_slice value, struct tg_slice scheme)
{
    return value.length >= scheme.length &&
           tg_slice_equal_ignoring_case(tg_slice_of(value.at, scheme.length), scheme) &&
           (value.length == scheme.length || value.at[scheme.length] == ' ' || value.at[scheme.length] == '\t');
}

/* Several challenges may share a line, and their parameters look like members of a list. */
static bool names_scheme(struct tg_slice value)
{
    struct tg_slice member;
    while (tg_list_next(&value, &member)) {
        if (begins_with(member, TG_SLICE("ntlm")) || begins_with(member, TG_SLICE("negotiate")))
            return true;
    }
    return false;
}

static bool any_names_scheme(const struct tg_fields *fields, enum tg_field_name token)
{
    const struct tg_field *field =
        tg_fields_has(fields, token) ? tg_fields_find(fields, token, (struct tg_slice){ 0 }) : NULL;
    for (; field; field = tg_fields_find_next(fields, field)) {
        if (names_scheme(field->value))
            return true;
    }
    return false;
}

bool tg_upstream_auth_in_request(const struct tg_fields *fields)
{
    return any_names_scheme(fields, TG_FIELD_AUTHORIZATION) || any_names_scheme(fields, TG_FIELD_PROXY_AUTHORIZATION);
}

bool tg_upstream_auth_in_response(const struct tg_fields *fields)
{
    return any_names_scheme(fields, TG_FIELD_WWW_AUTHENTICATE) || any_names_scheme(fields, TG_FIELD_PROXY_AUTHENTICATE);
}
