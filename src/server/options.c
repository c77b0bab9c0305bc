#include "server/options.h"

#include "base/address.h"
#include "base/assert.h"
#include "base/flag.h"
#include "base/limits.h"
#include "server/amount.h"
#include "server/web_names.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum kind { TEXT, LIST, HOSTS, ORIGINS, DURATION, BYTES, COUNT, MODE, LEVEL, FORMAT };

struct option {
    const char *name;     /* of the flag; the variable is derived from it */
    const char *value;    /* what stands for the value in the help */
    const char *fallback; /* the default, as it would be given; NULL: none */
    const char *help;
    enum kind kind;
    size_t offset;
    int64_t min, max; /* of numbers */
};

#define DAY_MS (24LL * 3600 * 1000)
#define OPTION(field) offsetof(struct dm_options, field)
#define DIGITS_OF(number) #number
#define DIGITS(number) DIGITS_OF(number)

static const struct option table[] = {
    {"data", "DIR", "dormouse-data", "folder for journal and view; created if it does not exist",
     TEXT, OPTION(data), 0, 0},
    {"listen", "ADDRESS", "127.0.0.1:7400",
     "HOST:PORT, [IPV6]:PORT or unix:PATH; may be given more than once (in the variable: separated "
     "by commas)",
     LIST, OPTION(listen), 0, 0},
    {"unix-mode", "MODE", "0600",
     "mode of unix sockets' files, in octal; 0660 also lets the group in", MODE, OPTION(unix_mode),
     0600, 0777},
    {"horizon", "DURATION", "1h", "how far ahead sleeping contacts are kept in memory", DURATION,
     OPTION(horizon_ms), 1000, 366 * DAY_MS},
    {"retention-bytes", "SIZE", "8GiB", "how much journal is kept for Watch and GetHistory", BYTES,
     OPTION(retention_bytes), 1, INT64_MAX},
    {"retention-age", "DURATION", "30d",
     "how long journal is kept, counted while the server runs; what is past either limit is "
     "dropped",
     DURATION, OPTION(retention_ms), 1000, 36600 * DAY_MS},
    {"segment-size", "SIZE", "64MiB", "size of one file of the journal", BYTES,
     OPTION(segment_bytes), 8LL << 20, 1LL << 30},
    {"apply-after", "DURATION", "1s",
     "how long changes gather before they are brought into the view; a large sweep gathers ten "
     "times as long",
     DURATION, OPTION(apply_after_ms), 1, DAY_MS},
    {"overlay-max", "COUNT", DIGITS(DM_OVERLAY_CONTACTS_MAX),
     "how many changed contacts may wait to be brought into the view; past it changes are "
     "refused; a restart with a smaller one takes longer",
     COUNT, OPTION(overlay_max), DM_OVERLAY_CONTACTS_MIN, 1LL << 30},
    {"cache-size", "SIZE", "256MiB",
     "memory for what Check needs of contacts that were asked for lately, 32 bytes each; 0: none",
     BYTES, OPTION(cache_bytes), 0, 1LL << 40},
    {"connections-max", "COUNT", DIGITS(DM_CONNECTIONS_MAX),
     "how many connections may be open; past it new ones are closed", COUNT,
     OPTION(connections_max), 1, 1000000},
    {"buffers-max", "SIZE", "512MiB",
     "memory for half-received requests and unread answers of all connections, beyond 32 KiB each; "
     "near it large requests are refused, past it the connection that holds most is closed",
     BYTES, OPTION(buffers_max), 8LL << 20, 1LL << 40},
    {"log-level", "LEVEL", "info", "debug, info, warn or error", LEVEL, OPTION(log_level), 0, 0},
    {"log-level-file", "FILE", NULL,
     "file that holds a log level; while it exists, that level is used instead; read at start and "
     "at SIGHUP",
     TEXT, OPTION(log_level_file), 0, 0},
    {"log-file", "FILE", NULL,
     "append the log to this file instead of stderr; reopened at SIGHUP, for logrotate", TEXT,
     OPTION(log_file), 0, 0},
    {"log-format", "FORMAT", "logfmt", "logfmt or json", FORMAT, OPTION(log_format), 0, 0},
    {"drain-delay", "DURATION", "0s",
     "how long after SIGTERM everything is still served while /readyz and health say no, so that "
     "load balancers go elsewhere first",
     DURATION, OPTION(drain_delay_ms), 0, DAY_MS},
    {"drain-timeout", "DURATION", "10s",
     "how long a shutdown then waits for open calls, and for requests that are still coming in",
     DURATION, OPTION(drain_timeout_ms), 0, DAY_MS},
    {"host", "NAME", NULL,
     "name under which HTTP/1.1 clients reach this server over TCP (in Host), for example by a "
     "proxy; IP addresses and localhost always work, other names get 421; may be given more than "
     "once (in "
     "the variable: separated by commas)",
     HOSTS, OPTION(hosts), 0, 0},
    {"cors-origin", "ORIGIN", NULL,
     "browser origin whose pages may call, like https://app.example; other pages get 403; may "
     "be given more than once (in the variable: separated by commas)",
     ORIGINS, OPTION(cors_origins), 0, 0},
};

