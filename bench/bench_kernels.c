/* Speed of the kernels, alone: GFLOP/s of every product, and what the engine's multiply-adds reach without any memory.
 *
 *   bench_kernels [threads [seconds for each line [part of a name]]]
 *
 * Each line is the median of repetitions. The limit is that of one thread.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __EMSCRIPTEN__
#include <emscripten.h>
#endif

#include "base/parallel.h"
#include "base/rng.h"
#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/gemm.h"
#include "kernels/layernorm.h"
#include "mudpt.h"
#include "limit.h"

enum { MOST_REPETITIONS = 2000 };

static double seconds = 0.5;
static const char *only = "";

#ifdef __EMSCRIPTEN__
EM_JS(double, processor_seconds, (void), {
    if (typeof process == "undefined") return performance.now() / 1e3;
    const used = process.cpuUsage();
    return (used.user + used.system) / 1e6;
});
#else
static double processor_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
#endif

/* One thread: processor time, which a busy machine does not spoil; otherwise the clock on the wall. */
static double now(void) {
    if (parallel_threads() == 1) return processor_seconds();
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Runs body for about `seconds` and prints its speed; work is in multiply-adds times 2, or bytes. */
static void line(const char *name, double work, const char *unit, void (*body)(void *), void *context) {
    static double times[MOST_REPETITIONS];
    if (!strstr(name, only)) return;
    body(context);
    int count = 0;
    double start = now();
    while (count < 5 || (now() - start < seconds && count < MOST_REPETITIONS)) {
        double before = now();
        body(context);
        times[count++] = now() - before;
    }
    qsort(times, (size_t)count, sizeof *times, compare);
    double median = times[count / 2];
    printf("%-44s %9.3f ms %8.2f G%s/s (best %.2f)\n", name, median * 1e3, work / median * 1e-9, unit,
           work / times[0] * 1e-9);
    fflush(stdout);
}

static float *numbers(size_t count) {
    static rng r;
    static int seeded;
    if (!seeded++) rng_seed(&r, 1, 0);
    float *x = aligned_alloc(64, (count * sizeof *x + 63) / 64 * 64);
    if (!x) exit(2);
    for (size_t i = 0; i < count; i++) x[i] = (float)(rng_uniform(&r) - 0.5);
    return x;
}

/* ------------------------------------------------------------------------------------------------ the limit */

enum { LIMIT_STEPS = 200000 };

static void run_limit(void *context) {
    (void)context;
    limit_run(LIMIT_STEPS);
}

static void run_limit_integers(void *context) {
    (void)context;
    limit_run_integers(LIMIT_STEPS);
}

/* ------------------------------------------------------------------------------------------------ products */

enum { COLD_BYTES = 96 << 20 }; /* more than any cache holds */

/* A job on one weight after another, all alike. */
typedef struct {
    gemm_job job;
    gemm_weight weight;
    int copies, next;
    size_t bytes;
} gemm_bench;

/* cold: so many copies that each use finds its weight in memory only, as in a whole model. */
static void new_weight(gemm_bench *b, int out, int in, int storage, int cold) {
    float *row = numbers((size_t)in);
    gemm_weight *w = &b->weight;
    *w = (gemm_weight){.out = out, .in = in, .storage = storage, .scale = numbers(((size_t)out + 7) / 8 * 8)};
    b->bytes = (gemm_panel_bytes(out, in, storage) + 63) / 64 * 64;
    b->copies = cold ? COLD_BYTES / (int)b->bytes + 1 : 1;
    w->panels = aligned_alloc(64, b->bytes * (size_t)b->copies);
    if (!w->panels) exit(2);
    for (int o = 0; o < out; o++) gemm_set_row(w, o, row, 0);
    for (int i = 1; i < b->copies; i++) memcpy((char *)w->panels + (size_t)i * b->bytes, w->panels, b->bytes);
    free(row);
}

static void run_gemm(void *context) {
    gemm_bench *b = context;
    gemm_weight w = b->weight;
    w.panels = (char *)w.panels + (size_t)(b->next++ % b->copies) * b->bytes;
    b->job.weight = &w;
    gemm_run(&b->job);
}

static void bench_gemm(int threads, int rows, int out, int in, int cold) {
    static const struct {
        const char *name;
        int storage, fast;
    } kinds[] = {{"f32", MUDPT_F32, 0}, {"f16", MUDPT_F16, 0},  {"i8", MUDPT_I8, 0},
                 {"i16", MUDPT_I16, 0}, {"fast", MUDPT_I16, 1}, {"fast-i8", MUDPT_I8, 1}};
    float *a = numbers((size_t)rows * (size_t)(out > in ? out : in)),
          *c = numbers((size_t)rows * (size_t)(out > in ? out : in));
    float *bias = numbers((size_t)out);
    if (gemm_reserve(out > in ? out : in)) exit(2);
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        gemm_bench b = {.next = 0};
        new_weight(&b, out, in, kinds[kind].storage, cold);
        b.weight.fast = kinds[kind].fast;
        for (int transposed = 0; transposed < 2; transposed++) {
            b.job = (gemm_job){.transposed = transposed,
                               .count = out,
                               .rows = rows,
                               .a = a,
                               .lda = transposed ? out : in,
                               .c = c,
                               .ldc = transposed ? in : out,
                               .bias = transposed ? NULL : bias};
            char name[80]; /* rows x columns x depth of the product, either way */
            snprintf(name, sizeof name, "gemm/%dx%dx%d/%s%s%s/t%d", rows, transposed ? in : out, transposed ? out : in,
                     kinds[kind].name, transposed ? "/transposed" : "", cold ? "/cold" : "", threads);
            line(name, 2.0 * rows * out * in, "FLOP", run_gemm, &b);
        }
        free(b.weight.panels);
        free(b.weight.scale);
    }
    free(a);
    free(c);
    free(bias);
}

