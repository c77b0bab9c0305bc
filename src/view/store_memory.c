#include "view/store.h"

#include "base/assert.h"
#include "base/hash.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Each table is a treap (Seidel and Aragon 1996) of counted, shared nodes. A writer
 * copies what it changes unless it alone holds it, so whoever holds a root sees a
 * snapshot, and a snapshot or a clone is one more reference. Functions that take a
 * node's reference over say "takes". */
struct node {
    atomic_uint refs;
    uint64_t priority;
    struct node *left, *right;
    size_t key_size, value_size;
    uint8_t bytes[]; /* the key, the value */
};

struct roots {
    struct node *table[DM_TABLE_COUNT];
    uint64_t bytes;
};

struct memory_store {
    struct dm_store base;
    pthread_mutex_t mutex; /* guards `committed` and `fail_next` */
    struct roots committed;
    int fail_next;
    struct roots snapshot; /* the reader's */
    bool reading;
    struct roots txn; /* the writer's */
    bool writing;
};

static struct memory_store *memory(struct dm_store *store)
{
    return (struct memory_store *)store;
}

/* ---- nodes ---------------------------------------------------------------- */

static struct node *node_create(struct dm_slice key, struct dm_slice value)
{
    struct node *node = dm_xmalloc(sizeof *node + key.size + value.size);
    atomic_init(&node->refs, 1);
    node->priority = dm_hash(key.data, key.size, 0);
    node->left = node->right = NULL;
    node->key_size = key.size;
    node->value_size = value.size;
    memcpy(node->bytes, key.data, key.size);
    if (value.size > 0) {
        memcpy(node->bytes + key.size, value.data, value.size);
    }
    return node;
}

static struct dm_slice node_key(const struct node *node)
{
    return dm_slice(node->bytes, node->key_size);
}

static struct dm_slice node_value(const struct node *node)
{
    return dm_slice(node->bytes + node->key_size, node->value_size);
}

static struct node *node_ref(struct node *node)
{
    if (node != NULL) {
        atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
    }
    return node;
}

static void node_unref(struct node *node)
{
    while (node != NULL && atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) == 1) {
        struct node *right = node->right;
        node_unref(node->left);
        free(node);
        node = right;
    }
}

/* Takes `node`; returns it, or a copy when others hold it, too. */
static struct node *node_own(struct node *node)
{
    if (atomic_load_explicit(&node->refs, memory_order_acquire) == 1) {
        return node;
    }
    struct node *copy = node_create(node_key(node), node_value(node));
    copy->left = node_ref(node->left);
    copy->right = node_ref(node->right);
    node_unref(node);
    return copy;
}

static const struct node *node_find(const struct node *node, struct dm_slice key)
{
    while (node != NULL) {
        int order = dm_slice_compare(key, node_key(node));
        if (order == 0) {
            return node;
        }
        node = order < 0 ? node->left : node->right;
    }
    return NULL;
}

/* Takes `node`, which does not hold `key`, and divides it into what is less and more. */
static void node_split(struct node *node, struct dm_slice key, struct node **less,
                       struct node **more)
{
    if (node == NULL) {
        *less = *more = NULL;
        return;
    }
    node = node_own(node);
    if (dm_slice_compare(key, node_key(node)) < 0) {
        *more = node;
        node_split(node->left, key, less, &node->left);
    } else {
        *less = node;
        node_split(node->right, key, &node->right, more);
    }
}

/* Takes both; all keys of `less` are less. */
static struct node *node_join(struct node *less, struct node *more)
{
    if (less == NULL || more == NULL) {
        return less == NULL ? more : less;
    }
    if (less->priority > more->priority) {
        less = node_own(less);
        less->right = node_join(less->right, more);
        return less;
    }
    more = node_own(more);
    more->left = node_join(less, more->left);
    return more;
}

/* Takes `node` and `added`; returns the tree with `added` in it, in place of the node
 * that has its key if there is one. */
static struct node *node_put(struct node *node, struct node *added)
{
    if (node == NULL) {
        return added;
    }
    int order = dm_slice_compare(node_key(added), node_key(node));
    if (order == 0) {
        added->left = node_ref(node->left);
        added->right = node_ref(node->right);
        node_unref(node);
        return added;
    }
    if (added->priority > node->priority) {
        node_split(node, node_key(added), &added->left, &added->right);
        return added;
    }
    node = node_own(node);
    struct node **side = order < 0 ? &node->left : &node->right;
    *side = node_put(*side, added);
    return node;
}

/* Takes `node`, which holds `key`; returns the tree without it. */
static struct node *node_delete(struct node *node, struct dm_slice key)
{
    DM_ASSERT(node != NULL);
    int order = dm_slice_compare(key, node_key(node));
    if (order == 0) {
        struct node *joined = node_join(node_ref(node->left), node_ref(node->right));
        node_unref(node);
        return joined;
    }
    node = node_own(node);
    struct node **side = order < 0 ? &node->left : &node->right;
    *side = node_delete(*side, key);
    return node;
}

/* ---- roots ---------------------------------------------------------------- */

static void roots_copy(struct roots *to, const struct roots *from)
{
    for (int i = 0; i < DM_TABLE_COUNT; i++) {
        to->table[i] = node_ref(from->table[i]);
    }
    to->bytes = from->bytes;
}

static void roots_release(struct roots *roots)
{
    for (int i = 0; i < DM_TABLE_COUNT; i++) {
        node_unref(roots->table[i]);
    }
    *roots = (struct roots){0};
}

/* ---- reader --------------------------------------------------------------- */

