/* Patterns for tg.re: PCRE2, compiled to machine code where it can be. A search ends in bounded time whatever pattern
 * and text are. PCRE2 counts steps from one place of the text, but a step may go over all of it; so at first only as
 * many places and steps are allowed as can't take long together. Where these don't do, the pattern is compiled once
 * more, with a call at each of its items, and there the clock is looked at. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <time.h>

#include "script/library.h"

enum {
    LONGEST_PATTERN = 16384,
    GROUPS = 100,          /* with the whole match */
    BYTES_A_GO = 10000000, /* places * steps * bytes of the text, each about a nanosecond */
    LEAST_PLACES = 150,    /* at SHORT_TEXT */
    MOST_PLACES = 4096,
    SHORT_TEXT = 65536, /* a longer one would take too many goes: it is searched carefully at once */
    LEAST_STEPS = 100,
    MOST_STEPS = 100000,
    CAREFUL_STEPS = 10000000,
    BYTES_A_LOOK = 1 << 20, /* calls * bytes of the text between two looks at the clock */
    STACK_START = 32 * 1024,
    STACK_MAX = 2 * 1024 * 1024,
    HEAP_MAX_KB = 4096, /* of what isn't machine code */
};

/* Seconds of the thread's time that a search may take, and hardly more. */
static const double time_limit = 0.02;

struct tg_abi_matching {
    struct tg_abi_owned owned;
    pcre2_compile_context *compiling;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    pcre2_match_data *data;
    struct tg_abi_spans spans; /* lent to Lua */
    char problem[256];
};

struct regex {
    struct tg_abi_owned owned;
    pcre2_code *code;
    pcre2_code *careful; /* with a call at each item; NULL until it is needed */
    char *pattern;       /* from which that is made */
    uint32_t length;
    int32_t flags;
    uint32_t groups; /* without the whole match */
    bool anchored;   /* it can match at one place only */
    bool utf;
};

static void destroy_matching(struct tg_abi_owned *owned)
{
    struct tg_abi_matching *matching = (struct tg_abi_matching *)owned;
    pcre2_compile_context_free(matching->compiling);
    pcre2_match_context_free(matching->context);
    pcre2_match_data_free(matching->data);
    pcre2_jit_stack_free(matching->stack);
    owned->vm->matching = NULL;
    free(matching);
}

static struct tg_abi_matching *matching_new(struct tg_vm *vm)
{
    struct tg_abi_matching *matching = tg_owned_new(vm, sizeof(*matching), destroy_matching);
    if (!matching)
        return NULL;
    matching->compiling = pcre2_compile_context_create(NULL);
    matching->context = pcre2_match_context_create(NULL);
    matching->data = pcre2_match_data_create(GROUPS, NULL);
    matching->stack = pcre2_jit_stack_create(STACK_START, STACK_MAX, NULL);
    if (!matching->compiling || !matching->context || !matching->data || !matching->stack) {
        tg_abi_release(&matching->owned);
        return NULL;
    }
    pcre2_set_max_pattern_length(matching->compiling, LONGEST_PATTERN);
    pcre2_set_heap_limit(matching->context, HEAP_MAX_KB);
    pcre2_set_depth_limit(matching->context, CAREFUL_STEPS);
    pcre2_jit_stack_assign(matching->context, NULL, matching->stack);
    return matching;
}

static struct tg_abi_matching *matching_of(struct tg_vm *vm)
{
    if (!vm->matching)
        vm->matching = matching_new(vm);
    return vm->matching;
}

static void destroy_regex(struct tg_abi_owned *owned)
{
    struct regex *regex = (struct regex *)owned;
    pcre2_code_free(regex->code);
    pcre2_code_free(regex->careful);
    free(regex->pattern);
    free(regex);
}

static uint32_t options_of(int32_t flags)
{
    uint32_t options = PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT | PCRE2_DOLLAR_ENDONLY;
    options |= flags & TG_ABI_RE_UTF ? PCRE2_UTF | PCRE2_MATCH_INVALID_UTF : PCRE2_NEVER_UTF;
    options |= flags & TG_ABI_RE_CASELESS ? PCRE2_CASELESS : 0;
    options |= flags & TG_ABI_RE_MULTILINE ? PCRE2_MULTILINE : 0;
    options |= flags & TG_ABI_RE_DOTALL ? PCRE2_DOTALL : 0;
    options |= flags & TG_ABI_RE_EXTENDED ? PCRE2_EXTENDED : 0;
    options |= flags & TG_ABI_RE_ANCHORED ? PCRE2_ANCHORED : 0;
    return options;
}

static bool note_problem(struct tg_abi_matching *matching, const char *what)
{
    snprintf(matching->problem, sizeof(matching->problem), "%s", what);
    return false;
}

