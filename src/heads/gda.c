/* Gaussian discriminant analysis beside the text's logits: classes are Gaussians of one covariance, in closed form
 * (Wang et al. 2024). Classes without pictures borrow the rows nearest to their text. */
#include <string.h>

#include "base/error.h"
#include "base/parallel.h"
#include "base/series.h"
#include "head.h"

enum { WEIGHT, BIAS };
enum { NEAREST = 64, COPIES = 16 };

static void take(mudpt_head *h) {
    int e = h->config.width, classes = h->config.classes, side = h->rows ? e : NEAREST;
    head_tensor_take(h, "weight", classes, e, 0);
    head_tensor_take(h, "bias", VECTOR, classes, 0);
    h->sums = head_doubles(h, classes, e);   /* means */
    h->column = head_doubles(h, classes, e); /* weights */
    h->matrix = head_doubles(h, side, side); /* scatter; of new classes: between the rows of one */
    h->square = head_floats(h, h->rows ? e : 0, e);
}

/* Rows less their class's mean. */
static void centred(const mudpt_head *h, float *to, int first, int count) {
    int e = h->config.width;
    for (int r = first; r < first + count; r++) {
        const float *x = h->support + (size_t)r * (size_t)e;
        const double *mean = h->sums + (size_t)head_label(h, r) * (size_t)e;
        for (int i = 0; i < e; i++) *to++ = (float)((double)x[i] - mean[i]);
    }
}

/* Adds the matrix's trace / (rows - 1) to its diagonal and factors it; what was added, or 0. */
static double factor(double *matrix, int n, int rows) {
    double trace = 0;
    for (int i = 0; i < n; i++) trace += matrix[i * (n + 1)];
    for (int i = 0; i < n; i++) matrix[i * (n + 1)] += trace / (rows - 1);
    return trace > 0 && solve_factor(matrix, n) ? trace / (rows - 1) : 0;
}

/* Weights and means in double -> tensors; bias = log(1 / C) - mean W / 2 */
static void keep(mudpt_head *h) {
    int e = h->config.width;
    for (int c = 0; c < h->config.classes; c++) {
        double bias = -series_log(h->config.classes);
        for (int i = 0; i < e; i++) {
            size_t at = (size_t)c * (size_t)e + (size_t)i;
            h->tensors[WEIGHT].value[at] = (float)h->column[at];
            bias -= h->column[at] * h->sums[at] / 2;
        }
        h->tensors[BIAS].value[c] = (float)bias;
    }
}

/* weight = e matrix^-1 mean, of class c */
static void solve_class(void *context, int c, int thread) {
    const mudpt_head *h = context;
    int e = h->config.width;
    double *weight = h->column + (size_t)c * (size_t)e;
    (void)thread;
    for (int i = 0; i < e; i++) weight[i] = e * h->sums[(size_t)c * (size_t)e + (size_t)i];
    solve_with(h->matrix, e, weight);
}

static int start(mudpt_head *h, const float *features) {
    int e = h->config.width;
    if (!features) return MUDPT_OK;
    for (int c = 0; c < h->config.classes; c++) {
        double *mean = h->sums + (size_t)c * (size_t)e;
        int rows = head_class_sum(h, c, mean);
        for (int i = 0; i < e; i++) mean[i] /= rows;
    }
    solve_gram(h->matrix, h->square, h->x, e, h->rows, centred, h);
    if (factor(h->matrix, e, h->rows) == 0)
        return fail(MUDPT_NOT_FINITE, "gda finds no covariance: the rows of each class are all equal; use more "
                                      "pictures or views of each class");
    parallel_for(h->config.classes, solve_class, h);
    keep(h);
    return MUDPT_OK;
}

static void prepare(mudpt_head *h) {
    float alpha = h->config.alpha;
    head_text_directions(h);
    for (size_t i = 0; i < h->tensors[WEIGHT].count; i++) h->directions[i] += alpha * h->tensors[WEIGHT].value[i];
    for (int c = 0; c < h->config.classes; c++) h->biases[c] = alpha * h->tensors[BIAS].value[c];
}

