#include "client/message.h"

#include <dormouse/message.h>

#include "dm_message_tables.inc"
