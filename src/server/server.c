#include "server/server.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/process.h"
#include "base/region.h"
#include "engine/engine.h"
#include "journal/journal.h"
#include "loop/listen.h"
#include "loop/loop.h"
#include "rpc/ready.h"
#include "rpc/rpc.h"
#include "server/folder.h"
#include "server/metrics.h"
#include "view/meta.h"
#include "view/store.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where all parts meet. Each is opened on top of the one before it, and they are closed in
 * reverse order. A part that is NULL was not opened. */
struct server {
    const struct dm_options *options;
    struct dm_clock clock;
    struct dm_folder folder;
    struct dm_loop *loop;
    struct dm_store *store;
    struct dm_disk *disk;
    struct dm_journal *journal;
    struct dm_engine *engine;
    struct dm_rpc *rpc;
    uint64_t step_ns; /* when the start's last step was done */
};

/* ---- HTTP outside the RPC paths -------------------------------------------------------- */

static bool path_is(struct dm_slice path, const char *text)
{
    return dm_slice_equal(path, dm_slice_str(text));
}

static void answer_text(struct dm_page *page, int status, const char *text)
{
    page->answer.status = status;
    dm_http_answer_type(&page->answer, "text/plain; charset=utf-8");
    (void)dm_buf_append(&page->text, text, strlen(text));
    (void)dm_buf_append(&page->text, "\n", 1);
}

static void answer_ready(const struct server *server, struct dm_page *page)
{
    struct dm_error error = {0};
    if (dm_rpc_ready(server->rpc, &error) != DM_OK) {
        answer_text(page, 503, error.message);
    } else {
        answer_text(page, 200, "ok");
    }
}

static void answer_http(void *context, const struct dm_page_request *request, struct dm_page *page)
{
    struct server *server = context;
    if (path_is(request->path, "/healthz")) {
        answer_text(page, 200, "ok");
    } else if (path_is(request->path, "/readyz")) {
        answer_ready(server, page);
    } else if (path_is(request->path, "/metrics")) {
        page->answer.status = 200;
        dm_http_answer_type(&page->answer, DM_METRICS_CONTENT_TYPE);
        dm_metrics_write(&page->text, server->engine, server->rpc, server->loop);
    } else {
        answer_text(page, 404,
                    "there is nothing here: calls go to POST /dormouse.v1.BotStatus/Check and the "
                    "like, probes "
                    "to /healthz and /readyz, metrics are in /metrics");
    }
}

/* ---- opening ------------------------------------------------------------------------------ */

static int64_t step_ms(struct server *server)
{
    uint64_t now_ns = dm_clock_monotonic_ns(&server->clock);
    int64_t ms = (int64_t)((now_ns - server->step_ns) / 1000000);
    server->step_ns = now_ns;
    return ms;
}

static const char *const *names(const struct dm_option_list *list)
{
    return list->count == 0 ? NULL : (const char *const *)list->values;
}

/* What can be read again without a restart. */
static void read_again(void)
{
    dm_log(DM_LOG_INFO, "hangup, reading the log's level and file again");
    dm_log_reread();
}

static enum dm_code open_loop(struct server *server, struct dm_error *error)
{
    const struct dm_options *options = server->options;
    const struct dm_loop_options loop_options = {
        .clock = server->clock,
        .drain_delay_ms = options->drain_delay_ms,
        .drain_timeout_ms = options->drain_timeout_ms,
        .unix_mode = (uint32_t)options->unix_mode,
        .connections_max = (uint32_t)options->connections_max,
        .buffers_max = options->buffers_max,
        .hosts = names(&options->hosts),
        .cors_origins = names(&options->cors_origins),
        .http = answer_http,
        .http_context = server,
        .hangup = read_again,
    };
    return dm_loop_create(&server->loop, &loop_options, error);
}

static enum dm_code open_view(struct server *server, uint64_t map_size, struct dm_error *error)
{
    enum dm_code code = dm_store_open_lmdb(&server->store, server->folder.view, map_size, error);
    if (code == DM_OK) {
        dm_log(DM_LOG_INFO, "view opened", DM_LOG_NUMBER("bytes", dm_store_bytes(server->store)),
               DM_LOG_NUMBER("took_ms", step_ms(server)));
    }
    return code;
}

/* Somebody has exchanged one of the two folders, or emptied it. */
static enum dm_code not_together(const struct server *server, struct dm_error *error)
{
    char why[sizeof error->message];
    (void)snprintf(why, sizeof why, "%s", error->message);
    return dm_fail(error, DM_FAILED_PRECONDITION,
                   "%s and %s do not belong together: %.40s; put back the one that was exchanged "
                   "or emptied, or move the view away to have what the journal alone has",
                   server->folder.journal, server->folder.view, why);
}