/* ------------------------------------------------------------------------------------------------ new classes */

/* The k rows nearest to the text of class c, the nearest first. */
static void find_nearest(const mudpt_head *h, const mudpt_head *from, int c, int k, int *near) {
    int e = h->config.width, found = 0;
    double scores[NEAREST];
    for (int r = 0; r < from->rows; r++) {
        double score = head_dot(from->support + (size_t)r * (size_t)e, h->classes + (size_t)c * (size_t)e, e);
        if (found == k && score <= scores[k - 1]) continue;
        int at = found < k ? found++ : k - 1;
        for (; at > 0 && score > scores[at - 1]; at--) {
            scores[at] = scores[at - 1];
            near[at] = near[at - 1];
        }
        scores[at] = score;
        near[at] = r;
    }
}

typedef struct {
    const mudpt_head *h;
    int k;
    double ridge; /* h->x [k, e] are rows less the text, h->matrix the factor of x x^T + ridge */
} neighbours;

/* weight += e / C (x^T x + ridge)^-1 mean of class c, by the smaller system of the two (Woodbury) */
static void add_solution(void *context, int c, int thread) {
    const neighbours *n = context;
    const mudpt_head *h = n->h;
    int e = h->config.width;
    const double *mean = h->sums + (size_t)c * (size_t)e;
    double *weight = h->column + (size_t)c * (size_t)e, y[NEAREST];
    (void)thread;
    for (int r = 0; r < n->k; r++) {
        y[r] = 0;
        for (int i = 0; i < e; i++) y[r] += (double)h->x[r * e + i] * mean[i];
    }
    solve_with(h->matrix, n->k, y);
    for (int i = 0; i < e; i++) {
        double rest = mean[i];
        for (int r = 0; r < n->k; r++) rest -= (double)h->x[r * e + i] * y[r];
        weight[i] += rest / n->ridge * e / h->config.classes;
    }
}

static int renew(mudpt_head *h, const mudpt_head *from) {
    if (from->rows < 2) return fail(MUDPT_STATE, "gda needs the features of pictures for new classes; train it again");
    int near[NEAREST], e = h->config.width, k = from->rows < NEAREST ? from->rows : NEAREST;
    neighbours n = {h, k, 0};
    for (int c = 0; c < h->config.classes; c++) {
        double *mean = h->sums + (size_t)c * (size_t)e;
        find_nearest(h, from, c, k, near);
        for (int i = 0; i < e; i++) {
            mean[i] = COPIES * (double)h->classes[(size_t)c * (size_t)e + (size_t)i];
            for (int r = 0; r < k; r++) mean[i] += (double)from->support[(size_t)near[r] * (size_t)e + (size_t)i];
            mean[i] /= k + COPIES;
        }
    }
    for (int c = 0; c < h->config.classes; c++) {
        find_nearest(h, from, c, k, near);
        for (int i = 0; i < k * e; i++)
            h->x[i] = from->support[(size_t)near[i / e] * (size_t)e + (size_t)(i % e)] -
                      h->classes[(size_t)c * (size_t)e + (size_t)(i % e)];
        for (int i = 0; i < k * k; i++) h->matrix[i] = head_dot(h->x + i / k * e, h->x + i % k * e, e);
        n.ridge = factor(h->matrix, k, k);
        if (n.ridge == 0)
            return fail(MUDPT_NOT_FINITE, "gda finds no covariance about new class %d; use more pictures", c);
        parallel_for(h->config.classes, add_solution, &n);
    }
    keep(h);
    return MUDPT_OK;
}

const head head_gda = {.name = "gda",
                       .uses = USES_SCALE | USES_ALPHA | NEEDS_PICTURES | NEEDS_EVERY_CLASS,
                       .classes = CLASS_UNIT,
                       .take = take,
                       .start = start,
                       .prepare = prepare,
                       .renew = renew};
