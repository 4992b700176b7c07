/* TLS of listeners and groups: from the plan's files to the settings that all threads share. */
#include "net/tls_client.h"
#include "script/plan.h"

/* Where the settings stand, if there are any. */
static void refuse_settings(struct tg_plan *plan, const char *why)
{
    struct tg_slice at = tg_plan_text(plan, "at");
    luaL_error(plan->L, "%s%stg.settings: %s", at.at ? at.at : "", at.at ? ": " : "", why);
}

void tg_plan_open_tls(struct tg_plan *plan)
{
    char why[512];
    bool fips = plan->snapshot->settings.fips;
    if (!plan->tls->library) {
        plan->tls->library = tg_tls_library_open(fips, why);
        if (!plan->tls->library)
            refuse_settings(plan, why);
    } else if (tg_tls_library_is_fips(plan->tls->library) != fips) {
        refuse_settings(plan, fips ? "fips = true needs a restart: this process runs without FIPS"
                                   : "without fips = true this needs a restart: this process runs with FIPS");
    }
}

/* A file of the table on top of the stack, which Lua has found; absent where it names none. */
static struct tg_tls_file file_on_top(struct tg_plan *plan)
{
    struct tg_tls_file file = { .path = tg_plan_text(plan, "path") };
    if (file.path.length > 0)
        file.content = tg_source_secret(plan->source, file.path);
    return file;
}

static struct tg_tls_file read_file(struct tg_plan *plan, const char *name)
{
    tg_plan_enter(plan, name);
    struct tg_tls_file file = file_on_top(plan);
    lua_pop(plan->L, 1);
    return file;
}

static void read_certificate(struct tg_plan *plan, struct tg_tls_certificate *certificate)
{
    static const char *const auths[] = { "none", "optional", "require" };
    *certificate = (struct tg_tls_certificate){
        .name = tg_plan_text(plan, "name"),
        .cert = read_file(plan, "cert"),
        .key = read_file(plan, "key"),
        .cert2 = read_file(plan, "cert2"),
        .key2 = read_file(plan, "key2"),
        .ocsp = read_file(plan, "ocsp"),
        .ocsp2 = read_file(plan, "ocsp2"),
        .client_ca = read_file(plan, "client_ca"),
        .client_auth = (enum tg_tls_client_auth)tg_plan_word(plan, "client_auth", auths, 3, TG_CLIENT_AUTH_REQUIRE),
    };
}

static const struct tg_tls_certificate *read_certificates(struct tg_plan *plan, size_t *count)
{
    *count = tg_plan_enter(plan, "certificates");
    struct tg_tls_certificate *certificates = tg_plan_alloc(plan, *count, sizeof(*certificates));
    for (size_t i = 0; i < *count; i++) {
        tg_plan_item(plan, i);
        read_certificate(plan, &certificates[i]);
        lua_pop(plan->L, 1);
    }
    lua_pop(plan->L, 1);
    return certificates;
}

static const struct tg_tls_file *read_cas(struct tg_plan *plan, size_t *count)
{
    *count = tg_plan_enter(plan, "client_cas");
    struct tg_tls_file *files = tg_plan_alloc(plan, *count, sizeof(*files));
    for (size_t i = 0; i < *count; i++) {
        tg_plan_item(plan, i);
        files[i] = file_on_top(plan);
        lua_pop(plan->L, 1);
    }
    lua_pop(plan->L, 1);
    return files;
}

static const char *key_log(const struct tg_plan *plan)
{
    const struct tg_slice *path = &plan->snapshot->settings.key_log;
    return path->length > 0 ? path->at : NULL;
}

static void make_server(struct tg_plan *plan, struct tg_listener_config *listener, const char *at)
{
    static const char *const policies[] = { "intermediate", "modern" };
    char why[512];
    struct tg_tls_server_options options = { .listener = listener->text, .key_log = key_log(plan) };
    options.certificates = read_certificates(plan, &options.count);
    options.client_cas = read_cas(plan, &options.client_ca_count);
    options.policy = (enum tg_tls_policy)tg_plan_word(plan, "policy", policies, 2, TG_TLS_MODERN);
    options.h1_only = !tg_plan_flag(plan, "http2");
    options.refuse_unknown_names = tg_slice_equal(tg_plan_text(plan, "unknown_names"), TG_SLICE("refuse"));
    options.session_life = tg_plan_number(plan, "session_life", 86400);
    listener->tls = tg_tls_server_new(plan->tls->library, plan->tls->tickets, &options, why);
    if (!listener->tls)
        luaL_error(plan->L, "%s: tg.listen: tls: %s", at, why);
}

static void pass_warnings_on(struct tg_plan *plan, const struct tg_tls_server *server, const char *at)
{
    struct tg_slice warning;
    for (size_t i = 0; plan->warnings && tg_tls_server_warning(server, i, &warning); i++)
        tg_text_appendf(plan->warnings, "%s: tg.listen: tls: %.*s\n", at, (int)warning.length, warning.at);
}

static bool enter_tls(struct tg_plan *plan)
{
    lua_getfield(plan->L, -1, "tls");
    if (lua_istable(plan->L, -1))
        return true;
    lua_pop(plan->L, 1);
    return false;
}

void tg_plan_read_listener_tls(struct tg_plan *plan, struct tg_listener_config *listener)
{
    struct tg_slice at = tg_plan_text(plan, "at");
    if (!enter_tls(plan))
        return;
    make_server(plan, listener, at.at);
    pass_warnings_on(plan, listener->tls, at.at);
    lua_pop(plan->L, 1);
}

static void make_client(struct tg_plan *plan, struct tg_group *group, const char *at)
{
    char why[512];
    struct tg_tls_client_options options = {
        .verify = tg_plan_flag(plan, "verify"),
        .name = tg_plan_text(plan, "sni"),
        .ca = read_file(plan, "ca"),
        .cert = read_file(plan, "cert"),
        .key = read_file(plan, "key"),
        .offer_h1 = group->protocol != TG_PROTOCOL_H2,
        .offer_h2 = group->protocol != TG_PROTOCOL_H1,
        .key_log = key_log(plan),
    };
    group->tls = tg_tls_client_new(plan->tls->library, &options, why);
    if (!group->tls)
        luaL_error(plan->L, "%s: tg.upstream: \"%s\": tls: %s", at, group->name.at, why);
    if (!options.verify && plan->warnings)
        tg_text_appendf(
            plan->warnings,
            "%s: tg.upstream: \"%s\": tls: verify = false: whoever answers at these addresses is believed\n", at,
            group->name.at);
}

/* Without TLS nothing is negotiated: "auto" is HTTP/1. */
void tg_plan_read_group_tls(struct tg_plan *plan, struct tg_group *group)
{
    static const char *const protocols[] = { "auto", "h1", "h2" };
    struct tg_slice at = tg_plan_text(plan, "at");
    group->protocol = (enum tg_protocol)tg_plan_word(plan, "protocol", protocols, 3, TG_PROTOCOL_H1);
    if (enter_tls(plan)) {
        make_client(plan, group, at.at);
        lua_pop(plan->L, 1);
    } else if (group->protocol == TG_PROTOCOL_AUTO) {
        group->protocol = TG_PROTOCOL_H1;
    }
}
