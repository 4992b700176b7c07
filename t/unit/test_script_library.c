/* The C behind the Lua library, with buffers of exactly the size that was promised, and what a VM owns of it. */
#include <stdlib.h>

#include "base/random.h"
#include "script/library.h"
#include "script_rig.h"

static struct rig rig;

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_deinit(&rig);
    return 0;
}

/* A copy without a byte to spare, for the sanitizer. */
static char *exactly(const char *text, size_t length)
{
    char *copy = malloc(length + !length);
    assert_non_null(copy);
    memcpy(copy, text, length);
    return copy;
}

static void check_one_length(uint32_t length, int32_t url)
{
    char *plain = exactly("", 0);
    plain = realloc(plain, length + !length);
    tg_random_secret(plain, length);
    uint32_t size = url ? (length * 4 + 2) / 3 : (length + 2) / 3 * 4;
    char *text = malloc(size + !size), *back = malloc((size + 3) / 4 * 3 + !size);
    tg_abi_base64_encode(plain, length, text, url);
    int32_t form = url ? TG_ABI_BASE64_URL_BARE : TG_ABI_BASE64;
    assert_int_equal(tg_abi_base64_decode(text, size, back, form), length);
    assert_memory_equal(back, plain, length);
    for (uint32_t cut = 0; cut <= size; cut++) { /* what is cut off is refused, or shorter; never read beyond */
        char *part = exactly(text, cut), *to = malloc((cut + 3) / 4 * 3 + !cut);
        int32_t got = tg_abi_base64_decode(part, cut, to, form);
        assert_true(got == -1 || memcmp(to, plain, (size_t)got) == 0);
        free(part);
        free(to);
    }
    free(plain);
    free(text);
    free(back);
}

static void base64_stays_within_its_buffers(void **state)
{
    (void)state;
    for (uint32_t length = 0; length < 60; length++) {
        check_one_length(length, 0);
        check_one_length(length, 1);
    }
}

static void pieces_of_base64_stay_within_their_buffers(void **state)
{
    (void)state;
    static const char text[] = "Zg==Zm8=Zm9vYmFyZm9vYmE=Zg==";
    static const char plain[] = "ffofoobarfoobaf";
    for (uint32_t size = 1; size < sizeof(text); size++) {
        struct tg_abi_base64 decoder = { 0 };
        char all[64];
        size_t length = 0;
        for (size_t at = 0; at < sizeof(text) - 1; at += size) {
            uint32_t taken = sizeof(text) - 1 - at < size ? (uint32_t)(sizeof(text) - 1 - at) : size;
            char *piece = exactly(text + at, taken), *to = malloc((taken + 7) / 4 * 3);
            int32_t got = tg_abi_base64_decoder_add(&decoder, piece, taken, to);
            assert_true(got >= 0);
            memcpy(all + length, to, (size_t)got);
            length += (size_t)got;
            free(piece);
            free(to);
        }
        assert_int_equal(decoder.count, 0);
        assert_int_equal(length, sizeof(plain) - 1);
        assert_memory_equal(all, plain, length);
    }
}

/* Whatever comes: -1 or bytes, and the same in one piece as byte by byte. */
static void random_text_is_decoded_or_refused(void **state)
{
    (void)state;
    static const char some[] = "AZaz09+/==\n-_";
    for (int round = 0; round < 20000; round++) {
        char text[24], to[32], *out = to;
        uint32_t length = (uint32_t)(tg_random_u64() % sizeof(text));
        for (uint32_t i = 0; i < length; i++)
            text[i] = some[tg_random_u64() % (sizeof(some) - 1)];
        char *copy = exactly(text, length);
        struct tg_abi_base64 whole = { 0 }, pieces = { 0 };
        char *room = malloc((length + 7) / 4 * 3);
        int32_t got = tg_abi_base64_decoder_add(&whole, copy, length, room);
        for (uint32_t i = 0; i < length && !pieces.failed; i++) {
            char byte[6];
            int32_t some_bytes = tg_abi_base64_decoder_add(&pieces, copy + i, 1, byte);
            if (some_bytes > 0)
                memcpy(out, byte, (size_t)some_bytes);
            out += some_bytes > 0 ? some_bytes : 0;
        }
        assert_int_equal(whole.failed, pieces.failed);
        if (got >= 0) {
            assert_int_equal(got, out - to);
            assert_memory_equal(room, to, (size_t)got);
        }
        free(copy);
        free(room);
    }
}

