#include "cli/cli.h"
#include "cli/pages.h"
#include "cli/progress.h"
#include "cli/show.h"

/* Commands about many contacts, or about what was: list, history, stats, bulk. */

/* ---- list ------------------------------------------------------------------------- */

static const struct dm_option list_options[] = {
    {"status", 0, "STATUS", "only those that are active, snoozed or inactive"},
    {"order", 0, "id|wake",
     "by contact id (default), or by wake time, soonest first: snoozed ones only"},
    {"limit", 'n', "N", "at most this many (default: all)"},
};

struct list_state {
    struct dm_cli *cli;
    size_t width; /* of the ids so far */
};

static bool list_page(void *context, const struct dormouse_contact *const *contacts, size_t count)
{
    struct list_state *state = context;
    int64_t now_ms = dm_cli_now_ms();
    for (size_t i = 0; i < count; i++) {
        size_t width = dm_out_width(contacts[i]->contact_id);
        state->width = width > state->width ? width : state->width;
    }
    for (size_t i = 0; i < count; i++) {
        if (state->cli->json) {
            dm_json_contact(&state->cli->out, contacts[i]);
        } else {
            dm_show_contact_line(&state->cli->out, contacts[i], state->width, now_ms);
        }
        dm_out_str(&state->cli->out, "\n");
    }
    dm_cli_flush(state->cli);
    return true;
}

static int list(struct dm_cli *cli)
{
    struct list_state state = {.cli = cli};
    struct dm_listing listing = {.page = list_page, .context = &state};
    const char *order = dm_args_value(&cli->args, "order");
    if (!dm_cli_word_option(cli, "status", &dm_status_words, &listing.status)) {
        return DM_EXIT_USAGE;
    }
    if (!dm_args_number(&cli->args, "limit", UINT32_MAX, &listing.most)) {
        return dm_cli_args_usage(cli);
    }
    if (order != NULL && strcmp(order, "wake") == 0) {
        listing.order = DORMOUSE_BY_WAKE_TIME;
    } else if (order != NULL && strcmp(order, "id") != 0) {
        return dm_cli_usage(cli, "--order: \"%.64s\" is not one of id, wake", order);
    }
    return dm_list_contacts(cli, &listing);
}

/* ---- history ---------------------------------------------------------------------- */

enum { HISTORY_PAGE = 1000, HISTORY_DEFAULT = 50 };

static const struct dm_option history_options[] = {
    {"limit", 'n', "N", "at most this many (default 50; 0: all that are kept)"},
};

static void show_events(struct dm_cli *cli, const struct dormouse_history_answer *answer)
{
    for (size_t i = 0; i < answer->events_count; i++) {
        if (cli->json) {
            dm_json_event(&cli->out, answer->events[i]);
        } else {
            dm_show_event(&cli->out, answer->events[i], false);
        }
        dm_out_str(&cli->out, "\n");
    }
    dm_cli_flush(cli);
}

static int history(struct dm_cli *cli)
{
    struct dormouse_history request =
        DORMOUSE(history, .account_id = cli->account, .contact_id = dm_cli_word(cli, 0));
    uint64_t limit = HISTORY_DEFAULT, seen = 0;
    if (!dm_args_number(&cli->args, "limit", UINT32_MAX, &limit)) {
        return dm_cli_args_usage(cli);
    }
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    struct dm_out token = {.colour = false};
    int code = DM_EXIT_OK;
    do {
        uint64_t left = limit == 0 ? HISTORY_PAGE : limit - seen;
        request.page_size = left < HISTORY_PAGE ? (uint32_t)left : HISTORY_PAGE;
        const struct dormouse_history_answer *answer;
        struct dormouse_result result;
        if (dormouse_get_history_wait(cli->client, &request, cli->timeout_ms, &result, &answer) !=
            DORMOUSE_OK) {
            code = dm_cli_failed(request.contact_id, result.code, result.message);
            break;
        }
        show_events(cli, answer);
        seen += answer->events_count;
        dm_buf_reset(&token.buf, SIZE_MAX);
        dm_out_bytes(&token, answer->next_page_token.data, answer->next_page_token.size);
        request.page_token = (struct dormouse_text){.data = (const char *)dm_buf_head(&token.buf),
                                                    .size = dm_buf_size(&token.buf)};
    } while (request.page_token.size > 0 && (limit == 0 || seen < limit));
    dm_out_finish(&token);
    return code;
}

/* ---- stats ------------------------------------------------------------------------ */

static const struct dm_option stats_options[] = {
    {"all-accounts", 0, NULL, "the whole server, even if $DORMOUSE_ACCOUNT is set"},
};

static int stats(struct dm_cli *cli)
{
    struct dormouse_get_stats request = DORMOUSE(get_stats, .account_id = cli->account);
    const struct dormouse_stats *answer;
    struct dormouse_result result;
    if (dm_args_flag(&cli->args, "all-accounts")) {
        request.account_id = dormouse_text("");
    }
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    if (dormouse_get_stats_wait(cli->client, &request, cli->timeout_ms, &result, &answer) !=
        DORMOUSE_OK) {
        return dm_cli_failed(dormouse_text(""), result.code, result.message);
    }
    if (cli->json) {
        dm_json_stats(&cli->out, answer);
    } else {
        dm_show_stats(&cli->out, answer, dm_cli_now_ms());
    }
    dm_cli_line(cli);
    return DM_EXIT_OK;
}

/* ---- bulk ------------------------------------------------------------------------- */

