#include "cli/cli.h"

#include "cli/when.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* What all commands share: the connection, and how to fail. */

enum { CONNECT_MS_DEFAULT = 2000 };

static int64_t clock_ms(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t dm_cli_now_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

int64_t dm_cli_monotonic_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

/* One line to stderr, made safe by whoever wrote it. */
static void tell(struct dm_out *line)
{
    dm_out_str(line, "\n");
    (void)fflush(stdout);
    (void)dm_out_flush(line, stderr);
    dm_out_finish(line);
}

uint32_t dm_cli_connect_ms(const struct dm_cli *cli)
{
    return cli->timeout_ms != 0 ? cli->timeout_ms : CONNECT_MS_DEFAULT;
}

int dm_cli_unreachable(const struct dm_cli *cli, struct dormouse_text why)
{
    struct dm_out line = {.colour = false};
    dm_out_str(&line, "dormouse: cannot reach ");
    (void)dm_out_safe(&line, dormouse_text(cli->server));
    if (why.size > 0) {
        dm_out_str(&line, ": ");
        (void)dm_out_safe(&line, why);
    }
    /* Nobody listens there: of all reasons the one with a plain remedy. */
    static const char connecting[] = "connecting: ";
    if (why.size > sizeof connecting && memcmp(why.data, connecting, sizeof connecting - 1) == 0) {
        dm_out_str(&line, "; is dormoused running there?");
    }
    tell(&line);
    return DM_EXIT_UNREACHABLE;
}

int dm_cli_no_client(const struct dm_cli *cli, const struct dormouse_result *result)
{
    if (result->code == DORMOUSE_INVALID_ARGUMENT) {
        return dm_cli_usage(cli, "--server: \"%.128s\" is not an address: %.*s", cli->server,
                            (int)result->message.size, result->message.data);
    }
    return dm_cli_unreachable(cli, result->message);
}

bool dm_cli_connect(struct dm_cli *cli)
{
    if (cli->client != NULL) {
        return true;
    }
    struct dormouse_options options =
        DORMOUSE_OPTIONS(.address = cli->server, .timeout_ms = dm_cli_connect_ms(cli));
    struct dormouse_result result = {.code = 0};
    cli->client = dormouse_client_open(&options, &result);
    if (cli->client == NULL) {
        cli->connect_code = dm_cli_no_client(cli, &result);
    }
    return cli->client != NULL;
}

int dm_cli_failed(struct dormouse_text what, int code, struct dormouse_text message)
{
    struct dm_out line = {.colour = false};
    dm_out_str(&line, "dormouse: ");
    if (what.size > 0) {
        (void)dm_out_safe(&line, what);
        dm_out_str(&line, ": ");
    }
    dm_out_format(&line, "%s: ", dormouse_code_name(code));
    (void)dm_out_safe(&line, message);
    tell(&line);
    bool no_answer = code == DORMOUSE_UNAVAILABLE || code == DORMOUSE_DEADLINE_EXCEEDED;
    return no_answer ? DM_EXIT_UNREACHABLE : DM_EXIT_REFUSED;
}

int dm_cli_usage(const struct dm_cli *cli, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct dm_out line = {.colour = false};
    dm_out_str(&line, "dormouse: ");
    (void)dm_out_safe(&line, dormouse_text(text));
    dm_out_format(&line, "\n(see dormouse %s%s--help)",
                  cli->command != NULL ? cli->command->name : "", cli->command != NULL ? " " : "");
    tell(&line);
    return DM_EXIT_USAGE;
}

int dm_cli_args_usage(const struct dm_cli *cli)
{
    struct dm_slice why = dm_buf_slice(&cli->args.error.buf);
    return dm_cli_usage(cli, "%.*s", (int)why.size, (const char *)why.data);
}

static _Noreturn void end_by_sigpipe(void)
{
    (void)signal(SIGPIPE, SIG_DFL);
    (void)raise(SIGPIPE);
    _exit(128 + SIGPIPE); /* it is blocked */
}

void dm_cli_output_failed(struct dm_cli *cli)
{
    int error = errno;
    if (!cli->changes && error == EPIPE) {
        end_by_sigpipe();
    }
    if (!cli->output_lost) {
        (void)fprintf(stderr, "dormouse: cannot write the output: %s%s\n", strerror(error),
                      cli->changes ? "; the command goes on without it" : "");
    }
    if (!cli->changes) {
        _exit(DM_EXIT_REFUSED);
    }
    cli->output_lost = true;
}

void dm_cli_flush(struct dm_cli *cli)
{
    if (cli->output_lost) {
        dm_buf_reset(&cli->out.buf, SIZE_MAX);
    } else if (!dm_out_flush(&cli->out, stdout) || fflush(stdout) != 0) {
        dm_cli_output_failed(cli);
    }
}

void dm_cli_line(struct dm_cli *cli)
{
    dm_out_str(&cli->out, "\n");
    dm_cli_flush(cli);
}

/* ---- values ----------------------------------------------------------------------- */

bool dm_cli_parse_word(const struct dm_cli *cli, const char *where, const struct dm_words *words,
                       const char *value, int32_t *out)
{
    if (dm_word_parse(words, dormouse_text(value), out)) {
        return true;
    }
    struct dm_out list = {.colour = false};
    dm_word_list(&list, words);
    struct dm_slice all = dm_buf_slice(&list.buf);
    (void)dm_cli_usage(cli, "%s: \"%.64s\" is not one of %.*s", where, value, (int)all.size,
                       (const char *)all.data);
    dm_out_finish(&list);
    return false;
}

bool dm_cli_word_option(const struct dm_cli *cli, const char *name, const struct dm_words *words,
                        int32_t *out)
{
    const char *value = dm_args_value(&cli->args, name);
    if (value == NULL) {
        return true;
    }
    char where[64];
    (void)snprintf(where, sizeof where, "--%s", name);
    return dm_cli_parse_word(cli, where, words, value, out);
}

static bool change_times(struct dm_cli *cli, struct dormouse_change *change)
{
    if (!dm_args_duration(&cli->args, "for", &change->snooze_for_ms) ||
        !dm_args_time(&cli->args, "until", &change->snooze_until_ms)) {
        (void)dm_cli_args_usage(cli);
        return false;
    }
    bool has_for = change->snooze_for_ms != 0, has_until = change->snooze_until_ms != 0;
    if (change->status == DORMOUSE_SNOOZED && has_for == has_until) {
        (void)dm_cli_usage(cli, "a snooze needs either --for or --until");
        return false;
    }
    if (change->status != DORMOUSE_SNOOZED && (has_for || has_until)) {
        (void)dm_cli_usage(cli, "--for and --until are for a snooze only");
        return false;
    }
    return true;
}

bool dm_cli_change(struct dm_cli *cli, struct dormouse_change *change)
{
    const struct dm_args *args = &cli->args;
    if (!change_times(cli, change) ||
        !dm_cli_word_option(cli, "reason", &dm_reason_words, &change->reason)) {
        return false;
    }
    change->actor = dormouse_text(dm_args_value(args, "actor"));
    change->bot_id = dormouse_text(dm_args_value(args, "bot"));
    change->has_bot_id = change->bot_id.data != NULL;
    change->lock = dm_args_flag(args, "lock");
    change->unlock = dm_args_flag(args, "unlock");
    return true;
}

size_t dm_cli_ids(const struct dm_cli *cli, size_t first, size_t count,
                  struct dormouse_text ids[DM_CLI_BATCH_MAX])
{
    size_t filled = 0;
    while (filled < DM_CLI_BATCH_MAX && first + filled < count) {
        ids[filled] = dm_cli_word(cli, first + filled);
        filled++;
    }
    return filled;
}
