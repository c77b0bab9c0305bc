#include "cli/import.h"

#include "base/assert.h"
#include "base/hash.h"
#include "cli/progress.h"
#include "cli/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* import: every row is a SetStatus with a request id made from its line, so that the same file
 * may be imported again after whatever happened and no row is done twice. Many calls are under
 * way at once; two rows of one contact never are, so that they are done in the file's order.
 *
 * What can fail. A row that is wrong, or that the server refuses, is told, and the import goes
 * on. A server that is busy or away gets the rows it did not answer again, after a pause and
 * before all others; after PATIENCE_MS without one answer the import ends. */

enum {
    IN_FLIGHT_DEFAULT = 512,
    IN_FLIGHT_MAX = 4000, /* the client takes 4,096 calls */
    BUSY_SLOTS = 65536,   /* a power of 2, so large that few contacts share one */
    PAUSE_MS_MIN = 50,
    PAUSE_MS_MAX = 2000,
    PATIENCE_MS = 60000,
    EXHAUSTED_TRIES_MAX = 12, /* then it is no passing overload but a limit */
    REFUSED_SHOWN_MAX = 20,
};

struct importing;

/* One row from reading it until its answer. */
struct slot {
    struct importing *importing;
    struct slot *next; /* in `idle` or `again` */
    struct dm_row row;
    struct dormouse_set_status request;
    char request_id[DM_REQUEST_ID_SIZE + 1];
    uint32_t busy; /* index in importing->busy */
    uint32_t tries;
};

struct importing {
    struct dm_cli *cli;
    struct dm_source source;
    struct dm_row_defaults defaults;
    bool dry_run;
    FILE *refused_file; /* or NULL */

    struct slot *slots, *idle, *again;
    struct slot *held; /* read, but its contact is busy */
    uint32_t in_flight;
    uint16_t *busy; /* calls under way, by the contact's hash */
    bool at_end, failed;

