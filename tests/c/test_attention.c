/* Attention against its naive twin and against finite differences. */
#include "kernel_data.h"

static void check_attention(int heads, int head_width, int sequences, int prefix, int causal, int length,
                            int queries_apart, int first_key, int with_dq) {
    attention_case t = new_attention(heads, head_width, sequences, prefix, causal, length, queries_apart);
    size_t queries = (size_t)t.queries * t.width, keys = (size_t)t.keys * t.stride, before = (size_t)prefix * t.stride;
    float *out = floats(queries), *dq = floats(queries), *dk = copy_of(t.dk, keys), *dv = copy_of(t.dv, keys);
    float *dprefix_k = copy_of(t.dprefix_k, before), *dprefix_v = copy_of(t.dprefix_v, before);
    const float *prefix_k = prefix ? t.prefix_k : NULL, *prefix_v = prefix ? t.prefix_v : NULL;
    attention_forward(t.out, t.q, t.k, t.v, prefix_k, prefix_v, t.stride, &t.shape);
    naive_attention_forward(out, t.q, t.k, t.v, prefix_k, prefix_v, t.stride, &t.shape);
    attention_backward(with_dq ? t.dq : NULL, t.dk, t.dv, t.dprefix_k, t.dprefix_v, t.dout, t.q, t.k, t.v, prefix_k,
                       prefix_v, t.stride, &t.shape, first_key);
    naive_attention_backward(with_dq ? dq : NULL, dk, dv, dprefix_k, dprefix_v, t.dout, t.q, t.k, t.v, prefix_k,
                             prefix_v, t.stride, &t.shape, first_key);
    char what[200];
    const char *part[] = {"out", "dq", "dk", "dv", "dprefix_k", "dprefix_v"};
    const float *got[] = {t.out, t.dq, t.dk, t.dv, t.dprefix_k, t.dprefix_v};
    const float *want[] = {out, dq, dk, dv, dprefix_k, dprefix_v};
    size_t counts[] = {queries, with_dq ? queries : 0, keys, keys, before, before};
    for (int i = 0; i < 6; i++) {
        snprintf(what, sizeof what,
                 "attention %s: %d heads of %d, %d sequences, prefix %d, causal %d, length %d, first key %d", part[i],
                 heads, head_width, sequences, prefix, causal, length, first_key);
        check_close(what, got[i], want[i], counts[i], 5e-6);
    }
    free(out);
    free(dq);
    free(dk);
    free(dv);
    free(dprefix_k);
    free(dprefix_v);
    free_attention(&t);
}

static void test_attention(void) {
    static const int widths[] = {4, 12, 64, 80};
    for (int i = 0; i < 80; i++)
        check_attention(random_int(1, 3), widths[i % 4], random_int(1, 6), i % 3 ? random_int(1, 20) : 0, i % 2, 0,
                        i % 5 == 0, i % 4 == 1 ? random_int(0, 45) : 0, i % 4 != 1);
    check_attention(2, 8, 1, 0, 0, 1, 0, 0, 1);
    check_attention(1, 8, 3, 1, 1, 1, 0, 0, 1);
    check_attention(1, 64, 1, 0, 0, 201, 0, 0, 1);
    check_attention(1, 64, 1, 0, 0, 201, 0, 197, 0);
    check_attention(1, 12, 1, 0, 0, 600, 0, 0, 1);
    check_attention(1, 4, 2, 20, 1, 77, 0, 0, 1);
    check_attention(3, 64, 70, 5, 1, 4, 0, 0, 1);
    /* No sequence at all. */
    int none[1] = {0};
    attention_shape empty = {.heads = 2, .head_width = 8, .query_start = none, .key_start = none};
    attention_forward(NULL, NULL, NULL, NULL, NULL, NULL, 16, &empty);
    attention_backward(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 16, &empty, 0);
}

static double attention_loss(const attention_case *t) {
    double loss = 0;
    naive_attention_forward(t->out, t->q, t->k, t->v, t->prefix_k, t->prefix_v, t->stride, &t->shape);
    for (int i = 0; i < t->queries * t->width; i++) loss += (double)t->dout[i] * t->out[i];
    return loss;
}

static void test_attention_differences(void) {
    attention_case t = new_attention(2, 4, 2, 2, 1, 5, 0);
    memset(t.dk, 0, sizeof(float) * t.keys * t.stride);
    memset(t.dv, 0, sizeof(float) * t.keys * t.stride);
    memset(t.dprefix_k, 0, sizeof(float) * t.shape.prefix * t.stride);
    memset(t.dprefix_v, 0, sizeof(float) * t.shape.prefix * t.stride);
    naive_attention_backward(t.dq, t.dk, t.dv, t.dprefix_k, t.dprefix_v, t.dout, t.q, t.k, t.v, t.prefix_k, t.prefix_v,
                             t.stride, &t.shape, 0);
    struct {
        const char *name;
        float *values, *gradient;
        int count;
    } of[] = {{"q", t.q, t.dq, t.queries * t.width},
              {"k", t.k, t.dk, t.keys * t.stride},
              {"v", t.v, t.dv, t.keys * t.stride},
              {"prefix_k", t.prefix_k, t.dprefix_k, t.shape.prefix * t.stride},
              {"prefix_v", t.prefix_v, t.dprefix_v, t.shape.prefix * t.stride}};
    for (int which = 0; which < 5; which++) {
        for (int i = 0; i < of[which].count; i++) {
            float *value = &of[which].values[i], kept = *value, step = 1e-2f;
            *value = kept + step;
            double up = attention_loss(&t);
            *value = kept - step;
            double down = attention_loss(&t);
            *value = kept;
            CHECK_CLOSE(of[which].gradient[i], (up - down) / (2 * (double)step), 1e-3, "attention's gradient of %s[%d]",
                        of[which].name, i);
        }
    }
    free_attention(&t);
}

int main(void) {
    rng_seed(&random_numbers, 2, 0);
    test_attention();
    test_attention_differences();
    return check_report();
}
