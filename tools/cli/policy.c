#include "cli/cli.h"
#include "cli/policy_in.h"
#include "cli/show.h"

#include <errno.h>

/* policy get, policy set. */

enum { FILE_SIZE_MAX = 1 << 20 };

static const struct dm_option options[] = {
    {"bot", 0, "ID", "this bot's policy; default: that of the account's default bot"},
    {"mode", 0, "MODE", "off, suggestive or auto-pilot"},
    {"limit", 0, "N", "after N bot messages without a reset the bot falls silent; 0: no limit"},
    {"on-limit", 0, "ACTION", "what happens at the limit: snooze:24h, deactivate, none"},
    {"rule", 0, "KIND=ACTION", "what an activity does; may be given again"},
    {"max-snooze", 0, "DURATION", "the longest that an automatic snooze may run; 0: no cap"},
    {"file", 'f', "FILE", "the whole policy, as policy get --json prints it; -: standard input"},
};

static int show(struct dm_cli *cli, const struct dormouse_policy *policy)
{
    if (cli->json) {
        dm_json_policy(&cli->out, policy);
    } else {
        dm_show_policy(&cli->out, policy);
    }
    dm_cli_line(cli);
    return DM_EXIT_OK;
}

/* NULL: *code is the exit code. */
static const struct dormouse_policy *fetch(struct dm_cli *cli, int *code)
{
    const struct dormouse_policy *answer;
    struct dormouse_get_policy request =
        DORMOUSE(get_policy, .account_id = cli->account,
                 .bot_id = dormouse_text(dm_args_value(&cli->args, "bot")));
    struct dormouse_result result;
    if (!dm_cli_connect(cli)) {
        *code = cli->connect_code;
        return NULL;
    }
    if (dormouse_get_policy_wait(cli->client, &request, cli->timeout_ms, &result, &answer) !=
        DORMOUSE_OK) {
        *code = dm_cli_failed(dormouse_text(""), result.code, result.message);
        return NULL;
    }
    return answer;
}

static int store(struct dm_cli *cli, const struct dm_policy_draft *draft, bool if_revision)
{
    struct dormouse_set_policy request =
        DORMOUSE(set_policy, .policy = &draft->policy, .has_if_revision = if_revision,
                 .if_revision = draft->policy.revision);
    const struct dormouse_policy *answer;
    struct dormouse_result result;
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    if (dormouse_set_policy_wait(cli->client, &request, cli->timeout_ms, &result, &answer) !=
        DORMOUSE_OK) {
        return dm_cli_failed(dormouse_text(""), result.code, result.message);
    }
    return show(cli, answer);
}

/* ---- from options ------------------------------------------------------------------- */

static bool apply_max_snooze(struct dm_cli *cli, struct dormouse_policy *policy)
{
    const char *value = dm_args_value(&cli->args, "max-snooze");
    if (value != NULL && strcmp(value, "0") == 0) {
        policy->max_snooze_ms = 0;
        return true;
    }
    return dm_args_duration(&cli->args, "max-snooze", &policy->max_snooze_ms);
}

static bool apply_rules(struct dm_cli *cli, struct dm_policy_draft *draft)
{
    const char *text;
    for (size_t i = 0; (text = dm_args_each(&cli->args, "rule", i)) != NULL; i++) {
        if (!dm_policy_draft_rule(draft, dormouse_text(text))) {
            (void)dm_cli_usage(cli, "--rule: %s", draft->error);
            return false;
        }
    }
    text = dm_args_value(&cli->args, "on-limit");
    if (text == NULL) {
        return true;
    }
    draft->policy.on_limit = &draft->on_limit;
    if (!dm_policy_rule_parse(draft, dormouse_text(text), &draft->on_limit)) {
        (void)dm_cli_usage(cli, "--on-limit: %s", draft->error);
        return false;
    }
    return true;
}

/* What the options say, onto *draft. false: stderr was told. */
static bool apply(struct dm_cli *cli, struct dm_policy_draft *draft)
{
    uint64_t limit = draft->policy.message_limit;
    if (!dm_cli_word_option(cli, "mode", &dm_mode_words, &draft->policy.mode) ||
        !apply_rules(cli, draft)) {
        return false;
    }
    if (!dm_args_number(&cli->args, "limit", UINT32_MAX, &limit) ||
        !apply_max_snooze(cli, &draft->policy)) {
        (void)dm_cli_args_usage(cli);
        return false;
    }
    draft->policy.message_limit = (uint32_t)limit;
    return true;
}

static bool any_given(const struct dm_cli *cli)
{
    return dm_args_flag(&cli->args, "mode") || dm_args_flag(&cli->args, "limit") ||
           dm_args_flag(&cli->args, "on-limit") || dm_args_flag(&cli->args, "rule") ||
           dm_args_flag(&cli->args, "max-snooze");
}

