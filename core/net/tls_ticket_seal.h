/* What OpenSSL asks of the ticket keys: how to seal and open one ticket. net/ only. */
#ifndef TG_NET_TLS_TICKET_SEAL_H
#define TG_NET_TLS_TICKET_SEAL_H

#include <openssl/evp.h>

#include "net/tls_library.h"
#include "net/tls_tickets.h"

enum { TG_TICKET_KEY_NAME = 16 }; /* bytes */

enum tg_ticket_seal {
    TG_TICKET_FAILED = -1,
    TG_TICKET_UNKNOWN = 0, /* no key of ours: a full handshake follows */
    TG_TICKET_GOOD = 1,
    TG_TICKET_OLD = 2, /* good, but its key is on the way out, so that the client should get another ticket */
};

/* Prepare cipher and mac (AES-256-CBC and HMAC-SHA256), for a new ticket with the current key, or for one with this
 * key name and iv with whichever of the three it names. Any thread. The values are those of OpenSSL's callback. */
enum tg_ticket_seal tg_ticket_keys_seal(struct tg_ticket_keys *keys, const struct tg_tls_library *library,
                                        unsigned char name[TG_TICKET_KEY_NAME], unsigned char *iv,
                                        EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);
enum tg_ticket_seal tg_ticket_keys_open(struct tg_ticket_keys *keys, const struct tg_tls_library *library,
                                        const unsigned char name[TG_TICKET_KEY_NAME], const unsigned char *iv,
                                        EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);

#endif
