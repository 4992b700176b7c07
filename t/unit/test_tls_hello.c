/* The raw ClientHello. The first vector is what `openssl s_client -servername www.example.com -alpn h2,http/1.1` sent,
 * with another random; the second is built like Chromium's, with GREASE and the extensions 27, 17513 and 65037, and its
 * JA4 is one that FoxIO publishes for Chrome. The fingerprints were computed apart, in Python by hashlib. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/tls_hello.h"

static const char openssl_hello[] =
    "0100014a030377777777777777777777777777777777777777777777777777777777777777772051902d1313ecf5c144c4121fba13bb71c4"
    "04b81e2c61f753a767ca6a4266a355003e130213031301c02cc030009fcca9cca8ccaac02bc02f009ec024c028006bc023c0270067c00ac0"
    "140039c009c0130033009d009c003d003c0035002f00ff010000c300000014001200000f7777772e6578616d706c652e636f6d000b000403"
    "000102000a00160014001d0017001e0019001801000101010201030104002300000010000e000c02683208687474702f312e310016000000"
    "170000000d002a0028040305030603080708080809080a080b080408050806040105010601030303010302040205020602002b0009080304"
    "030303020301002d00020101003300260024001d0020e091bf1af70453e11cf0bfc472132adb07f8f59e576eeef087179bb46dfce746";
static const char chromium_hello[] =
    "0100017103034444444444444444444444444444444444444444444444444444444444444444205555555555555555555555555555555555"
    "55555555555555555555555555555500202a2a130113021303c02bc02fc02cc030cca9cca8c013c014009c009d002f0035010001088a8a00"
    "00001b000302000200000015001300001053686f702e4578616d706c652e434f4d00170000ff01000100000a000c000a5a5a6399001d0017"
    "0018000b00020100002300000010000e000c02683208687474702f312e31000500050100000000000d001200100403080404010503080505"
    "0108060601001200000033002b00295a5a000100001d00201111111111111111111111111111111111111111111111111111111111111111"
    "002d00020101002b000706dada03040303446900050003026832fe0d003a00000100012a0020222222222222222222222222222222222222"
    "22222222222222222222222222220010333333333333333333333333333333333a3a000100";
static const char bare_hello[] =
    "0100002b03036666666666666666666666666666666666666666666666666666666666666666000004c02f00ff0100";

struct bytes {
    unsigned char at[70000];
    size_t length;
};

static struct tg_tls_library *library;

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void put(struct bytes *bytes, const void *at, size_t length)
{
    assert_true(bytes->length + length <= sizeof(bytes->at));
    memcpy(bytes->at + bytes->length, at, length);
    bytes->length += length;
}

static void put_number(struct bytes *bytes, size_t width, size_t value)
{
    while (width-- > 0) {
        unsigned char byte = (unsigned char)(value >> 8 * width);
        put(bytes, &byte, 1);
    }
}

static void put_hex(struct bytes *bytes, const char *hex)
{
    for (; *hex; hex += 2)
        put_number(bytes, 1, digit(hex[0]) << 4 | digit(hex[1]));
}

static struct tg_client_hello *read_hello(const struct bytes *bytes)
{
    /* Exactly as long as it is, so that a read past its end is seen. */
    char *copy = malloc(bytes->length ? bytes->length : 1);
    assert_non_null(copy);
    memcpy(copy, bytes->at, bytes->length);
    struct tg_client_hello *hello = tg_client_hello_new(library, tg_slice_of(copy, bytes->length));
    free(copy);
    return hello;
}

static struct tg_client_hello *read_hex(const char *hex)
{
    struct bytes bytes = { .length = 0 };
    put_hex(&bytes, hex);
    return read_hello(&bytes);
}

static void assert_text(struct tg_slice text, const char *expected)
{
    if (!tg_slice_equal(text, tg_slice_from_string(expected)))
        fail_msg("'%.*s' instead of '%s'", (int)text.length, text.at ? text.at : "", expected);
}

static void what_openssl_sends_is_read(void **state)
{
    (void)state;
    struct tg_client_hello *hello = read_hex(openssl_hello);
    assert_non_null(hello);
    assert_text(hello->sni, "www.example.com");
    assert_int_equal(hello->alpn_count, 2);
    assert_text(hello->alpn[0], "h2");
    assert_text(hello->alpn[1], "http/1.1");
    assert_int_equal(hello->version_count, 4);
    assert_int_equal(hello->versions[0], 0x0304);
    assert_int_equal(hello->cipher_count, 31);
    assert_int_equal(hello->ciphers[0], 0x1302);
    assert_text(hello->ja3, "5a1edc7f170af1014fc65c994878e63c");
    assert_text(hello->ja4, "t13d3111h2_e8f1e7e78f70_1f22a2ca17c4");
    free(hello);
}

