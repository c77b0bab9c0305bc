#include "integration/support.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { ARGUMENTS_MAX = 24, LOG_SIZE_MAX = 65536, ACCOUNT_FIELD = 1, CONTACT_FIELD = 2 };

void server_folder(struct server *server)
{
    *server = (struct server){.folder = "dormouse_test_XXXXXX"};
    char *made = mkdtemp(server->folder);
    DM_ASSERT(made != NULL);
}

static int status_of(int wait_status)
{
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

static size_t read_log(const char *path, char *text)
{
    size_t size = 0;
    FILE *log = fopen(path, "re");
    if (log != NULL) {
        size = fread(text, 1, LOG_SIZE_MAX - 1, log);
        (void)fclose(log);
    }
    text[size] = '\0';
    return size;
}

bool server_logged(const struct server *server, const char *text)
{
    static char log[LOG_SIZE_MAX];
    (void)read_log(server->log, log);
    return strstr(log, text) != NULL;
}

/* The port that the log names, once the server is ready; 0 before. */
static uint16_t logged_port(const struct server *server)
{
    static const char before[] = "address=127.0.0.1:";
    static char log[LOG_SIZE_MAX];
    (void)read_log(server->log, log);
    const char *at = strstr(log, before);
    if (at == NULL || strstr(log, "event=ready") == NULL) {
        return 0;
    }
    return (uint16_t)strtoul(at + strlen(before), NULL, 10);
}

static _Noreturn void become(const char *output, const char *const *arguments,
                             void (*prepare)(void *context), void *context)
{
    char *argv[ARGUMENTS_MAX]; /* execv takes no const, and changes nothing */
    memcpy(argv, arguments, sizeof argv);
    int fd = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    if (prepare != NULL) {
        prepare(context);
    }
    (void)execv(DORMOUSED, argv);
    _exit(127);
}

int server_start(struct server *server, const char *const *arguments)
{
    return server_start_prepared(server, arguments, NULL, NULL);
}

static void limit_files(void *context)
{
    (void)setrlimit(RLIMIT_NOFILE, context);
}

int server_start_limited(struct server *server, const char *const *arguments, struct rlimit *files)
{
    return server_start_prepared(server, arguments, limit_files, files);
}

void server_spawn(struct server *server, const char *const *arguments,
                  void (*prepare)(void *context), void *context)
{
    char data[160];
    const char *argv[ARGUMENTS_MAX] = {DORMOUSED, "--data", data, "--listen", "127.0.0.1:0"};
    size_t count = 5;
    for (; arguments != NULL && *arguments != NULL; arguments++) {
        DM_ASSERT(count + 1 < ARGUMENTS_MAX);
        argv[count++] = *arguments;
    }
    (void)snprintf(data, sizeof data, "%s/data", server->folder);
    (void)snprintf(server->log, sizeof server->log, "%s/log%d", server->folder, ++server->starts);
    server->pid = fork();
    if (server->pid == 0) {
        become(server->log, argv, prepare, context);
    }
    DM_ASSERT(server->pid > 0);
}

int server_start_prepared(struct server *server, const char *const *arguments,
                          void (*prepare)(void *context), void *context)
{
    server_spawn(server, arguments, prepare, context);
    for (uint64_t end = peer_now_ms() + PEER_DEADLINE_MS;;) {
        int status;
        server->port = logged_port(server);
        if (server->port != 0) {
            return 0;
        }
        if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
            server->pid = 0;
            return status_of(status);
        }
        DM_ASSERT(peer_now_ms() < end);
        (void)usleep(2000);
    }
}

int server_wait(struct server *server)
{
    int status = 0;
    for (uint64_t end = peer_now_ms() + PEER_DEADLINE_MS;;) {
        pid_t ended = waitpid(server->pid, &status, WNOHANG);
        DM_ASSERT(ended >= 0);
        if (ended == server->pid) {
            server->pid = 0;
            return status_of(status);
        }
        DM_ASSERT(peer_now_ms() < end);
        (void)usleep(2000);
    }
}

int server_stop(struct server *server)
{
    (void)kill(server->pid, SIGTERM);
    return server_wait(server);
}

void server_kill(struct server *server)
{
    (void)kill(server->pid, SIGKILL);
    (void)server_wait(server);
}

static int remove_entry(const char *path, const struct stat *entry, int flag, struct FTW *walk)
{
    (void)entry, (void)flag, (void)walk;
    return remove(path);
}

