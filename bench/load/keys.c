#include "keys.h"

#include <math.h>

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

void keys_init(struct keys *keys, uint32_t count, uint32_t accounts, double theta, char prefix,
               uint64_t seed)
{
    *keys = (struct keys){
        .count = count,
        .accounts = accounts,
        .per_account = (count + accounts - 1) / accounts,
        .prefix = prefix,
        .theta = theta,
        .random = mix(seed) | 1,
    };
    if (theta <= 0) {
        return;
    }
    for (uint32_t i = 1; i <= count; i++) {
        keys->zeta += pow(1.0 / (double)i, theta);
    }
    double zeta_2 = 1 + pow(0.5, theta);
    keys->alpha = 1 / (1 - theta);
    keys->half_power = zeta_2;
    keys->eta = (1 - pow(2.0 / (double)count, 1 - theta)) / (1 - zeta_2 / keys->zeta);
}

uint32_t keys_next(struct keys *keys)
{
    uint64_t random = keys_random(keys);
    if (keys->theta <= 0) {
        return (uint32_t)((random >> 32) * keys->count >> 32);
    }
    double u = (double)(random >> 11) * 0x1p-53;
    double uz = u * keys->zeta;
    uint64_t rank = 1;
    if (uz < 1) {
        rank = 0;
    } else if (uz >= keys->half_power) {
        rank = (uint64_t)((double)keys->count * pow(keys->eta * u - keys->eta + 1, keys->alpha));
    }
    return (uint32_t)((mix(rank) >> 32) * keys->count >> 32);
}

void keys_account(const struct keys *keys, uint32_t key, char *to)
{
    uint32_t account = key / keys->per_account;
    to[0] = keys->prefix;
    for (int i = ACCOUNT_SIZE - 1; i > 0; i--) {
        to[i] = (char)('0' + account % 10);
        account /= 10;
    }
}

static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

/* 13 characters that look like chance, so that ids do not come in order; then the number. */
void keys_contact(uint32_t key, char *to)
{
    uint64_t noise = mix(key);
    for (int i = 0; i < 13; i++) {
        to[i] = letters[noise & 31];
        noise >>= 5;
    }
    uint32_t rest = key;
    for (int i = CONTACT_SIZE - 1; i >= 13; i--) {
        to[i] = letters[rest & 31];
        rest >>= 5;
    }
}

uint32_t keys_parse(const char *contact, uint64_t size)
{
    if (size != CONTACT_SIZE) {
        return UINT32_MAX;
    }
    uint64_t key = 0;
    for (int i = 13; i < CONTACT_SIZE; i++) {
        char c = contact[i];
        uint64_t digit = c >= 'a' && c <= 'z' ? (uint64_t)(c - 'a') : (uint64_t)(c - '2' + 26);
        if (digit > 31) {
            return UINT32_MAX;
        }
        key = key << 5 | digit;
    }
    return key < UINT32_MAX ? (uint32_t)key : UINT32_MAX;
}
