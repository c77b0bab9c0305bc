#ifndef DM_BASE_LIMITS_H
#define DM_BASE_LIMITS_H

/* Every limit of the server, with what it protects from. Past one of them comes
 * a clear status; the connection lives where its protocol allows. What an option
 * of dormoused can change is a default here. */

/* ---- what a request may hold -------------------------------------------- */

/* JSON: how deep lists and objects may nest, the same as in protobuf's own parsers. No message
 * is deeper, and depth costs whoever reads it. */
#define DM_JSON_DEPTH_MAX 100

/* Bytes of an account, contact or bot id: keys stay far under LMDB's 511 and a
 * sleeping contact stays small. */
#define DM_ID_SIZE_MAX 64
/* Bytes of an actor and of a request_id: both are kept with the contact. */
#define DM_ACTOR_SIZE_MAX 64
#define DM_REQUEST_ID_SIZE_MAX 64
/* Newest request ids remembered of a contact: a value stays under 2 KB, clear of
 * LMDB's overflow pages. */
#define DM_ANSWERS_MAX 8
/* Contacts in one batch, contacts of one Watch, entries of one page: bounds the
 * work of one loop turn and the size of one reply. */
#define DM_BATCH_MAX 1000
#define DM_PAGE_SIZE_DEFAULT 100
#define DM_PAGE_SIZE_MAX 1000
/* A snooze: shorter is no pause, longer was meant to be INACTIVE. */
#define DM_SNOOZE_MS_MIN 1000LL
#define DM_SNOOZE_MS_MAX (366LL * 24 * 3600 * 1000)
/* Rules of one policy: one for each activity. */
#define DM_RULES_MAX 8
/* Bots with a policy or a contact of their own in one account, and accounts:
 * both live in memory. */
#define DM_BOTS_MAX 1000
#define DM_ACCOUNTS_MAX 4000000

/* ---- the wire ------------------------------------------------------------ */

/* One message, either way: what one call may make us buffer. */
#define DM_MESSAGE_SIZE_MAX (4U << 20)
/* A ttrpc frame longer than this is not a mistake but garbage: the connection is closed. */
#define DM_TTRPC_DISCARD_MAX (16U * 1024 * 1024)
/* Open calls of one connection (pending mutations and streams): a client cannot
 * make us remember without end. */
#define DM_CALLS_PER_CONNECTION_MAX 4096
/* Unsent bytes of a connection past which it is no longer read from, and below
 * which it is again: a client that does not read is not served. */
#define DM_OUTPUT_HIGH (1024U * 1024)
#define DM_OUTPUT_LOW (256U << 10)
/* Calls of a connection whose answers wait for the disk, past which it is no longer read
 * from, and below which it is again: what one client may put in front of all others' writes.
 * So a slow disk holds its clients back before it has to refuse them. */
#define DM_WAITING_HIGH 512
#define DM_WAITING_LOW 256
/* HTTP: "/service/Method" of an RPC, a whole URL (GET carries its message there), one
 * request's head, and its headers: what is buffered before anybody is known to be served. */
#define DM_HTTP_PATH_MAX 256
#define DM_HTTP_URL_MAX 16384U
#define DM_HTTP_HEAD_MAX 32768U
#define DM_HTTP_HEADERS_MAX 100
/* HTTP/1.1: chunk extensions and trailers of one body, which nobody reads. */
#define DM_HTTP1_CHUNK_EXTRA_MAX 4096
/* HTTP/1.1: pipelined bytes kept while a call is open. */
#define DM_HTTP1_PIPELINE_MAX 65536U
/* A body that is too large is read to its end up to this, so that the answer arrives;
 * past it the connection is closed. */
#define DM_HTTP_DISCARD_MAX 16777216U
/* HTTP/2: flow-control windows of a stream and of the connection. */
#define DM_H2_STREAM_WINDOW (1 << 20)
#define DM_H2_CONNECTION_WINDOW (4 << 20)
/* HTTP/2: request bytes of one connection being gathered, in largest messages: 4,096 streams
 * of half a message each are not kept. */
#define DM_H2_GATHERED_MESSAGES_MAX 8
/* HTTP/2: calls thrown away by either side with no answer, more than were answered (rapid
 * reset; made-you-reset). */
#define DM_H2_WASTED_CALLS_MAX 4096
/* HTTP/2: frames that carry no request (PING, SETTINGS, PRIORITY, DATA that is empty or padding
 * alone ...), at once; each read of the socket, and each answer, earns some back. */
#define DM_H2_IDLE_FRAMES_MAX 4096
#define DM_H2_IDLE_FRAMES_EARNED 16
/* Connections: descriptors and memory. */
#define DM_CONNECTIONS_MAX 20000
/* Sockets to listen on: a name may have several addresses. */
#define DM_LISTENERS_MAX 32
/* Segments of the journal that are open for reading. */
#define DM_SEGMENT_FILES_MAX 64
/* Descriptors that connections leave to the rest of the process, beside those that are open
 * when the loop is made: the above, the view's three (and as many while it is opened again),
 * the journal's folder, event and three files, and what is open for a moment (a log file, a
 * listing, a scrape, libuv's own for when there are none left). */
