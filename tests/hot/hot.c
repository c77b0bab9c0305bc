#include "hot/hot.h"

#include "base/assert.h"
#include "rpc/message.h"

#include <pb_common.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    STRUCT_SIZE_MAX = 4096,
    ITEMS_FIELDS_MAX = 16, /* repeated fields of one message and those within it */
    ITEMS_MAX = 4          /* fewer than may come: what is past the room is counted only */
};

union any {
    max_align_t align;
    char bytes[STRUCT_SIZE_MAX];
};

struct room {
    union {
        uint64_t numbers[ITEMS_MAX];
        struct dm_slice texts[ITEMS_MAX];
    } items[ITEMS_FIELDS_MAX];
    size_t used;
    bool numbers; /* some of them are for numbers */
};

static bool is_number(const pb_field_iter_t *field)
{
    return PB_LTYPE(field->type) <= PB_LTYPE_LAST_PACKABLE;
}

/* Gives every repeated field its room, those of inner messages included. */
static void give_room(const pb_msgdesc_t *fields, void *message, struct room *room)
{
    pb_field_iter_t field;
    if (!pb_field_iter_begin(&field, fields, message)) {
        return;
    }
    do {
        if (PB_ATYPE(field.type) == PB_ATYPE_STATIC && PB_LTYPE_IS_SUBMSG(field.type) &&
            PB_HTYPE(field.type) != PB_HTYPE_ONEOF) {
            give_room(field.submsg_desc, field.pData, room);
        } else if (PB_HTYPE(field.type) == PB_HTYPE_REPEATED) {
            DM_ASSERT(room->used < ITEMS_FIELDS_MAX);
            room->numbers = room->numbers || is_number(&field);
            *(struct dm_items *)field.pData =
                (struct dm_items){.items = &room->items[room->used++], .capacity = ITEMS_MAX};
        }
    } while (pb_field_iter_next(&field));
}

/* Forgets the items that had no room; and that a text was present but empty, which nanopb
 * would not write. */
static void make_writable(const pb_msgdesc_t *fields, void *message)
{
    pb_field_iter_t field;
    if (!pb_field_iter_begin(&field, fields, message)) {
        return;
    }
    do {
        if (PB_ATYPE(field.type) == PB_ATYPE_STATIC && PB_LTYPE_IS_SUBMSG(field.type) &&
            PB_HTYPE(field.type) != PB_HTYPE_ONEOF) {
            make_writable(field.submsg_desc, field.pData);
        } else if (PB_HTYPE(field.type) == PB_HTYPE_REPEATED) {
            struct dm_items *items = field.pData;
            items->count = items->count < items->capacity ? items->count : items->capacity;
        } else if (PB_ATYPE(field.type) == PB_ATYPE_CALLBACK &&
                   PB_HTYPE(field.type) != PB_HTYPE_ONEOF) {
            struct dm_slice *text = field.pData;
            text->data = text->size == 0 ? NULL : text->data;
        }
    } while (pb_field_iter_next(&field));
}

static bool same_text(const struct dm_slice *ours, const struct dm_slice *theirs)
{
    return ours->data == theirs->data && ours->size == theirs->size;
}

static bool same_items(const pb_field_iter_t *ours, const struct dm_items *theirs)
{
    const struct dm_items *items = ours->pData;
    if (items->count != theirs->count) {
        return false;
    }
    for (uint32_t i = 0; i < items->count && i < items->capacity; i++) {
        if (is_number(ours)
                ? ((const uint64_t *)items->items)[i] != ((const uint64_t *)theirs->items)[i]
                : !same_text((const struct dm_slice *)items->items + i,
                             (const struct dm_slice *)theirs->items + i)) {
            return false;
        }
    }
    return true;
}

static bool same_message(const pb_msgdesc_t *fields, void *ours, void *theirs);

