#include "net/tls_tickets.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "net/tls_ticket_seal.h"

struct ticket_key {
    unsigned char name[TG_TICKET_KEY_NAME];
    unsigned char cipher[32], mac[32];
};

enum { NEXT, CURRENT, PREVIOUS, KEYS };

struct tg_ticket_keys {
    pthread_mutex_t lock;
    struct ticket_key keys[KEYS];
};

static bool make_key(struct ticket_key *key)
{
    bool made = RAND_bytes(key->name, sizeof(key->name)) == 1 &&
                RAND_priv_bytes(key->cipher, sizeof(key->cipher)) == 1 &&
                RAND_priv_bytes(key->mac, sizeof(key->mac)) == 1;
    if (!made)
        ERR_clear_error();
    return made;
}

struct tg_ticket_keys *tg_ticket_keys_new(void)
{
    struct tg_ticket_keys *keys = calloc(1, sizeof(*keys));
    if (!keys)
        return NULL;
    pthread_mutex_init(&keys->lock, NULL);
    for (size_t i = 0; i < KEYS; i++)
        if (!make_key(&keys->keys[i])) {
            tg_ticket_keys_free(keys);
            return NULL;
        }
    return keys;
}

void tg_ticket_keys_free(struct tg_ticket_keys *keys)
{
    if (!keys)
        return;
    pthread_mutex_destroy(&keys->lock);
    OPENSSL_cleanse(keys->keys, sizeof(keys->keys));
    free(keys);
}

bool tg_ticket_keys_rotate(struct tg_ticket_keys *keys)
{
    struct ticket_key made;
    if (!make_key(&made))
        return false;
    pthread_mutex_lock(&keys->lock);
    keys->keys[PREVIOUS] = keys->keys[CURRENT];
    keys->keys[CURRENT] = keys->keys[NEXT];
    keys->keys[NEXT] = made;
    pthread_mutex_unlock(&keys->lock);
    OPENSSL_cleanse(&made, sizeof(made));
    return true;
}

static bool set_mac_key(EVP_MAC_CTX *mac, struct ticket_key *key)
{
    OSSL_PARAM params[] = { OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
                            OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0), OSSL_PARAM_END };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static bool set_keys(const struct tg_tls_library *library, struct ticket_key *key, const unsigned char *iv, bool seal,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    const EVP_CIPHER *aes = tg_tls_library_aes_256_cbc(library);
    return EVP_CipherInit_ex(cipher, aes, NULL, key->cipher, iv, seal) == 1 && set_mac_key(mac, key);
}

enum tg_ticket_seal tg_ticket_keys_seal(struct tg_ticket_keys *keys, const struct tg_tls_library *library,
                                        unsigned char name[TG_TICKET_KEY_NAME], unsigned char *iv,
                                        EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    pthread_mutex_lock(&keys->lock);
    struct ticket_key key = keys->keys[CURRENT];
    pthread_mutex_unlock(&keys->lock);
    memcpy(name, key.name, sizeof(key.name));
    bool set = RAND_bytes_ex(tg_tls_library_context(library), iv, 16, 0) == 1 &&
               set_keys(library, &key, iv, true, cipher, mac);
    OPENSSL_cleanse(&key, sizeof(key));
    return set ? TG_TICKET_GOOD : TG_TICKET_FAILED;
}

/* The number of the key of this name, or KEYS; its copy is in *key. */
static size_t find_key(struct tg_ticket_keys *keys, const unsigned char name[TG_TICKET_KEY_NAME],
                       struct ticket_key *key)
{
    size_t at = 0;
    pthread_mutex_lock(&keys->lock);
    while (at < KEYS && memcmp(keys->keys[at].name, name, TG_TICKET_KEY_NAME) != 0)
        at++;
    if (at < KEYS)
        *key = keys->keys[at];
    pthread_mutex_unlock(&keys->lock);
    return at;
}

enum tg_ticket_seal tg_ticket_keys_open(struct tg_ticket_keys *keys, const struct tg_tls_library *library,
                                        const unsigned char name[TG_TICKET_KEY_NAME], const unsigned char *iv,
                                        EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    struct ticket_key key;
    size_t found = find_key(keys, name, &key);
    if (found == KEYS)
        return TG_TICKET_UNKNOWN;
    bool set = set_keys(library, &key, iv, false, cipher, mac);
    OPENSSL_cleanse(&key, sizeof(key));
    if (!set)
        return TG_TICKET_FAILED;
    return found == PREVIOUS ? TG_TICKET_OLD : TG_TICKET_GOOD;
}
