#include "cli/import.h"

#include "base/assert.h"
#include "cli/importing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* import: the rows of a file become the status of their contacts, and nothing that came after it
 * is overwritten. What may be is said by cli/verdict.h, what is remembered beside the file by
 * cli/checkpoint.h, and how a row is done by import_rows.c. */

enum {
    IN_FLIGHT_DEFAULT = 512,
    IN_FLIGHT_MAX = 4000, /* the client takes 4,096 calls */
};

static int fail(const char *what, const char *why)
{
    struct dm_out line = {.colour = false};
    dm_out_str(&line, "dormouse: ");
    (void)dm_out_safe(&line, dormouse_text(what));
    dm_out_str(&line, ": ");
    (void)dm_out_safe(&line, dormouse_text(why));
    dm_out_str(&line, "\n");
    (void)dm_out_flush(&line, stderr);
    dm_out_finish(&line);
    return DM_EXIT_REFUSED;
}

/* ---- the end ------------------------------------------------------------------------ */

static const char *how_to_go_on(const struct dm_importing *importing)
{
    if (importing->dry_run) {
        return "";
    }
    return importing->checkpoint.fd >= 0
               ? "; the same command again goes on where it stopped"
               : "; the same input again goes on, and leaves alone what is as it wants it already";
}

static int conclude(struct dm_importing *importing, int code)
{
    dm_import_summary(importing);
    if (importing->checkpoint.unwritten) {
        (void)fprintf(stderr,
                      "dormouse: the checkpoint could not be written to its end: %s; a repeated "
                      "import looks at the last rows again\n",
                      importing->checkpoint.why);
    }
    if (importing->failed) {
        return fail(importing->path, importing->source.why);
    }
    if (code == DM_EXIT_UNREACHABLE) {
        (void)dm_cli_unreachable(importing->cli,
                                 dormouse_text(dormouse_code_name(importing->last_code)));
    }
    if (code != DM_EXIT_OK) {
        (void)fprintf(stderr, "dormouse: not finished%s\n", how_to_go_on(importing));
        return code;
    }
    if (importing->before == importing->rows && importing->rows > 0) {
        (void)fprintf(stderr, "dormouse: every row was done by an earlier run, and nothing was "
                              "looked at again; to apply the file over what came since, name a "
                              "new --run\n");
    }
    return importing->refused > 0 ? DM_EXIT_REFUSED : DM_EXIT_OK;
}

/* ---- where it begins ----------------------------------------------------------------- */

/* The last event of the whole server: what comes after it is not this import's to overwrite. */
static int read_last_seq(struct dm_cli *cli, uint64_t *seq)
{
    const struct dormouse_get_stats request = DORMOUSE(get_stats, .account_id = {NULL, 0});
    const struct dormouse_stats *stats;
    struct dormouse_result result;
    if (dormouse_get_stats_wait(cli->client, &request, cli->timeout_ms, &result, &stats) !=
        DORMOUSE_OK) {
        return dm_cli_failed(dormouse_text(""), result.code, result.message);
    }
    *seq = stats->last_seq;
    return DM_EXIT_OK;
}

/* An import that goes on keeps the event after which it first began. */
static int begin_or_go_on(struct dm_importing *importing, const char *path, uint64_t last_seq,
                          const struct dm_checkpoint_target *target)
{
    struct dm_checkpoint *checkpoint = &importing->checkpoint;
    const struct dm_args *args = &importing->cli->args;
    uint64_t as_of = checkpoint->is_new ? last_seq : checkpoint->after_seq;
    if (!dm_args_number(&importing->cli->args, "as-of", UINT64_MAX, &as_of)) {
        return dm_cli_args_usage(importing->cli);
    }
    if (checkpoint->is_new) {
        dm_checkpoint_begin(checkpoint, as_of, dm_cli_now_ms(), target);
        return DM_EXIT_OK;
    }
    if (dm_args_flag(args, "as-of") && as_of != checkpoint->after_seq) {
        return dm_cli_usage(importing->cli,
                            "--as-of: this import began after event %" PRIu64
                            "; leave it out to go on, or name a new --run",
                            checkpoint->after_seq);
    }
    if (last_seq < checkpoint->after_seq) {
        return fail(path,
                    "the server has fewer events than when this import began: it is another "
                    "one, or was emptied. To import into it from the start, name a new --run");
    }
    if (dm_checkpoint_matches(checkpoint, importing->source.fd)) {
        importing->done_before = checkpoint->done;
    } else {
        (void)fprintf(stderr, "dormouse: the file was edited since it was imported: all its rows "
                              "are looked at\n");
        dm_checkpoint_edited(checkpoint);
    }
    return DM_EXIT_OK;
}