void server_remove(struct server *server)
{
    if (server->pid != 0) {
        server_kill(server);
    }
    (void)nftw(server->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int server_run(const char *const *arguments, char *output, size_t size)
{
    struct server server;
    static char log[LOG_SIZE_MAX];
    const char *argv[ARGUMENTS_MAX] = {DORMOUSED};
    for (size_t i = 0; arguments[i] != NULL; i++) {
        DM_ASSERT(i + 2 < ARGUMENTS_MAX);
        argv[i + 1] = arguments[i];
    }
    server_folder(&server);
    (void)snprintf(server.log, sizeof server.log, "%s/output", server.folder);
    server.pid = fork();
    if (server.pid == 0) {
        become(server.log, argv, NULL, NULL);
    }
    DM_ASSERT(server.pid > 0);
    int status = server_wait(&server);
    (void)read_log(server.log, log);
    (void)snprintf(output, size, "%s", log);
    server_remove(&server);
    return status;
}

/* ---- protobuf ---------------------------------------------------------------------------- */

static void put_varint(struct dm_buf *to, uint64_t number)
{
    for (;; number >>= 7) {
        uint8_t byte = (uint8_t)((number & 0x7f) | (number >= 0x80 ? 0x80 : 0));
        bool ok = dm_buf_append(to, &byte, 1);
        DM_ASSERT(ok);
        if (number < 0x80) {
            return;
        }
    }
}

void pb_bytes(struct dm_buf *to, uint32_t field, struct dm_slice bytes)
{
    put_varint(to, field << 3 | 2);
    put_varint(to, bytes.size);
    bool ok = dm_buf_append(to, bytes.data, bytes.size);
    DM_ASSERT(ok);
}

void pb_text(struct dm_buf *to, uint32_t field, const char *text)
{
    pb_bytes(to, field, dm_slice_str(text));
}

void pb_number(struct dm_buf *to, uint32_t field, uint64_t number)
{
    put_varint(to, field << 3);
    put_varint(to, number);
}

static uint64_t get_varint(struct dm_slice *in)
{
    const uint8_t *at = in->data;
    uint64_t number = 0;
    for (unsigned i = 0;; i++) {
        DM_ASSERT(at != NULL && i < in->size && i < 10);
        number |= (uint64_t)(at[i] & 0x7f) << (7 * i);
        if (at[i] < 0x80) {
            *in = dm_slice(at + i + 1, in->size - i - 1);
            return number;
        }
    }
}

/* Walks the fields of a message; only varints and bytes occur in ours. */
static void find_field(struct dm_slice in, uint32_t field, uint64_t *number, struct dm_slice *bytes)
{
    *number = 0;
    *bytes = dm_slice(NULL, 0);
    while (in.size != 0) {
        uint64_t tag = get_varint(&in);
        uint64_t value = get_varint(&in);
        struct dm_slice content = dm_slice(in.data, 0);
        if ((tag & 7) == 2) {
            DM_ASSERT(value <= in.size);
            content.size = (size_t)value;
            in = dm_slice((const uint8_t *)in.data + value, in.size - (size_t)value);
        }
        if (tag >> 3 == field) {
            *number = value;
            *bytes = content;
        }
    }
}

uint64_t pb_get_number(struct dm_slice message, uint32_t field)
{
    uint64_t number;
    struct dm_slice bytes;
    find_field(message, field, &number, &bytes);
    return number;
}

struct dm_slice pb_get_bytes(struct dm_slice message, uint32_t field)
{
    uint64_t number;
    struct dm_slice bytes;
    find_field(message, field, &number, &bytes);
    return bytes;
}

/* ---- calls -------------------------------------------------------------------------------- */

static uint32_t send_call(struct peer *peer, uint8_t flags, const char *method, struct dm_buf *body)
{
    uint32_t id = peer_request(peer, flags, BOT_STATUS, method, dm_buf_slice(body));
    dm_buf_finish(body);
    return id;
}

uint32_t send_set_status(struct peer *peer, const char *contact, int status)
{
    struct dm_buf change = {0};
    struct dm_buf body = {0};
    pb_number(&change, 1, (uint64_t)status);
    if (status == STATUS_SNOOZED) {
        struct dm_buf hour = {0};
        pb_number(&hour, 1, 3600);
        pb_bytes(&change, 2, dm_buf_slice(&hour));
        dm_buf_finish(&hour);
    }
    pb_text(&body, ACCOUNT_FIELD, "acme");
    pb_text(&body, CONTACT_FIELD, contact);
    pb_bytes(&body, 3, dm_buf_slice(&change));
    dm_buf_finish(&change);
    return send_call(peer, 0, "SetStatus", &body);
}

uint32_t send_check(struct peer *peer, const char *contact)
{
    struct dm_buf body = {0};
    pb_text(&body, ACCOUNT_FIELD, "acme");
    pb_text(&body, CONTACT_FIELD, contact);
    return send_call(peer, 0, "Check", &body);
}

uint32_t send_watch(struct peer *peer, uint64_t after_seq, bool from_start)
{
    struct dm_buf body = {0};
    if (after_seq != 0) {
        pb_number(&body, 3, after_seq);
    }
    if (from_start) {
        pb_number(&body, 4, 1);
    }
    return send_call(peer, DM_TTRPC_REMOTE_CLOSED, "Watch", &body);
}

int set_status(struct peer *peer, const char *contact, int status)
{
    struct dm_ttrpc_response response;
    bool ok = peer_response(peer, send_set_status(peer, contact, status), &response);
    DM_ASSERT(ok);
    return response.code;
}

int check(struct peer *peer, const char *contact)
{
    struct dm_ttrpc_response response;
    bool ok = peer_response(peer, send_check(peer, contact), &response);
    DM_ASSERT(ok);
    return response.code != 0 ? -response.code : (int)pb_get_number(response.payload, 1);
}

uint64_t next_event(struct peer *peer, uint32_t id, char *contact, size_t size)
{
    for (;;) {
        struct peer_frame frame;
        if (!peer_next(peer, &frame) || frame.header.type != DM_TTRPC_DATA ||
            (frame.header.flags & DM_TTRPC_REMOTE_CLOSED) != 0) {
            return 0;
        }
        DM_ASSERT(frame.header.stream == id);
        struct dm_slice event = pb_get_bytes(frame.body, 1);
        if (event.size == 0) {
            continue; /* progress only */
        }
        struct dm_slice name = pb_get_bytes(event, 4);
        (void)snprintf(contact, size, "%.*s", (int)name.size, (const char *)name.data);
        return pb_get_number(event, 1);
    }
}