enum { OPTION_COUNT = sizeof table / sizeof table[0], NAME_SIZE = 64 };

/* The help gives these with units. */
_Static_assert(DM_HORIZON_MS == DAY_MS / 24, "horizon");
_Static_assert(DM_RETENTION_BYTES >> 30 == 8 && DM_RETENTION_MS / DAY_MS == 30, "retention");
_Static_assert(DM_SEGMENT_SIZE >> 20 == 64, "segment-size");
_Static_assert(DM_JOURNAL_BATCH_MAX >> 20 <= 4, "the smallest segment has two batches");
_Static_assert(DM_CACHE_BYTES >> 20 == 256, "cache-size");
_Static_assert(DM_BUFFERS_MAX >> 20 == 512, "buffers-max");

/* ---- values ---------------------------------------------------------------------------- */

/* Octal, and the owner can always use it. */
static bool parse_mode(const char *text, int64_t *mode)
{
    char *end;
    if (*text == '\0' || strspn(text, "01234567") != strlen(text) || strlen(text) > 4) {
        return false;
    }
    *mode = strtol(text, &end, 8);
    return (*mode & 0600) == 0600;
}

static bool parse_word(const char *text, const char *const *words, int *index)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

static char *copy_text(const char *text, size_t size)
{
    char *copy = dm_xmalloc(size + 1);
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

static bool add_value(struct dm_option_list *list, const char *text, size_t size)
{
    if (size == 0 || list->count == DM_OPTION_VALUES_MAX) {
        return false;
    }
    list->values[list->count++] = copy_text(text, size);
    return true;
}

static bool add_values(struct dm_option_list *list, const char *text)
{
    static const char spaces[] = " \t";
    for (;;) {
        text += strspn(text, spaces);
        size_t all = strcspn(text, ",");
        size_t size = all;
        while (size > 0 && strchr(spaces, text[size - 1]) != NULL) {
            size--;
        }
        if (!add_value(list, text, size)) {
            return false;
        }
        if (text[all] == '\0') {
            return true;
        }
        text += all + 1;
    }
}

static bool set_number(const struct option *option, void *field, const char *text)
{
    int64_t number;
    bool ok = option->kind == DURATION ? dm_parse_duration(text, &number)
              : option->kind == BYTES  ? dm_parse_bytes(text, &number)
              : option->kind == MODE   ? parse_mode(text, &number)
                                       : dm_parse_count(text, &number);
    if (!ok || number < option->min || number > option->max) {
        return false;
    }
    DM_ASSERT(option->min <= option->max && option->offset % sizeof number == 0);
    *(int64_t *)field = number;
    return true;
}

/* Sets a field from its text. `commas`: a list comes as one text. */
static bool set_value(struct dm_options *options, const struct option *option, const char *text,
                      bool commas)
{
    static const char *const formats[] = {"logfmt", "json", NULL};
    void *field = (char *)options + option->offset;
    int index;
    switch (option->kind) {
    case TEXT:
        free(*(char **)field);
        *(char **)field = copy_text(text, strlen(text));
        return *text != '\0';
    case LIST:
    case HOSTS:
    case ORIGINS:
        return commas ? add_values(field, text) : add_value(field, text, strlen(text));
    case LEVEL:
        return dm_log_level_parse(text, field);
    case FORMAT:
        if (!parse_word(text, formats, &index)) {
            return false;
        }
        *(enum dm_log_format *)field = (enum dm_log_format)index;
        return true;
    default:
        return set_number(option, field, text);
    }
}

enum { WANTED_SIZE = 128 };

/* A number with its range, into `text`. */
static const char *wanted_number(const struct option *option, const char *what, const char *like,
                                 void (*write)(int64_t amount, char *text), char *text)
{
    char min[DM_AMOUNT_SIZE], max[DM_AMOUNT_SIZE];
    write(option->min, min);
    write(option->max, max);
    bool open = option->max == INT64_MAX;
    (void)snprintf(text, WANTED_SIZE, "%s %s%s%s%s%s", what, open ? "of at least " : "from ", min,
                   open ? "" : " to ", open ? "" : max, like);
    return text;
}

static const char *wanted(const struct option *option, char *text)
{
    switch (option->kind) {
    case TEXT:
        return "a path";
    case LIST:
    case HOSTS:
    case ORIGINS:
        return "a value that is not empty, at most 16 times";
    case MODE:
        return "an octal mode that lets the owner read and write, 0600 to 0777";
    case LEVEL:
        return "debug, info, warn or error";
    case FORMAT:
        return "logfmt or json";
    case DURATION:
        return wanted_number(option, "a duration", ", like 500ms, 10s, 1h30m or 30d",
                             dm_duration_write, text);
    case BYTES:
        return wanted_number(option, "a size", ", like 64MiB or 8GiB", dm_bytes_write, text);
    default:
        return wanted_number(option, "a whole number", "", dm_count_write, text);
    }
}

/* ---- flags and variables ------------------------------------------------------------------ */

static void variable_name(const struct option *option, char *name)
{
    static const char prefix[] = "DORMOUSE_";
    size_t size = strlen(prefix);
    memcpy(name, prefix, size);
    for (const char *at = option->name; *at != '\0'; at++) {
        DM_ASSERT(size + 1 < NAME_SIZE);
        name[size++] = (char)(*at == '-' ? '_' : toupper((unsigned char)*at));
    }
    name[size] = '\0';
}

static const char *find_variable(char *const *variables, const char *name)
{
    size_t size = strlen(name);
    for (; *variables != NULL; variables++) {
        if (strncmp(*variables, name, size) == 0 && (*variables)[size] == '=') {
            return *variables + size + 1;
        }
    }
    return NULL;
}

static const struct option *find_option(const struct dm_flag *flag)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (dm_flag_is(flag, table[i].name)) {
            return &table[i];
        }
    }
    return NULL;
}

