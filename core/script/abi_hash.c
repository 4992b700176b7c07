/* Digests for tg.hash and tg.jwt. Those of a short text allocate nothing: a VM keeps one context of OpenSSL for each
 * algorithm, and a digest that comes in pieces is a context of its own. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <zlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "net/tls_library.h"
#include "script/library.h"

struct tg_abi_hashing {
    struct tg_abi_owned owned;
    EVP_MD *method[TG_ABI_DIGESTS];
    EVP_MD_CTX *context[TG_ABI_DIGESTS];
    uint8_t bytes[EVP_MAX_MD_SIZE]; /* lent to Lua */
};

static const char *const names[TG_ABI_DIGESTS] = {
    [TG_ABI_MD5] = "MD5",       [TG_ABI_SHA1] = "SHA1",     [TG_ABI_SHA256] = "SHA256",
    [TG_ABI_SHA384] = "SHA384", [TG_ABI_SHA512] = "SHA512",
};

static void destroy_hashing(struct tg_abi_owned *owned)
{
    struct tg_abi_hashing *hashing = (struct tg_abi_hashing *)owned;
    for (int i = 0; i < TG_ABI_DIGESTS; i++) {
        EVP_MD_CTX_free(hashing->context[i]);
        EVP_MD_free(hashing->method[i]);
    }
    owned->vm->hashing = NULL;
    free(hashing);
}

static struct tg_abi_hashing *hashing_of(struct tg_vm *vm)
{
    if (!vm->hashing)
        vm->hashing = tg_owned_new(vm, sizeof(struct tg_abi_hashing), destroy_hashing);
    return vm->hashing;
}

const EVP_MD *tg_library_digest(struct tg_vm *vm, int32_t algorithm)
{
    struct tg_abi_hashing *hashing = hashing_of(vm);
    if (!hashing || algorithm < 0 || algorithm >= TG_ABI_DIGESTS || !names[algorithm])
        return NULL;
    if (!hashing->method[algorithm]) {
        const struct tg_tls_library *tls = vm->source->tls;
        hashing->method[algorithm] = EVP_MD_fetch(tls ? tg_tls_library_context(tls) : NULL, names[algorithm],
                                                  tls ? tg_tls_library_properties(tls) : NULL);
    }
    return hashing->method[algorithm];
}

/* The VM's own context for that algorithm, begun; NULL: it can't be had. */
static EVP_MD_CTX *begin(struct tg_vm *vm, int32_t algorithm)
{
    const EVP_MD *method = tg_library_digest(vm, algorithm);
    if (!method)
        return NULL;
    EVP_MD_CTX **context = &vm->hashing->context[algorithm];
    if (!*context)
        *context = EVP_MD_CTX_new();
    return *context && EVP_DigestInit_ex2(*context, method, NULL) == 1 ? *context : NULL;
}

/* MurmurHash3, x86, 32 bits, for text in pieces. Fits in the state of a digest. */
struct murmur {
    uint32_t hash, length;
    uint32_t held; /* of a word that isn't whole: its bytes, the first one lowest */
    uint32_t count;
};

static uint32_t rotate(uint32_t value, int by)
{
    return value << by | value >> (32 - by);
}

static uint32_t murmur_scramble(uint32_t word)
{
    return rotate(word * 0xcc9e2d51u, 15) * 0x1b873593u;
}

static void murmur_word(struct murmur *murmur, uint32_t word)
{
    murmur->hash = rotate(murmur->hash ^ murmur_scramble(word), 13) * 5 + 0xe6546b64u;
}