#define DM_DESCRIPTORS_RESERVED (DM_LISTENERS_MAX + DM_SEGMENT_FILES_MAX + 6 + 5 + 8)
/* How long a connection that is over may take to end: to fetch its last answers, or to
 * close its side after ours. */
#define DM_LINGER_MS 2000
/* Watches at once on the server: each reads the journal for itself. */
#define DM_WATCHES_MAX 10000
/* Calls that last as long as their client wants: streams of all kinds (Watch, health's Watch,
 * bulk changes, reflection), and those whose first message is still to come. Of the server: they
 * cost little and take none of the room (DM_CALLS_MAX) that changes need while they wait for the
 * disk; the last DM_WATCHES_MAX of them are for Watch alone. Of one connection: nobody has all
 * of them with a hundred connections; a proxy has one for all of its clients. */
#define DM_STREAMS_MAX 100000
#define DM_STREAMS_PER_CONNECTION_MAX 1024
/* Calls of the whole server that wait for the disk, for time or for a reader, and the
 * bytes of their encoded answers: what slow disks and readers may cost in memory. */
#define DM_CALLS_MAX 1000000
#define DM_ANSWERS_PENDING_MAX (256U << 20)
/* How long a client may take. For the head of a request, from its first byte (of the first
 * one, from the connection's): the time of people's fingers on telnet, and no more. */
#define DM_HEAD_MS 10000
/* For a message: in each such time, so many bytes of it at least (1 KiB/s, half of a modem's
 * rate), or it has to be whole. */
#define DM_BODY_WINDOW_MS 20000
#define DM_BODY_WINDOW_BYTES (20U << 10)
/* To take what is sent to it: in each such time, so many bytes at least, while something waits. */
#define DM_WRITE_WINDOW_MS 60000
#define DM_WRITE_WINDOW_BYTES (60U << 10)
/* Connections whose time is over that one turn looks at, and those that it closes or has
 * given up their memory because all hold too much. */
#define DM_LATE_PER_TURN 256
#define DM_RELIEF_PER_TURN 64
/* What half-received requests, unsent answers and kept buffers of all connections may take
 * together; past it, who holds most is closed. From DM_BUFFERS_HIGH parts in 8 of it on, no
 * message over DM_SMALL_BODY is begun any more: RESOURCE_EXHAUSTED. The first DM_BUFFERS_FREE
 * bytes of each connection do not count: what one that behaves keeps between its calls. They,
 * and what a connection costs before it holds anything (3 KiB; HTTP/2 28 KiB, most of it
 * libnghttp2's frame buffer), are bounded by the number of connections: 20,000 of them may
 * take 1.2 GiB at worst. */
#define DM_BUFFERS_MAX (512LL << 20)
#define DM_BUFFERS_HIGH 7
#define DM_BUFFERS_FREE (32U << 10)
#define DM_SMALL_BODY (16U << 10)
/* Of DM_ANSWERS_PENDING_MAX, what long calls of one connection may take (pages, batches, watches):
 * 60 pages of the largest size. */
#define DM_TASKS_PER_CONNECTION_MAX (32U << 20)
/* Messages of streams of requests that one connection is given answers to in one turn, when
 * they lie here already: four milliseconds of work. A page counts as many. */
#define DM_INPUTS_PER_TURN 256
#define DM_INPUTS_OF_PAGE 64
/* Bytes read from one socket in one turn, some 150 calls: who sends as much as he can delays
 * the others by that, and answers leave as soon as those are done. */
#define DM_READ_SIZE (16U * 1024)
/* After so long a turn reads less of each, and nothing more of who asked for much lately: a
 * hundred messages of the largest size, whose last bytes come together, are seconds of work. */
#define DM_TURN_READ_MS 5
#define DM_READ_LATE 1024U
/* What the kernel takes in for one TCP connection ahead of our reading (it gives about twice
 * of it): calls past that wait with the client, who knows when they were due and may give
 * them up, and not where nobody can tell how old they are. */
#define DM_UNREAD_SIZE (256 * 1024)

/* Blocks of memory from this size on are mapped each on its own, so that what an attack or a burst
 * took goes back when it is freed: glibc would take ever larger ones from the heap, where one
 * small block above them holds them all. And how much may be free at the heap's end before it is
 * cut: less, and every page of an answer is cut off and faulted in again. */
#define DM_MAPPED_BLOCK_SIZE (128 << 10)
#define DM_HEAP_SPARE (1 << 20)

/* ---- the log ----------------------------------------------------------------- */

/* Lines that wait for whoever reads the log, in bytes: past it they are dropped and counted,
 * for no call waits for a log. The last eighth is for errors. */
#define DM_LOG_QUEUE_SIZE (256U << 10)
/* How long a process that ends, well or by a broken invariant, waits for its last lines. */
#define DM_LOG_FLUSH_MS 1000

/* ---- the engine ---------------------------------------------------------- */

