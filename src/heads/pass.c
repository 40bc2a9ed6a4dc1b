/* Rows through a head, chunk by chunk: logits, losses and their gradients, and the steps of training. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/series.h"
#include "kernels/gemm.h"
#include "kernels/softmax.h"
#include "head.h"

/* h->x -> h->logits */
static void forward(mudpt_head *h, const float *features, int support, int count) {
    int classes = h->config.classes, in = h->in;
    if (!h->prepared) h->kind->prepare(h);
    h->prepared = 1;
    if (h->kind->input) h->kind->input(h, count);
    gemm_dense(h->logits, classes, h->u, in, 1, h->directions, 1, in, count, classes, in, 0);
    for (int i = 0; i < count * classes; i++) h->logits[i] += h->biases[i % classes];
    if (h->kind->more) h->kind->more(h, features, support, count);
}

/* rows NULL: from `first` on */
static void support_logits(mudpt_head *h, const int32_t *rows, int first, int count) {
    size_t width = (size_t)h->width;
    for (int i = 0; i < count; i++) {
        h->index[i] = rows ? rows[i] : first + i;
        memcpy(h->x + (size_t)i * width, h->support + (size_t)h->index[i] * width, width * sizeof(float));
    }
    forward(h, NULL, 1, count);
}

void head_support_logits(mudpt_head *h, int first, int count) {
    support_logits(h, NULL, first, count);
}

/* Cross-entropy of one row; logits [C] become the gradient of loss / count. Where the right class is nearly certain,
 * the others' share is what counts, not how far from 1 its own is. */
static double row_loss(float *logits, int classes, int label, int count) {
    double others = 0, own;
    softmax_row(logits, logits, classes);
    own = (double)logits[label];
    logits[label] = 0;
    for (int c = 0; c < classes; c++) others += (double)logits[c];
    logits[label] = (float)-others;
    softmax_shares(logits, classes, count);
    return series_log(1 + others / own);
}

/* h->logits of a chunk as they are given out. */
static void give(const mudpt_head *h, float *out, int count) {
    int classes = h->config.classes;
    memcpy(out, h->logits, (size_t)count * (size_t)classes * sizeof(float));
    for (int i = 0; i < count && h->common; i++) {
        float more = (float)head_dot(h->u + (size_t)i * (size_t)h->in, h->common, h->in);
        for (int c = 0; c < classes; c++) out[i * classes + c] += more;
    }
}

static void clear(float *values, size_t count) {
    if (values) memset(values, 0, count * sizeof *values);
}

double head_loss(mudpt_head *h, const int32_t *rows, int count, float *logits) {
    size_t classes = (size_t)h->config.classes, in = (size_t)h->in;
    double loss = 0;
    for (int i = 0; i < h->tensor_count; i++) clear(h->tensors[i].gradient, h->tensors[i].count);
    if (h->kind->collect) {
        clear(h->ddirections, classes * in);
        clear(h->dbiases, classes);
    }
    for (int first = 0; first < count; first += HEAD_CHUNK) {
        int now = count - first < HEAD_CHUNK ? count - first : HEAD_CHUNK;
        support_logits(h, rows + first, 0, now);
        if (logits) give(h, logits + (size_t)first * classes, now);
        for (int i = 0; i < now; i++)
            loss += row_loss(h->logits + (size_t)i * classes, (int)classes, head_label(h, h->index[i]), count);
        if (h->kind->collect) {
            gemm_dense(h->ddirections, (int)in, h->logits, 1, (int)classes, h->u, (int)in, 1, (int)classes, (int)in,
                       now, 1);
            for (size_t i = 0; i < (size_t)now * classes; i++) h->dbiases[i % classes] += h->logits[i];
        }
        if (h->kind->back) h->kind->back(h, now);
    }
    if (h->kind->collect) h->kind->collect(h);
    return loss / count + (h->kind->penalty ? h->kind->penalty(h) : 0);
}

static int all_finite(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i])) return 0;
    return 1;
}

/* The loss of a batch, checked. */
static int compute(mudpt_head *h, const int32_t *rows, int count, double *loss, float *logits) {
    if (!h->kind->choose || !h->rows)
        return fail(MUDPT_STATE, "%s has nothing to train%s", h->kind->name,
                    h->kind->choose ? " without its pictures' features" : "");
    if (rows && (count < 1 || count > h->rows))
        return fail(MUDPT_ARGUMENT, "a batch of %d rows; expected 1 to %d", count, h->rows);
    for (int i = 0; rows && i < count; i++)
        if (rows[i] < 0 || rows[i] >= h->rows)
            return fail(MUDPT_ARGUMENT, "row %d of the batch is %d; expected 0 to %d", i, rows[i], h->rows - 1);
    if (!rows) {
        count = h->kind->choose(h);
        rows = h->order;
    }
    *loss = head_loss(h, rows, count, logits);
    int fine = isfinite(*loss);
    for (int i = 0; i < h->tensor_count && fine; i++)
        if (h->tensors[i].gradient) fine = all_finite(h->tensors[i].gradient, h->tensors[i].count);
    if (fine) return MUDPT_OK;
    return fail(MUDPT_NOT_FINITE, "the loss or a gradient of %s is not a finite number; lower its learning rate",
                h->kind->name);
}

int mudpt_head_gradients(mudpt_head *h, const int32_t *rows, int count, float *loss, float *logits) {
    double value;
    int code = compute(h, rows, count, &value, logits);
    if (!code) *loss = (float)value;
    return code;
}

int mudpt_head_step(mudpt_head *h, const int32_t *rows, int count, mudpt_progress *out) {
    if (h->step == h->steps) return MUDPT_DONE;
    double loss;
    int code = compute(h, rows, count, &loss, NULL);
    for (int i = 0; i < h->tensor_count && (!code || code == MUDPT_NOT_FINITE); i++) {
        head_tensor *t = &h->tensors[i];
        if (t->good && code) memcpy(t->value, t->good, t->count * sizeof(float)); /* the step before is to blame */
        if (t->good && !code) memcpy(t->good, t->value, t->count * sizeof(float));
    }
    h->prepared = 0;
    if (code) return code;
    double rate = h->kind->move(h);
    *out = (mudpt_progress){.epoch = h->step / h->steps_each,
                            .epochs = h->config.epochs,
                            .step = h->step + 1,
                            .steps = h->steps,
                            .loss = (float)loss,
                            .rate = (float)rate};
    h->step++;
    return MUDPT_OK;
}

int mudpt_head_logits(mudpt_head *h, const float *features, int count, float *logits) {
    if (count < 0) return fail(MUDPT_ARGUMENT, "%d rows of features", count);
    size_t width = (size_t)h->width, classes = (size_t)h->config.classes;
    for (int r = 0; r < count; r++) {
        int code = head_check_row(features + (size_t)r * width, h->width, "the picture feature of row", r);
        if (code) return code;
    }
    for (int first = 0; first < count; first += HEAD_CHUNK) {
        int now = count - first < HEAD_CHUNK ? count - first : HEAD_CHUNK;
        const float *given = features + (size_t)first * width;
        head_intake(h, h->x, given, now);
        forward(h, given, 0, now);
        if (!all_finite(h->logits, (size_t)now * classes))
            return fail(MUDPT_NOT_FINITE, "a score of %s is not a finite number; train it with a lower rate",
                        h->kind->name);
        give(h, logits + (size_t)first * classes, now);
    }
    return MUDPT_OK;
}