static void murmur_add(struct murmur *murmur, const uint8_t *at, uint32_t length)
{
    murmur->length += length;
    for (; length && murmur->count; at++, length--) {
        murmur->held |= (uint32_t)*at << 8 * murmur->count;
        if (++murmur->count == 4) {
            murmur_word(murmur, murmur->held);
            murmur->held = murmur->count = 0;
        }
    }
    for (; length >= 4; at += 4, length -= 4)
        murmur_word(murmur, (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
    for (; length; at++, length--)
        murmur->held |= (uint32_t)*at << 8 * murmur->count++;
}

static uint32_t murmur_end(const struct murmur *murmur)
{
    uint32_t hash = murmur->hash;
    if (murmur->count)
        hash ^= murmur_scramble(murmur->held);
    hash ^= murmur->length;
    hash = (hash ^ hash >> 16) * 0x85ebca6bu;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
    return hash ^ hash >> 16;
}

uint32_t tg_abi_murmur3(const char *text, uint32_t length, uint32_t seed)
{
    struct murmur murmur = { .hash = seed };
    murmur_add(&murmur, (const uint8_t *)text, length);
    return murmur_end(&murmur);
}

static void write_big_endian(uint64_t value, uint8_t *to, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

/* Those that aren't OpenSSL's. Gives the number of bytes. */
static int32_t plain_digest(int32_t algorithm, const char *text, uint32_t length, uint8_t *to)
{
    switch (algorithm) {
    case TG_ABI_CRC32: write_big_endian(tg_abi_crc32(text, length), to, 4); return 4;
    case TG_ABI_MURMUR3: write_big_endian(tg_abi_murmur3(text, length, 0), to, 4); return 4;
    case TG_ABI_XXHASH64: write_big_endian(XXH64(text, length, 0), to, 8); return 8;
    default: return 0;
    }
}

const char *tg_abi_digest(struct tg_abi_control *control, int32_t algorithm, const char *text, uint32_t length)
{
    struct tg_vm *vm = (struct tg_vm *)control;
    struct tg_abi_hashing *hashing = hashing_of(vm);
    if (!hashing)
        return NULL;
    control->length = plain_digest(algorithm, text, length, hashing->bytes);
    if (control->length)
        return (const char *)hashing->bytes;
    unsigned size = 0;
    EVP_MD_CTX *context = begin(vm, algorithm);
    if (!context || EVP_DigestUpdate(context, text, length) != 1 ||
        EVP_DigestFinal_ex(context, hashing->bytes, &size) != 1)
        return NULL;
    control->length = (int32_t)size;
    return (const char *)hashing->bytes;
}

enum { LONGEST_BLOCK = 128 /* of SHA-512 */ };

/* One of the two hashes of an HMAC: over the key's block and what follows. */
static bool hash_keyed(struct tg_vm *vm, int32_t algorithm, const uint8_t *block, size_t block_size, uint8_t pad,
                       const void *text, size_t length)
{
    uint8_t padded[LONGEST_BLOCK];
    for (size_t i = 0; i < block_size; i++)
        padded[i] = block[i] ^ pad;
    EVP_MD_CTX *context = begin(vm, algorithm);
    unsigned size;
    return context && EVP_DigestUpdate(context, padded, block_size) == 1 &&
           EVP_DigestUpdate(context, text, length) == 1 && EVP_DigestFinal_ex(context, vm->hashing->bytes, &size) == 1;
}

/* RFC 2104, from two digests: EVP_MAC would allocate for each text. */
const char *tg_abi_hmac(struct tg_abi_control *control, int32_t algorithm, const char *key, uint32_t key_length,
                        const char *text, uint32_t length)
{
    struct tg_vm *vm = (struct tg_vm *)control;
    const EVP_MD *method = tg_library_digest(vm, algorithm);
    if (!method)
        return NULL;
    size_t block_size = (size_t)EVP_MD_get_block_size(method), size = (size_t)EVP_MD_get_size(method);
    uint8_t block[LONGEST_BLOCK] = { 0 }, inner[EVP_MAX_MD_SIZE];
    if (block_size > sizeof(block))
        return NULL;
    if (key_length > block_size) {
        if (!tg_abi_digest(control, algorithm, key, key_length))
            return NULL;
        memcpy(block, vm->hashing->bytes, size);
    } else {
        memcpy(block, key, key_length);
    }
    bool good = hash_keyed(vm, algorithm, block, block_size, 0x36, text, length);
    memcpy(inner, vm->hashing->bytes, size);
    good = good && hash_keyed(vm, algorithm, block, block_size, 0x5c, inner, size);
    OPENSSL_cleanse(block, sizeof(block));
    control->length = (int32_t)size;
    return good ? (const char *)vm->hashing->bytes : NULL;
}

/* A digest under way that is OpenSSL's. */
struct digest_context {
    struct tg_abi_owned owned;
    EVP_MD_CTX *context;
};

static void destroy_context(struct tg_abi_owned *owned)
{
    struct digest_context *own = (struct digest_context *)owned;
    EVP_MD_CTX_free(own->context);
    free(own);
}

static_assert(sizeof(XXH64_state_t) <= sizeof(((struct tg_abi_digest *)0)->state), "a digest has room for it");

int32_t tg_abi_digest_begin(struct tg_abi_control *control, struct tg_abi_digest *digest, int32_t algorithm)
{
    struct tg_vm *vm = (struct tg_vm *)control;
    digest->algorithm = algorithm;
    if (algorithm == TG_ABI_XXHASH64)
        XXH64_reset((XXH64_state_t *)digest->state, 0);
    if (algorithm == TG_ABI_XXHASH64 || algorithm == TG_ABI_CRC32 || algorithm == TG_ABI_MURMUR3)
        return 1;
    const EVP_MD *method = tg_library_digest(vm, algorithm);
    struct digest_context *own = method ? tg_owned_new(vm, sizeof(*own), destroy_context) : NULL;
    if (!own)
        return 0;
    own->context = EVP_MD_CTX_new();
    if (!own->context || EVP_DigestInit_ex2(own->context, method, NULL) != 1) {
        tg_abi_release(&own->owned);
        return 0;
    }
    digest->context = &own->owned;
    return 1;
}

int32_t tg_abi_digest_add(struct tg_abi_digest *digest, const char *text, uint32_t length)
{
    switch (digest->algorithm) {
    case TG_ABI_CRC32: digest->state[0] = crc32(digest->state[0], (const unsigned char *)text, length); return 1;
    case TG_ABI_MURMUR3: murmur_add((struct murmur *)digest->state, (const uint8_t *)text, length); return 1;
    case TG_ABI_XXHASH64: return XXH64_update((XXH64_state_t *)digest->state, text, length) == XXH_OK;
    default:
        return digest->context &&
               EVP_DigestUpdate(((struct digest_context *)digest->context)->context, text, length) == 1;
    }
}

int32_t tg_abi_digest_end(struct tg_abi_digest *digest)
{
    unsigned size = 0;
    switch (digest->algorithm) {
    case TG_ABI_CRC32:
        write_big_endian(digest->state[0], digest->bytes, 4);
        size = 4;
        break;
    case TG_ABI_MURMUR3:
        write_big_endian(murmur_end((struct murmur *)digest->state), digest->bytes, 4);
        size = 4;
        break;
    case TG_ABI_XXHASH64:
        write_big_endian(XXH64_digest((XXH64_state_t *)digest->state), digest->bytes, 8);
        size = 8;
        break;
    default:
        if (!digest->context ||
            EVP_DigestFinal_ex(((struct digest_context *)digest->context)->context, digest->bytes, &size) != 1)
            size = 0;
    }
    tg_abi_digest_drop(digest);
    digest->length = (int32_t)size;
    return size > 0;
}

void tg_abi_digest_drop(struct tg_abi_digest *digest)
{
    tg_abi_release(digest->context);
    digest->context = NULL;
}