static void what_chromium_sends_is_read_without_grease(void **state)
{
    (void)state;
    struct tg_client_hello *hello = read_hex(chromium_hello);
    assert_non_null(hello);
    assert_text(hello->sni, "shop.example.com");
    assert_int_equal(hello->version_count, 2);
    assert_int_equal(hello->versions[0], 0x0304);
    assert_int_equal(hello->versions[1], 0x0303);
    assert_int_equal(hello->cipher_count, 15);
    assert_int_equal(hello->ciphers[0], 0x1301);
    assert_text(hello->ja3, "57cc72b4e978f5f1e24341c0872142d8");
    assert_text(hello->ja4, "t13d1516h2_8daaf6152771_02713d6af862");
    free(hello);
}

static void one_without_extensions_is_read(void **state)
{
    (void)state;
    struct tg_client_hello *hello = read_hex(bare_hello);
    assert_non_null(hello);
    assert_int_equal(hello->sni.length, 0);
    assert_int_equal(hello->alpn_count, 0);
    assert_int_equal(hello->version_count, 0);
    assert_text(hello->ja3, "6cfa2166cb8395b885de0109c09ded2d");
    assert_text(hello->ja4, "t12i020000_b06afd972a5c_000000000000");
    free(hello);
}

static void a_hello_cut_anywhere_or_with_a_byte_more_is_refused(void **state)
{
    (void)state;
    static const char *const hellos[] = { openssl_hello, chromium_hello, bare_hello };
    for (size_t i = 0; i < 3; i++) {
        struct bytes whole = { .length = 0 };
        put_hex(&whole, hellos[i]);
        struct bytes cut = whole;
        for (cut.length = 0; cut.length < whole.length; cut.length++)
            assert_null(read_hello(&cut));
        put_number(&whole, 1, 0);
        assert_null(read_hello(&whole));
    }
}

/* A message of these extensions, with right lengths around them. */
static struct bytes hello_of(const struct bytes *extensions)
{
    struct bytes message = { .length = 0 };
    static const unsigned char random[32];
    put_number(&message, 1, 1);
    put_number(&message, 3, 2 + 32 + 1 + 2 + 2 + 2 + 2 + extensions->length);
    put_number(&message, 2, 0x0303);
    put(&message, random, sizeof(random));
    put_number(&message, 1, 0);
    put_hex(&message, "0002c02f0100");
    put_number(&message, 2, extensions->length);
    put(&message, extensions->at, extensions->length);
    return message;
}

static struct tg_client_hello *read_extensions(const char *hex)
{
    struct bytes extensions = { .length = 0 };
    put_hex(&extensions, hex);
    struct bytes message = hello_of(&extensions);
    return read_hello(&message);
}

static void lengths_that_do_not_fit_inside_an_extension_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "0000000400020000",               /* a name list shorter than what it says */
        "00000005000300000061",           /* and its extension longer than the body */
        "0000000600040000000161",         /* cut */
        "0000000700040000016100",         /* a byte after the list */
        "0000000800060000000161ff",       /* the same inside */
        "00000006000401000161",           /* a kind of name that isn't */
        "00000005000300000000",           /* an empty name */
        "0000000a0008000001610000016200", /* two names */
        "00000000",                       /* an empty extension */
        "001000020000",                   /* ALPN: an empty list */
        "00100003000100",                 /* an empty protocol */
        "00100005000302683200",           /* a byte after the list */
        "001000050003096832ff",           /* a protocol longer than the list */
        "002b00020103",                   /* an odd list of versions */
        "002b000100",                     /* an empty one */
        "000a000400030017",               /* groups: more than there is */
        "000a00020000",                   /* none */
        "000b000100",                     /* point formats: none */
        "000d00050003040308",             /* an odd list of signatures */
        "0017000000170000",               /* the same extension twice */
        "0000000600040000016100000006000400000161",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct tg_client_hello *hello = read_extensions(wrong[i]);
        if (hello)
            fail_msg("%s was taken", wrong[i]);
    }
}

/* Number `type`, with the name in it. */
static struct tg_client_hello *read_name(struct tg_slice name)
{
    struct bytes extensions = { .length = 0 };
    put_number(&extensions, 2, 0);
    put_number(&extensions, 2, name.length + 5);
    put_number(&extensions, 2, name.length + 3);
    put_number(&extensions, 1, 0);
    put_number(&extensions, 2, name.length);
    put(&extensions, name.at, name.length);
    struct bytes message = hello_of(&extensions);
    return read_hello(&message);
}

static void expect_name(const char *sent, const char *read)
{
    struct tg_client_hello *hello = read_name(tg_slice_from_string(sent));
    if (!hello)
        fail_msg("%s was refused", sent);
    assert_text(hello->sni, read);
    free(hello);
}

