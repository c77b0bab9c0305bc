#include "base/assert.h"
#include "cli/cli.h"
#include "cli/cursor.h"
#include "cli/show.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <uv.h>

/* watch: one line an event, as they are committed. The client makes a broken connection anew
 * and goes on behind the last event. Output is flushed, and the cursor stored, some times a
 * second: first the output, so that no event is lost when this program dies in between. */

enum { STORE_EVERY_MS = 200, ANSWER_MS = 10000, CONTACTS_MAX = 1000, OUTPUT_SIZE_MAX = 256 * 1024 };

static const struct dm_option options[] = {
    {"contact", 0, "ID", "only this contact; may be given again"},
    {"after", 0, "SEQ", "what came after this event; default: only what comes from now on"},
    {"from-start", 0, NULL, "everything that is kept"},
    {"all-accounts", 0, NULL, "all accounts, even if $DORMOUSE_ACCOUNT is set"},
    {"cursor", 0, "FILE", "go on after the event that FILE names, and keep FILE up to date"},
    {"limit", 'n', "N", "end after N events"},
};

struct watching {
    struct dm_cli *cli;
    uv_loop_t loop;
    uv_timer_t timer;
    uv_signal_t interrupt, terminate;
    struct dormouse_client *client;
    struct dormouse_stream *stream;
    const char *cursor; /* a path, or NULL */
    uint64_t seq, stored_seq;
    uint64_t left;       /* events to come; 0: no end */
    int64_t patience_ms; /* monotonic: until then the server must have been heard of */
    bool heard;
    bool ending;
    int code;
};

static void store(struct watching *watching)
{
    dm_cli_flush(watching->cli);
    if (watching->cursor == NULL || watching->seq == watching->stored_seq) {
        return;
    }
    if (!dm_cursor_write(watching->cursor, watching->seq)) {
        (void)fprintf(stderr, "dormouse: %s: %s\n", watching->cursor, strerror(errno));
        exit(DM_EXIT_REFUSED);
    }
    watching->stored_seq = watching->seq;
}

/* Once; the loop then runs dry. */
static void finish(struct watching *watching, int code)
{
    if (watching->ending) {
        return;
    }
    watching->ending = true;
    watching->code = code;
    store(watching);
    if (watching->stream != NULL) {
        dormouse_stream_close(watching->stream);
    }
    if (watching->client != NULL) {
        (void)dormouse_client_close(watching->client, NULL, NULL);
    }
    uv_close((uv_handle_t *)&watching->timer, NULL);
    uv_close((uv_handle_t *)&watching->interrupt, NULL);
    uv_close((uv_handle_t *)&watching->terminate, NULL);
}

static void on_event(void *context, const struct dormouse_watch_message *message)
{
    struct watching *watching = context;
    struct dm_cli *cli = watching->cli;
    watching->heard = true;
    if (watching->ending) {
        return;
    }
    if (message->event == NULL) {
        watching->seq = message->progress_seq;
        return;
    }
    watching->seq = message->event->seq;
    if (cli->json) {
        dm_json_event(&cli->out, message->event);
    } else {
        dm_show_event(&cli->out, message->event, cli->account.size == 0);
    }
    dm_out_str(&cli->out, "\n");
    if (dm_buf_size(&cli->out.buf) > OUTPUT_SIZE_MAX) {
        dm_cli_flush(cli);
    }
    if (watching->left > 0 && --watching->left == 0) {
        finish(watching, DM_EXIT_OK);
    }
}

static void on_end(void *context, const struct dormouse_result *result)
{
    struct watching *watching = context;
    watching->stream = NULL;
    int code = result->code == DORMOUSE_OK
                   ? DM_EXIT_OK
                   : dm_cli_failed(dormouse_text(""), result->code, result->message);
    finish(watching, code);
}

static void on_timer(uv_timer_t *timer)
{
    struct watching *watching = timer->data;
    store(watching);
    /* The server says at once how far it is: whoever does not is another one, or very busy. */
    struct dormouse_text why = dormouse_client_last_failure(watching->client);
    bool may_be_busy = why.size == 0 && dormouse_client_connected(watching->client);
    int64_t more_ms = may_be_busy ? ANSWER_MS : 0;
    if (!watching->heard && dm_cli_monotonic_ms() > watching->patience_ms + more_ms) {
        finish(watching,
               dm_cli_unreachable(watching->cli, why.size > 0 ? why : dormouse_text("no answer")));
    }
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    finish(signal->data, DM_EXIT_OK);
}

