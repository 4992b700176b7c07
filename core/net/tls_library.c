#include "net/tls_library.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/conf.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include "net/tls_system_cas.h"

struct tg_tls_library {
    OSSL_LIB_CTX *context; /* NULL: the default one */
    OSSL_PROVIDER *fips, *base;
    EVP_MD *md5, *sha256;
    EVP_CIPHER *aes_256_cbc;
    char provider[64];
};

static const char *modules_folder(void)
{
    const char *set = getenv("OPENSSL_MODULES");
    const char *built_in = OPENSSL_info(OPENSSL_INFO_MODULES_DIR);
    return set ? set : built_in ? built_in : "OpenSSL's folder for modules";
}

/* The provider checks itself against the digest in the file that `openssl fipsinstall` made, which openssl.cnf
 * includes; a context of our own reads that file only when told to. A file without it, or none, shows when the provider
 * is loaded. */
static void load_configuration(OSSL_LIB_CTX *context)
{
    char *path = CONF_get1_default_config_file();
    if (path && !OSSL_LIB_CTX_load_config(context, path))
        ERR_clear_error();
    OPENSSL_free(path);
}

static void set_provider(struct tg_tls_library *library)
{
    const char *version = NULL;
    OSSL_PARAM wanted[] = { OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_VERSION, (char **)&version, 0), OSSL_PARAM_END };
    bool known = OSSL_PROVIDER_get_params(library->fips, wanted) && version;
    snprintf(library->provider, sizeof(library->provider), known ? "fips %s" : "fips", version);
}

/* That a context was asked for approved algorithms says nothing: only a fetch shows that they are there, and that
 * others aren't. */
static bool fetch(struct tg_tls_library *library)
{
    library->md5 = EVP_MD_fetch(library->context, "MD5", NULL);
    library->sha256 = EVP_MD_fetch(library->context, "SHA256", NULL);
    library->aes_256_cbc = EVP_CIPHER_fetch(library->context, "AES-256-CBC", NULL);
    ERR_clear_error();
    return library->sha256 && library->aes_256_cbc && !(library->fips && library->md5);
}

static bool open_fips(struct tg_tls_library *library, char why[512])
{
    library->context = OSSL_LIB_CTX_new();
    if (!library->context) {
        snprintf(why, 512, "fips: out of memory");
        return false;
    }
    load_configuration(library->context);
    library->fips = OSSL_PROVIDER_load(library->context, "fips");
    if (!library->fips) {
        snprintf(why, 512,
                 "fips: OpenSSL's FIPS provider can't be loaded: install a validated fips.so in %s, run 'openssl "
                 "fipsinstall', and include the file it writes in openssl.cnf; or drop 'fips = true'",
                 modules_folder());
        return false;
    }
    library->base = OSSL_PROVIDER_load(library->context, "base");
    if (!library->base || !EVP_set_default_properties(library->context, "fips=yes") || !fetch(library)) {
        snprintf(why, 512,
                 "fips: OpenSSL's FIPS provider was loaded, but doesn't serve: run 'openssl fipsinstall' for "
                 "the installed fips.so again");
        return false;
    }
    set_provider(library);
    return true;
}

static bool open_default(struct tg_tls_library *library, char why[512])
{
    snprintf(library->provider, sizeof(library->provider), "default");
    if (fetch(library))
        return true;
    snprintf(why, 512, "OpenSSL's default provider lacks SHA-256 or AES-256: openssl.cnf may have switched it off");
    return false;
}

struct tg_tls_library *tg_tls_library_open(bool fips, char why[512])
{
    struct tg_tls_library *library = calloc(1, sizeof(*library));
    if (!library) {
        snprintf(why, 512, "out of memory");
        return NULL;
    }
    if (!(fips ? open_fips(library, why) : open_default(library, why))) {
        ERR_clear_error();
        tg_tls_library_close(library);
        return NULL;
    }
    return library;
}

void tg_tls_library_close(struct tg_tls_library *library)
{
    if (!library)
        return;
    tg_tls_system_cas_forget(); /* its certificates are of this context */
    EVP_MD_free(library->md5);
    EVP_MD_free(library->sha256);
    EVP_CIPHER_free(library->aes_256_cbc);
    if (library->base)
        OSSL_PROVIDER_unload(library->base);
    if (library->fips)
        OSSL_PROVIDER_unload(library->fips);
    OSSL_LIB_CTX_free(library->context);
    free(library);
}

bool tg_tls_library_is_fips(const struct tg_tls_library *library)
{
    return library->fips != NULL;
}

struct tg_slice tg_tls_library_provider(const struct tg_tls_library *library)
{
    return tg_slice_from_string(library->provider);
}

struct ossl_lib_ctx_st *tg_tls_library_context(const struct tg_tls_library *library)
{
    return library->context;
}

const char *tg_tls_library_properties(const struct tg_tls_library *library)
{
    return library->fips ? "fips=yes" : NULL;
}

const struct evp_md_st *tg_tls_library_md5(const struct tg_tls_library *library)
{
    return library->md5;
}

const struct evp_md_st *tg_tls_library_sha256(const struct tg_tls_library *library)
{
    return library->sha256;
}

const struct evp_cipher_st *tg_tls_library_aes_256_cbc(const struct tg_tls_library *library)
{
    return library->aes_256_cbc;
}