/* ------------------------------------------------------------------------------------------------ attention, rows */

typedef struct {
    attention_shape shape;
    float *x[8];
    int stride, first_key;
} attention_bench;

static void run_attention(void *context) {
    attention_bench *b = context;
    attention_forward(b->x[0], b->x[1], b->x[2], b->x[3], b->x[6], b->x[7], b->stride, &b->shape);
}

static void run_attention_backward(void *context) {
    attention_bench *b = context;
    attention_backward(b->x[0], b->x[4], b->x[5], b->x[6], b->x[7], b->x[1], b->x[1], b->x[2], b->x[3], b->x[6],
                       b->x[7], b->stride, &b->shape, 0);
}

static void bench_attention(int threads, const char *what, int sequences, int length, int prefix) {
    enum { HEADS = 12, HEAD_WIDTH = 64, WIDTH = HEADS * HEAD_WIDTH };
    int *start = malloc(sizeof(int) * (size_t)(sequences + 1));
    for (int s = 0; s <= sequences; s++) start[s] = s * length;
    attention_bench b = {.shape = {.heads = HEADS,
                                   .head_width = HEAD_WIDTH,
                                   .sequences = sequences,
                                   .query_start = start,
                                   .key_start = start,
                                   .prefix = prefix},
                         .stride = WIDTH};
    for (int i = 0; i < 8; i++) b.x[i] = numbers((size_t)(i < 6 ? sequences * length : prefix) * WIDTH);
    if (parallel_reserve(attention_scratch(length + prefix, HEAD_WIDTH))) exit(2);
    double work = 2.0 * WIDTH * sequences * length * (length + prefix);
    char name[80];
    snprintf(name, sizeof name, "attention/%s/forward/t%d", what, threads);
    line(name, 2 * work, "FLOP", run_attention, &b);
    snprintf(name, sizeof name, "attention/%s/backward/t%d", what, threads);
    line(name, 5 * work, "FLOP", run_attention_backward, &b);
    for (int i = 0; i < 8; i++) free(b.x[i]);
    free(start);
}

typedef struct {
    float *y, *x, *gain, *rstd;
    int rows, d, activation;
} rows_bench;

static void run_layernorm(void *context) {
    rows_bench *b = context;
    layernorm_forward(b->y, NULL, b->rstd, b->x, b->gain, b->gain, b->rows, b->d, LAYERNORM_EPSILON);
}

static void run_layernorm_backward(void *context) {
    rows_bench *b = context;
    layernorm_backward(b->y, b->x, b->x, b->rstd, b->gain, b->rows, b->d, 0);
}

static void run_activation(void *context) {
    rows_bench *b = context;
    activation_forward(b->activation, b->y, b->x, (size_t)b->rows * (size_t)b->d);
}

static void run_activation_backward(void *context) {
    rows_bench *b = context;
    activation_backward(b->activation, b->y, b->x, b->x, (size_t)b->rows * (size_t)b->d);
}

static void bench_rows(int threads) {
    static const struct {
        const char *name;
        void (*body)(void *);
        int d, activation;
    } cases[] = {{"layernorm/804x768/forward", run_layernorm, 768, 0},
                 {"layernorm/804x768/backward", run_layernorm_backward, 768, 0},
                 {"quickgelu/804x3072/forward", run_activation, 3072, MUDPT_QUICK_GELU},
                 {"quickgelu/804x3072/backward", run_activation_backward, 3072, MUDPT_QUICK_GELU},
                 {"gelu/804x3072/forward", run_activation, 3072, MUDPT_GELU},
                 {"gelu/804x3072/backward", run_activation_backward, 3072, MUDPT_GELU},
                 {"gelu-tanh/804x3072/forward", run_activation, 3072, MUDPT_GELU_TANH},
                 {"gelu-tanh/804x3072/backward", run_activation_backward, 3072, MUDPT_GELU_TANH}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rows_bench b = {.rows = 804, .d = cases[i].d, .activation = cases[i].activation};
        size_t count = (size_t)b.rows * (size_t)b.d;
        b.y = numbers(count);
        b.x = numbers(count);
        b.gain = numbers((size_t)b.d);
        b.rstd = numbers((size_t)b.rows);
        char name[80];
        snprintf(name, sizeof name, "%s/t%d", cases[i].name, threads);
        line(name, (double)count, "value", cases[i].body, &b);
        free(b.y);
        free(b.x);
        free(b.gain);
        free(b.rstd);
    }
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    if (argc > 2) seconds = atof(argv[2]);
    if (argc > 3) only = argv[3];
    if (parallel_start(threads)) {
        fprintf(stderr, "%s\n", mudpt_last_error());
        return 1;
    }
    line("limit", 8.0 * LIMIT_CHAINS * LIMIT_STEPS, "FLOP", run_limit, NULL);
    line("limit, integers", 16.0 * 8 * LIMIT_STEPS, "FLOP", run_limit_integers, NULL);
    static const int shapes[][3] = {{804, 768, 3072}, {804, 3072, 768}, {804, 768, 768}, {276, 192, 768},
                                    {44, 512, 512},   {4, 768, 768},    {1, 768, 768}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int cold = 0; cold <= (shapes[i][0] < 16); cold++)
            bench_gemm(threads, shapes[i][0], shapes[i][1], shapes[i][2], cold);
    bench_attention(threads, "1x201", 1, 201, 0);
    bench_attention(threads, "100x4+5", 100, 4, 5);
    bench_rows(threads);
    return 0;
}
