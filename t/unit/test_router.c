#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/router.h"

/* A router whose routes are known by a name that says what was declared. */
struct fixture {
    struct tg_router *router;
    struct tg_route routes[32];
    char names[32][128];
    size_t count;
    char why[512];
    struct tg_route_parameters parameters;
    bool path_taken;
};

static struct tg_slice text(const char *string)
{
    return tg_slice_from_string(string ? string : "");
}

static bool try_add(struct fixture *fixture, const char *name, const char *listener, const char *host, const char *path,
                    uint32_t methods)
{
    struct tg_route *route = &fixture->routes[fixture->count++];
    *route = (struct tg_route){ .name = text(name), .declared_at = TG_SLICE("gateway.lua:3") };
    return tg_router_add(fixture->router, route, text(listener), text(host), text(path), methods, NULL, 0,
                         fixture->why);
}

/* A route for all listeners and methods, named by its host and path. */
static void add(struct fixture *fixture, const char *host, const char *path)
{
    char *name = fixture->names[fixture->count];
    snprintf(name, sizeof(fixture->names[0]), "%s%s", host ? host : "", path);
    if (!try_add(fixture, name, NULL, host, path, 0))
        fail_msg("%s", fixture->why);
}

static void add_for(struct fixture *fixture, const char *name, const char *listener, const char *path, uint32_t methods)
{
    if (!try_add(fixture, name, listener, NULL, path, methods))
        fail_msg("%s", fixture->why);
}

static const char *match_query(struct fixture *fixture, const char *listener, const char *host, const char *path,
                               const char *method)
{
    struct tg_route_query query = {
        .listener = text(listener),
        .host = text(host),
        .path = text(path),
        .method = tg_method_of(text(method)),
        .method_text = text(method),
    };
    struct tg_route *route = tg_router_match(fixture->router, &query, &fixture->parameters, &fixture->path_taken);
    return route ? route->name.at : NULL;
}

static const char *match(struct fixture *fixture, const char *host, const char *path)
{
    return match_query(fixture, "", host, path, "GET");
}

static void assert_parameter(const struct fixture *fixture, size_t index, const char *name, const char *value)
{
    assert_true(index < fixture->parameters.count);
    assert_true(tg_slice_equal(fixture->parameters.at[index].name, text(name)));
    assert_true(tg_slice_equal(fixture->parameters.at[index].value, text(value)));
}

static int start(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->router = tg_router_new();
    *state = fixture;
    return fixture->router ? 0 : 1;
}

static int finish(void **state)
{
    struct fixture *fixture = *state;
    tg_router_free(fixture->router);
    free(fixture);
    return 0;
}

static void text_wins_over_a_parameter_and_that_over_a_rest(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, NULL, "/users/*");
    add(fixture, NULL, "/users/:id");
    add(fixture, NULL, "/users/me");
    assert_string_equal(match(fixture, "", "/users/me"), "/users/me");
    assert_int_equal(fixture->parameters.count, 0);
    assert_string_equal(match(fixture, "", "/users/7"), "/users/:id");
    assert_parameter(fixture, 0, "id", "7");
    assert_string_equal(match(fixture, "", "/users/7/posts"), "/users/*");
    assert_parameter(fixture, 0, "*", "7/posts");
    assert_null(match(fixture, "", "/other"));
    assert_false(fixture->path_taken);
}

static void a_branch_that_leads_nowhere_is_left_for_the_next_best(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, NULL, "/a/b/c");
    add(fixture, NULL, "/a/:x/d");
    add(fixture, NULL, "/:top/b/:y/f");
    add(fixture, NULL, "/a/*all");
    assert_string_equal(match(fixture, "", "/a/b/d"), "/a/:x/d");
    assert_parameter(fixture, 0, "x", "b");
    assert_string_equal(match(fixture, "", "/a/b/c"), "/a/b/c");
    assert_string_equal(match(fixture, "", "/a/b/e/f"), "/a/*all");
    assert_parameter(fixture, 0, "all", "b/e/f");
    assert_string_equal(match(fixture, "", "/z/b/e/f"), "/:top/b/:y/f");
    assert_parameter(fixture, 0, "top", "z");
    assert_parameter(fixture, 1, "y", "e");
}

static void a_rest_also_takes_the_path_without_it(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, NULL, "/files/*rest");
    assert_string_equal(match(fixture, "", "/files"), "/files/*rest");
    assert_parameter(fixture, 0, "rest", "");
    assert_string_equal(match(fixture, "", "/files/"), "/files/*rest");
    assert_parameter(fixture, 0, "rest", "");
    assert_string_equal(match(fixture, "", "/files//a%2Fb/"), "/files/*rest");
    assert_parameter(fixture, 0, "rest", "/a%2Fb/");
    assert_null(match(fixture, "", "/filesystem"));
}

