#include "cli/args.h"

#include "base/assert.h"
#include "base/flag.h"
#include "cli/when.h"

#include <stdlib.h>

/* All options that may be given here. */
struct tables {
    const struct dm_option *options[2];
    size_t counts[2];
};

static const struct dm_option *find(const struct tables *tables, const struct dm_flag *flag)
{
    for (size_t t = 0; t < 2; t++) {
        for (size_t i = 0; i < tables->counts[t]; i++) {
            const struct dm_option *option = &tables->options[t][i];
            bool letter = !flag->is_long && flag->name_size == 1 && option->letter != 0 &&
                          option->letter == flag->name[0];
            if (letter || dm_flag_is(flag, option->name)) {
                return option;
            }
        }
    }
    return NULL;
}

static bool unknown(struct dm_args *args, const struct tables *tables, const struct dm_flag *flag)
{
    struct dm_flag_guess guess = {0};
    for (size_t t = 0; t < 2; t++) {
        for (size_t i = 0; i < tables->counts[t]; i++) {
            dm_flag_guess(&guess, flag, tables->options[t][i].name);
        }
    }
    dm_out_format(&args->error, "there is no option %s", flag->is_long ? "--" : "-");
    (void)dm_out_safe(&args->error,
                      (struct dormouse_text){.data = flag->name, .size = flag->name_size});
    if (guess.nearest != NULL) {
        dm_out_format(&args->error, "; did you mean --%s?", guess.nearest);
    }
    return false;
}

static void give(struct dm_args *args, const struct dm_option *option, const char *value)
{
    args->given[args->given_count++] = (struct dm_given){.option = option, .value = value};
}

/* The option at argv[*i], and its value. */
static bool read_option(struct dm_args *args, const struct tables *tables,
                        const struct dm_flag *flag, int argc, char **argv, int *i)
{
    const struct dm_option *option = find(tables, flag);
    if (option == NULL) {
        return unknown(args, tables, flag);
    }
    if (option->value == NULL) {
        if (flag->value != NULL) {
            dm_out_format(&args->error, "--%s takes no value", option->name);
            return false;
        }
        give(args, option, "");
        return true;
    }
    const char *value = dm_flag_value(flag, argc, argv, i);
    if (value == NULL) {
        dm_out_format(&args->error, "--%s needs a value: %s", option->name, option->value);
        return false;
    }
    give(args, option, value);
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
        struct dm_flag flag;
        if (only_words || !dm_flag_read(argv[i], &flag)) {
            args->words[args->words_count++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!read_option(args, &tables, &flag, argc, argv, &i)) {
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
