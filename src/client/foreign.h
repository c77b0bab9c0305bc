#ifndef DM_CLIENT_FOREIGN_H
#define DM_CLIENT_FOREIGN_H

#include "wire/ttrpc_frame.h"

/* What is wrong with a frame that begins so (DM_TTRPC_HEADER_SIZE bytes at `head`, and what they
 * mean); NULL: nothing. A frame begins with its size, so letters in its place mean another
 * protocol: that is named, for whoever sees it has a wrong address rather than a broken server. */
const char *dm_foreign(const uint8_t *head, const struct dm_ttrpc_header *header);

#endif