static void an_exact_path_takes_neither_more_nor_less(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, NULL, "/");
    add(fixture, NULL, "/exact");
    add(fixture, NULL, "/folder/");
    assert_string_equal(match(fixture, "", "/"), "/");
    assert_string_equal(match(fixture, "", "/exact"), "/exact");
    assert_null(match(fixture, "", "/exact/"));
    assert_null(match(fixture, "", "/folder"));
    assert_string_equal(match(fixture, "", "/folder/"), "/folder/");
    assert_null(match(fixture, "", "//"));
}

static void a_parameter_takes_no_empty_segment(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, NULL, "/users/:id");
    add(fixture, NULL, "/users/:id/x");
    assert_null(match(fixture, "", "/users/"));
    assert_null(match(fixture, "", "/users//x"));
}

static void an_exact_host_wins_over_the_longest_wildcard_and_that_over_any(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, NULL, "/*");
    add(fixture, "*.example", "/*");
    add(fixture, "*.shop.example", "/*");
    add(fixture, "eu.shop.example", "/*");
    assert_string_equal(match(fixture, "eu.shop.example", "/"), "eu.shop.example/*");
    assert_string_equal(match(fixture, "us.shop.example", "/"), "*.shop.example/*");
    assert_string_equal(match(fixture, "a.b.shop.example", "/"), "*.shop.example/*");
    assert_string_equal(match(fixture, "shop.example", "/"), "*.example/*");
    assert_string_equal(match(fixture, "example", "/"), "/*");
    assert_string_equal(match(fixture, "[::1]", "/"), "/*");
    assert_string_equal(match(fixture, "", "/"), "/*");
}

static void a_host_without_a_fitting_path_leaves_it_to_wider_hosts(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, "shop.example", "/cart");
    add(fixture, "*.example", "/:page");
    add(fixture, NULL, "/help/*");
    assert_string_equal(match(fixture, "shop.example", "/cart"), "shop.example/cart");
    assert_string_equal(match(fixture, "shop.example", "/about"), "*.example/:page");
    assert_string_equal(match(fixture, "shop.example", "/help/me"), "/help/*");
}

/* [H08] */
static void hosts_are_declared_in_any_case_and_with_a_trailing_dot(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, "Shop.Example.", "/*");
    assert_string_equal(match(fixture, "shop.example", "/"), "Shop.Example./*");
}

static void the_path_counts_more_than_method_and_listener(void **state)
{
    struct fixture *fixture = *state;
    add_for(fixture, "rest for POST here", "internal", "/api/*", 1u << TG_METHOD_POST);
    add_for(fixture, "exact", NULL, "/api/users", 0);
    assert_string_equal(match_query(fixture, "internal", "", "/api/users", "POST"), "exact");
    assert_string_equal(match_query(fixture, "internal", "", "/api/other", "POST"), "rest for POST here");
}

static void a_given_method_wins_over_a_given_listener(void **state)
{
    struct fixture *fixture = *state;
    add_for(fixture, "any", NULL, "/x", 0);
    add_for(fixture, "listener", "internal", "/x", 0);
    add_for(fixture, "method", NULL, "/x", 1u << TG_METHOD_GET);
    add_for(fixture, "both", "internal", "/x", 1u << TG_METHOD_PUT);
    assert_string_equal(match_query(fixture, "internal", "", "/x", "GET"), "method");
    assert_string_equal(match_query(fixture, "internal", "", "/x", "PUT"), "both");
    assert_string_equal(match_query(fixture, "internal", "", "/x", "POST"), "listener");
    assert_string_equal(match_query(fixture, "public", "", "/x", "PUT"), "any");
}

static void a_route_for_get_takes_head_unless_another_names_head(void **state)
{
    struct fixture *fixture = *state;
    add_for(fixture, "get", NULL, "/x", 1u << TG_METHOD_GET);
    add_for(fixture, "get y", NULL, "/y", 1u << TG_METHOD_GET);
    add_for(fixture, "head y", NULL, "/y", 1u << TG_METHOD_HEAD);
    assert_string_equal(match_query(fixture, "", "", "/x", "HEAD"), "get");
    assert_string_equal(match_query(fixture, "", "", "/y", "HEAD"), "head y");
    assert_string_equal(match_query(fixture, "", "", "/y", "GET"), "get y");
}

