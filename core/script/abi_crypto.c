/* Keys, signatures and AES-GCM for tg.crypto and tg.jwt, over OpenSSL's EVP. A key knows which algorithms it serves, so
 * that none can be used with another's. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "base/random.h"
#include "net/tls_library.h"
#include "script/library.h"

enum {
    RSA_LEAST_BITS = 2048, /* RFC 7518 3.3 */
    RSA_MOST_BITS = 8192,
    RSA_EXPONENT_BYTES = 8,
    LONGEST_SIGNATURE = RSA_MOST_BITS / 8,
    LONGEST_COORDINATE = 66, /* of P-521 */
    LONGEST_PEM = 65536,
    NONCE = 12,
    TAG = 16,
};

struct key {
    struct tg_abi_owned owned;
    EVP_PKEY *pkey;
    int32_t kind;
    bool private;
};

static void destroy_key(struct tg_abi_owned *owned)
{
    EVP_PKEY_free(((struct key *)owned)->pkey);
    free(owned);
}

static OSSL_LIB_CTX *context_of(const struct tg_vm *vm)
{
    return vm->source->tls ? tg_tls_library_context(vm->source->tls) : NULL;
}

static const char *properties_of(const struct tg_vm *vm)
{
    return vm->source->tls ? tg_tls_library_properties(vm->source->tls) : NULL;
}

static int32_t kind_of_curve(EVP_PKEY *pkey)
{
    static const struct {
        const char *name;
        int32_t kind;
    } curves[] = { { "prime256v1", TG_ABI_KEY_P256 },
                   { "secp384r1", TG_ABI_KEY_P384 },
                   { "secp521r1", TG_ABI_KEY_P521 } };
    char name[64];
    size_t length;
    if (EVP_PKEY_get_group_name(pkey, name, sizeof(name), &length) != 1)
        return TG_ABI_KEY_NONE;
    for (size_t i = 0; i < sizeof(curves) / sizeof(*curves); i++)
        if (strcmp(name, curves[i].name) == 0)
            return curves[i].kind;
    return TG_ABI_KEY_NONE;
}

static int32_t kind_of(EVP_PKEY *pkey)
{
    if (EVP_PKEY_is_a(pkey, "RSA"))
        return TG_ABI_KEY_RSA;
    if (EVP_PKEY_is_a(pkey, "RSA-PSS"))
        return TG_ABI_KEY_RSA_PSS;
    if (EVP_PKEY_is_a(pkey, "ED25519"))
        return TG_ABI_KEY_ED25519;
    return EVP_PKEY_is_a(pkey, "EC") ? kind_of_curve(pkey) : TG_ABI_KEY_NONE;
}

static const char *what_is_wrong(EVP_PKEY *pkey, int32_t kind)
{
    if (kind == TG_ABI_KEY_NONE)
        return "its kind isn't one of RSA, EC (P-256, P-384, P-521) and Ed25519";
    int bits = EVP_PKEY_get_bits(pkey);
    bool rsa = kind == TG_ABI_KEY_RSA || kind == TG_ABI_KEY_RSA_PSS;
    if (rsa && (bits < RSA_LEAST_BITS || bits > RSA_MOST_BITS))
        return "an RSA key has 2048 to 8192 bits";
    return NULL;
}

/* Takes the pkey over. */
static struct tg_abi_owned *make_key(struct tg_vm *vm, EVP_PKEY *pkey, bool private, const char **problem)
{
    int32_t kind = pkey ? kind_of(pkey) : TG_ABI_KEY_NONE;
    *problem = pkey ? what_is_wrong(pkey, kind) : "OpenSSL can't read it";
    struct key *key = *problem ? NULL : tg_owned_new(vm, sizeof(*key), destroy_key);
    ERR_clear_error();
    if (!key) {
        *problem = *problem ? *problem : "out of memory, or too many keys";
        EVP_PKEY_free(pkey);
        return NULL;
    }
    key->pkey = pkey;
    key->kind = kind;
    key->private = private;
    return &key->owned;
}

/* Nobody is asked for a passphrase. */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer, (void)size, (void)writing, (void)context;
    return -1;
}

static EVP_PKEY *read_certificate(struct tg_vm *vm, BIO *bio)
{
    X509 *certificate = X509_new_ex(context_of(vm), properties_of(vm));
    if (certificate && !PEM_read_bio_X509(bio, &certificate, no_passphrase, NULL)) {
        X509_free(certificate);
        return NULL;
    }
    EVP_PKEY *pkey = certificate ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    return pkey;
}