static bool compile(struct tg_abi_matching *matching, struct regex *regex, struct tg_slice pattern, int32_t flags)
{
    int error;
    PCRE2_SIZE place;
    regex->code =
        pcre2_compile((PCRE2_SPTR)pattern.at, pattern.length, options_of(flags), &error, &place, matching->compiling);
    if (!regex->code) {
        char message[160];
        pcre2_get_error_message(error, (PCRE2_UCHAR *)message, sizeof(message));
        snprintf(matching->problem, sizeof(matching->problem), "%s, at byte %zu", message, place + 1);
        return false;
    }
    uint32_t options = 0;
    pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &regex->groups);
    pcre2_pattern_info(regex->code, PCRE2_INFO_ALLOPTIONS, &options);
    if (regex->groups >= GROUPS)
        return note_problem(matching, "more than 99 groups");
    regex->anchored = options & PCRE2_ANCHORED;
    regex->utf = flags & TG_ABI_RE_UTF;
    regex->pattern = tg_slice_to_string(pattern);
    if (!regex->pattern)
        return note_problem(matching, "out of memory");
    regex->length = (uint32_t)pattern.length;
    regex->flags = flags;
    pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); /* without it, it is interpreted */
    return true;
}

/* \G holds wherever a search begins, so also where one goes on. */
static bool has_start_assertion(struct tg_slice pattern)
{
    for (size_t i = 0; i + 1 < pattern.length; i++) {
        if (pattern.at[i] == '\\' && pattern.at[++i] == 'G')
            return true;
    }
    return false;
}

struct tg_abi_owned *tg_abi_regex_new(struct tg_abi_control *control, const char *pattern, uint32_t length,
                                      int32_t flags)
{
    struct tg_vm *vm = (struct tg_vm *)control;
    struct tg_slice text = tg_slice_of(pattern, length);
    struct tg_abi_matching *matching = matching_of(vm);
    struct regex *regex = matching ? tg_owned_new(vm, sizeof(*regex), destroy_regex) : NULL;
    if (!regex)
        return NULL;
    matching->problem[0] = '\0';
    if (has_start_assertion(text))
        note_problem(matching, "\\G isn't possible: the flag \"a\" holds a match to its place");
    else if (compile(matching, regex, text, flags))
        return &regex->owned;
    tg_abi_release(&regex->owned);
    return NULL;
}

const char *tg_abi_regex_problem(struct tg_abi_control *control)
{
    const struct tg_abi_matching *matching = ((struct tg_vm *)control)->matching;
    return matching && matching->problem[0] ? matching->problem : "out of memory, or too many patterns";
}

int32_t tg_abi_regex_groups(struct tg_abi_owned *regex)
{
    return (int32_t)((struct regex *)regex)->groups;
}

