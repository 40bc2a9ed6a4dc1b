/* Memory of one purpose in one block, sized before it is taken.
 *
 * A layout function runs twice over the same arena: first with base == NULL, when arena_take only counts, then after
 * arena_open, when it hands out memory. So sizes are written once and no step allocates.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

/* a * b, or what no allocation gets where that leaves the range of sizes: WebAssembly's has 32 bits. */
static inline size_t size_times(size_t a, size_t b) {
    return b && a > SIZE_MAX / b ? SIZE_MAX : a * b;
}

typedef struct {
    char *base;    /* NULL while counting */
    uint64_t used; /* bytes: what is counted may be more than can be addressed, and is told as it is */
    size_t size;   /* bytes that were taken */
} arena;

/* The next `bytes`, aligned to 64; NULL while counting. No size of a model within docs/limits.md leaves 64 bits: layers
 * times rows of all sentences times the widest row is below 2^50. */
void *arena_take(arena *a, uint64_t bytes);
float *arena_floats(arena *a, uint64_t count);
/* Allocates (zeroed) what was counted and starts over; a failed call leaves nothing behind. -> MUDPT_OK, MUDPT_MEMORY
 */
int arena_open(arena *a, const char *what);
void arena_close(arena *a);

/* Zeroed memory aligned to 64, or NULL with the error text set. Freed by aligned_release. */
void *aligned_take(uint64_t bytes, const char *what);
void aligned_release(void *memory);

#endif
