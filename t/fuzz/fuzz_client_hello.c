/* The raw ClientHello: whatever is taken has a name that is one, no GREASE, and whole fingerprints. Beside the files
 * that fuzz.h names it needs core/net/tls_{hello,fingerprint,library,system_cas,pem}.c, -lssl and -lcrypto. */
#include "fuzz.h"
#include "net/tls_hello.h"

static const struct tg_text none;

static struct tg_tls_library *library(void)
{
    static struct tg_tls_library *opened;
    char why[512];
    if (!opened)
        opened = tg_tls_library_open(false, why);
    fuzz_require(opened, why, &none, &none);
    return opened;
}

static bool has_grease(const uint16_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if ((values[i] & 0x0f0f) == 0x0a0a && values[i] >> 8 == (values[i] & 0xff))
            return true;
    return false;
}

static void check_name(struct tg_slice name)
{
    char again[256];
    size_t length;
    if (name.length == 0)
        return;
    fuzz_require(name.length <= 253 && tg_hello_name(name, again, &length), "a name that is none", &none, &none);
    fuzz_require(tg_slice_equal(name, tg_slice_of(again, length)), "a name that changes", &none, &none);
    for (size_t i = 0; i < name.length; i++)
        fuzz_require(name.at[i] > ' ' && name.at[i] < 0x7f, "a name with other bytes", &none, &none);
}

static void check_text(struct tg_slice text, size_t length)
{
    fuzz_require(text.length == length, "a fingerprint of another length", &none, &none);
    for (size_t i = 0; i < length; i++)
        fuzz_require(text.at[i] > ' ' && text.at[i] < 0x7f, "a fingerprint with other bytes", &none, &none);
}

static void check(struct tg_slice message)
{
    struct tg_client_hello *hello = tg_client_hello_new(library(), message);
    if (!hello)
        return;
    check_name(hello->sni);
    check_text(hello->ja3, TG_JA3_LENGTH);
    check_text(hello->ja4, TG_JA4_LENGTH);
    fuzz_require(!has_grease(hello->versions, hello->version_count), "GREASE in the versions", &none, &none);
    fuzz_require(!has_grease(hello->ciphers, hello->cipher_count), "GREASE in the ciphers", &none, &none);
    for (size_t i = 0; i < hello->alpn_count; i++) {
        fuzz_require(hello->alpn[i].length > 0, "an empty protocol", &none, &none);
        volatile char last = hello->alpn[i].at[hello->alpn[i].length - 1]; /* which lies in the block */
        (void)last;
    }
    free(hello);
}

/* As the extensions of a message whose lengths are right, so that more of them are reached. */
static void check_extensions(const uint8_t *data, size_t size)
{
    static const unsigned char beginning[] = { 1, 0, 0, 0, 3, 3 }, end[] = { 0, 0, 2, 0xc0, 0x2f, 1, 0, 0, 0 };
    enum { RANDOM = 32, HEAD = sizeof(beginning) + RANDOM + sizeof(end) };
    if (size > UINT16_MAX)
        return;
    unsigned char *message = calloc(1, HEAD + size);
    fuzz_require(message, "out of memory", &none, &none);
    memcpy(message, beginning, sizeof(beginning));
    memcpy(message + sizeof(beginning) + RANDOM, end, sizeof(end));
    size_t body = HEAD - 4 + size;
    message[1] = (unsigned char)(body >> 16);
    message[2] = (unsigned char)(body >> 8);
    message[3] = (unsigned char)body;
    message[HEAD - 2] = (unsigned char)(size >> 8);
    message[HEAD - 1] = (unsigned char)size;
    if (size > 0)
        memcpy(message + HEAD, data, size);
    check(tg_slice_of((const char *)message, HEAD + size));
    free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(tg_slice_of((const char *)data, size));
    check_extensions(data, size);
    return 0;
}