static const struct node *read_root(struct memory_store *store, enum dm_table table)
{
    if (!store->reading) {
        pthread_mutex_lock(&store->mutex);
        roots_copy(&store->snapshot, &store->committed);
        pthread_mutex_unlock(&store->mutex);
        store->reading = true;
    }
    return store->snapshot.table[table];
}

static bool memory_get(struct dm_store *store, enum dm_table table, struct dm_slice key,
                       struct dm_slice *value)
{
    const struct node *node = node_find(read_root(memory(store), table), key);
    if (node == NULL) {
        return false;
    }
    *value = node_value(node);
    return true;
}

static bool memory_seek(struct dm_store *store, enum dm_table table, struct dm_slice from,
                        bool exclusive, struct dm_slice *key, struct dm_slice *value)
{
    const struct node *found = NULL;
    const struct node *node = read_root(memory(store), table);
    while (node != NULL) {
        int order = dm_slice_compare(node_key(node), from);
        if (order > 0 || (order == 0 && !exclusive)) {
            found = node;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    if (found == NULL) {
        return false;
    }
    *key = node_key(found);
    *value = node_value(found);
    return true;
}

static void memory_read_end(struct dm_store *store)
{
    struct memory_store *self = memory(store);
    if (self->reading) {
        self->reading = false;
        roots_release(&self->snapshot);
    }
}

/* ---- writer --------------------------------------------------------------- */

static enum dm_code memory_txn_begin(struct dm_store *store, struct dm_error *error)
{
    (void)error;
    struct memory_store *self = memory(store);
    DM_ASSERT(!self->writing);
    pthread_mutex_lock(&self->mutex);
    roots_copy(&self->txn, &self->committed);
    pthread_mutex_unlock(&self->mutex);
    self->writing = true;
    return DM_OK;
}

static bool memory_txn_get(struct dm_store *store, enum dm_table table, struct dm_slice key,
                           struct dm_slice *value)
{
    const struct node *node = node_find(memory(store)->txn.table[table], key);
    if (node == NULL) {
        return false;
    }
    *value = node_value(node);
    return true;
}

static void memory_txn_delete(struct dm_store *store, enum dm_table table, struct dm_slice key)
{
    struct roots *txn = &memory(store)->txn;
    const struct node *old = node_find(txn->table[table], key);
    if (old == NULL) {
        return;
    }
    txn->bytes -= old->key_size + old->value_size;
    txn->table[table] = node_delete(txn->table[table], key);
}

static void memory_txn_put(struct dm_store *store, enum dm_table table, struct dm_slice key,
                           struct dm_slice value)
{
    DM_ASSERT(key.size > 0);
    struct roots *txn = &memory(store)->txn;
    const struct node *old = node_find(txn->table[table], key);
    if (old != NULL) {
        txn->bytes -= old->key_size + old->value_size;
    }
    txn->bytes += key.size + value.size;
    txn->table[table] = node_put(txn->table[table], node_create(key, value));
}

static void memory_txn_abort(struct dm_store *store)
{
    struct memory_store *self = memory(store);
    self->writing = false;
    roots_release(&self->txn);
}

static enum dm_code memory_txn_commit(struct dm_store *store, struct dm_error *error)
{
    struct memory_store *self = memory(store);
    pthread_mutex_lock(&self->mutex);
    bool fails = self->fail_next > 0;
    if (fails) {
        self->fail_next--;
    } else {
        struct roots old = self->committed;
        self->committed = self->txn;
        self->txn = old;
    }
    pthread_mutex_unlock(&self->mutex);
    memory_txn_abort(store); /* lets go of what is not committed now */
    return fails ? dm_fail(error, DM_UNAVAILABLE, "this commit was told to fail") : DM_OK;
}

static uint64_t memory_bytes(struct dm_store *store)
{
    struct memory_store *self = memory(store);
    pthread_mutex_lock(&self->mutex);
    uint64_t bytes = self->committed.bytes;
    pthread_mutex_unlock(&self->mutex);
    return bytes;
}

static void memory_close(struct dm_store *store)
{
    struct memory_store *self = memory(store);
    roots_release(&self->snapshot);
    roots_release(&self->txn);
    roots_release(&self->committed);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

static const struct dm_store_ops memory_ops = {
    .get = memory_get,
    .seek = memory_seek,
    .read_end = memory_read_end,
    .txn_begin = memory_txn_begin,
    .txn_get = memory_txn_get,
    .txn_put = memory_txn_put,
    .txn_delete = memory_txn_delete,
    .txn_commit = memory_txn_commit,
    .txn_abort = memory_txn_abort,
    .bytes = memory_bytes,
    .close = memory_close,
};

struct dm_store *dm_store_open_memory(void)
{
    struct memory_store *store = dm_xcalloc(1, sizeof *store);
    store->base.ops = &memory_ops;
    int failed = pthread_mutex_init(&store->mutex, NULL);
    DM_ASSERT(failed == 0);
    return &store->base;
}

void dm_store_memory_fail(struct dm_store *store, int fail_next)
{
    struct memory_store *self = memory(store);
    pthread_mutex_lock(&self->mutex);
    self->fail_next = fail_next;
    pthread_mutex_unlock(&self->mutex);
}

struct dm_store *dm_store_memory_clone(const struct dm_store *store)
{
    struct dm_store *clone = dm_store_open_memory();
    struct memory_store *from = (struct memory_store *)store;
    pthread_mutex_lock(&from->mutex);
    roots_copy(&memory(clone)->committed, &from->committed);
    pthread_mutex_unlock(&from->mutex);
    return clone;
}