    uint64_t rows, accepted, refused;
    int64_t heard_ms; /* the last answer, monotonic */
    int64_t pause_ms;
    int last_code; /* of the last answer that makes us pause */
    uint64_t file_size;
    struct dm_progress progress;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* ---- what is told ------------------------------------------------------------------- */

static void refuse(struct importing *importing, const struct dm_row *row, int code,
                   struct dormouse_text why)
{
    struct dm_out line = {.colour = false};
    importing->refused++;
    if (importing->refused <= REFUSED_SHOWN_MAX) {
        dm_progress_clear(&importing->progress);
        dm_out_format(&line, "line %" PRIu64 ": %s: ", row->line, dormouse_code_name(code));
        (void)dm_out_safe(&line, why);
        dm_out_str(&line, "\n");
        if (importing->refused == REFUSED_SHOWN_MAX) {
            dm_out_str(&line, "(more are not shown; --refused FILE has them all)\n");
        }
        (void)dm_out_flush(&line, stderr);
    }
    if (importing->refused_file != NULL) {
        dm_out_format(&line, "%" PRIu64 ",%s,", row->line, dormouse_code_name(code));
        dm_out_csv(&line, why);
        dm_out_str(&line, ",");
        dm_out_csv(&line, row->fields[DM_ACCOUNT_ID]);
        dm_out_str(&line, ",");
        dm_out_csv(&line, row->fields[DM_CONTACT_ID]);
        dm_out_str(&line, "\n");
        (void)dm_out_flush(&line, importing->refused_file);
    }
    dm_out_finish(&line);
}

static void show_progress(struct importing *importing)
{
    int64_t now_ms = dm_cli_monotonic_ms();
    if (!dm_progress_due(&importing->progress, now_ms)) {
        return;
    }
    struct dm_out words = {.colour = false};
    dm_out_count(&words, importing->rows);
    dm_out_str(&words, " rows  ");
    dm_out_count(&words, dm_progress_rate(&importing->progress, now_ms, importing->rows));
    dm_out_str(&words, "/s");
    if (importing->refused > 0) {
        dm_out_str(&words, "  refused ");
        dm_out_count(&words, importing->refused);
    }
    if (importing->again != NULL) {
        dm_out_format(&words, "  waiting: %s", dormouse_code_name(importing->last_code));
    }
    double fraction = importing->file_size == 0
                          ? -1.0
                          : (double)importing->source.consumed / (double)importing->file_size;
    struct dm_slice text = dm_buf_slice(&words.buf);
    dm_progress_show(&importing->progress, now_ms, fraction,
                     (struct dormouse_text){text.data, text.size});
    dm_out_finish(&words);
}

/* ---- calls ------------------------------------------------------------------------ */

static void pump(struct importing *importing, bool wait);

static void push(struct slot **list, struct slot *slot)
{
    slot->next = *list;
    *list = slot;
}

static struct slot *pop(struct slot **list)
{
    struct slot *slot = *list;
    *list = slot->next;
    return slot;
}

static bool passes(const struct slot *slot, int code)
{
    return code == DORMOUSE_UNAVAILABLE || code == DORMOUSE_DEADLINE_EXCEEDED ||
           (code == DORMOUSE_RESOURCE_EXHAUSTED && slot->tries < EXHAUSTED_TRIES_MAX);
}

/* Its call is over. */
static void settle(struct slot *slot, int code, struct dormouse_text why)
{
    struct importing *importing = slot->importing;
    if (code == DORMOUSE_OK) {
        importing->accepted++;
    } else if (passes(slot, code)) {
        importing->last_code = code;
        push(&importing->again, slot);
        return;
    } else {
        refuse(importing, &slot->row, code, why);
    }
    importing->heard_ms = dm_cli_monotonic_ms();
    importing->pause_ms = PAUSE_MS_MIN;
    push(&importing->idle, slot);
}

static void on_done(void *context, const struct dormouse_result *result,
                    const struct dormouse_set_status_answer *answer)
{
    (void)answer;
    struct slot *slot = context;
    struct importing *importing = slot->importing;
    importing->in_flight--;
    importing->busy[slot->busy]--;
    settle(slot, result->code, result->message);
    pump(importing, false);
}

static void start(struct slot *slot)
{
    struct importing *importing = slot->importing;
    slot->tries++;
    int code = dormouse_set_status(importing->cli->client, &slot->request,
                                   importing->cli->timeout_ms, on_done, slot);
    if (code != DORMOUSE_OK) {
        settle(slot, code, dormouse_text("the call cannot be made"));
        return;
    }
    importing->in_flight++;
    importing->busy[slot->busy]++;
}

static uint32_t busy_index(const struct dormouse_set_status *request)
{
    uint64_t hash = dm_hash(request->account_id.data, request->account_id.size, 0);
    hash = dm_hash(request->contact_id.data, request->contact_id.size, hash);
    return (uint32_t)(hash & (BUSY_SLOTS - 1));
}

/* ---- rows ------------------------------------------------------------------------- */

static void accept_row(struct importing *importing, struct slot *slot)
{
    const char *why = dm_row_request(&slot->row, &importing->defaults, dm_cli_now_ms(),
                                     &slot->request, slot->request_id);
    importing->rows++;
    slot->tries = 0;
    if (why != NULL) {
        refuse(importing, &slot->row, DORMOUSE_INVALID_ARGUMENT, dormouse_text(why));
        push(&importing->idle, slot);
    } else if (importing->dry_run) {
        importing->accepted++;
        push(&importing->idle, slot);
    } else {
        slot->busy = busy_index(&slot->request);
        importing->held = slot;
    }
}

/* Reads one row: into `held`, or straight to its end. false: there is none now. */
static bool read_row(struct importing *importing, bool wait)
{
    struct slot *slot = pop(&importing->idle);
    enum dm_source_result result = dm_source_next(&importing->source, &slot->row, wait);
    switch (result) {
    case DM_SOURCE_ROW:
        accept_row(importing, slot);
        return true;
    case DM_SOURCE_BAD:
        importing->rows++;
        memset(slot->row.fields, 0, sizeof slot->row.fields);
        refuse(importing, &slot->row, DORMOUSE_INVALID_ARGUMENT,
               dormouse_text(importing->source.why));
        break;
    case DM_SOURCE_FAILED:
        importing->failed = importing->at_end = true;
        break;
    case DM_SOURCE_END:
        importing->at_end = true;
        break;
    case DM_SOURCE_WAIT:
        break;
    }
    push(&importing->idle, slot);
    return result == DM_SOURCE_BAD;
}

/* Begins calls while there are rows and room. */
static void pump(struct importing *importing, bool wait)
{
    while (!interrupted && importing->again == NULL) {
        if (importing->held == NULL) {
            if (importing->at_end || importing->idle == NULL ||
                !read_row(importing, wait && importing->in_flight == 0)) {
                break;
            }
        }
        if (importing->held != NULL) {
            if (importing->busy[importing->held->busy] > 0) {
                break;
            }
            struct slot *slot = importing->held;
            importing->held = NULL;
            if (importing->in_flight == 0) {
                importing->heard_ms = dm_cli_monotonic_ms(); /* waiting for input is no silence */
            }
            start(slot);
        }
        if ((importing->rows & 1023) == 0) {
            show_progress(importing);
        }
    }
}

static void repeat(struct importing *importing)
{
    struct slot *list = importing->again;
    struct timespec pause = {.tv_sec = importing->pause_ms / 1000,
                             .tv_nsec = importing->pause_ms % 1000 * 1000000};
    show_progress(importing);
    (void)nanosleep(&pause, NULL);
    importing->pause_ms =
        importing->pause_ms * 2 < PAUSE_MS_MAX ? importing->pause_ms * 2 : PAUSE_MS_MAX;
    importing->again = NULL;
    while (list != NULL) {
        start(pop(&list));
    }
}

/* Returns the exit code of its end. */
static int run_rows(struct importing *importing)
{
    importing->pause_ms = PAUSE_MS_MIN;
    while (!interrupted && !(importing->at_end && importing->held == NULL &&
                             importing->again == NULL && importing->in_flight == 0)) {
        if (dm_cli_monotonic_ms() - importing->heard_ms > PATIENCE_MS && importing->again != NULL) {
            return DM_EXIT_UNREACHABLE;
        }
        if (importing->again != NULL) {
            repeat(importing);
        } else {
            pump(importing, true);
        }
        if (importing->in_flight > 0) {
            dormouse_client_run(importing->cli->client);
        }
    }
    if (importing->in_flight > 0) {
        dormouse_client_run(importing->cli->client);
    }
    return interrupted ? DM_EXIT_INTERRUPTED : DM_EXIT_OK;
}

/* ---- the command -------------------------------------------------------------------- */

static void summary_json(struct dm_cli *cli, const struct importing *importing, int64_t spent_ms)
{
    dm_out_format(&cli->out,
                  "{\"rows\":\"%" PRIu64 "\",\"accepted\":\"%" PRIu64 "\",\"refused\":\"%" PRIu64
                  "\",\"seconds\":%" PRId64 ".%03" PRId64 "}",
                  importing->rows, importing->accepted, importing->refused, spent_ms / 1000,
                  spent_ms % 1000);
    dm_cli_line(cli);
}

static void summary(struct dm_cli *cli, struct importing *importing)
{
    int64_t now_ms = dm_cli_monotonic_ms();
    dm_progress_clear(&importing->progress);
    if (cli->json) {
        summary_json(cli, importing, now_ms - importing->progress.started_ms);
        return;
    }
    struct dm_out line = {.colour = false};
    dm_out_str(&line, importing->dry_run ? "looked at " : "imported ");
    dm_out_count(&line, importing->accepted);
    dm_out_str(&line, " of ");
    dm_out_count(&line, importing->rows);
    dm_out_str(&line, " rows");
    if (importing->refused > 0) {
        dm_out_str(&line, ", refused ");
        dm_out_count(&line, importing->refused);
    }
    int64_t spent_ms = now_ms - importing->progress.started_ms;
    dm_out_format(&line, ", in %" PRId64 ".%" PRId64 " s (", spent_ms / 1000, spent_ms / 100 % 10);
    dm_out_count(&line, dm_progress_rate(&importing->progress, now_ms, importing->rows));
    dm_out_str(&line, "/s)\n");
    cli->output_lost = !dm_out_flush(&line, stderr) || cli->output_lost;
    dm_out_finish(&line);
}

static int conclude(struct dm_cli *cli, struct importing *importing, int code, const char *path)
{
    summary(cli, importing);
    if (importing->failed) {
        struct dm_out line = {.colour = false};
        dm_out_format(&line, "dormouse: %s: ", path);
        (void)dm_out_safe(&line, dormouse_text(importing->source.why));
        dm_out_str(&line, "\n");
        (void)dm_out_flush(&line, stderr);
        dm_out_finish(&line);
        return DM_EXIT_REFUSED;
    }
    if (code == DM_EXIT_UNREACHABLE) {
        (void)dm_cli_unreachable(cli, dormouse_text(dormouse_code_name(importing->last_code)));
    }
    if (code != DM_EXIT_OK) {
        (void)fprintf(stderr, "dormouse: not finished; the same command again goes on, and does "
                              "nothing twice\n");
        return code;
    }
    return importing->refused > 0 ? DM_EXIT_REFUSED : DM_EXIT_OK;
}

static void init_slots(struct importing *importing, size_t count)
{
    importing->slots = dm_xcalloc(count, sizeof *importing->slots);
    importing->busy = dm_xcalloc(BUSY_SLOTS, sizeof *importing->busy);
    for (size_t i = 0; i < count; i++) {
        importing->slots[i].importing = importing;
        push(&importing->idle, &importing->slots[i]);
    }
}

static int run_import(struct importing *importing, size_t slots, const char *path)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    struct stat file;
    init_slots(importing, slots);
    if (fstat(importing->source.fd, &file) == 0 && S_ISREG(file.st_mode)) {
        importing->file_size = (uint64_t)file.st_size;
    }
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    dm_progress_start(&importing->progress, dm_cli_monotonic_ms());
    int code = conclude(importing->cli, importing, run_rows(importing), path);
    for (size_t i = 0; i < slots; i++) {
        dm_row_finish(&importing->slots[i].row);
    }
    free(importing->slots);
    free(importing->busy);
    dm_source_finish(&importing->source);
    return code;
}