static void a_method_without_a_number_is_matched_as_text(void **state)
{
    struct fixture *fixture = *state;
    const struct tg_slice purge = TG_SLICE("PURGE");
    fixture->routes[0] = (struct tg_route){ .name = TG_SLICE("purge") };
    fixture->count = 1;
    assert_true(tg_router_add(fixture->router, &fixture->routes[0], text(""), text(""), text("/x"), 0, &purge, 1,
                              fixture->why));
    assert_string_equal(match_query(fixture, "", "", "/x", "PURGE"), "purge");
    assert_null(match_query(fixture, "", "", "/x", "purge"));
    assert_null(match_query(fixture, "", "", "/x", "GET"));
    assert_true(fixture->path_taken);
}

static void a_path_that_other_methods_have_is_reported(void **state)
{
    struct fixture *fixture = *state;
    add_for(fixture, "get", NULL, "/x", 1u << TG_METHOD_GET);
    assert_null(match_query(fixture, "", "", "/x", "POST"));
    assert_true(fixture->path_taken);
    assert_null(match_query(fixture, "", "", "/y", "POST"));
    assert_false(fixture->path_taken);
    add_for(fixture, "all", NULL, "/*", 0);
    assert_string_equal(match_query(fixture, "", "", "/x", "POST"), "all");
    assert_false(fixture->path_taken);
}

static void a_tie_is_an_error_that_names_the_other_route(void **state)
{
    struct fixture *fixture = *state;
    add_for(fixture, "one", NULL, "/users/:id", 0);
    assert_false(try_add(fixture, "two", NULL, NULL, "/users/:name", 0));
    assert_non_null(strstr(fixture->why, "ties with route \"one\" (gateway.lua:3)"));
    assert_true(try_add(fixture, "three", NULL, NULL, "/users/:name", 1u << TG_METHOD_GET | 1u << TG_METHOD_PUT));
    assert_false(try_add(fixture, "four", NULL, NULL, "/users/:name", 1u << TG_METHOD_PUT));
    assert_non_null(strstr(fixture->why, "\"three\""));
    assert_true(try_add(fixture, "five", "internal", NULL, "/users/:name", 1u << TG_METHOD_PUT));
    assert_true(try_add(fixture, "six", NULL, "a.example", "/users/:name", 0));
    assert_false(try_add(fixture, "seven", NULL, "A.example", "/users/:name", 0));
}

static void paths_that_spell_one_path_tie(void **state)
{
    struct fixture *fixture = *state;
    add_for(fixture, "one", NULL, "/a/%7euser", 0);
    assert_false(try_add(fixture, "two", NULL, NULL, "/a/b/../~user", 0));
    assert_string_equal(match(fixture, "", "/a/~user"), "one");
}

static void patterns_that_mean_nothing_are_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_false(try_add(fixture, "r", NULL, NULL, "users", 0));
    assert_false(try_add(fixture, "r", NULL, NULL, "", 0));
    assert_false(try_add(fixture, "r", NULL, NULL, "/a/*rest/b", 0));
    assert_false(try_add(fixture, "r", NULL, NULL, "/a/:", 0));
    assert_false(try_add(fixture, "r", NULL, NULL, "/:a/:a", 0));
    assert_false(try_add(fixture, "r", NULL, NULL, "/a/%zz", 0));
    assert_false(try_add(fixture, "r", NULL, NULL, "/a/../../b", 0));
    assert_false(try_add(fixture, "r", NULL, NULL, "/:1/:2/:3/:4/:5/:6/:7/:8/:9/:a/:b/:c/:d/:e/:f/:g/:h", 0));
    assert_non_null(strstr(fixture->why, "16 parameters"));
    assert_false(try_add(fixture, "r", NULL, "*", "/", 0));
    assert_false(try_add(fixture, "r", NULL, "*.", "/", 0));
    assert_false(try_add(fixture, "r", NULL, "a.*.example", "/", 0));
    assert_false(try_add(fixture, "r", NULL, "shop.example:80", "/", 0));
}

static void an_asterisk_is_taken_by_a_route_for_all_paths_alone(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, NULL, "/a/*");
    assert_null(match_query(fixture, "", "", "*", "OPTIONS"));
    add(fixture, NULL, "/*");
    assert_string_equal(match_query(fixture, "", "", "*", "OPTIONS"), "/*");
}

/* A tree that is wide at every level, so that a search which tried all ways for each segment would take for ever. */
static void deep_paths_with_parameters_at_each_level_are_matched_at_once(void **state)
{
    struct fixture *fixture = *state;
    char path[256] = "", request[256] = "";
    for (int i = 0; i < 16; i++) {
        strcat(path, "/:p");
        sprintf(path + strlen(path), "%d", i);
        strcat(request, "/a");
        add(fixture, NULL, path);
    }
    strcat(request, "/no/such/end");
    assert_null(match(fixture, "", request));
}

