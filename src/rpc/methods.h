#ifndef DM_RPC_METHODS_H
#define DM_RPC_METHODS_H

#include "rpc/method.h"

/* What can be called: one entry for each method of the proto files, generated from
 * them. A new method is a line in the proto and a handler of the generated name. */
extern const struct dm_method_list dm_methods;

#endif