static EVP_PKEY *read_pem(struct tg_vm *vm, const char *text, uint32_t length, bool *private)
{
    BIO *bio = length <= LONGEST_PEM ? BIO_new_mem_buf(text, (int)length) : NULL;
    if (!bio)
        return NULL;
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey_ex(bio, NULL, no_passphrase, NULL, context_of(vm), properties_of(vm));
    *private = pkey != NULL;
    if (!pkey && BIO_reset(bio) == 1)
        pkey = PEM_read_bio_PUBKEY_ex(bio, NULL, no_passphrase, NULL, context_of(vm), properties_of(vm));
    if (!pkey && BIO_reset(bio) == 1)
        pkey = read_certificate(vm, bio);
    BIO_free(bio);
    return pkey;
}

struct tg_abi_owned *tg_abi_key_pem(struct tg_abi_control *control, const char *text, uint32_t length,
                                    const char **problem)
{
    struct tg_vm *vm = (struct tg_vm *)control;
    bool private = false;
    EVP_PKEY *pkey = read_pem(vm, text, length, &private);
    return make_key(vm, pkey, private, problem);
}

/* A public key of that type from what the builder holds. Frees the builder. */
static EVP_PKEY *build(struct tg_vm *vm, const char *type, OSSL_PARAM_BLD *builder, bool filled)
{
    OSSL_PARAM *parameters = filled ? OSSL_PARAM_BLD_to_param(builder) : NULL;
    EVP_PKEY_CTX *context = parameters ? EVP_PKEY_CTX_new_from_name(context_of(vm), type, properties_of(vm)) : NULL;
    EVP_PKEY *pkey = NULL;
    if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

struct tg_abi_owned *tg_abi_key_rsa(struct tg_abi_control *control, const char *modulus, uint32_t modulus_length,
                                    const char *exponent, uint32_t exponent_length, const char **problem)
{
    struct tg_vm *vm = (struct tg_vm *)control;
    *problem = "its numbers are out of range";
    if (modulus_length > RSA_MOST_BITS / 8 + 1 || exponent_length > RSA_EXPONENT_BYTES)
        return NULL;
    BIGNUM *n = BN_bin2bn((const unsigned char *)modulus, (int)modulus_length, NULL);
    BIGNUM *e = BN_bin2bn((const unsigned char *)exponent, (int)exponent_length, NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    bool good = n && e && builder && BN_is_odd(n) && BN_is_odd(e) && !BN_is_one(e) &&
                OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
                OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1;
    EVP_PKEY *pkey = build(vm, "RSA", builder, good);
    BN_free(n);
    BN_free(e);
    return make_key(vm, pkey, false, problem);
}

/* Whether the point is on the curve. */
static bool is_sound(struct tg_vm *vm, EVP_PKEY *pkey)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(context_of(vm), pkey, properties_of(vm));
    bool good = context && EVP_PKEY_public_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    return good;
}

struct tg_abi_owned *tg_abi_key_ec(struct tg_abi_control *control, int32_t kind, const char *x, const char *y,
                                   uint32_t length, const char **problem)
{
    static const char *const groups[] = {
        [TG_ABI_KEY_P256] = "P-256", [TG_ABI_KEY_P384] = "P-384", [TG_ABI_KEY_P521] = "P-521"
    };
    struct tg_vm *vm = (struct tg_vm *)control;
    *problem = "its coordinates have another length";
    if (kind < TG_ABI_KEY_P256 || kind > TG_ABI_KEY_P521 || length != (uint32_t)tg_abi_key_coordinate(kind))
        return NULL;
    unsigned char point[1 + 2 * LONGEST_COORDINATE] = { POINT_CONVERSION_UNCOMPRESSED };
    memcpy(point + 1, x, length);
    memcpy(point + 1 + length, y, length);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    bool good = builder && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, groups[kind], 0) == 1 &&
                OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * (size_t)length) == 1;
    EVP_PKEY *pkey = build(vm, "EC", builder, good);
    if (pkey && !is_sound(vm, pkey)) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    return make_key(vm, pkey, false, problem);
}

struct tg_abi_owned *tg_abi_key_ed25519(struct tg_abi_control *control, const char *bytes, uint32_t length,
                                        const char **problem)
{
    struct tg_vm *vm = (struct tg_vm *)control;
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key_ex(context_of(vm), "ED25519", properties_of(vm),
                                                    (const unsigned char *)bytes, length);
    return make_key(vm, pkey, false, problem);
}

int32_t tg_abi_key_kind(struct tg_abi_owned *owned)
{
    return ((struct key *)owned)->kind;
}

int32_t tg_abi_key_private(struct tg_abi_owned *owned)
{
    return ((struct key *)owned)->private;
}

int32_t tg_abi_key_bits(struct tg_abi_owned *owned)
{
    return EVP_PKEY_get_bits(((struct key *)owned)->pkey);
}