static void start_handles(struct watching *watching)
{
    bool ok = uv_loop_init(&watching->loop) == 0;
    ok = ok && uv_timer_init(&watching->loop, &watching->timer) == 0 &&
         uv_signal_init(&watching->loop, &watching->interrupt) == 0 &&
         uv_signal_init(&watching->loop, &watching->terminate) == 0;
    watching->timer.data = watching->interrupt.data = watching->terminate.data = watching;
    ok = ok && uv_timer_start(&watching->timer, on_timer, STORE_EVERY_MS, STORE_EVERY_MS) == 0 &&
         uv_signal_start(&watching->interrupt, on_signal, SIGINT) == 0 &&
         uv_signal_start(&watching->terminate, on_signal, SIGTERM) == 0;
    DM_ASSERT(ok);
}

static void begin(struct watching *watching, const struct dormouse_watch *request)
{
    watching->patience_ms = dm_cli_monotonic_ms() + dm_cli_connect_ms(watching->cli);
    watching->stream = dormouse_watch(watching->client, request, true, on_event, on_end, watching);
    if (watching->stream == NULL) {
        finish(watching, dm_cli_failed(dormouse_text(""), DORMOUSE_RESOURCE_EXHAUSTED,
                                       dormouse_client_last_refusal(watching->client)));
    }
}

static int run(struct watching *watching, const struct dormouse_watch *request)
{
    struct dormouse_options client_options = DORMOUSE_OPTIONS(.address = watching->cli->server);
    struct dormouse_result result = {.code = 0};
    start_handles(watching);
    watching->client = dormouse_client_create(&watching->loop, &client_options, &result);
    if (watching->client == NULL) {
        finish(watching, dm_cli_no_client(watching->cli, &result));
    } else {
        begin(watching, request);
    }
    (void)uv_run(&watching->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&watching->loop);
    return watching->code;
}

/* ---- where to begin ------------------------------------------------------------------ */

static bool read_contacts(struct dm_cli *cli, struct dormouse_watch *request)
{
    static struct dormouse_text ids[CONTACTS_MAX];
    const char *id;
    size_t count = 0;
    for (; (id = dm_args_each(&cli->args, "contact", count)) != NULL; count++) {
        if (count == CONTACTS_MAX) {
            (void)dm_cli_usage(cli, "at most %d contacts", CONTACTS_MAX);
            return false;
        }
        ids[count] = dormouse_text(id);
    }
    request->contact_ids = ids;
    request->contact_ids_count = count;
    if (count > 0 && request->account_id.size == 0) {
        (void)dm_cli_usage(cli, "--contact needs an account: give --account ID");
        return false;
    }
    return true;
}

/* A cursor that is there goes before --after and --from-start: those say where the first run
 * begins. */
static int read_start(struct watching *watching, struct dormouse_watch *request)
{
    struct dm_cli *cli = watching->cli;
    request->from_start = dm_args_flag(&cli->args, "from-start");
    if (!dm_args_number(&cli->args, "after", UINT64_MAX, &request->after_seq) ||
        !dm_args_number(&cli->args, "limit", UINT32_MAX, &watching->left)) {
        return dm_cli_args_usage(cli);
    }
    if (request->from_start && request->after_seq != 0) {
        return dm_cli_usage(cli, "give either --after or --from-start, not both");
    }
    watching->cursor = dm_args_value(&cli->args, "cursor");
    if (watching->cursor == NULL) {
        return DM_EXIT_OK;
    }
    if (!dm_cursor_read(watching->cursor, &watching->stored_seq)) {
        (void)fprintf(stderr, "dormouse: %s: %s\n", watching->cursor,
                      errno == EINVAL ? "is not a cursor: it does not hold one number"
                                      : strerror(errno));
        return DM_EXIT_REFUSED;
    }
    watching->seq = watching->stored_seq;
    if (watching->stored_seq != 0) {
        request->after_seq = watching->stored_seq;
        request->from_start = false;
    }
    return DM_EXIT_OK;
}

static int watch(struct dm_cli *cli)
{
    if (dm_args_flag(&cli->args, "all-accounts")) {
        cli->account = dormouse_text("");
    }
    struct watching watching = {.cli = cli};
    struct dormouse_watch request = DORMOUSE(watch, .account_id = cli->account);
    if (!read_contacts(cli, &request)) {
        return DM_EXIT_USAGE;
    }
    int code = read_start(&watching, &request);
    return code == DM_EXIT_OK ? run(&watching, &request) : code;
}

static const struct dm_command commands[] = {
    {.name = "watch",
     .usage = "[--contact ID]... [--after SEQ | --from-start] [--cursor FILE] [--all-accounts]",
     .summary = "show status changes as they are committed, one per line",
     .help =
         "With --cursor FILE each run goes on where the last one ended; the file is replaced as\n"
         "a whole, after the events have been written. Without an account, all are watched.\n\n"
         "  dormouse watch --account acme\n"
         "  dormouse watch --json --cursor seen --from-start | while read -r e; do ...; done\n",
     DM_OPTIONS(options),
     .run = watch},
};
const struct dm_commands dm_stream_commands = DM_COMMANDS(commands);
