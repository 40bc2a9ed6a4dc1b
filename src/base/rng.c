#include "rng.h"

#include <math.h>

#include "series.h"

uint32_t rng_bits(rng *r) {
    uint64_t old = r->state;
    r->state = old * 6364136223846793005ULL + r->stream;
    uint32_t mixed = (uint32_t)(((old >> 18) ^ old) >> 27), turn = (uint32_t)(old >> 59);
    return mixed >> turn | mixed << (-turn & 31);
}

/* The finalizer of SplitMix64 (Steele et al. 2014): neighbouring seeds and streams become unrelated. */
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}

void rng_seed(rng *r, uint64_t seed, uint64_t stream) {
    r->stream = mix(stream) | 1;
    r->state = mix(mix(seed) ^ stream);
}

uint32_t rng_below(rng *r, uint32_t bound) {
    /* Values under the remainder of 2^32 would come up once too often: draw again. */
    uint32_t threshold = -bound % bound;
    for (;;) {
        uint32_t bits = rng_bits(r);
        if (bits >= threshold) return bits % bound;
    }
}

double rng_uniform(rng *r) {
    uint64_t high = rng_bits(r) >> 5, low = rng_bits(r) >> 6;
    return (double)(high << 26 | low) / 9007199254740992.0;
}

double rng_normal(rng *r) {
    /* Box and Muller; the second value of the pair is not kept, so that a generator is its state alone. */
    double radius = sqrt(-2 * series_log(1 - rng_uniform(r)));
    return radius * series_sine(2 * rng_uniform(r) + 0.5);
}

void rng_shuffle(rng *r, int32_t *values, int count) {
    for (int i = count - 1; i > 0; i--) {
        int j = (int)rng_below(r, (uint32_t)i + 1);
        int32_t keep = values[i];
        values[i] = values[j];
        values[j] = keep;
    }
}
