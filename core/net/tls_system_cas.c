#include "net/tls_system_cas.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUNDLE_LIMIT = 16 << 20, PATH_ROOM = 1024 };

/* Reading some 140 certificates takes 10 ms, and a configuration may have a hundred groups. */
static struct {
    pthread_mutex_t lock;
    const struct tg_tls_library *library;
    struct stat file;
    struct tg_tls_authorities authorities;
} kept = { .lock = PTHREAD_MUTEX_INITIALIZER };

void tg_tls_system_cas_forget(void)
{
    pthread_mutex_lock(&kept.lock);
    tg_tls_authorities_deinit(&kept.authorities);
    kept.library = NULL;
    pthread_mutex_unlock(&kept.lock);
}

static char *read_all(int descriptor, size_t size)
{
    char *content = malloc(size + 1);
    size_t have = 0;
    while (content && have < size) {
        ssize_t count = read(descriptor, content + have, size - have);
        if (count <= 0) {
            free(content);
            return NULL;
        }
        have += (size_t)count;
    }
    return content;
}

static bool is_kept(const struct tg_tls_library *library, const struct stat *file)
{
    return kept.authorities.store && kept.library == library && kept.file.st_dev == file->st_dev &&
           kept.file.st_ino == file->st_ino && kept.file.st_size == file->st_size &&
           kept.file.st_mtim.tv_sec == file->st_mtim.tv_sec && kept.file.st_mtim.tv_nsec == file->st_mtim.tv_nsec;
}

static void read_bundle(const struct tg_tls_library *library, int descriptor, const char *path, const struct stat *file,
                        char why[TG_TLS_WHY])
{
    char *content = read_all(descriptor, (size_t)file->st_size);
    struct tg_tls_file bundle = { tg_slice_from_string(path), tg_slice_of(content, (size_t)file->st_size) };
    struct tg_tls_authorities authorities;
    if (!content)
        tg_tls_refuse(why, &bundle, "can't be read");
    else if (tg_tls_authorities_load(library, &bundle, false, &authorities, why)) {
        tg_tls_authorities_deinit(&kept.authorities);
        kept.authorities = authorities;
        kept.library = library;
        kept.file = *file;
    }
    free(content);
}

/* *found: there is such a file, good or bad. */
static X509_STORE *store_of(const struct tg_tls_library *library, const char *path, unsigned char digest[32],
                            bool *found, char why[TG_TLS_WHY])
{
    struct stat file;
    X509_STORE *store = NULL;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *found = descriptor >= 0 && fstat(descriptor, &file) == 0 && S_ISREG(file.st_mode) && file.st_size < BUNDLE_LIMIT;
    pthread_mutex_lock(&kept.lock);
    if (*found && !is_kept(library, &file))
        read_bundle(library, descriptor, path, &file, why);
    if (*found && is_kept(library, &file)) {
        store = kept.authorities.store;
        X509_STORE_up_ref(store);
        memcpy(digest, kept.authorities.digest, 32);
    }
    pthread_mutex_unlock(&kept.lock);
    if (descriptor >= 0)
        close(descriptor);
    return store;
}

/* OpenSSL looks for files by the hash of a subject: "1b2c3d4f.0". */
static int is_named_by_hash(const struct dirent *entry)
{
    return strlen(entry->d_name) == 10 && strspn(entry->d_name, "0123456789abcdef") == 8 && entry->d_name[8] == '.';
}

static bool has_certificates(const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_named_by_hash, alphasort);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return count > 0;
}

static X509_STORE *store_of_folder(const char *folder)
{
    X509_STORE *store = has_certificates(folder) ? X509_STORE_new() : NULL;
    if (store && X509_STORE_load_path(store, folder) != 1) {
        X509_STORE_free(store);
        return NULL;
    }
    return store;
}

X509_STORE *tg_tls_system_cas(const struct tg_tls_library *library, unsigned char digest[32], char why[TG_TLS_WHY])
{
    const char *set_file = getenv(X509_get_default_cert_file_env()),
               *set_folder = getenv(X509_get_default_cert_dir_env());
    const char *file = set_file ? set_file : set_folder ? NULL : X509_get_default_cert_file();
    const char *folder = set_folder ? set_folder : set_file ? NULL : X509_get_default_cert_dir();
    char bundle[PATH_ROOM];
    bool found = false;
    memset(digest, 0, 32);
    X509_STORE *store = file ? store_of(library, file, digest, &found, why) : NULL;
    if (!found && folder) {
        snprintf(bundle, sizeof(bundle), "%s/ca-certificates.crt", folder);
        store = store_of(library, bundle, digest, &found, why);
    }
    if (!found && folder)
        store = store_of_folder(folder);
    if (!store && !found)
        snprintf(why, TG_TLS_WHY,
                 "no authorities of the system were found (in %.150s%s%.150s): install the package ca-certificates, or "
                 "name a file with `ca`",
                 file ? file : "", file && folder ? " and " : "", folder ? folder : "");
    return store;
}
