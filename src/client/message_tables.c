#include "client/message.h"

#include <assert.h>
#include <dormouse/message.h>

#include "dm_message_tables.inc"
