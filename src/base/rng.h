/* Seeded random numbers, the same on every platform: PCG32 (O'Neill 2014, pcg-random.org, XSH-RR variant). */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

typedef struct {
    uint64_t state, stream;
} rng;

/* Generators of one seed and different streams are independent. */
void rng_seed(rng *r, uint64_t seed, uint64_t stream);
uint32_t rng_bits(rng *r);                  /* 32 random bits */
uint32_t rng_below(rng *r, uint32_t bound); /* 0 ... bound-1, every value equally often; bound >= 1 */
double rng_uniform(rng *r);                 /* [0, 1) with 53 bits */
double rng_normal(rng *r);                  /* mean 0, standard deviation 1 */
void rng_shuffle(rng *r, int32_t *values, int count);

#endif
