/* A linear classifier of features before the projection, beside the text's logits: `ridge` in closed form, `logistic`
 * trained.
 *
 * Both go down cross-entropy + lambda |A|^2 in the metric H = n(Z)^T n(Z) / (2 M) + 2 lambda, which is above the loss's
 * curvature everywhere (Boehning and Lindsay 1988): a whole step never goes too far, and no rate is to be chosen. From
 * A = 0 one such step is least squares, with a ridge, for what the text's probabilities leave of the labels. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "kernels/gemm.h"
#include "kernels/loss.h"
#include "head.h"

enum { WEIGHT, MEAN, DEVIATION };
static const double MOMENTUM = 0.9;

static void take(mudpt_head *h) {
    int d = h->config.before, trained = h->rows ? d : 0;
    head_tensor_take(h, "weight", h->config.classes, d, 1);
    head_tensor_take(h, "mean", VECTOR, d, 0);
    head_tensor_take(h, "deviation", VECTOR, 1, 0);
    h->text = head_floats(h, h->rows, h->config.classes);  /* logits of the text alone */
    h->near = head_floats(h, HEAD_CHUNK, h->config.width); /* z P */
    h->matrix = head_doubles(h, trained, d);               /* H, and its factor */
    h->square = head_floats(h, trained, d);                /* its inverse */
    h->column = head_doubles(h, 1, d);
}

/* n(z) */
static void intake(const mudpt_head *h, float *rows, const float *features, int count) {
    int d = h->config.before;
    const float *mean = h->tensors[MEAN].value, deviation = *h->tensors[DEVIATION].value;
    for (int i = 0; i < count * d; i++) rows[i] = (features[i] - mean[i % d]) / deviation;
}

/* s cos(z P, t), logits [count, C] */
static void text_logits(const mudpt_head *h, float *logits, const float *features, int count, int accumulate) {
    int e = h->config.width, d = h->config.before, classes = h->config.classes;
    gemm_dense(h->near, e, features, d, 1, h->projection, e, 1, count, e, d, 0);
    unit_forward(h->near, NULL, h->near, count, e);
    for (int i = 0; i < count * e; i++) h->near[i] *= h->config.scale;
    gemm_dense(logits, classes, h->near, e, 1, h->classes, 1, e, count, classes, e, accumulate);
}

static void more(mudpt_head *h, const float *features, int support, int count) {
    int classes = h->config.classes;
    if (!support) text_logits(h, h->logits, features, count, 1);
    for (int i = 0; i < count * classes && support; i++)
        h->logits[i] += h->text[(size_t)h->index[i / classes] * (size_t)classes + (size_t)(i % classes)];
}

static void prepare(mudpt_head *h) {
    memcpy(h->directions, h->tensors[WEIGHT].value, h->tensors[WEIGHT].count * sizeof(float));
}

static void collect(mudpt_head *h) {
    memcpy(h->tensors[WEIGHT].gradient, h->ddirections, h->tensors[WEIGHT].count * sizeof(float));
}

static double penalty(mudpt_head *h) {
    return head_penalty(&h->tensors[WEIGHT], NULL, (double)h->config.lambda, NULL);
}

static void rows_of(const mudpt_head *h, float *to, int first, int count) {
    size_t d = (size_t)h->config.before;
    memcpy(to, h->support + (size_t)first * d, (size_t)count * d * sizeof(float));
}

/* Mean and deviation of the first view's features, the deviation over all columns together. */
static void measure(mudpt_head *h, const float *features) {
    int d = h->config.before, pictures = h->config.pictures;
    double all = 0;
    for (int i = 0; i < d; i++) {
        double sum = 0, squares = 0;
        for (int n = 0; n < pictures; n++) sum += (double)features[(size_t)n * (size_t)d + (size_t)i];
        sum /= pictures;
        for (int n = 0; n < pictures; n++) {
            double away = (double)features[(size_t)n * (size_t)d + (size_t)i] - sum;
            squares += away * away;
        }
        h->tensors[MEAN].value[i] = (float)sum;
        all += squares / pictures / d;
    }
    *h->tensors[DEVIATION].value = all > 0 ? (float)sqrt(all) : 1;
}

/* The gradient in H's metric takes the gradient's place. */
static void bend(mudpt_head *h) {
    int d = h->config.before, classes = h->config.classes;
    gemm_dense(h->ddirections, d, h->tensors[WEIGHT].gradient, d, 1, h->square, d, 1, classes, d, d, 0);
    memcpy(h->tensors[WEIGHT].gradient, h->ddirections, h->tensors[WEIGHT].count * sizeof(float));
}

static int start(mudpt_head *h, const float *features) {
    size_t d = (size_t)h->config.before, classes = (size_t)h->config.classes;
    if (!features) return MUDPT_OK;
    for (int first = 0; first < h->rows; first += HEAD_CHUNK) {
        int now = h->rows - first < HEAD_CHUNK ? h->rows - first : HEAD_CHUNK;
        text_logits(h, h->text + (size_t)first * classes, features + (size_t)first * d, now, 0);
    }
    solve_gram(h->matrix, h->square, h->x, (int)d, h->rows, rows_of, h);
    for (size_t i = 0; i < d * d; i++) h->matrix[i] /= 2.0 * h->rows;
    for (size_t i = 0; i < d; i++) h->matrix[i * d + i] += 2 * (double)h->config.lambda;
    if (!solve_factor(h->matrix, (int)d))
        return fail(MUDPT_NOT_FINITE, "%s cannot be solved with so small a lambda; use a larger one", h->kind->name);
    for (size_t i = 0; i < d; i++) {
        memset(h->column, 0, d * sizeof *h->column);
        h->column[i] = 1;
        solve_with(h->matrix, (int)d, h->column);
        for (size_t k = 0; k < d; k++) h->square[i * d + k] = (float)h->column[k];
    }
    if (h->kind == &head_logistic) return MUDPT_OK;
    head_choose_all(h);
    head_loss(h, h->order, h->rows, NULL);
    bend(h);
    head_sgd(&h->tensors[WEIGHT], 1, 0);
    h->prepared = 0;
    return MUDPT_OK;
}

static double move(mudpt_head *h) {
    bend(h);
    head_sgd(&h->tensors[WEIGHT], (double)h->config.rate, MOMENTUM);
    return (double)h->config.rate;
}

const head head_ridge = {.name = "ridge",
                         .uses = USES_SCALE | USES_LAMBDA | USES_BEFORE | NEEDS_PICTURES,
                         .classes = CLASS_UNIT,
                         .take = take,
                         .start = start,
                         .prepare = prepare,
                         .measure = measure,
                         .intake = intake,
                         .more = more,
                         .collect = collect,
                         .penalty = penalty};

const head head_logistic = {.name = "logistic",
                            .uses = USES_SCALE | USES_LAMBDA | USES_RATE | USES_EPOCHS | USES_BEFORE | NEEDS_PICTURES,
                            .classes = CLASS_UNIT,
                            .take = take,
                            .start = start,
                            .prepare = prepare,
                            .measure = measure,
                            .intake = intake,
                            .more = more,
                            .collect = collect,
                            .penalty = penalty,
                            .choose = head_choose_all,
                            .move = move};