static void hex_stays_within_its_buffers(void **state)
{
    (void)state;
    for (uint32_t length = 0; length < 20; length++) {
        char bytes[20] = "\x00\xff\x10 any";
        char *plain = exactly(bytes, length), *text = malloc(length * 2 + 1), *back = malloc(length * 2 + 1);
        tg_abi_hex(plain, length, text);
        assert_int_equal(tg_abi_unhex(text, length * 2, back), length);
        assert_memory_equal(back, plain, length);
        free(plain);
        free(text);
        free(back);
    }
}

static struct tg_abi_control *control(void)
{
    return &rig.vm->control;
}

static void patterns_read_no_byte_beyond_the_text(void **state)
{
    (void)state;
    rig_start_with(&rig, RIG_HEAD "tg.route { upstream = 'app' }\n");
    static const char *const patterns[] = {
        "a*$", "(?<=a)b", "b(?!c)", "\\bab\\b", "[^x]+", "(a|b)*", "^", "\xc3\xa9"
    };
    static const char text[] = "abab\xc3\xa9"
                               "aba\xc3";
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
        for (int32_t flags = 0; flags <= TG_ABI_RE_UTF; flags += TG_ABI_RE_UTF) {
            struct tg_abi_owned *regex = tg_abi_regex_new(control(), patterns[i], (uint32_t)strlen(patterns[i]), flags);
            assert_non_null(regex);
            for (uint32_t length = 0; length < sizeof(text); length++) {
                char *copy = exactly(text, length);
                for (uint32_t at = 0; at <= length + 2; at++) {
                    int32_t result = tg_abi_regex_match(regex, copy, length, at, at & 1);
                    const struct tg_abi_spans *spans = tg_abi_regex_spans(control());
                    assert_true(result == TG_ABI_RE_NONE || result == TG_ABI_RE_FOUND);
                    if (result == TG_ABI_RE_FOUND)
                        assert_true(spans->at[0] >= (int32_t)at && spans->at[0] <= spans->at[1] &&
                                    spans->at[1] <= (int32_t)length);
                }
                free(copy);
            }
            tg_abi_release(regex);
        }
    }
}

static void addresses_read_no_byte_beyond_the_text(void **state)
{
    (void)state;
    rig_start_with(&rig, RIG_HEAD "tg.route { upstream = 'app' }\n");
    static const char *const texts[] = { "10.0.0.0/8", "2001:db8::/32", "::ffff:10.1.2.3", "[::1]", "1.2.3.4/33" };
    struct tg_abi_owned *set = tg_abi_ip_set_new(control());
    assert_non_null(set);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        for (uint32_t length = 0; length <= strlen(texts[i]); length++) {
            char *copy = exactly(texts[i], length);
            struct tg_abi_ip ip;
            tg_abi_ip_set_add(set, copy, length);
            int32_t version = tg_abi_ip_parse(copy, length, &ip);
            assert_true((version == 0) == (tg_abi_ip_set_has(set, copy, length) == -1));
            free(copy);
        }
    }
    assert_int_equal(tg_abi_ip_set_has(set, "10.9.8.7", 8), 1);
    tg_abi_release(set);
}

/* Sealed and opened with not a byte to spare; of every part that is missing nothing is opened. */
static void sealed_texts_stay_within_their_buffers(void **state)
{
    (void)state;
    rig_start_with(&rig, RIG_HEAD "tg.route { upstream = 'app' }\n");
    static const char key[32] = "0123456789abcdef0123456789abcdef";
    for (uint32_t length = 0; length < 40; length++) {
        char *text = calloc(1, length + !length), *sealed = malloc(length + 28), *opened = malloc(length + !length);
        assert_int_equal(tg_abi_aes_gcm_seal(control(), key, 32, text, length, "beside", 6, sealed), 1);
        for (uint32_t cut = 0; cut < length + 28; cut++) {
            char *part = exactly(sealed, cut), *to = malloc(cut + !cut);
            assert_int_equal(tg_abi_aes_gcm_open(control(), key, 32, part, cut, "beside", 6, to), 0);
            free(part);
            free(to);
        }
        assert_int_equal(tg_abi_aes_gcm_open(control(), key, 32, sealed, length + 28, "beside", 6, opened), 1);
        assert_memory_equal(opened, text, length);
        free(text);
        free(sealed);
        free(opened);
    }
}

