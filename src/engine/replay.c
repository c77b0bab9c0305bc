#include "engine/replay.h"

#include "base/assert.h"
#include "engine/enact.h"
#include "engine/room.h"
#include "engine/sweep.h"

/* What a replay is at. */
struct replay {
    struct dm_engine *engine;
    enum dm_code code; /* why it stopped, when that is not that the journal is damaged */
    struct dm_error error;
    struct dm_error view_error; /* why the view could not take what was replayed */
    /* After that, how full the overlay is when it is tried again. */
    size_t contacts_again, bytes_again;
};

/* A generation goes into the view as soon as it is half of what callers may fill. So while the
 * view can be written, a replay takes no more memory than they, however much there is, and
 * whatever the bound was when it was written. */
enum { REPLAYED_SHARE = 2, AGAIN_SHARE = 16 };

static bool no_room(struct replay *replay)
{
    const struct dm_engine *engine = replay->engine;
    replay->code = dm_fail(
        &replay->error, DM_RESOURCE_EXHAUSTED,
        "%u changed contacts of the journal fit neither into the overlay nor, now, into the "
        "view; nothing is damaged: start with a larger --overlay-max than %u, or see to "
        "the view: %s",
        dm_overlay_count(engine->overlay), engine->overlay_max, replay->view_error.message);
    return false;
}

/* For one more entry; all up to `lsn` is in the overlay or the view. */
static bool make_room(struct replay *replay, uint64_t lsn)
{
    struct dm_engine *engine = replay->engine;
    uint32_t contacts = dm_overlay_current_count(engine->overlay);
    size_t bytes = dm_overlay_current_used(engine->overlay) + engine->accounts.dirty_bytes;
    size_t bytes_max = dm_overlay_used_max(engine->overlay);
    if (contacts <= engine->overlay_max / REPLAYED_SHARE && bytes <= bytes_max / REPLAYED_SHARE) {
        return true;
    }
    if (contacts >= replay->contacts_again || bytes >= replay->bytes_again) {
        if (dm_engine_sweep_replayed(engine, lsn, &replay->view_error) == DM_OK) {
            replay->contacts_again = replay->bytes_again = 0;
            return true;
        }
        replay->contacts_again = contacts + engine->overlay_max / AGAIN_SHARE + 1;
        replay->bytes_again = bytes + bytes_max / AGAIN_SHARE;
    }
    return dm_engine_replay_fits(engine) || no_room(replay);
}

/* false: replay->code, or the entry is none of ours. */
static bool replay_entry(void *context, const struct dm_entry *entry)
{
    struct replay *replay = context;
    if (!make_room(replay, entry->lsn - 1)) {
        return false;
    }
    struct dm_error error;
    enum dm_code code = dm_engine_enact_entry(replay->engine, entry, &error);
    if (code == DM_RESOURCE_EXHAUSTED && !dm_engine_replay_fits(replay->engine)) {
        return no_room(replay);
    }
    if (code == DM_RESOURCE_EXHAUSTED) {
        replay->code = code;
        replay->error = error;
    }
    return code == DM_OK;
}

enum dm_code dm_engine_replay(struct dm_engine *engine, struct dm_error *error)
{
    struct replay replay = {.engine = engine};
    engine->last_lsn = engine->applied_lsn;
    enum dm_code code =
        dm_journal_each(engine->journal, engine->applied_lsn, replay_entry, &replay, error);
    DM_ASSERT(code != DM_OK || engine->last_lsn == dm_journal_committed(engine->journal));
    engine->last_seq = dm_journal_committed_seq(engine->journal);
    return replay.code == DM_OK ? code : dm_fail(error, replay.code, "%s", replay.error.message);
}
