#ifndef TESTS_FAULTS_ALLOC_H
#define TESTS_FAULTS_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

/* The program that links this has its own malloc, calloc and realloc, which all libraries
 * call, too, and one of which fails on demand. Exempt are dm_xmalloc and friends, which end
 * the process by design: for small structures whose number is bounded. */

/* Fails the n-th allocation from now on (1: the next one), once; 0: none. */
void alloc_fail_at(uint64_t n);
/* Has it failed? Then none will until the next alloc_fail_at. */
bool alloc_failed(void);

#endif