/* Numbers and signatures of any length and content are refused without harm. */
static void keys_of_random_numbers_are_refused(void **state)
{
    (void)state;
    rig_start_with(&rig, RIG_HEAD "tg.route { upstream = 'app' }\n");
    const char *problem = NULL;
    for (uint32_t length = 0; length < 140; length++) {
        char *bytes = malloc(length + !length);
        tg_random_secret(bytes, length);
        assert_null(tg_abi_key_rsa(control(), bytes, length, bytes, length < 8 ? length : 8, &problem));
        assert_non_null(problem);
        for (int32_t kind = TG_ABI_KEY_NONE; kind <= TG_ABI_KEY_ED25519; kind++)
            assert_null(tg_abi_key_ec(control(), kind, bytes, bytes, length, &problem));
        struct tg_abi_owned *key = tg_abi_key_ed25519(control(), bytes, length, &problem);
        assert_int_equal(key != NULL, length == 32);
        if (key)
            assert_int_equal(tg_abi_key_verify(key, TG_ABI_EDDSA, 0, "x", 1, bytes, length), 0);
        tg_abi_release(key);
        assert_null(tg_abi_key_pem(control(), bytes, length, &problem));
        assert_int_equal(tg_abi_json_unique(bytes, length), 0);
        free(bytes);
    }
}

/* [J12] A VM ends without finalizers: what it owns goes with it, or the leak checker tells. */
static void a_vm_takes_what_it_owns_along(void **state)
{
    (void)state;
    rig_start_with(&rig,
                   RIG_HEAD "local kept = { tg.re.new '(a+)+$', tg.hash.new 'sha256', tg.hash.new 'xxhash64',\n"
                            "  tg.ip.set { '10.0.0.0/8', '::/0' }, tg.jwt.keys { kty = 'OKP', crv = 'Ed25519',\n"
                            "  x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' } }\n"
                            "assert(kept[1]:test(('a'):rep(40) .. 'b') == nil and kept[2]:add 'x')\n"
                            "assert(tg.hash.sha512_hex 'x' and tg.hash.md5 'x' and tg.re.match('x', 'y') == nil)\n"
                            "tg.route { upstream = 'app', request = function(req)\n"
                            "  kept[#kept + 1] = tg.hash.new 'sha1'\n"
                            "  return req:respond(200, kept[2]:hex())\n"
                            "end }\n");
    assert_in_range(rig.vm->owned_count, 6, 12);
    rig_end(rig_exchange(&rig, "/", NULL));
    assert_true(tg_script_rebuild(&rig.lease, &rig.error));
    rig.vm = rig.lease.script;
    assert_in_range(rig.vm->owned_count, 6, 12);
}

static void what_scripts_forget_is_released(void **state)
{
    (void)state;
    rig_start_with(&rig, RIG_HEAD "for i = 1, 1000 do\n"
                                  "  tg.hash.new 'sha256':add 'x'\n"
                                  "  tg.ip.set { '10.0.0.0/8' }\n"
                                  "  if i % 50 == 0 then tg.re.new('a' .. i) end\n"
                                  "end\n"
                                  "for i = 1, 1000 do tg.re.match('x', 'y' .. i) end\n"
                                  "collectgarbage() collectgarbage()\n"
                                  "tg.route { upstream = 'app' }\n");
    assert_in_range(rig.vm->owned_count, 100, 210); /* patterns that tg.re.match keeps */
}

static void a_vm_owns_no_more_than_it_may(void **state)
{
    (void)state;
    rig_write(&rig, "gateway.lua",
              RIG_HEAD "local kept = {}\n"
                       "for i = 1, 100001 do kept[i] = tg.hash.new 'sha256' end\n"
                       "tg.route { upstream = 'app' }\n");
    assert_false(rig_start(&rig));
    rig_expect_error(&rig, "gateway.lua:5: tg.hash.new: sha256: OpenSSL doesn't offer this digest here");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_stays_within_its_buffers),
        cmocka_unit_test(pieces_of_base64_stay_within_their_buffers),
        cmocka_unit_test(random_text_is_decoded_or_refused),
        cmocka_unit_test(hex_stays_within_its_buffers),
        cmocka_unit_test_setup_teardown(patterns_read_no_byte_beyond_the_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses_read_no_byte_beyond_the_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sealed_texts_stay_within_their_buffers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_of_random_numbers_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_vm_takes_what_it_owns_along, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_scripts_forget_is_released, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_vm_owns_no_more_than_it_may, set_up, tear_down),
    };
    return rig_main("script_library", tests, sizeof(tests) / sizeof(*tests));
}
