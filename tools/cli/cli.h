#ifndef DM_CLI_CLI_H
#define DM_CLI_CLI_H

#include "cli/args.h"
#include "cli/words.h"

#include <dormouse/client.h>

/* How the program ends. check --exit-code adds its own. */
enum {
    DM_EXIT_OK = 0,
    DM_EXIT_REFUSED = 1,
    DM_EXIT_USAGE = 2,
    DM_EXIT_UNREACHABLE = 3,
    DM_EXIT_OUTPUT_LOST = 4, /* all was done, but not all could be told */
    DM_EXIT_SUGGEST = 10,
    DM_EXIT_SILENT = 20,
    DM_EXIT_INTERRUPTED = 130,
};

/* One run of the program. */
struct dm_cli {
    const struct dm_command *command;
    struct dm_args args; /* words[0] is the command */
    const char *server;
    struct dormouse_text account; /* empty: none was named */
    bool json;
    uint32_t timeout_ms;
    struct dormouse_client *client; /* of dm_cli_connect */
    int connect_code;               /* of dm_cli_connect, when it fails */
    struct dm_out out;              /* for stdout */
    bool changes;                   /* as the command's; policy knows only when it runs */
    bool output_lost;
};

struct dm_command {
    const char *name;
    const char *usage;   /* behind the name */
    const char *summary; /* one line */
    const char *help;    /* what else there is to know, and examples */
    const struct dm_option *options;
    size_t options_count;
    size_t words_min; /* besides the command itself */
    size_t words_max;
    bool needs_account;
    bool changes; /* it changes something: then it goes on to its end whatever becomes of its output
                   */
    int (*run)(struct dm_cli *cli); /* returns the exit code */
};

/* Each file of commands has a table. */
struct dm_commands {
    const struct dm_command *items;
    size_t count;
};
extern const struct dm_commands dm_contact_commands, dm_change_commands, dm_many_commands,
    dm_policy_commands, dm_stream_commands, dm_transfer_commands;

#define DM_COMMANDS(table)                                          \
    {                                                               \
        .items = (table), .count = sizeof(table) / sizeof(table)[0] \
    }
#define DM_OPTIONS(table) .options = (table), .options_count = sizeof(table) / sizeof(table)[0]

/* The words behind the command. */
/* How many contacts a command may name, and how many of them go into one request. */
enum { DM_CLI_CONTACTS_MAX = 1000000, DM_CLI_BATCH_MAX = 1000 };

/* The ids of up to DM_CLI_BATCH_MAX words from `first` on, of `count` in all. */
size_t dm_cli_ids(const struct dm_cli *cli, size_t first, size_t count,
                  struct dormouse_text ids[DM_CLI_BATCH_MAX]);

static inline struct dormouse_text dm_cli_word(const struct dm_cli *cli, size_t i)
{
    return dormouse_text(cli->args.words[i + 1]);
}
static inline size_t dm_cli_words(const struct dm_cli *cli)
{
    return cli->args.words_count - 1;
}

/* true when cli->client is there; else it has told stderr, and cli->connect_code is the exit
 * code. */
bool dm_cli_connect(struct dm_cli *cli);
/* How long a connection may take: not as long as a call. */
uint32_t dm_cli_connect_ms(const struct dm_cli *cli);
/* Why there is no client: the exit code; tells stderr. */
int dm_cli_no_client(const struct dm_cli *cli, const struct dormouse_result *result);
int dm_cli_unreachable(const struct dm_cli *cli, struct dormouse_text why);

/* Tells stderr and returns the exit code. `what` (may be empty) is the contact or file that it
 * is about. */
int dm_cli_failed(struct dormouse_text what, int code, struct dormouse_text message);
int dm_cli_usage(const struct dm_cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Of a dm_args_ function that said no. */
int dm_cli_args_usage(const struct dm_cli *cli);

/* Ends the line in cli->out and flushes it. */
void dm_cli_line(struct dm_cli *cli);
/* cli->out to stdout. When that cannot be written: see dm_cli_output_failed. */
void dm_cli_flush(struct dm_cli *cli);
/* What the command has to tell cannot be written, for errno's reason. A command that only reads
 * ends here: by SIGPIPE where nobody reads any more, as Unix tools do, else with a sentence. One
 * that changes something must not stop half-way: it goes on without output, says so once, and
 * the program ends with DM_EXIT_OUTPUT_LOST. */
void dm_cli_output_failed(struct dm_cli *cli);

/* A value of an option or a word as one of `words`. false: stderr was told. */
bool dm_cli_parse_word(const struct dm_cli *cli, const char *where, const struct dm_words *words,
                       const char *value, int32_t *out);
/* The same for an option that may be absent. */
bool dm_cli_word_option(const struct dm_cli *cli, const char *name, const struct dm_words *words,
                        int32_t *out);
/* Options of a status change: --for, --until, --reason, --actor, --bot, --lock, --unlock. A
 * snooze wants one of the times. The times go where `change` wants them. false: stderr was told. */
bool dm_cli_change(struct dm_cli *cli, struct dormouse_change *change);

int64_t dm_cli_now_ms(void);
int64_t dm_cli_monotonic_ms(void);

#endif
