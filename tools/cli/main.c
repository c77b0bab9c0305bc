#include "base/assert.h"
#include "base/flag.h"
#include "base/process.h"
#include "cli/cli.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* dormouse: looks at and changes contacts from a shell. */

static const struct dm_option general_options[] = {
    {"server", 's', "HOST:PORT|unix:PATH",
     "where the server is; default: $DORMOUSE_SERVER, else 127.0.0.1:7400"},
    {"account", 'a', "ID", "whose contacts; default: $DORMOUSE_ACCOUNT"},
    {"json", 'j', NULL, "one JSON object per line, for scripts"},
    {"timeout", 't', "DURATION",
     "how long to wait for the server; default: 2s to connect, 10s per call"},
    {"help", 'h', NULL, "show this text"},
    {"version", 'V', NULL, "show the version"},
};
#define GENERAL_COUNT (sizeof general_options / sizeof general_options[0])

static const struct dm_commands *const tables[] = {
    &dm_contact_commands, &dm_change_commands, &dm_many_commands,
    &dm_stream_commands,  &dm_policy_commands, &dm_transfer_commands,
};
#define TABLES_COUNT (sizeof tables / sizeof tables[0])

static const struct dm_command *find_command(const char *name)
{
    for (size_t t = 0; t < TABLES_COUNT; t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            if (strcmp(tables[t]->items[i].name, name) == 0) {
                return &tables[t]->items[i];
            }
        }
    }
    return NULL;
}

static const char *nearest_command(const char *name)
{
    const char *near = NULL;
    size_t least = 3;
    for (size_t t = 0; t < TABLES_COUNT; t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            size_t distance = dm_flag_distance(name, tables[t]->items[i].name);
            if (distance < least && distance * 2 < strlen(name)) {
                least = distance;
                near = tables[t]->items[i].name;
            }
        }
    }
    return near;
}

static int unknown_command(struct dm_cli *cli, const char *name)
{
    const char *near = nearest_command(name);
    return near == NULL
               ? dm_cli_usage(cli, "there is no command %.64s", name)
               : dm_cli_usage(cli, "there is no command %.64s; did you mean %s?", name, near);
}

/* ---- help ------------------------------------------------------------------------- */

static void help_options(const struct dm_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct dm_option *option = &options[i];
        char left[64], letter[8] = "    ";
        if (option->letter != 0) {
            (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
        }
        (void)snprintf(left, sizeof left, "%s--%s %s", letter, option->name,
                       option->value != NULL ? option->value : "");
        (void)printf(strlen(left) > 30 ? "  %s\n  %-30s  %s\n" : "  %-30s%s  %s\n", left, "",
                     option->help);
    }
}

static int help_all(void)
{
    (void)printf("dormouse: shows and changes whether bots may speak to contacts\n\n"
                 "usage: dormouse [OPTIONS] COMMAND ...\n\ncommands:\n");
    for (size_t t = 0; t < TABLES_COUNT; t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            (void)printf("  %-10s %s\n", tables[t]->items[i].name, tables[t]->items[i].summary);
        }
    }
    (void)printf("\noptions:\n");
    help_options(general_options, GENERAL_COUNT);
    (void)printf("\nexamples:\n"
                 "  export DORMOUSE_ACCOUNT=acme\n"
                 "  dormouse snooze +491701234567 --for 2h --actor anna --reason manual_message\n"
                 "  dormouse check +491701234567\n"
                 "  dormouse watch --json\n"
                 "\n`dormouse COMMAND --help` tells about one command.\n"
                 "exit codes: 0 done, 1 refused, 2 usage, 3 the server cannot be reached,\n"
                 "4 done, but the output could not be written: a command that changes something\n"
                 "never stops half-way because nobody reads its output (| head). One that only\n"
                 "reads then ends by SIGPIPE, which a shell shows as 141.\n");
    return DM_EXIT_OK;
}

static int help_command(const struct dm_command *command)
{
    (void)printf("dormouse %s: %s\n\nusage: dormouse %s %s\n", command->name, command->summary,
                 command->name, command->usage);
    if (command->options_count > 0) {
        (void)printf("\noptions:\n");
        help_options(command->options, command->options_count);
    }
    (void)printf("\n%s\noptions of all commands:\n", command->help);
    help_options(general_options, GENERAL_COUNT);
    return DM_EXIT_OK;
}