/* [T04] */
static void names_are_read_in_lower_case_without_trailing_dot_and_addresses_are_none(void **state)
{
    (void)state;
    expect_name("A.Example", "a.example");
    expect_name("a.example.", "a.example");
    expect_name("xn--bcher-kva.example", "xn--bcher-kva.example");
    expect_name("_dmarc.a-b.example", "_dmarc.a-b.example");
    expect_name("127.0.0.1", "");
    expect_name("::1", "");
}

/* [T07] */
static void what_is_no_host_name_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = { ".",
                                         "..",
                                         "a..b",
                                         ".a",
                                         "a b",
                                         "a\r\nb",
                                         "a\"b",
                                         "*.a",
                                         "a/b",
                                         "a:443",
                                         "[::1]",
                                         "\x7f"
                                         "a",
                                         "b\xc3\xbc",
                                         "a%2e" };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (read_name(tg_slice_from_string(wrong[i])))
            fail_msg("'%s' was taken", wrong[i]);
    assert_null(read_name(TG_SLICE("a.example\0.b")));
    char label[66], name[300];
    memset(label, 'a', sizeof(label));
    assert_null(read_name(tg_slice_of(label, 64)));
    for (size_t i = 0; i < sizeof(name); i++)
        name[i] = i % 50 == 49 ? '.' : 'a';
    assert_null(read_name(tg_slice_of(name, 254)));
    struct tg_client_hello *longest = read_name(tg_slice_of(name, 253));
    assert_non_null(longest);
    free(longest);
}

static struct tg_client_hello *read_empty_extensions(size_t count)
{
    struct bytes extensions = { .length = 0 };
    for (size_t i = 0; i < count; i++) {
        put_number(&extensions, 2, 100 + i);
        put_number(&extensions, 2, 0);
    }
    struct bytes message = hello_of(&extensions);
    return read_hello(&message);
}

static struct tg_client_hello *read_ciphers(size_t count)
{
    struct bytes message = { .length = 0 };
    static const unsigned char random[32];
    put_number(&message, 1, 1);
    put_number(&message, 3, 2 + 32 + 1 + 2 + 2 * count + 2);
    put_number(&message, 2, 0x0303);
    put(&message, random, sizeof(random));
    put_number(&message, 1, 0);
    put_number(&message, 2, 2 * count);
    for (size_t i = 0; i < count; i++)
        put_number(&message, 2, 0xff00);
    put_hex(&message, "0100");
    return read_hello(&message);
}

static void more_than_any_client_sends_is_refused(void **state)
{
    (void)state;
    struct tg_client_hello *most = read_empty_extensions(TG_HELLO_EXTENSIONS);
    assert_non_null(most);
    assert_memory_equal(most->ja4.at, "t12i0199", 8);
    free(most);
    assert_null(read_empty_extensions(TG_HELLO_EXTENSIONS + 1));
    most = read_ciphers(TG_HELLO_CIPHERS);
    assert_non_null(most);
    assert_memory_equal(most->ja4.at, "t12i9900", 8);
    free(most);
    assert_null(read_ciphers(TG_HELLO_CIPHERS + 1));
    assert_null(read_ciphers(0));
}

static void expect_ja4_of_protocol(const char *extension, const char *beginning)
{
    struct tg_client_hello *hello = read_extensions(extension);
    assert_non_null(hello);
    assert_text(tg_slice_of(hello->ja4.at, 10), beginning);
    free(hello);
}

static void the_first_protocol_shows_in_ja4(void **state)
{
    (void)state;
    expect_ja4_of_protocol("0010000b000908687474702f312e31", "t12i0101h1"); /* http/1.1 */
    expect_ja4_of_protocol("00100004000201"
                           "68",
                           "t12i0101hh");
    expect_ja4_of_protocol("00100004000201ab", "t12i0101ab");
    expect_ja4_of_protocol("0010000500"
                           "0302abcd",
                           "t12i0101ad");
    expect_ja4_of_protocol("0010000500"
                           "030230ab",
                           "t12i01013b");
}

static int open_library(void **state)
{
    char why[512];
    (void)state;
    library = tg_tls_library_open(false, why);
    return library ? 0 : -1;
}

static int close_library(void **state)
{
    (void)state;
    tg_tls_library_close(library);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_openssl_sends_is_read),
        cmocka_unit_test(what_chromium_sends_is_read_without_grease),
        cmocka_unit_test(one_without_extensions_is_read),
        cmocka_unit_test(a_hello_cut_anywhere_or_with_a_byte_more_is_refused),
        cmocka_unit_test(lengths_that_do_not_fit_inside_an_extension_are_refused),
        cmocka_unit_test(names_are_read_in_lower_case_without_trailing_dot_and_addresses_are_none),
        cmocka_unit_test(what_is_no_host_name_is_refused),
        cmocka_unit_test(more_than_any_client_sends_is_refused),
        cmocka_unit_test(the_first_protocol_shows_in_ja4),
    };
    return cmocka_run_group_tests(tests, open_library, close_library);
}
