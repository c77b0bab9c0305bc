#ifndef DM_CLI_PAGES_H
#define DM_CLI_PAGES_H

#include "cli/cli.h"

/* Goes through all pages of ListContacts, up to `most` contacts (0: all), and hands each page
 * to `page`, which returns false to stop. Returns the exit code; stderr was told. */
struct dm_listing {
    int32_t status; /* enum dormouse_status, or unset */
    int32_t order;  /* enum dormouse_list_order */
    uint64_t most;
    bool (*page)(void *context, const struct dormouse_contact *const *contacts, size_t count);
    void *context;
};
int dm_list_contacts(struct dm_cli *cli, const struct dm_listing *listing);

#endif