static bool read_format(struct dm_cli *cli, enum dm_format *format)
{
    const char *value = dm_args_value(&cli->args, "format");
    *format = DM_FORMAT_GUESS;
    if (value != NULL && strcmp(value, "csv") == 0) {
        *format = DM_FORMAT_CSV;
    } else if (value != NULL && strcmp(value, "ndjson") == 0) {
        *format = DM_FORMAT_NDJSON;
    } else if (value != NULL) {
        (void)dm_cli_usage(cli, "--format: \"%.64s\" is no format; there are csv, ndjson", value);
        return false;
    }
    return true;
}

/* The refused rows' file, which begins with its header. */
static bool open_refused(struct dm_cli *cli, struct importing *importing)
{
    const char *path = dm_args_value(&cli->args, "refused");
    if (path == NULL) {
        return true;
    }
    importing->refused_file = fopen(path, "wb");
    if (importing->refused_file == NULL ||
        fputs("line,code,reason,account_id,contact_id\n", importing->refused_file) < 0) {
        (void)fprintf(stderr, "dormouse: %s: %s\n", path, strerror(errno));
        return false;
    }
    return true;
}

static int import_file(struct importing *importing, size_t slots, const char *path,
                       enum dm_format format)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        (void)fprintf(stderr, "dormouse: %s: %s\n", path, strerror(errno));
        return DM_EXIT_REFUSED;
    }
    int code;
    if (!importing->dry_run && !dm_cli_connect(importing->cli)) {
        code = importing->cli->connect_code;
    } else {
        dm_source_init(&importing->source, fd, format);
        code = open_refused(importing->cli, importing) ? run_import(importing, slots, path)
                                                       : DM_EXIT_REFUSED;
    }
    if (!is_stdin) {
        (void)close(fd);
    }
    if (importing->refused_file != NULL && fclose(importing->refused_file) != 0) {
        (void)fprintf(stderr, "dormouse: the refused rows could not be written: %s\n",
                      strerror(errno));
        code = DM_EXIT_REFUSED;
    }
    return code;
}

int dm_import(struct dm_cli *cli)
{
    const char *run = dm_args_value(&cli->args, "run");
    const char *expired = dm_args_value(&cli->args, "expired");
    enum dm_format format;
    uint64_t slots = IN_FLIGHT_DEFAULT;
    if (!read_format(cli, &format)) {
        return DM_EXIT_USAGE;
    }
    if (expired != NULL && strcmp(expired, "active") != 0 && strcmp(expired, "refuse") != 0) {
        return dm_cli_usage(cli, "--expired: \"%.64s\" is neither refuse nor active", expired);
    }
    if (!dm_args_number(&cli->args, "in-flight", IN_FLIGHT_MAX, &slots)) {
        return dm_cli_args_usage(cli);
    }
    struct importing importing = {
        .cli = cli,
        .dry_run = dm_args_flag(&cli->args, "dry-run"),
        .defaults =
            {
                .account_id = cli->account,
                .run = dormouse_text(run),
                .expired_active = expired != NULL && strcmp(expired, "active") == 0,
                .unlock = dm_args_flag(&cli->args, "unlock"),
            },
    };
    return import_file(&importing, slots == 0 ? 1 : (size_t)slots, cli->args.words[1], format);
}