/* Contacts changed and not yet in the view: the memory that a slow disk costs. A bound for
 * callers; the overlay itself takes twice as much (see engine/room.c). */
#define DM_OVERLAY_CONTACTS_MAX 6000000
#define DM_OVERLAY_CONTACTS_MIN 16384
/* Bytes ordered and not yet durable: past it, the disk is too slow for the load. */
#define DM_JOURNAL_PENDING_MAX (64U << 20)
/* One batch of the journal, and one record of it. */
#define DM_JOURNAL_BATCH_MAX (4U << 20)
#define DM_JOURNAL_RECORD_MAX (64U << 10)
/* Batches in a row that the disk would not take without waiting, after which as many as the
 * second number go to the thread unasked: some file systems (btrfs) never take one, and asking
 * costs a call of the kernel each time. */
#define DM_JOURNAL_REFUSALS_MAX 8
#define DM_JOURNAL_REFUSED_BATCHES 1024
/* A segment file. */
#define DM_SEGMENT_SIZE (64U << 20)
/* Journal kept for Watch and GetHistory. */
#define DM_RETENTION_BYTES (8LL * 1024 * 1024 * 1024)
#define DM_RETENTION_MS (30LL * 24 * 3600 * 1000)
/* A segment is in use for this part of DM_RETENTION_MS at most: what is dropped goes by whole
 * segments, so an event stays for up to as much longer. Each may be one file more. */
#define DM_SEGMENT_AGE_PARTS 4
/* How often the journal's age is noted: what a crash may take from it. */
#define DM_JOURNAL_AGE_KEPT_MS (10LL * 60 * 1000)
/* How far ahead sleeping contacts are on the wheel. */
#define DM_HORIZON_MS (3600LL * 1000)
/* Sleeping contacts on the wheel at once: address space reserved for them. Past it snoozes
 * that end within the horizon are refused, and what sleeps already is timed later. */
#define DM_SLEEPERS_MAX 64000000U
/* Wakes ordered in one loop turn, index entries looked at in one turn, and steps
 * of every background scan: what a burst may take of one turn. */
#define DM_WAKES_PER_TURN 256
#define DM_TOPUP_PER_TURN 512
#define DM_SCAN_PER_TURN 1024
/* Memory for what Check needs of contacts asked for lately, 32 bytes each. */
#define DM_CACHE_BYTES (256ULL << 20)
/* The view's map: address space, not disk. */
#define DM_VIEW_MAP_SIZE (1ULL << 40)
/* The same where address space is limited (ulimit -v): what is tried last. */
#define DM_VIEW_MAP_SIZE_MIN (1ULL << 30)
/* Address space that must be left at a start, for threads, connections and answers: a server
 * that starts and then has no memory for its first burst is worse than one that says so. */
#define DM_ADDRESS_SPACE_SPARE (1ULL << 30)

/* ---- how they depend on each other ---------------------------------------------
 *
 * Those of a single file stand in that file. */

_Static_assert(DM_SNOOZE_MS_MIN < DM_SNOOZE_MS_MAX, "there are snoozes");
_Static_assert(DM_PAGE_SIZE_MAX <= DM_BATCH_MAX, "a page is no more work than a batch");
_Static_assert(DM_HTTP_PATH_MAX < DM_HTTP_URL_MAX && DM_HTTP_URL_MAX < DM_HTTP_HEAD_MAX,
               "a path is a part of its URL, which is a part of its head");
_Static_assert(DM_TTRPC_DISCARD_MAX > DM_MESSAGE_SIZE_MAX &&
                   DM_HTTP_DISCARD_MAX > DM_MESSAGE_SIZE_MAX,
               "a message a little too large is answered");
_Static_assert(DM_H2_STREAM_WINDOW <= DM_H2_CONNECTION_WINDOW,
               "a stream is one of its connection's");
_Static_assert(DM_INPUTS_OF_PAGE <= DM_INPUTS_PER_TURN, "a page fits into a turn");
_Static_assert(DM_HEAD_MS < DM_BODY_WINDOW_MS && DM_BODY_WINDOW_MS < DM_WRITE_WINDOW_MS,
               "who has proved more waits longer");
_Static_assert(DM_OVERLAY_CONTACTS_MIN < DM_OVERLAY_CONTACTS_MAX, "a smallest and a largest");
_Static_assert(2 * DM_JOURNAL_RECORD_MAX <= DM_JOURNAL_BATCH_MAX, "a batch has several records");
_Static_assert(2 * DM_JOURNAL_BATCH_MAX <= DM_SEGMENT_SIZE, "a segment has several batches");
_Static_assert(DM_JOURNAL_BATCH_MAX <= DM_JOURNAL_PENDING_MAX,
               "a batch gathers while one is written");
_Static_assert(DM_SEGMENT_SIZE < DM_RETENTION_BYTES, "what is kept has several segments");
_Static_assert(DM_WAKES_PER_TURN <= DM_TOPUP_PER_TURN, "loading keeps up with firing");
_Static_assert(DM_VIEW_MAP_SIZE_MIN < DM_VIEW_MAP_SIZE, "there is less to try");

#endif