/* ---- one run ---------------------------------------------------------------------- */

/* The command is the first word, and which words are values of its options is known only by
 * then: so what comes before it is read first, with the general options alone. */
static const char *first_word(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            return argv[i];
        }
        if (strcmp(argv[i], "--") == 0) {
            return i + 1 < argc ? argv[i + 1] : NULL;
        }
        for (size_t o = 0; o < GENERAL_COUNT; o++) {
            const struct dm_option *option = &general_options[o];
            bool letter = argv[i][1] == option->letter && argv[i][2] == '\0';
            bool whole = argv[i][1] == '-' && strcmp(argv[i] + 2, option->name) == 0;
            i += option->value != NULL && (letter || whole);
        }
    }
    return NULL;
}

static const char *setting(const struct dm_cli *cli, const char *option, const char *variable)
{
    const char *value = dm_args_value(&cli->args, option);
    if (value == NULL) {
        value = getenv(variable);
    }
    return value != NULL && *value != '\0' ? value : NULL;
}

static bool read_settings(struct dm_cli *cli)
{
    int64_t timeout_ms = 0;
    if (!dm_args_duration(&cli->args, "timeout", &timeout_ms)) {
        (void)dm_cli_args_usage(cli);
        return false;
    }
    cli->timeout_ms = timeout_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)timeout_ms;
    const char *server = setting(cli, "server", "DORMOUSE_SERVER");
    cli->server = server != NULL ? server : "127.0.0.1:7400";
    cli->account = dormouse_text(setting(cli, "account", "DORMOUSE_ACCOUNT"));
    cli->json = dm_args_flag(&cli->args, "json");
    cli->out.colour = isatty(STDOUT_FILENO) == 1 && !cli->json && getenv("NO_COLOR") == NULL;
    return true;
}

static int run_command(struct dm_cli *cli)
{
    const struct dm_command *command = cli->command;
    size_t words = dm_cli_words(cli);
    if (words < command->words_min || words > command->words_max) {
        return dm_cli_usage(cli, "usage: dormouse %s %s", command->name, command->usage);
    }
    if (!read_settings(cli)) {
        return DM_EXIT_USAGE;
    }
    if (command->needs_account && cli->account.size == 0) {
        return dm_cli_usage(cli, "which account? Give --account ID or set DORMOUSE_ACCOUNT");
    }
    cli->changes = command->changes;
    return command->run(cli);
}

static int run(struct dm_cli *cli, int argc, char **argv)
{
    const char *name = first_word(argc, argv);
    cli->command = name == NULL ? NULL : find_command(name);
    bool is_help = name != NULL && strcmp(name, "help") == 0;
    if (name != NULL && cli->command == NULL && !is_help) {
        return unknown_command(cli, name);
    }
    const struct dm_command *command = cli->command;
    if (!dm_args_read(&cli->args, argc - 1, argv + 1, general_options, GENERAL_COUNT,
                      command != NULL ? command->options : NULL,
                      command != NULL ? command->options_count : 0)) {
        return dm_cli_args_usage(cli);
    }
    if (dm_args_flag(&cli->args, "version")) {
        (void)printf("dormouse %s\n", DM_VERSION);
        return DM_EXIT_OK;
    }
    if (is_help && cli->args.words_count > 1) {
        command = find_command(cli->args.words[1]);
        return command == NULL ? unknown_command(cli, cli->args.words[1]) : help_command(command);
    }
    if (is_help || dm_args_flag(&cli->args, "help")) {
        return command == NULL ? help_all() : help_command(command);
    }
    if (command == NULL) {
        return dm_cli_usage(cli, "usage: dormouse [OPTIONS] COMMAND ...");
    }
    return run_command(cli);
}

int main(int argc, char **argv)
{
    dm_process_begin();
    /* A reader that goes away is seen when writing. */
    (void)signal(SIGPIPE, SIG_IGN);
    struct dm_cli cli = {.command = NULL};
    int code = run(&cli, argc, argv);
    (void)dormouse_client_free(cli.client);
    dm_args_finish(&cli.args);
    dm_out_finish(&cli.out);
    if (!cli.output_lost && fflush(stdout) != 0) {
        dm_cli_output_failed(&cli);
    }
    return cli.output_lost && code == DM_EXIT_OK ? DM_EXIT_OUTPUT_LOST : code;
}