static enum dm_code open_journal(struct server *server, struct dm_error *error)
{
    DM_ASSERT(server->disk == NULL && server->journal == NULL);
    server->disk = dm_disk_folder(server->folder.journal);
    if (server->disk == NULL) {
        return dm_fail(error, DM_UNAVAILABLE, "cannot open the journal's folder %s: %s",
                       server->folder.journal, strerror(errno));
    }
    struct dm_journal_options options = {
        .disk = server->disk,
        .clock = server->clock,
        .segment_size = (uint64_t)server->options->segment_bytes,
        .retention_bytes = server->options->retention_bytes,
        .retention_ms = server->options->retention_ms,
    };
    (void)dm_meta_log(server->store, &options.belongs_to); /* else it stays zero: any */
    dm_store_read_end(server->store);
    enum dm_code code = dm_journal_open_file(&server->journal, &options, error);
    if (code == DM_ABORTED) {
        return not_together(server, error);
    }
    if (code == DM_OK) {
        dm_log(DM_LOG_INFO, "journal opened",
               DM_LOG_NUMBER("last_lsn", dm_order_last(server->journal->order)),
               DM_LOG_NUMBER("oldest_seq", dm_journal_oldest_seq(server->journal)),
               DM_LOG_NUMBER("took_ms", step_ms(server)));
    }
    return code;
}

static enum dm_code open_engine(struct server *server, struct dm_error *error)
{
    const struct dm_options *options = server->options;
    DM_ASSERT(server->journal != NULL && server->store != NULL && server->engine == NULL);
    const struct dm_engine_options engine_options = {
        .order = server->journal->order,
        .journal = server->journal,
        .store = server->store,
        .clock = dm_loop_calls_clock(server->loop),
        .horizon_ms = options->horizon_ms,
        .overlay_max = (uint32_t)options->overlay_max,
        .apply_after_ms = options->apply_after_ms,
        .cache_bytes = options->cache_bytes != 0 ? (uint64_t)options->cache_bytes : 1,
        .notify = dm_loop_ring,
        .notify_context = server->loop,
    };
    enum dm_code code = dm_engine_open(&server->engine, &engine_options, error);
    if (code != DM_OK) {
        return code;
    }
    dm_log(DM_LOG_INFO, "engine recovered",
           DM_LOG_NUMBER("last_seq", dm_engine_last_seq(server->engine)),
           DM_LOG_NUMBER("took_ms", step_ms(server)));
    server->rpc = dm_rpc_create(server->engine, dm_loop_calls_clock(server->loop));
    return server->rpc != NULL
               ? DM_OK
               : dm_fail(error, DM_RESOURCE_EXHAUSTED, "no address space for calls");
}

static void close_storage(struct server *server)
{
    if (server->rpc != NULL) {
        dm_rpc_destroy(server->rpc);
    }
    if (server->engine != NULL) {
        dm_engine_close(server->engine);
    }
    if (server->journal != NULL) {
        dm_journal_close(server->journal);
    }
    if (server->disk != NULL) {
        server->disk->ops->destroy(server->disk);
    }
    if (server->store != NULL) {
        dm_store_close(server->store);
    }
    server->rpc = NULL;
    server->engine = NULL;
    server->journal = NULL;
    server->disk = NULL;
    server->store = NULL;
}

static enum dm_code check_spare(struct dm_error *error)
{
    struct dm_region spare;
    if (!dm_region_init(&spare, DM_ADDRESS_SPACE_SPARE)) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED, "no address space to spare");
    }
    dm_region_finish(&spare);
    return DM_OK;
}

static enum dm_code try_storage(struct server *server, uint64_t map_size, struct dm_error *error)
{
    enum dm_code code = open_view(server, map_size, error);
    if (code == DM_OK) {
        code = open_journal(server, error);
    }
    if (code == DM_OK) {
        code = open_engine(server, error);
    }
    return code == DM_OK ? check_spare(error) : code;
}

/* View, journal, engine. Where address space is limited, the view's map gets at most half of it.
 * If that leaves too little for the others, it gets half of that, and so on. So a server that
 * starts with some limit starts with every larger one. */