static enum dm_code unknown(const struct dm_flag *flag, const char *text, struct dm_error *error)
{
    struct dm_flag_guess guess = {0};
    for (int i = 0; i < OPTION_COUNT; i++) {
        dm_flag_guess(&guess, flag, table[i].name);
    }
    return guess.nearest != NULL
               ? dm_fail(error, DM_INVALID_ARGUMENT,
                         "there is no option \"%s\"; did you mean --%s?", text, guess.nearest)
               : dm_fail(error, DM_INVALID_ARGUMENT,
                         "there is no option \"%s\"; --help names them all", text);
}

static enum dm_code read_flags(struct dm_options *options, int argc, char *const *argv, bool *given,
                               struct dm_error *error)
{
    char text[WANTED_SIZE];
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        struct dm_flag flag = {0};
        bool is_flag = dm_flag_read(argument, &flag);
        if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            options->help = true;
            continue;
        }
        if (strcmp(argument, "--version") == 0) {
            options->version = true;
            continue;
        }
        const struct option *option = is_flag ? find_option(&flag) : NULL;
        if (option == NULL) {
            return unknown(&flag, argument, error);
        }
        const char *value = dm_flag_value(&flag, argc, argv, &i);
        if (value == NULL) {
            return dm_fail(error, DM_INVALID_ARGUMENT, "--%s needs a value: %s", option->name,
                           wanted(option, text));
        }
        if (!set_value(options, option, value, false)) {
            return dm_fail(error, DM_INVALID_ARGUMENT, "--%s needs %s, not \"%s\"", option->name,
                           wanted(option, text), value);
        }
        DM_ASSERT(option >= table && option < table + OPTION_COUNT);
        given[option - table] = true;
    }
    return DM_OK;
}