int32_t tg_abi_key_coordinate(int32_t kind)
{
    switch (kind) {
    case TG_ABI_KEY_P256: return 32;
    case TG_ABI_KEY_P384: return 48;
    case TG_ABI_KEY_P521: return 66;
    default: return 0;
    }
}

/* What a signature is made with. */
struct method {
    int32_t kind;
    const char *digest; /* NULL: the algorithm's own */
    bool pss;
};

static const struct method methods[TG_ABI_ALGORITHMS] = {
    [TG_ABI_RS256] = { TG_ABI_KEY_RSA, "SHA256", false },  [TG_ABI_RS384] = { TG_ABI_KEY_RSA, "SHA384", false },
    [TG_ABI_RS512] = { TG_ABI_KEY_RSA, "SHA512", false },  [TG_ABI_PS256] = { TG_ABI_KEY_RSA, "SHA256", true },
    [TG_ABI_PS384] = { TG_ABI_KEY_RSA, "SHA384", true },   [TG_ABI_PS512] = { TG_ABI_KEY_RSA, "SHA512", true },
    [TG_ABI_ES256] = { TG_ABI_KEY_P256, "SHA256", false }, [TG_ABI_ES384] = { TG_ABI_KEY_P384, "SHA384", false },
    [TG_ABI_ES512] = { TG_ABI_KEY_P521, "SHA512", false }, [TG_ABI_EDDSA] = { TG_ABI_KEY_ED25519, NULL, false },
};

int32_t tg_abi_key_serves(struct tg_abi_owned *owned, int32_t algorithm)
{
    int32_t kind = ((struct key *)owned)->kind;
    if (algorithm < 0 || algorithm >= TG_ABI_ALGORITHMS)
        return 0;
    const struct method *method = &methods[algorithm];
    return kind == method->kind || (kind == TG_ABI_KEY_RSA_PSS && method->pss);
}

static bool set_padding(EVP_PKEY_CTX *context, const struct method *method)
{
    if (!method->pss)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1; /* RFC 7518 3.5 */
}

/* r and s of equal length to DER; gives its length, or 0. */
static size_t to_der(const unsigned char *raw, size_t length, unsigned char *to, size_t room)
{
    size_t half = length / 2;
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, (int)half, NULL), *s = BN_bin2bn(raw + half, (int)half, NULL);
    if (!signature || !r || !s || ECDSA_SIG_set0(signature, r, s) != 1) {
        ECDSA_SIG_free(signature);
        BN_free(r);
        BN_free(s);
        return 0;
    }
    int size = i2d_ECDSA_SIG(signature, NULL);
    if (size > 0 && (size_t)size <= room)
        size = i2d_ECDSA_SIG(signature, &to);
    else
        size = 0;
    ECDSA_SIG_free(signature);
    return size > 0 ? (size_t)size : 0;
}

static bool from_der(const unsigned char *der, size_t length, unsigned char *raw, size_t half)
{
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)length);
    bool good = signature && BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, (int)half) == (int)half &&
                BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + half, (int)half) == (int)half;
    ECDSA_SIG_free(signature);
    return good;
}

