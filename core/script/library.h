/* What the files behind the Lua library share. The VM's thread. */
#ifndef TG_SCRIPT_LIBRARY_H
#define TG_SCRIPT_LIBRARY_H

#include "script/owned.h"

struct evp_md_st;

/* abi_hash.c. The digest of that number (enum tg_abi_digest_name), from the library that the gateway's TLS uses; NULL:
 * there is none, as with MD5 under FIPS. */
const struct evp_md_st *tg_library_digest(struct tg_vm *vm, int32_t algorithm);

#endif