/* Known before anything is opened or made. */
static const char *listen_fault(const char *value)
{
    struct dm_address address;
    return dm_address_parse(value, DM_ADDRESS_LISTEN, &address);
}

/* Refuses what is not an address, or not a name. `name`: of the flag or variable. */
static enum dm_code judge_names(const struct option *option, const struct dm_options *options,
                                const char *name, struct dm_error *error)
{
    const char *(*const faults[])(const char *) = {
        [LIST] = listen_fault, [HOSTS] = dm_host_fault, [ORIGINS] = dm_origin_fault};
    if (option->kind != LIST && option->kind != HOSTS && option->kind != ORIGINS) {
        return DM_OK;
    }
    const struct dm_option_list *list = (const void *)((const char *)options + option->offset);
    for (uint32_t i = 0; i < list->count; i++) {
        const char *value = list->values[i];
        const char *fault = faults[option->kind](value);
        if (fault != NULL) {
            return dm_fail(error, DM_INVALID_ARGUMENT, "%s \"%.100s\" %s%s", name, value,
                           option->kind == LIST ? "is not an address: " : "", fault);
        }
    }
    return DM_OK;
}

enum dm_code dm_options_parse(struct dm_options *options, int argc, char *const *argv,
                              char *const *variables, struct dm_error *error)
{
    bool given[OPTION_COUNT] = {false};
    char text[WANTED_SIZE];
    *options = (struct dm_options){0};
    enum dm_code code = read_flags(options, argc, argv, given, error);
    if (code != DM_OK || options->help || options->version) {
        return code;
    }
    for (int i = 0; i < OPTION_COUNT; i++) {
        char name[NAME_SIZE];
        variable_name(&table[i], name);
        const char *value = given[i] ? NULL : find_variable(variables, name);
        if (value != NULL && !set_value(options, &table[i], value, true)) {
            return dm_fail(error, DM_INVALID_ARGUMENT, "%s needs %s, not \"%s\"", name,
                           wanted(&table[i], text), value);
        }
        if (!given[i] && value == NULL && table[i].fallback != NULL) {
            bool ok = set_value(options, &table[i], table[i].fallback, true);
            DM_ASSERT(ok);
        }
        if (given[i]) {
            (void)snprintf(name, sizeof name, "--%s", table[i].name);
        }
        if (code == DM_OK) {
            code = judge_names(&table[i], options, name, error);
        }
    }
    return code;
}

static void finish_list(struct dm_option_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        free(list->values[i]);
    }
    *list = (struct dm_option_list){.count = 0};
}

void dm_options_finish(struct dm_options *options)
{
    char **texts[] = {&options->data, &options->log_file, &options->log_level_file};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        free(*texts[i]);
        *texts[i] = NULL;
    }
    finish_list(&options->listen);
    finish_list(&options->hosts);
    finish_list(&options->cors_origins);
}

void dm_options_help(FILE *to)
{
    (void)fputs("dormoused keeps, for every contact, whether the bot may speak to it.\n\n"
                "Usage: dormoused [--OPTION VALUE]...\n\n"
                "Every option can also be given as an environment variable; the flag wins.\n\n",
                to);
    for (int i = 0; i < OPTION_COUNT; i++) {
        char name[NAME_SIZE];
        variable_name(&table[i], name);
        (void)fprintf(to, "  --%s %s\n      %s\n      %s; default: %s\n", table[i].name,
                      table[i].value, table[i].help, name,
                      table[i].fallback == NULL ? "none" : table[i].fallback);
    }
    (void)fputs("  --help\n      show this text\n  --version\n      show the version\n", to);
}