static bool verify(const struct key *key, const struct method *method, struct tg_slice text, struct tg_slice signature)
{
    struct tg_vm *vm = key->owned.vm;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *padding = NULL;
    bool good = context &&
                EVP_DigestVerifyInit_ex(context, &padding, method->digest, context_of(vm), properties_of(vm), key->pkey,
                                        NULL) == 1 &&
                set_padding(padding, method) &&
                EVP_DigestVerify(context, (const unsigned char *)signature.at, signature.length,
                                 (const unsigned char *)text.at, text.length) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

int32_t tg_abi_key_verify(struct tg_abi_owned *owned, int32_t algorithm, int32_t der, const char *text, uint32_t length,
                          const char *signature, uint32_t signature_length)
{
    const struct key *key = (const struct key *)owned;
    struct tg_slice signed_by = tg_slice_of(signature, signature_length);
    unsigned char converted[LONGEST_SIGNATURE];
    if (!tg_abi_key_serves(owned, algorithm) || signature_length == 0 || signature_length > LONGEST_SIGNATURE)
        return 0;
    uint32_t half = (uint32_t)tg_abi_key_coordinate(key->kind);
    if (half && !der) {
        if (signature_length != 2 * half)
            return 0;
        signed_by.at = (const char *)converted;
        signed_by.length = to_der((const unsigned char *)signature, signature_length, converted, sizeof(converted));
        if (!signed_by.length)
            return 0;
    }
    return verify(key, &methods[algorithm], tg_slice_of(text, length), signed_by);
}

/* Gives the length, or 0. */
static size_t sign(const struct key *key, const struct method *method, struct tg_slice text, unsigned char *to,
                   size_t room)
{
    struct tg_vm *vm = key->owned.vm;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *padding = NULL;
    bool good = context &&
                EVP_DigestSignInit_ex(context, &padding, method->digest, context_of(vm), properties_of(vm), key->pkey,
                                      NULL) == 1 &&
                set_padding(padding, method) &&
                EVP_DigestSign(context, to, &room, (const unsigned char *)text.at, text.length) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good ? room : 0;
}

int32_t tg_abi_key_sign(struct tg_abi_owned *owned, int32_t algorithm, int32_t der, const char *text, uint32_t length,
                        char *to)
{
    const struct key *key = (const struct key *)owned;
    unsigned char made[LONGEST_SIGNATURE], raw[2 * LONGEST_COORDINATE];
    if (!key->private || !tg_abi_key_serves(owned, algorithm))
        return 0;
    size_t size = sign(key, &methods[algorithm], tg_slice_of(text, length), made, sizeof(made));
    size_t half = (size_t)tg_abi_key_coordinate(key->kind);
    if (size == 0 || !half || der) {
        memcpy(to, made, size);
        return (int32_t)size;
    }
    if (!from_der(made, size, raw, half))
        return 0;
    memcpy(to, raw, 2 * half);
    return (int32_t)(2 * half);
}

int32_t tg_abi_equal(const char *a, const char *b, uint32_t length)
{
    return CRYPTO_memcmp(a, b, length) == 0;
}

void tg_abi_random_bytes(char *to, uint32_t length)
{
    tg_random_secret(to, length);
}

static EVP_CIPHER *aes_gcm(const struct tg_vm *vm, uint32_t key_length)
{
    const char *name = key_length == 16 ? "AES-128-GCM" : key_length == 24 ? "AES-192-GCM" : "AES-256-GCM";
    return EVP_CIPHER_fetch(context_of(vm), name, properties_of(vm));
}

/* What sealing and opening have in common: begun with key, nonce and what is only authenticated. */
static EVP_CIPHER_CTX *begin_cipher(struct tg_vm *vm, struct tg_slice key, const unsigned char *nonce,
                                    struct tg_slice beside, int sealing)
{
    EVP_CIPHER *cipher = aes_gcm(vm, (uint32_t)key.length);
    EVP_CIPHER_CTX *context = cipher ? EVP_CIPHER_CTX_new() : NULL;
    int length;
    bool good = context &&
                EVP_CipherInit_ex2(context, cipher, (const unsigned char *)key.at, nonce, sealing, NULL) == 1 &&
                (beside.length == 0 ||
                 EVP_CipherUpdate(context, NULL, &length, (const unsigned char *)beside.at, (int)beside.length) == 1);
    EVP_CIPHER_free(cipher);
    if (!good)
        EVP_CIPHER_CTX_free(context);
    return good ? context : NULL;
}

int32_t tg_abi_aes_gcm_seal(struct tg_abi_control *control, const char *key, uint32_t key_length, const char *text,
                            uint32_t length, const char *beside, uint32_t beside_length, char *to)
{
    unsigned char *nonce = (unsigned char *)to, *out = nonce + NONCE;
    int size = 0, more = 0;
    tg_random_secret(nonce, NONCE);
    EVP_CIPHER_CTX *context = begin_cipher((struct tg_vm *)control, tg_slice_of(key, key_length), nonce,
                                           tg_slice_of(beside, beside_length), 1);
    bool good = context && EVP_CipherUpdate(context, out, &size, (const unsigned char *)text, (int)length) == 1 &&
                EVP_CipherFinal_ex(context, out + size, &more) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, out + size + more) == 1;
    EVP_CIPHER_CTX_free(context);
    ERR_clear_error();
    return good;
}

int32_t tg_abi_aes_gcm_open(struct tg_abi_control *control, const char *key, uint32_t key_length, const char *sealed,
                            uint32_t length, const char *beside, uint32_t beside_length, char *to)
{
    if (length < NONCE + TAG)
        return 0;
    unsigned char tag[TAG];
    int size = 0, more = 0;
    uint32_t inside = length - NONCE - TAG;
    const unsigned char *at = (const unsigned char *)sealed;
    memcpy(tag, at + length - TAG, TAG);
    EVP_CIPHER_CTX *context =
        begin_cipher((struct tg_vm *)control, tg_slice_of(key, key_length), at, tg_slice_of(beside, beside_length), 0);
    bool good = context && EVP_CipherUpdate(context, (unsigned char *)to, &size, at + NONCE, (int)inside) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
                EVP_CipherFinal_ex(context, (unsigned char *)to + size, &more) == 1;
    EVP_CIPHER_CTX_free(context);
    ERR_clear_error();
    if (!good) /* nothing of what wasn't authentic is left lying about */
        OPENSSL_cleanse(to, inside);
    return good;
}
