#ifndef DM_CLI_IMPORT_H
#define DM_CLI_IMPORT_H

#include "cli/cli.h"

int dm_import(struct dm_cli *cli);

#endif
