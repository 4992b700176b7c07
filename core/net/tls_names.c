#include "net/tls_names.h"

#include <openssl/x509v3.h>

#include "net/tls_hello.h"

enum { NAME_ROOM = 256 };

bool tg_tls_names_init(struct tg_tls_names *names)
{
    names->exact = tg_map_new();
    names->wildcard = tg_map_new();
    return names->exact && names->wildcard;
}

void tg_tls_names_deinit(struct tg_tls_names *names)
{
    tg_map_free(names->exact);
    tg_map_free(names->wildcard);
}

static bool is_wildcard(struct tg_slice name)
{
    return name.length > 2 && name.at[0] == '*' && name.at[1] == '.';
}

static bool normalise(struct tg_slice name, char room[NAME_ROOM], struct tg_slice *normal)
{
    normal->at = room;
    return name.length > 0 && name.length < NAME_ROOM && tg_hello_name(name, room, &normal->length) &&
           normal->length > 0;
}

/* Values are indices from 1, since an absent one is NULL. */
static int32_t index_in(const struct tg_map *map, struct tg_slice name)
{
    return (int32_t)(intptr_t)tg_map_get(map, name) - 1;
}

enum tg_tls_name_added tg_tls_names_add(struct tg_tls_names *names, struct tg_slice name, int32_t *index)
{
    char room[NAME_ROOM];
    struct tg_slice normal;
    bool wildcard = is_wildcard(name);
    struct tg_map *map = wildcard ? names->wildcard : names->exact;
    if (!normalise(wildcard ? tg_slice_from(name, 2) : name, room, &normal))
        return TG_NAME_UNUSABLE;
    int32_t taken = index_in(map, normal);
    if (taken >= 0 && taken != *index) {
        *index = taken;
        return TG_NAME_TAKEN;
    }
    return tg_map_set(map, normal, (void *)(intptr_t)(*index + 1)) ? TG_NAME_ADDED : TG_NAME_NO_MEMORY;
}

int32_t tg_tls_names_find(const struct tg_tls_names *names, struct tg_slice host)
{
    char room[NAME_ROOM];
    struct tg_slice normal;
    if (!normalise(host, room, &normal))
        return -1;
    int32_t index = index_in(names->exact, normal);
    const char *dot = memchr(normal.at, '.', normal.length);
    if (index < 0 && dot)
        index = index_in(names->wildcard, tg_slice_from(normal, (size_t)(dot + 1 - normal.at)));
    return index;
}

int32_t tg_tls_names_find_text(const struct tg_tls_names *names, struct tg_slice text)
{
    char room[NAME_ROOM];
    struct tg_slice normal;
    bool wildcard = is_wildcard(text);
    if (!normalise(wildcard ? tg_slice_from(text, 2) : text, room, &normal))
        return -1;
    return index_in(wildcard ? names->wildcard : names->exact, normal);
}

static struct tg_slice text_of(const ASN1_STRING *string)
{
    return tg_slice_of((const char *)ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
}

static bool each_common_name(const X509 *certificate, bool (*each)(struct tg_slice name, void *context), void *context)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    return at < 0 || each(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))), context);
}

bool tg_tls_names_each(const X509 *certificate, bool (*each)(struct tg_slice name, void *context), void *context)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool goes_on = true, any = false;
    for (int i = 0; goes_on && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS)
            continue;
        any = true;
        goes_on = each(text_of(name->d.dNSName), context);
    }
    GENERAL_NAMES_free(names);
    return any ? goes_on : each_common_name(certificate, each, context);
}
