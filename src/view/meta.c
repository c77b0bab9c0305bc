#include "view/meta.h"

#include "base/seal.h"

enum { LOG_VERSION = 1 };

enum dm_code dm_meta_applied(struct dm_store *store, uint64_t *lsn)
{
    struct dm_slice row;
    if (!dm_store_get(store, DM_TABLE_META, dm_slice_str("applied"), &row)) {
        return DM_NOT_FOUND;
    }
    if (row.size != sizeof *lsn && (!dm_unseal(&row) || row.size != sizeof *lsn)) {
        return DM_DATA_LOSS;
    }
    *lsn = dm_load_le64(row.data);
    return DM_OK;
}

void dm_meta_put_applied(struct dm_store *store, uint64_t lsn)
{
    uint8_t row[sizeof lsn + DM_SEAL_SIZE];
    dm_store_le64(row, lsn);
    dm_store_txn_put(store, DM_TABLE_META, dm_slice_str("applied"),
                     dm_slice(row, dm_seal(row, sizeof lsn)));
}

enum dm_code dm_meta_log(struct dm_store *store, struct dm_log_id *id)
{
    struct dm_slice row;
    if (!dm_store_get(store, DM_TABLE_META, dm_slice_str("log"), &row)) {
        return DM_NOT_FOUND;
    }
    const uint8_t *bytes = row.data;
    if (!dm_unseal(&row) || row.size != 1 + sizeof id->bytes || bytes[0] != LOG_VERSION) {
        return DM_DATA_LOSS;
    }
    memcpy(id->bytes, bytes + 1, sizeof id->bytes);
    return DM_OK;
}

enum dm_code dm_meta_put_log(struct dm_store *store, const struct dm_log_id *id,
                             struct dm_error *error)
{
    uint8_t row[1 + sizeof id->bytes + DM_SEAL_SIZE] = {LOG_VERSION};
    enum dm_code code = dm_store_txn_begin(store, error);
    if (code != DM_OK) {
        return code;
    }
    memcpy(row + 1, id->bytes, sizeof id->bytes);
    dm_store_txn_put(store, DM_TABLE_META, dm_slice_str("log"),
                     dm_slice(row, dm_seal(row, 1 + sizeof id->bytes)));
    return dm_store_txn_commit(store, error);
}
