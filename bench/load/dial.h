#ifndef DM_BENCH_DIAL_H
#define DM_BENCH_DIAL_H

/* One blocking attempt to connect to "HOST:PORT" or "unix:PATH". A descriptor, or -1: not there;
 * errno says why. */
int dial(const char *address);

#endif
