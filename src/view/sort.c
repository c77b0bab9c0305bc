#include "view/sort.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <stdbool.h>
#include <string.h>

/* `word`: eight bytes of the key, big-endian, zeros past its end; `rest`: bytes of the key from
 * there, at most 8. */

enum { SORT_BY_INSERTION = 12 };

struct keys {
    struct dm_slice (*key)(const void *context, uint32_t number);
    const void *context;
};

static bool sort_less(const struct dm_sort_item *a, const struct dm_sort_item *b)
{
    return a->word != b->word ? a->word < b->word : a->rest < b->rest;
}

static bool sort_equal(const struct dm_sort_item *a, const struct dm_sort_item *b)
{
    return a->word == b->word && a->rest == b->rest;
}

static void load(struct dm_sort_item *item, struct dm_slice key, size_t depth)
{
    const uint8_t *from = (const uint8_t *)key.data + depth;
    DM_ASSERT(depth <= key.size); /* two that are equal up to here would be the same */
    size_t rest = key.size - depth;
    if (rest >= 8) {
        item->word = dm_load_be64(from);
        item->rest = 8;
        return;
    }
    uint8_t padded[8] = {0};
    memcpy(padded, from, rest);
    item->word = dm_load_be64(padded);
    item->rest = (uint32_t)rest;
}

static void sort_insertion(struct dm_sort_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct dm_sort_item moving = items[i];
        size_t to = i;
        for (; to > 0 && sort_less(&moving, &items[to - 1]); to--) {
            items[to] = items[to - 1];
        }
        items[to] = moving;
    }
}

static void sort_words(struct dm_sort_item *items, struct dm_sort_item *scratch, size_t count)
{
    if (count <= SORT_BY_INSERTION) {
        sort_insertion(items, count);
        return;
    }
    size_t half = count / 2;
    sort_words(items, scratch, half);
    sort_words(items + half, scratch, count - half);
    if (!sort_less(&items[half], &items[half - 1])) {
        return;
    }
    memcpy(scratch, items, half * sizeof *items);
    size_t left = 0, right = half, to = 0;
    while (left < half && right < count) {
        items[to++] = sort_less(&items[right], &scratch[left]) ? items[right++] : scratch[left++];
    }
    memcpy(&items[to], &scratch[left], (half - left) * sizeof *items);
}

static void sort_from(const struct keys *keys, struct dm_sort_item *items,
                      struct dm_sort_item *scratch, size_t count, size_t depth)
{
    for (size_t i = 0; i < count; i++) {
        load(&items[i], keys->key(keys->context, items[i].number), depth);
    }
    sort_words(items, scratch, count);
    size_t end;
    for (size_t from = 0; from < count; from = end) {
        for (end = from + 1; end < count && sort_equal(&items[from], &items[end]); end++) {
        }
        if (end - from > 1) {
            /* Keys are distinct, so these go on past the word. */
            sort_from(keys, items + from, scratch, end - from, depth + 8);
        }
    }
}

void dm_sort_keys(struct dm_sort_item *items, struct dm_sort_item *scratch, size_t count,
                  struct dm_slice (*key)(const void *context, uint32_t number), const void *context)
{
    const struct keys keys = {.key = key, .context = context};
    sort_from(&keys, items, scratch, count, 0);
}