/* Options are tried on an empty policy first: a wrong one is told without a server. */
static int set_options(struct dm_cli *cli)
{
    struct dm_policy_draft draft;
    if (!any_given(cli)) {
        return dm_cli_usage(
            cli,
            "nothing to set: give --mode, --limit, --on-limit, --rule, --max-snooze or --file");
    }
    dm_policy_draft_init(&draft);
    bool ok = apply(cli, &draft);
    dm_policy_draft_finish(&draft);
    if (!ok) {
        return DM_EXIT_USAGE;
    }
    int code = DM_EXIT_REFUSED;
    const struct dormouse_policy *policy = fetch(cli, &code);
    if (policy == NULL) {
        return code;
    }
    if (!dm_policy_draft_copy(&draft, policy)) {
        code = dm_cli_failed(dormouse_text(""), DORMOUSE_OUT_OF_RANGE, dormouse_text(draft.error));
    } else if (!apply(cli, &draft)) {
        code = DM_EXIT_USAGE;
    } else {
        code = store(cli, &draft, true);
    }
    dm_policy_draft_finish(&draft);
    return code;
}

/* ---- from a file --------------------------------------------------------------------- */

static bool read_whole(const char *path, struct dm_out *text)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    char piece[4096];
    size_t size;
    while ((size = fread(piece, 1, sizeof piece, file)) > 0 &&
           dm_buf_size(&text->buf) < FILE_SIZE_MAX) {
        dm_out_bytes(text, piece, size);
    }
    bool ok = ferror(file) == 0;
    if (!is_stdin) {
        (void)fclose(file);
    }
    return ok;
}

/* The account and the bot of the command line go before those of the file. A revision in the
 * file guards against what others changed since it was fetched. */
static int store_file(struct dm_cli *cli, const char *path, struct dm_slice json)
{
    struct dm_policy_draft draft;
    int code;
    if (!dm_policy_draft_json(&draft, json)) {
        (void)fprintf(stderr, "dormouse: %s: %s\n", path, draft.error);
        code = DM_EXIT_REFUSED;
    } else {
        const char *bot = dm_args_value(&cli->args, "bot");
        if (cli->account.size > 0) {
            draft.policy.account_id = cli->account;
        }
        if (bot != NULL) {
            draft.policy.bot_id = dormouse_text(bot);
        }
        code = draft.policy.account_id.size == 0
                   ? dm_cli_usage(cli, "which account? Give --account ID or set DORMOUSE_ACCOUNT")
                   : store(cli, &draft, draft.has_revision);
    }
    dm_policy_draft_finish(&draft);
    return code;
}

static int set_file(struct dm_cli *cli, const char *path)
{
    if (any_given(cli)) {
        return dm_cli_usage(cli, "--file replaces the whole policy; give no other setting with it");
    }
    struct dm_out text = {.colour = false};
    int code = DM_EXIT_REFUSED;
    if (!read_whole(path, &text)) {
        (void)fprintf(stderr, "dormouse: %s: %s\n", path, strerror(errno));
    } else {
        code = store_file(cli, path, dm_buf_slice(&text.buf));
    }
    dm_out_finish(&text);
    return code;
}

static int policy(struct dm_cli *cli)
{
    const char *verb = cli->args.words[1];
    const char *file = dm_args_value(&cli->args, "file");
    bool is_set = strcmp(verb, "set") == 0;
    if (!is_set && strcmp(verb, "get") != 0) {
        return dm_cli_usage(cli, "write policy get or policy set, not policy %.32s", verb);
    }
    cli->changes = is_set;
    if (is_set && file != NULL) {
        return set_file(cli, file);
    }
    if (cli->account.size == 0) {
        return dm_cli_usage(cli, "which account? Give --account ID or set DORMOUSE_ACCOUNT");
    }
    if (is_set) {
        return set_options(cli);
    }
    if (file != NULL || any_given(cli)) {
        return dm_cli_usage(cli, "policy get takes only --bot");
    }
    int code = DM_EXIT_REFUSED;
    const struct dormouse_policy *answer = fetch(cli, &code);
    return answer == NULL ? code : show(cli, answer);
}

static const struct dm_command commands[] = {
    {.name = "policy",
     .usage = "get|set [--bot ID] [OPTIONS]",
     .summary = "how an account's bot behaves: mode, message limit, rules",
     .help =
         "An ACTION is none, snooze:2h[:extend|keep|replace], deactivate[:lock] or activate.\n"
         "set reads the policy, changes what was given, and writes it only if nobody else\n"
         "changed it meanwhile (else: ABORTED, exit code 1).\n\n"
         "  dormouse policy get\n"
         "  dormouse policy set --mode auto-pilot --limit 20 --on-limit snooze:24h\n"
         "  dormouse policy set --rule manual_message=snooze:2h:extend --rule "
         "workflow_message=none\n"
         "  dormouse --json policy get > p.json; $EDITOR p.json; dormouse policy set -f p.json\n",
     DM_OPTIONS(options),
     .words_min = 1,
     .words_max = 1,
     .run = policy},
};
const struct dm_commands dm_policy_commands = DM_COMMANDS(commands);
