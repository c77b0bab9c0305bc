#include "cli/args.h"

#include "base/assert.h"
#include "cli/when.h"

#include <stdlib.h>

/* All options that may be given here. */
struct tables {
    const struct dm_option *options[2];
    size_t counts[2];
};

static const struct dm_option *find(const struct tables *tables, const char *name, size_t size)
{
    for (size_t t = 0; t < 2; t++) {
        for (size_t i = 0; i < tables->counts[t]; i++) {
            const struct dm_option *option = &tables->options[t][i];
            bool letter = size == 1 && option->letter != 0 && option->letter == name[0];
            bool whole = strlen(option->name) == size && memcmp(option->name, name, size) == 0;
            if (letter || (whole && size > 1)) {
                return option;
            }
        }
    }
    return NULL;
}

/* `text` without its dashes. What is far from every name is not guessed at. */
static bool unknown(struct dm_args *args, const struct tables *tables, bool is_long,
                    const char *text, size_t size)
{
    const char *near = NULL;
    size_t least = 3;
    char name[64] = {0};
    memcpy(name, text, size < sizeof name ? size : sizeof name - 1);
    for (size_t t = 0; t < 2; t++) {
        for (size_t i = 0; i < tables->counts[t]; i++) {
            size_t distance = dm_args_distance(name, tables->options[t][i].name);
            if (distance < least && distance * 2 < strlen(name)) {
                least = distance;
                near = tables->options[t][i].name;
            }
        }
    }
    dm_out_format(&args->error, "there is no option %s", is_long ? "--" : "-");
    (void)dm_out_safe(&args->error, (struct dormouse_text){.data = text, .size = size});
    if (near != NULL) {
        dm_out_format(&args->error, "; did you mean --%s?", near);
    }
    return false;
}

static void give(struct dm_args *args, const struct dm_option *option, const char *value)
{
    args->given[args->given_count++] = (struct dm_given){.option = option, .value = value};
}

/* The option at argv[*i], and its value. */
static bool read_option(struct dm_args *args, const struct tables *tables, int argc, char **argv,
                        int *i)
{
    const char *text = argv[*i];
    bool is_long = text[1] == '-';
    const char *name = text + (is_long ? 2 : 1);
    const char *equals = is_long ? strchr(name, '=') : NULL;
    size_t size = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct dm_option *option = is_long || size == 1 ? find(tables, name, size) : NULL;
    if (option == NULL || (is_long && size == 1)) {
        return unknown(args, tables, is_long, name, size);
    }
    if (option->value == NULL) {
        if (equals != NULL) {
            dm_out_format(&args->error, "--%s takes no value", option->name);
            return false;
        }
        give(args, option, "");
        return true;
    }
    if (equals == NULL && *i + 1 >= argc) {
        dm_out_format(&args->error, "--%s needs a value: %s", option->name, option->value);
        return false;
    }
    give(args, option, equals != NULL ? equals + 1 : argv[++*i]);
    return true;
}

bool dm_args_read(struct dm_args *args, int argc, char **argv, const struct dm_option *options,
                  size_t options_count, const struct dm_option *more, size_t more_count)
{
    struct tables tables = {{options, more}, {options_count, more_count}};
    *args = (struct dm_args){
        .given = dm_xcalloc((size_t)argc + 1, sizeof *args->given),
        .words = dm_xcalloc((size_t)argc + 1, sizeof *args->words),
    };
    bool only_words = false;
    for (int i = 0; i < argc; i++) {
        const char *text = argv[i];
        if (only_words || text[0] != '-' || text[1] == '\0') {
            args->words[args->words_count++] = text;
        } else if (strcmp(text, "--") == 0) {
            only_words = true;
        } else if (!read_option(args, &tables, argc, argv, &i)) {
            return false;
        }
    }
    return true;
}

void dm_args_finish(struct dm_args *args)
{
    free(args->given);
    free(args->words);
    dm_out_finish(&args->error);
}

const char *dm_args_each(const struct dm_args *args, const char *name, size_t i)
{
    for (size_t g = 0; g < args->given_count; g++) {
        if (strcmp(args->given[g].option->name, name) == 0 && i-- == 0) {
            return args->given[g].value;
        }
    }
    return NULL;
}

const char *dm_args_value(const struct dm_args *args, const char *name)
{
    const char *last = NULL;
    for (size_t g = 0; g < args->given_count; g++) {
        if (strcmp(args->given[g].option->name, name) == 0) {
            last = args->given[g].value;
        }
    }
    return last;
}

bool dm_args_flag(const struct dm_args *args, const char *name)
{
    return dm_args_value(args, name) != NULL;
}

static bool wrong(struct dm_args *args, const char *name, const char *value, const char *why)
{
    dm_out_format(&args->error, "--%s: \"", name);
    (void)dm_out_safe(&args->error, dormouse_text(value));
    dm_out_format(&args->error, "\" %s", why);
    return false;
}

bool dm_args_number(struct dm_args *args, const char *name, uint64_t most, uint64_t *out)
{
    const char *value = dm_args_value(args, name);
    if (value == NULL) {
        return true;
    }
    uint64_t number = 0;
    bool ok = *value != '\0';
    for (const char *c = value; ok && *c != '\0'; c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        ok = *c >= '0' && *c <= '9' && number <= (most - digit) / 10 && digit <= most;
        number = number * 10 + digit;
    }
    if (!ok) {
        return wrong(args, name, value, "is not a whole number, or too large");
    }
    *out = number;
    return true;
}

bool dm_args_duration(struct dm_args *args, const char *name, int64_t *ms)
{
    const char *value = dm_args_value(args, name);
    const char *why = value == NULL ? NULL : dm_duration_parse(dormouse_text(value), ms);
    return why == NULL || wrong(args, name, value, why);
}

bool dm_args_time(struct dm_args *args, const char *name, int64_t *ms)
{
    const char *value = dm_args_value(args, name);
    const char *why = value == NULL ? NULL : dm_time_parse(dormouse_text(value), ms);
    return why == NULL || wrong(args, name, value, why);
}

/* Optimal string alignment, in a table of three rows. Longer words are never near. */
size_t dm_args_distance(const char *a, const char *b)
{
    enum { LONGEST = 32 };
    size_t rows[3][LONGEST + 1], m = strlen(a), n = strlen(b);
    if (m > LONGEST || n > LONGEST) {
        return LONGEST;
    }
    for (size_t j = 0; j <= n; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= m; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *second = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && second[j - 2] + 1 < best) {
                best = second[j - 2] + 1;
            }
            row[j] = best;
        }
    }
    return rows[m % 3][n];
}
