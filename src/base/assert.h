#ifndef DM_BASE_ASSERT_H
#define DM_BASE_ASSERT_H

/* An invariant of our own code. It is on in every build, because a server that goes on with a
 * broken invariant does more harm than one that restarts. Never for input or for what lies on a
 * disk. The expression must have no side effect. */
#define DM_ASSERT(expression) \
    ((expression) ? (void)0 : dm_assert_failed(#expression, __FILE__, __LINE__))

_Noreturn void dm_assert_failed(const char *expression, const char *file, int line);

/* malloc and friends that abort when there is no memory: for start-up and for
 * small structures whose number is bounded. Where input decides the size, use
 * malloc and answer RESOURCE_EXHAUSTED. */
void *dm_xmalloc(unsigned long size);
void *dm_xcalloc(unsigned long count, unsigned long size);
void *dm_xrealloc(void *old, unsigned long size);

#endif