static bool same_field(const pb_field_iter_t *ours, const pb_field_iter_t *theirs)
{
    if (PB_ATYPE(ours->type) == PB_ATYPE_CALLBACK) {
        if (PB_HTYPE(ours->type) == PB_HTYPE_REPEATED) {
            return same_items(ours, theirs->pData);
        }
        if (PB_HTYPE(ours->type) == PB_HTYPE_ONEOF && *(pb_size_t *)ours->pSize != ours->tag) {
            return *(pb_size_t *)theirs->pSize != ours->tag;
        }
        return same_text(ours->pData, theirs->pData);
    }
    switch (PB_HTYPE(ours->type)) {
    case PB_HTYPE_OPTIONAL: /* or singular */
        if (ours->pSize != NULL && *(bool *)ours->pSize != *(bool *)theirs->pSize) {
            return false;
        }
        if (ours->pSize != NULL && !*(bool *)ours->pSize) {
            return true;
        }
        break;
    case PB_HTYPE_ONEOF:
        if (*(pb_size_t *)ours->pSize != *(pb_size_t *)theirs->pSize) {
            return false;
        }
        if (*(pb_size_t *)ours->pSize != ours->tag) {
            return true;
        }
        break;
    default:
        break;
    }
    return PB_LTYPE_IS_SUBMSG(ours->type)
               ? same_message(ours->submsg_desc, ours->pData, theirs->pData)
               : memcmp(ours->pData, theirs->pData, ours->data_size) == 0;
}

static bool same_message(const pb_msgdesc_t *fields, void *ours, void *theirs)
{
    pb_field_iter_t our_field, their_field;
    if (!pb_field_iter_begin(&our_field, fields, ours)) {
        return true; /* it has no fields */
    }
    (void)pb_field_iter_begin(&their_field, fields, theirs);
    do {
        if (!same_field(&our_field, &their_field)) {
            return false;
        }
    } while (pb_field_iter_next(&our_field) && pb_field_iter_next(&their_field));
    return true;
}

static bool by_nanopb(struct dm_slice bytes, const pb_msgdesc_t *fields, void *message,
                      const char **wrong)
{
    pb_istream_t stream = dm_istream(bytes);
    bool accepted = pb_decode_ex(&stream, fields, message, PB_DECODE_NOINIT);
    *wrong = accepted ? NULL : stream.errmsg;
    return accepted;
}

/* nanopb has no words of its own for what our callbacks refuse, and looks at a value before
 * it refuses the value's wire type. */
static bool same_words(const char *ours, const char *theirs)
{
    return theirs == NULL || strcmp(theirs, "callback failed") == 0 ||
           strcmp(ours, "wrong wire type") == 0 || strcmp(ours, theirs) == 0;
}

static void differ(const char *name, const char *ours, const char *theirs)
{
    (void)fprintf(stderr, "%s: ours: %s; nanopb: %s\n", name, ours == NULL ? "accepted" : ours,
                  theirs == NULL ? "accepted, or refused without words" : theirs);
    abort();
}

bool hot_decodes_alike(const struct hot_decoded *message, struct dm_slice bytes)
{
    static union any ours, theirs;
    struct room our_room = {.used = 0}, their_room = {.used = 0};
    const char *their_words;
    DM_ASSERT(message->size <= sizeof ours);
    memset(&ours, 0, message->size);
    memset(&theirs, 0, message->size);
    give_room(message->fields, &ours, &our_room);
    give_room(message->fields, &theirs, &their_room);
    const char *our_words = message->decode(bytes, &ours);
    bool accepted = by_nanopb(bytes, message->fields, &theirs, &their_words);
    if (our_room.numbers && our_words != NULL && strcmp(our_words, "wrong wire type") == 0) {
        return false; /* nanopb does not tell a callback for numbers what type they came as */
    }
    if (accepted != (our_words == NULL) || (!accepted && !same_words(our_words, their_words))) {
        differ(message->name, our_words, their_words);
    }
    if (accepted && !same_message(message->fields, &ours, &theirs)) {
        differ(message->name, "accepted, with other values", NULL);
    }
    return accepted;
}

bool hot_encodes_alike(const struct hot_encoded *message, struct dm_slice bytes)
{
    static union any from;
    struct room room = {.used = 0};
    const char *wrong;
    size_t size;
    uint8_t our_bytes[DM_SMALL_MESSAGE], their_bytes[DM_SMALL_MESSAGE];
    enum { ITEM_HEAD_MAX = 12 };
    DM_ASSERT(message->size <= sizeof from);
    memset(&from, 0, message->size);
    give_room(message->fields, &from, &room);
    if (!by_nanopb(bytes, message->fields, &from, &wrong)) {
        return false;
    }
    make_writable(message->fields, &from);
    if (!pb_get_encoded_size(&size, message->fields, &from) ||
        size + message->fixed_max + ITEM_HEAD_MAX > DM_SMALL_MESSAGE) {
        return false;
    }
    struct dm_slice ours = message->encode(our_bytes, &from);
    struct dm_slice theirs = dm_encode(their_bytes, message->fields, &from);
    if (!dm_slice_equal(ours, theirs)) {
        differ(message->name, "wrote other bytes", NULL);
    }
    return true;
}
