#include "rpc/prefetch.h"

#include "engine/engine.h"
#include "rpc/state.h"

/* All messages about one contact begin in the same way: account_id is field 1, contact_id field
 * 2, and every encoder writes them in this order. Messages that look different are left alone. */
enum { KEY_ACCOUNT_ID = 1 << 3 | 2, KEY_CONTACT_ID = 2 << 3 | 2, SHORT_MAX = 0x7F };

/* One short string with this key at the front of [at, end). NULL: something else. */
static const uint8_t *take(const uint8_t *at, const uint8_t *end, uint8_t key, struct dm_slice *out)
{
    if (end - at < 2 || at[0] != key || at[1] > SHORT_MAX || end - at - 2 < at[1]) {
        return NULL;
    }
    *out = dm_slice(at + 2, at[1]);
    return at + 2 + at[1];
}

void dm_rpc_prefetch(struct dm_rpc *rpc, const struct dm_slice *payloads, size_t count)
{
    struct dm_contact_name names[DM_PREFETCH_MAX];
    size_t found = 0;
    for (size_t i = 0; i < count && found < DM_PREFETCH_MAX; i++) {
        if (payloads[i].size == 0) {
            continue;
        }
        const uint8_t *at = payloads[i].data, *end = at + payloads[i].size;
        at = take(at, end, KEY_ACCOUNT_ID, &names[found].account_id);
        if (at != NULL && take(at, end, KEY_CONTACT_ID, &names[found].contact_id) != NULL) {
            found++;
        }
    }
    dm_engine_prefetch(rpc->engine, names, found);
}
