#include "http/websocket.h"

#include <openssl/evp.h>

#include "base/random.h"

enum { NONCE = 16, SHA1 = 20, KEY_MAX = 256 };

static const char suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

void tg_websocket_make_key(char key[TG_WEBSOCKET_KEY])
{
    unsigned char nonce[NONCE], text[TG_WEBSOCKET_KEY + 1];
    tg_random_secret(nonce, sizeof nonce);
    EVP_EncodeBlock(text, nonce, sizeof nonce);
    memcpy(key, text, TG_WEBSOCKET_KEY);
}

bool tg_websocket_accept(struct tg_slice key, char accept[TG_WEBSOCKET_ACCEPT])
{
    unsigned char input[KEY_MAX + sizeof suffix], digest[SHA1], text[TG_WEBSOCKET_ACCEPT + 1];
    if (key.length > KEY_MAX)
        return false;
    if (key.length)
        memcpy(input, key.at, key.length);
    memcpy(input + key.length, suffix, sizeof suffix - 1);
    if (!EVP_Digest(input, key.length + sizeof suffix - 1, digest, NULL, EVP_sha1(), NULL))
        return false;
    EVP_EncodeBlock(text, digest, sizeof digest);
    memcpy(accept, text, TG_WEBSOCKET_ACCEPT);
    return true;
}