static double seconds_for_matches(struct tg_router *router, size_t routes, size_t matches)
{
    struct tg_route_parameters parameters;
    struct timespec from, to;
    bool taken;
    char path[64];
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (size_t i = 0; i < matches; i++) {
        int length = snprintf(path, sizeof(path), "/api/v%zu/items/42", i * 7919 % routes);
        struct tg_route_query query = { .method = TG_METHOD_GET, .path = tg_slice_of(path, (size_t)length) };
        assert_non_null(tg_router_match(router, &query, &parameters, &taken));
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

static double best_time_with(size_t routes)
{
    struct tg_router *router = tg_router_new();
    struct tg_route route = { .name = TG_SLICE("r") };
    double best = 1e9;
    char why[512], path[64];
    for (size_t i = 0; i < routes; i++) {
        int length = snprintf(path, sizeof(path), "/api/v%zu/items/:id", i);
        assert_true(
            tg_router_add(router, &route, text(""), text(""), tg_slice_of(path, (size_t)length), 0, NULL, 0, why));
    }
    for (int round = 0; round < 5; round++) {
        double seconds = seconds_for_matches(router, routes, 2000);
        best = seconds < best ? seconds : best;
    }
    tg_router_free(router);
    return best;
}

/* A list would take a thousand times as long; caches alone make up for a few times. */
static void ten_thousand_routes_cost_about_what_ten_do(void **state)
{
    (void)state;
    double few = best_time_with(10), many = best_time_with(10000);
    print_message("10 routes: %.0f ns, 10,000 routes: %.0f ns a match\n", few / 2000 * 1e9, many / 2000 * 1e9);
    assert_true(many < few * 20);
}

static bool expand(const char *template_text, const char *value, char out[256])
{
    struct tg_route_parameters parameters = { .count = 2 };
    struct tg_arena arena;
    struct tg_slice expanded;
    parameters.at[0].name = TG_SLICE("id");
    parameters.at[0].value = TG_SLICE("7%2F8");
    parameters.at[1].name = TG_SLICE("*");
    parameters.at[1].value = text(value);
    tg_arena_init(&arena);
    bool done = tg_route_expand(text(template_text), &parameters, &arena, &expanded);
    if (done)
        snprintf(out, 256, "%.*s", (int)expanded.length, expanded.at);
    tg_arena_deinit(&arena);
    return done;
}

static void a_template_is_filled_with_what_was_captured(void **state)
{
    (void)state;
    char out[256];
    assert_true(expand("/v1/:id/x/*", "a/b", out));
    assert_string_equal(out, "/v1/7%2F8/x/a/b");
    assert_true(expand("/v1/*", "", out));
    assert_string_equal(out, "/v1/");
    assert_true(expand("/fixed:id", "", out));
    assert_string_equal(out, "/fixed:id");
    assert_true(expand("/new/:id?from=:id", "", out));
    assert_string_equal(out, "/new/7%2F8?from=:id");
    assert_true(expand("https://other.example:8443/*", "a", out));
    assert_string_equal(out, "https://other.example:8443/a");
    assert_false(expand("/v1/:other", "", out));
}

/* [P13] */
static void a_captured_rest_never_makes_another_site_of_a_path(void **state)
{
    (void)state;
    char out[256];
    assert_true(expand("/*", "/evil.example/x", out));
    assert_string_equal(out, "/evil.example/x");
    assert_true(expand("/*", "///evil.example", out));
    assert_string_equal(out, "/evil.example");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        T(text_wins_over_a_parameter_and_that_over_a_rest),
        T(a_branch_that_leads_nowhere_is_left_for_the_next_best),
        T(a_rest_also_takes_the_path_without_it),
        T(an_exact_path_takes_neither_more_nor_less),
        T(a_parameter_takes_no_empty_segment),
        T(an_exact_host_wins_over_the_longest_wildcard_and_that_over_any),
        T(a_host_without_a_fitting_path_leaves_it_to_wider_hosts),
        T(hosts_are_declared_in_any_case_and_with_a_trailing_dot),
        T(the_path_counts_more_than_method_and_listener),
        T(a_given_method_wins_over_a_given_listener),
        T(a_route_for_get_takes_head_unless_another_names_head),
        T(a_method_without_a_number_is_matched_as_text),
        T(a_path_that_other_methods_have_is_reported),
        T(a_tie_is_an_error_that_names_the_other_route),
        T(paths_that_spell_one_path_tie),
        T(patterns_that_mean_nothing_are_refused),
        T(an_asterisk_is_taken_by_a_route_for_all_paths_alone),
        T(deep_paths_with_parameters_at_each_level_are_matched_at_once),
        T(ten_thousand_routes_cost_about_what_ten_do),
        T(a_template_is_filled_with_what_was_captured),
        T(a_captured_rest_never_makes_another_site_of_a_path),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