static const struct dm_option bulk_options[] = {
    {"set", 0, "STATUS", "active, snoozed or inactive; required"},
    {"if-status", 0, "STATUS", "only contacts that have this status now"},
    {"if-reason", 0, "REASON", "only contacts that have their status for this reason"},
    {"dry-run", 0, NULL, "only count what would change"},
    {"for", 0, "DURATION", "with snoozed: how long, e.g. 2h, 3d"},
    {"until", 0, "TIME", "with snoozed: until when, e.g. 2026-12-01T09:00:00Z"},
    {"reason", 0, "REASON", "why; default: bulk_set"},
    {"actor", 0, "NAME", "who does it"},
    {"bot", 0, "ID", "hand the contacts to this bot"},
    {"lock", 0, NULL, "an opt-out (with inactive)"},
    {"unlock", 0, NULL, "change locked contacts as well"},
};

struct bulk_state {
    struct dm_cli *cli;
    struct dm_progress progress;
    struct dormouse_bulk_progress last;
    bool dry_run;
    int code; /* of its end */
};

static void bulk_event(void *context, const struct dormouse_bulk_progress *progress)
{
    struct bulk_state *state = context;
    int64_t now_ms = dm_cli_monotonic_ms();
    state->last = *progress;
    if (progress->done || !dm_progress_due(&state->progress, now_ms)) {
        return;
    }
    struct dm_out words = {.colour = false};
    dm_show_bulk(&words, progress, state->dry_run);
    struct dm_slice text = dm_buf_slice(&words.buf);
    dm_progress_show(&state->progress, now_ms, -1,
                     (struct dormouse_text){.data = text.data, .size = text.size});
    dm_out_finish(&words);
}

static void bulk_end(void *context, const struct dormouse_result *result)
{
    struct bulk_state *state = context;
    dm_progress_clear(&state->progress);
    state->code = result->code == DORMOUSE_OK
                      ? DM_EXIT_OK
                      : dm_cli_failed(dormouse_text(""), result->code, result->message);
}

static int bulk_run(struct dm_cli *cli, const struct dormouse_bulk_set_status *request)
{
    struct bulk_state state = {.cli = cli, .dry_run = request->dry_run};
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    dm_progress_start(&state.progress, dm_cli_monotonic_ms());
    if (dormouse_bulk_set_status(cli->client, request, cli->timeout_ms, bulk_event, bulk_end,
                                 &state) == NULL) {
        return dm_cli_failed(dormouse_text(""), DORMOUSE_RESOURCE_EXHAUSTED,
                             dormouse_client_last_refusal(cli->client));
    }
    (void)dormouse_client_run(cli->client);
    if (cli->json) {
        dm_json_bulk(&cli->out, &state.last);
    } else {
        dm_out_str(&cli->out, state.code == DM_EXIT_OK ? "" : "so far: ");
        dm_show_bulk(&cli->out, &state.last, state.dry_run);
    }
    dm_cli_line(cli);
    return state.code;
}

static int bulk(struct dm_cli *cli)
{
    struct dormouse_change change = DORMOUSE(change, .status = DORMOUSE_STATUS_UNSPECIFIED);
    struct dormouse_bulk_set_status request =
        DORMOUSE(bulk_set_status, .account_id = cli->account, .change = &change,
                 .dry_run = dm_args_flag(&cli->args, "dry-run"));
    if (!dm_args_flag(&cli->args, "set")) {
        return dm_cli_usage(cli, "bulk needs --set active, snoozed or inactive");
    }
    if (!dm_cli_word_option(cli, "set", &dm_status_words, &change.status) ||
        !dm_cli_word_option(cli, "if-status", &dm_status_words, &request.if_status) ||
        !dm_cli_word_option(cli, "if-reason", &dm_reason_words, &request.if_reason) ||
        !dm_cli_change(cli, &change)) {
        return DM_EXIT_USAGE;
    }
    return bulk_run(cli, &request);
}

static const struct dm_command commands[] = {
    {.name = "list",
     .usage = "[--status STATUS] [--order id|wake] [--limit N]",
     .summary = "all contacts of an account that were ever written to",
     .help = "  dormouse list --status snoozed --order wake --limit 20\n"
             "  dormouse --json list | jq -r 'select(.locked).contactId'\n",
     DM_OPTIONS(list_options),
     .needs_account = true,
     .run = list},
    {.name = "history",
     .usage = "CONTACT [--limit N]",
     .summary = "what happened to one contact, newest first",
     .help = "  dormouse history +491701234567 --limit 10\n",
     DM_OPTIONS(history_options),
     .words_min = 1,
     .words_max = 1,
     .needs_account = true,
     .run = history},
    {.name = "bulk",
     .usage = "--set STATUS [--if-status STATUS] [--if-reason REASON] [--dry-run] [OPTIONS]",
     .summary = "change all contacts of an account that match",
     .help = "  dormouse bulk --set snoozed --for 12h --if-status active --dry-run\n"
             "  dormouse bulk --set active --if-reason message_limit --actor anna\n",
     DM_OPTIONS(bulk_options),
     .needs_account = true,
     .changes = true,
     .run = bulk},
    {.name = "stats",
     .usage = "[--account ID | --all-accounts]",
     .summary = "how many contacts there are, and how late wakes come",
     .help =
         "With an account, contacts and next wake are that account's; wakes, lags and events are\n"
         "always the whole server's. A lag is how late a wake was committed.\n\n"
         "  dormouse stats\n  dormouse stats --account acme --json\n",
     DM_OPTIONS(stats_options),
     .run = stats},
};
const struct dm_commands dm_many_commands = DM_COMMANDS(commands);