/* `path`: of the checkpoint; NULL: none. */
static int open_checkpoint(struct dm_importing *importing, const char *path)
{
    uint64_t last_seq = 0;
    const struct dm_checkpoint_target target = {
        .server = importing->cli->server,
        .account = importing->cli->account,
        .run = importing->defaults.run,
    };
    if (!dm_checkpoint_open(&importing->checkpoint, path, importing->dry_run, &target)) {
        return fail(path, importing->checkpoint.why);
    }
    int code = read_last_seq(importing->cli, &last_seq);
    return code == DM_EXIT_OK ? begin_or_go_on(importing, path, last_seq, &target) : code;
}

/* The refused rows' file, which begins with its header. */
static bool open_refused(struct dm_importing *importing)
{
    const char *path = dm_args_value(&importing->cli->args, "refused");
    if (path == NULL) {
        return true;
    }
    /* For its user alone: it holds people's numbers. */
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
    importing->refused_file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (importing->refused_file == NULL ||
        fputs("line,code,reason,account_id,contact_id\n", importing->refused_file) < 0) {
        (void)fail(path, strerror(errno));
        return false;
    }
    return true;
}

static int close_refused(struct dm_importing *importing, int code)
{
    if (importing->refused_file != NULL && fclose(importing->refused_file) != 0) {
        return fail("the file of refused rows could not be written", strerror(errno));
    }
    return code;
}

/* ---- the command --------------------------------------------------------------------- */

/* A pipe cannot be read again, and has no place beside it: no checkpoint. */
static int import_source(struct dm_importing *importing, bool is_file)
{
    const char *given = dm_args_value(&importing->cli->args, "checkpoint");
    struct dm_out beside = {.colour = false};
    if (given != NULL && !is_file) {
        return dm_cli_usage(
            importing->cli,
            "--checkpoint is for files: what comes through a pipe cannot be read again");
    }
    dm_out_format(&beside, "%s.import%c", importing->path, '\0');
    const char *path = !is_file ? NULL : given != NULL ? given : (char *)dm_buf_head(&beside.buf);
    int code = open_checkpoint(importing, path);
    if (code == DM_EXIT_OK) {
        code = open_refused(importing) ? conclude(importing, dm_import_rows(importing))
                                       : DM_EXIT_REFUSED;
        code = close_refused(importing, code);
    }
    dm_checkpoint_finish(&importing->checkpoint);
    dm_out_finish(&beside);
    return code;
}

static int import_file(struct dm_importing *importing, enum dm_format format)
{
    bool is_stdin = strcmp(importing->path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(importing->path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        return fail(importing->path, strerror(errno));
    }
    bool is_file = !is_stdin && S_ISREG(status.st_mode);
    importing->file_size = S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
    int code;
    if (dm_cli_connect(importing->cli)) {
        dm_source_init(&importing->source, fd, format);
        code = import_source(importing, is_file);
        dm_source_finish(&importing->source);
    } else {
        code = importing->cli->connect_code;
    }
    if (!is_stdin) {
        (void)close(fd);
    }
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
        (void)dm_cli_usage(cli, "--format: \"%.64s\" is not one of csv, ndjson", value);
        return false;
    }
    return true;
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
        return dm_cli_usage(cli, "--expired: \"%.64s\" is not one of refuse, active", expired);
    }
    if (!dm_args_number(&cli->args, "in-flight", IN_FLIGHT_MAX, &slots)) {
        return dm_cli_args_usage(cli);
    }
    struct dm_importing importing = {
        .cli = cli,
        .path = cli->args.words[1],
        .dry_run = dm_args_flag(&cli->args, "dry-run"),
        .slots_count = slots == 0 ? 1 : (size_t)slots,
        .defaults =
            {
                .account_id = cli->account,
                .run = dormouse_text(run),
                .expired_active = expired != NULL && strcmp(expired, "active") == 0,
                .unlock = dm_args_flag(&cli->args, "unlock"),
            },
    };
    return import_file(&importing, format);
}