/* An entry of the table of names: the number in two bytes, the name. */
static PCRE2_SPTR name_entry(struct tg_abi_owned *regex, int32_t position)
{
    const pcre2_code *code = ((struct regex *)regex)->code;
    uint32_t count = 0, size = 0;
    PCRE2_SPTR table = NULL;
    pcre2_pattern_info(code, PCRE2_INFO_NAMECOUNT, &count);
    pcre2_pattern_info(code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info(code, PCRE2_INFO_NAMETABLE, (void *)&table);
    return position >= 0 && (uint32_t)position < count ? table + (uint32_t)position * size : NULL;
}

const char *tg_abi_regex_name(struct tg_abi_owned *regex, int32_t position)
{
    PCRE2_SPTR entry = name_entry(regex, position);
    return entry ? (const char *)entry + 2 : NULL;
}

int32_t tg_abi_regex_number(struct tg_abi_owned *regex, int32_t position)
{
    PCRE2_SPTR entry = name_entry(regex, position);
    return entry ? entry[0] << 8 | entry[1] : 0;
}

const struct tg_abi_spans *tg_abi_regex_spans(struct tg_abi_control *control)
{
    struct tg_abi_matching *matching = matching_of((struct tg_vm *)control);
    return matching ? &matching->spans : NULL;
}

static double time_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* One search in a text. */
struct search {
    struct tg_abi_matching *matching;
    struct regex *regex;
    PCRE2_SPTR text;
    size_t length, at;
    uint32_t options; /* for the first place */
    double until;     /* on the wall; 0: not looked at yet */
    double began;     /* of the thread's time */
    uint32_t calls;   /* until the clock is looked at */
};

/* The thread's own time needs a system call: it is asked when the time on the wall is over. */
static bool is_out_of_time(struct search *search)
{
    double now = time_of(CLOCK_MONOTONIC);
    if (search->until == 0) {
        search->began = time_of(CLOCK_THREAD_CPUTIME_ID);
        search->until = now + time_limit;
    }
    if (now < search->until)
        return false;
    double left = time_limit - (time_of(CLOCK_THREAD_CPUTIME_ID) - search->began);
    search->until = now + left;
    return left <= 0;
}

static uint32_t quotient(size_t number, size_t by, uint32_t least, uint32_t most)
{
    size_t result = number / (by ? by : 1);
    if (result > most)
        return most;
    return result < least ? least : (uint32_t)result;
}

/* Called at each item of the careful pattern. */
static int look_at_clock(pcre2_callout_block *block, void *context)
{
    (void)block;
    struct search *search = context;
    if (--search->calls)
        return 0;
    search->calls = quotient(BYTES_A_LOOK, search->length, 1, 1000);
    return is_out_of_time(search) ? PCRE2_ERROR_CALLOUT : 0;
}

/* Where the next search begins when all places up to `last` were tried: not inside a character. */
static size_t place_behind(const struct search *search, size_t last)
{
    size_t next = last + 1;
    while (search->regex->utf && next < search->length && (search->text[next] & 0xc0) == 0x80)
        next++;
    return next;
}

/* Tries so many places; what pcre2_match gives. */
static int try_places(struct search *search, const pcre2_code *code, size_t places, uint32_t steps)
{
    struct tg_abi_matching *matching = search->matching;
    bool all = search->regex->anchored || search->length - search->at < places;
    pcre2_set_offset_limit(matching->context, all ? PCRE2_UNSET : search->at + places - 1);
    pcre2_set_match_limit(matching->context, steps);
    int result =
        pcre2_match(code, search->text, search->length, search->at, search->options, matching->data, matching->context);
    if (result != PCRE2_ERROR_NOMATCH)
        return result;
    search->at = all ? search->length + 1 : place_behind(search, search->at + places - 1);
    search->options = 0;
    return result;
}

static bool is_limit(int result)
{
    return result == PCRE2_ERROR_MATCHLIMIT || result == PCRE2_ERROR_DEPTHLIMIT || result == PCRE2_ERROR_HEAPLIMIT ||
           result == PCRE2_ERROR_JIT_STACKLIMIT;
}

static int try_carefully(struct search *search, size_t places)
{
    struct tg_abi_matching *matching = search->matching;
    struct regex *regex = search->regex;
    int error;
    PCRE2_SIZE place;
    if (!regex->careful) {
        regex->careful =
            pcre2_compile((PCRE2_SPTR)regex->pattern, regex->length, options_of(regex->flags) | PCRE2_AUTO_CALLOUT,
                          &error, &place, matching->compiling);
        if (!regex->careful)
            return PCRE2_ERROR_MATCHLIMIT;
        pcre2_jit_compile(regex->careful, PCRE2_JIT_COMPLETE);
    }
    search->calls = 1;
    pcre2_set_callout(matching->context, look_at_clock, search);
    int result = try_places(search, regex->careful, places, CAREFUL_STEPS);
    pcre2_set_callout(matching->context, NULL, NULL);
    return result;
}

static int run_search(struct search *search)
{
    if (search->length - search->at > SHORT_TEXT)
        return try_carefully(search, SIZE_MAX);
    int result = PCRE2_ERROR_NOMATCH;
    for (bool first = true; result == PCRE2_ERROR_NOMATCH && search->at <= search->length; first = false) {
        if (!first && is_out_of_time(search))
            return PCRE2_ERROR_MATCHLIMIT;
        size_t left = search->length - search->at + 1;
        size_t places = quotient(BYTES_A_GO, left, LEAST_PLACES, MOST_PLACES);
        size_t tried = search->regex->anchored ? 1 : places < left ? places : left;
        uint32_t steps = quotient(BYTES_A_GO, tried * left, LEAST_STEPS, MOST_STEPS);
        result = try_places(search, search->regex->code, places, steps);
        if (is_limit(result))
            result = try_carefully(search, places);
    }
    return result;
}

static void keep_spans(struct tg_abi_matching *matching, uint32_t groups, int count)
{
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(matching->data);
    for (uint32_t i = 0; i <= groups; i++) {
        bool there = i < (uint32_t)count && offsets[2 * i] != PCRE2_UNSET;
        matching->spans.at[2 * i] = there ? (int32_t)offsets[2 * i] : -1;
        matching->spans.at[2 * i + 1] = there ? (int32_t)offsets[2 * i + 1] : -1;
    }
}

int32_t tg_abi_regex_match(struct tg_abi_owned *owned, const char *text, uint32_t length, uint32_t at,
                           int32_t not_empty)
{
    struct regex *regex = (struct regex *)owned;
    struct tg_abi_matching *matching = matching_of(owned->vm);
    if (!matching)
        return TG_ABI_RE_LIMIT;
    if (at > length || length > INT32_MAX)
        return TG_ABI_RE_NONE;
    struct search search = {
        .matching = matching,
        .regex = regex,
        .text = (PCRE2_SPTR)text,
        .length = length,
        .at = at,
        .options = not_empty ? PCRE2_NOTEMPTY_ATSTART : 0,
    };
    int result = run_search(&search);
    if (result == PCRE2_ERROR_NOMATCH)
        return TG_ABI_RE_NONE;
    if (result < 0)
        return TG_ABI_RE_LIMIT;
    keep_spans(matching, regex->groups, result);
    return TG_ABI_RE_FOUND;
}
