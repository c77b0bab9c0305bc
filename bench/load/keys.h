#ifndef DM_BENCH_KEYS_H
#define DM_BENCH_KEYS_H

#include <stdint.h>

/* Which contacts a load is about: a number in [0, count) stands for a contact, its ids follow
 * from it alone, so that two runs mean the same contacts. */

enum { ACCOUNT_SIZE = 8, CONTACT_SIZE = 20 };

struct keys {
    uint32_t count, accounts, per_account;
    char prefix;  /* the account ids' first letter: tells loads apart */
    double theta; /* of the zipf distribution; 0: uniform */
    double alpha, zeta, eta, half_power;
    uint64_t random;
};

/* xorshift64*: one multiplication a number. */
static inline uint64_t keys_random(struct keys *keys)
{
    keys->random ^= keys->random >> 12;
    keys->random ^= keys->random << 25;
    keys->random ^= keys->random >> 27;
    return keys->random * 0x2545f4914f6cdd1dULL;
}

void keys_init(struct keys *keys, uint32_t count, uint32_t accounts, double theta, char prefix,
               uint64_t seed);

/* The next contact to ask for. Zipf: some are asked for far more often than others, and those
 * lie scattered over all. After Gray et al., "Quickly generating billion-record synthetic
 * databases" (SIGMOD 1994). */
uint32_t keys_next(struct keys *keys);

/* Writes exactly ACCOUNT_SIZE and CONTACT_SIZE characters. */
void keys_account(const struct keys *keys, uint32_t key, char *to);
void keys_contact(uint32_t key, char *to);

/* The contact whose id this is; UINT32_MAX when it is none of ours. */
uint32_t keys_parse(const char *contact, uint64_t size);

#endif
