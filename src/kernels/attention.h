/* Multi-head attention over a batch of sequences, softmax(q k^T / sqrt(head width)) v, forward and backward.
 *
 * Every query sees the keys of a shared prefix (text: start of text and the prompts, computed once for all classes),
 * then its own sequence's keys, all of them or, causally, the first visible[i]. No L x L matrix is kept: rows of
 * probabilities exist for one block of queries at a time, and backward computes them again.
 */
#ifndef KERNELS_ATTENTION_H
#define KERNELS_ATTENTION_H

#include <stddef.h>

typedef struct {
    int heads, head_width;  /* width = heads * head_width, both >= 1; head_width a multiple of 4 */
    int sequences;          /* any number; a sequence may have no queries */
    const int *query_start; /* [sequences + 1] sequence s has queries query_start[s] ... query_start[s + 1] - 1 */
    const int *key_start;   /* [sequences + 1] the same for its own keys and values */
    const int *visible;     /* [queries] how many of its own keys a query sees, from the first; NULL: all */
    int prefix;             /* keys of the shared prefix, 0: none */
} attention_shape;

/* q, out [queries, width] with queries = query_start[sequences]; k and v are key_start[sequences] rows of kv_stride
 * floats of which `width` are read (kv_stride >= width); prefix_k, prefix_v: `prefix` rows of kv_stride floats, NULL
 * where there are none. Every query sees a key at least. Scratch as attention_scratch says must be there. */
void attention_forward(float *out, const float *q, const float *k, const float *v, const float *prefix_k,
                       const float *prefix_v, int kv_stride, const attention_shape *shape);

/* Gradients for dout [queries, width]; q, k, v, prefix_k, prefix_v as in forward. dq [queries, width] is written (NULL:
 * not wanted). dk, dv (rows of kv_stride floats, as k, v) and dprefix_k, dprefix_v (as prefix_k) are ADDED to; of each
 * sequence's own keys only those from index `first_key` on get gradients (0: all; a number >= all of them: none). Sums
 * over sequences have a fixed order. */
void attention_backward(float *dq, float *dk, float *dv, float *dprefix_k, float *dprefix_v, const float *dout,
                        const float *q, const float *k, const float *v, const float *prefix_k, const float *prefix_v,
                        int kv_stride, const attention_shape *shape, int first_key);

/* Bytes of parallel_scratch that both need for at most `keys` keys seen by a query (prefix included). */
size_t attention_scratch(int keys, int head_width);

#endif
