#include "arena.h"

#include <stdlib.h>
#include <string.h>

#include "mudpt.h"
#include "error.h"

enum { ALIGNMENT = 64 };

void *arena_take(arena *a, uint64_t bytes) {
    uint64_t start = a->used;
    a->used = start + (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return a->base ? a->base + start : NULL;
}

float *arena_floats(arena *a, uint64_t count) {
    return arena_take(a, count * sizeof(float));
}

int arena_open(arena *a, const char *what) {
    uint64_t bytes = a->used ? a->used : ALIGNMENT;
    a->base = aligned_take(bytes, what);
    if (!a->base) return MUDPT_MEMORY;
    a->size = (size_t)bytes;
    a->used = 0;
    return MUDPT_OK;
}

void arena_close(arena *a) {
    aligned_release(a->base);
    *a = (arena){0};
}

void *aligned_take(uint64_t bytes, const char *what) {
    size_t rounded = bytes > PTRDIFF_MAX - ALIGNMENT ? 0 : ((size_t)bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes == 0) rounded = ALIGNMENT;
    void *memory = rounded ? aligned_alloc(ALIGNMENT, rounded) : NULL;
    if (!memory) {
        fail_memory(bytes, what);
        return NULL;
    }
    return memset(memory, 0, rounded);
}

void aligned_release(void *memory) {
    free(memory);
}

void *mudpt_alloc(size_t bytes) {
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory) fail_memory(bytes, "the caller's data");
    return memory;
}

void mudpt_free(void *memory) {
    free(memory);
}