static enum dm_code open_storage(struct server *server, struct dm_error *error)
{
    uint64_t map_size = DM_VIEW_MAP_SIZE;
    struct rlimit space;
    if (getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur == RLIM_INFINITY) {
        return try_storage(server, map_size, error);
    }
    while (map_size > DM_VIEW_MAP_SIZE_MIN && map_size > space.rlim_cur / 2) {
        map_size /= 2;
    }
    struct dm_error why;
    enum dm_code code = try_storage(server, map_size, &why);
    while (code == DM_RESOURCE_EXHAUSTED && map_size > DM_VIEW_MAP_SIZE_MIN) {
        close_storage(server);
        map_size /= 2;
        code = try_storage(server, map_size, &why);
    }
    return code == DM_OK ? DM_OK
           : code != DM_RESOURCE_EXHAUSTED
               ? dm_fail(error, code, "%s", why.message)
               : dm_fail(error, code,
                         "%.*s: ulimit -v leaves this process %llu MiB; raise it (what is not "
                         "touched costs no memory), or lower --overlay-max or --cache-size",
                         (int)strcspn(why.message, ":"), why.message,
                         (unsigned long long)space.rlim_cur >> 20);
}

static enum dm_code open_sockets(struct server *server, struct dm_error *error)
{
    const struct dm_option_list *addresses = &server->options->listen;
    DM_ASSERT(server->engine != NULL && server->rpc != NULL);
    dm_loop_attach(server->loop, server->engine, server->rpc);
    for (uint32_t i = 0; i < addresses->count; i++) {
        enum dm_code code = dm_loop_listen(server->loop, addresses->values[i], error);
        if (code != DM_OK) {
            return code;
        }
    }
    return DM_OK;
}

static enum dm_code open_all(struct server *server, struct dm_error *error)
{
    static enum dm_code (*const steps[])(struct server *, struct dm_error *) = {
        open_loop, open_storage, open_sockets};
    enum dm_code code = dm_folder_open(&server->folder, server->options->data, error);
    for (size_t i = 0; code == DM_OK && i < sizeof steps / sizeof steps[0]; i++) {
        code = steps[i](server, error);
    }
    return code;
}

/* The loop goes last: until the engine's thread ends, it rings its bell. */
static void close_all(struct server *server)
{
    close_storage(server);
    dm_loop_destroy(server->loop);
    dm_folder_close(&server->folder);
}

/* An error of one write must not end the process: the client may be gone, or others may write to
 * the terminal. A hangup has a meaning only once the loop runs. */
static void prepare_process(void)
{
    static const int numbers[] = {SIGPIPE, SIGTTOU, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)signal(numbers[i], SIG_IGN);
    }
    (void)umask(077);
}

/* The view is the only file of ours that is mapped. */
static void explain_lost_pages(const struct dm_options *options)
{
    char text[600];
    (void)snprintf(
        text, sizeof text,
        "a page of the view in %s/view cannot be read: its disk failed, or its file was cut "
        "short; " DM_VIEW_DAMAGED_ADVICE,
        options->data);
    dm_process_explain_lost_page(text);
}

static int serve(const struct dm_options *options)
{
    struct server server = {.options = options, .clock = dm_clock_system(), .folder = {.lock = -1}};
    struct dm_error error = {0};
    uint64_t start_ns = dm_clock_monotonic_ns(&server.clock);
    server.step_ns = start_ns;
    dm_log(DM_LOG_INFO, "starting", DM_LOG_TEXT("version", DM_VERSION),
           DM_LOG_TEXT("data", options->data), DM_LOG_NUMBER("pid", getpid()));
    enum dm_code code = open_all(&server, &error);
    if (code != DM_OK) {
        dm_log(DM_LOG_ERROR, "cannot start", DM_LOG_TEXT("reason", error.message));
        close_all(&server);
        return EXIT_FAILURE;
    }
    dm_log(DM_LOG_INFO, "ready",
           DM_LOG_NUMBER("took_ms", (dm_clock_monotonic_ns(&server.clock) - start_ns) / 1000000));
    if (dm_loop_run(server.loop, &error) != DM_OK) {
        /* Every promise that is still open depends on the disk: end here, and recover at the
         * next start. */
        dm_log(DM_LOG_ERROR, "the engine failed", DM_LOG_TEXT("reason", error.message));
        dm_log_flush();
        _exit(EXIT_FAILURE);
    }
    close_all(&server);
    dm_log(DM_LOG_INFO, "stopped");
    return EXIT_SUCCESS;
}

int dm_server_run(const struct dm_options *options)
{
    const struct dm_log_files files = {options->log_file, options->log_level_file};
    struct dm_error error = {0};
    prepare_process();
    explain_lost_pages(options);
    dm_log_configure(options->log_level, options->log_format);
    if (dm_log_start(&files, &error) != DM_OK) {
        dm_log(DM_LOG_ERROR, "cannot start", DM_LOG_TEXT("reason", error.message));
        return EXIT_FAILURE;
    }
    int status = serve(options);
    dm_log_stop();
    return status;
}
