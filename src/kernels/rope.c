#include "rope.h"

#include <stddef.h>

#include "base/parallel.h"
#include "base/series.h"
#include "base/simd.h"

enum { CHUNK_ROWS = 16 }; /* rows that a thread takes at a time */

/* base^exponent */
static double power(double base, double exponent) {
    double root = series_exp(series_log(base) * exponent / 128);
    for (int i = 0; i < 7; i++) root *= root;
    return root;
}

void rope_row(float *table, int head_width, float base, int column, int row) {
    int half = head_width / 2;
    for (int pair = 0; pair < half; pair++) {
        int within = pair % (half / 2), place = pair < half / 2 ? column : row;
        double half_turns = place * power((double)base, -2.0 * within / half) / 3.14159265358979323846;
        float *at = table + pair / 2 * 8 + pair % 2 * 2;
        at[0] = at[1] = (float)series_sine(half_turns + 0.5);
        at[5] = (float)series_sine(half_turns);
        at[4] = -at[5];
    }
}

typedef struct {
    float *x;
    int stride, rows, heads, head_width;
    const float *table;
    const int *places;
    int period, backwards;
} turn;

static void turn_rows(void *context, int index, int thread) {
    const turn *t = context;
    (void)thread;
    int end = (index + 1) * CHUNK_ROWS < t->rows ? (index + 1) * CHUNK_ROWS : t->rows;
    for (int row = index * CHUNK_ROWS; row < end; row++) {
        int place = (t->places ? t->places[row] : row) % t->period;
        float *x = t->x + (size_t)row * (size_t)t->stride;
        for (int head = 0; head < t->heads; head++) {
            const float *table = t->table + (size_t)place * 2 * (size_t)t->head_width;
            for (int i = 0; i < t->head_width; i += 4, x += 4, table += 8) {
                v128_t value = wasm_v128_load(x), swapped = wasm_i32x4_shuffle(value, value, 1, 0, 3, 2);
                v128_t turned = wasm_f32x4_mul(swapped, wasm_v128_load(table + 4));
                value = wasm_f32x4_mul(value, wasm_v128_load(table));
                wasm_v128_store(x, t->backwards ? wasm_f32x4_sub(value, turned) : wasm_f32x4_add(value, turned));
            }
        }
    }
}

void rope_turn(float *x, int stride, int rows, int heads, int head_width, const float *table, const int *places,
               int period, int backwards) {
    turn t = {x, stride, rows, heads, head_width, table, places, period, backwards};
    parallel_for((rows + CHUNK_ROWS - 1) / CHUNK_ROWS, turn_rows, &t);
}
