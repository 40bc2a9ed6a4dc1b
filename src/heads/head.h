/* What a head is: a linear classifier of features that were computed once, with something more.
 *
 *   logits = u directions^T + biases (+ more), u [rows, in] the rows that the classifier sees
 *
 * A method says how its tensors become directions and biases and how gradients come back, where u comes from, and what
 * is added. Adding a method is one file here that defines a `head`, and one line in heads.c.
 */
#ifndef HEADS_HEAD_H
#define HEADS_HEAD_H

#include "mudpt.h"

/* Kinds of class features; see mudpt.h. */
typedef enum { CLASS_UNIT, CLASS_MEAN, CLASS_RAW } class_kind;

/* Fields of the configuration that a method uses. */
enum {
    USES_SCALE = 1,
    USES_ALPHA = 2,
    USES_BETA = 4,
    USES_LAMBDA = 8,
    USES_RATE = 16,
    USES_BATCH = 32,
    USES_BEFORE = 64,
    NEEDS_PICTURES = 128,
    NEEDS_EVERY_CLASS = 256,
    USES_EPOCHS = 512,
    FIRST_VIEW = 1024 /* the others are not kept */
};

enum { HEAD_CHUNK = 256 /* rows that go through a head together */, HEAD_MOST_TENSORS = 4, VECTOR = -1 };

typedef struct {
    const char *name;
    int shape[2]; /* [rows, columns]; rows VECTOR: [columns] */
    size_t count;
    float *value;
    float *gradient, *good, *first, *second; /* [count] each where it is trained: values of the last finite loss, and
                                                what the optimiser remembers */
} head_tensor;

struct mudpt_head {
    const struct head *kind;
    mudpt_head_config config;
    int width; /* of a row: before, or e */
    int in;    /* of u */
    int rows;  /* that are kept, 0 where none were given */
    int steps, steps_each, step;
    int prepared; /* whether directions and biases are those of the tensors */
    char *memory; /* all of it, NULL while it is counted */
    uint64_t used;

    float *classes;    /* [C, e] t */
    float *projection; /* [d_v, e] the model's */
    float *support;    /* [rows, width] */
    int32_t *labels;   /* [pictures] */
    int32_t *counts;   /* [C] pictures of each */
    int32_t *order;    /* [rows] of the next step */

    head_tensor tensors[HEAD_MOST_TENSORS];
    int tensor_count;
    double decays[2]; /* products of Adam's betas */

    float *directions, *biases;   /* [C, in], [C] */
    float *common;                /* [in] what all directions are to be longer by, or NULL: a loss is finer without */
    float *ddirections, *dbiases; /* their gradients, where a method wants them */
    int32_t *index;               /* [chunk] rows of the support in this chunk */
    float *x, *u, *logits;        /* [chunk, width], [chunk, in], [chunk, C] */

    /* What methods compute with, each as its file says. */
    double *sums, *matrix, *column;
    float *square, *near, *lengths, *text;
};

typedef struct head {
    const char *name;
    int uses;
    class_kind classes;
    void (*take)(mudpt_head *h); /* tensors and what else it keeps */
    /* Values from the support, of which `features` are as they were given: closed forms, or where training starts.
     * features are NULL where there are none. -> MUDPT_OK or an error */
    int (*start)(mudpt_head *h, const float *features);
    void (*prepare)(mudpt_head *h); /* tensors -> directions, biases */
    /* What intake must know of the support's features; may be NULL */
    void (*measure)(mudpt_head *h, const float *features);
    /* Features as they were given -> rows as they are kept; NULL: of length one */
    void (*intake)(const mudpt_head *h, float *rows, const float *features, int count);
    /* x -> u of a chunk; NULL: u is x */
    void (*input)(mudpt_head *h, int count);
    /* Adds to the logits of a chunk. support: its rows are those of h->index; else it is of `features`, as given */
    void (*more)(mudpt_head *h, const float *features, int support, int count);
    /* ddirections, dbiases -> gradients; NULL: directions are not trained, and their gradients not made */
    void (*collect)(mudpt_head *h);
    /* h->logits, now the loss's gradient by them, -> gradients, of a chunk of the support; may be NULL */
    void (*back)(mudpt_head *h, int count);
    double (*penalty)(mudpt_head *h); /* added to the loss, its gradient to the gradients; may be NULL */
    int (*choose)(mudpt_head *h);     /* rows of the next step -> h->order; how many. NULL: not trained */
    double (*move)(mudpt_head *h);    /* along the gradients; the rate */
    int (*renew)(mudpt_head *h, const mudpt_head *from); /* values for new classes; NULL: there are none */
} head;

extern const head head_sstext, head_sstext_plus, head_gda, head_tip, head_tip_f, head_lpp, head_clap, head_prolip,
    head_ridge, head_logistic;

/* parts.c: what several methods are made of. For take(); while memory is counted they return NULL. */
void *head_take(mudpt_head *h, int rows, int columns, int bytes);
float *head_floats(mudpt_head *h, int rows, int columns);
double *head_doubles(mudpt_head *h, int rows, int columns);
/* A tensor [rows, columns], or [columns] where rows are VECTOR; with what training takes. */
void head_tensor_take(mudpt_head *h, const char *name, int rows, int columns, int trained);
/* -> MUDPT_OK, or MUDPT_ARGUMENT for a row that is not finite or has no length, which is `what` number `at` */
int head_check_row(const float *row, int width, const char *what, int at);
/* Features as they were given -> rows as they are kept. */
void head_intake(const mudpt_head *h, float *rows, const float *features, int count);
double head_dot(const float *a, const float *b, int count);
/* out [e] = factor * in / |in|; zeros where |in| is 0. Returns |in|. out may be in. */
double head_unit(float *out, const float *in, double factor, int e);
/* Sum of the rows of class c, in the order of the rows. sum [width]; returns how many. */
int head_class_sum(const mudpt_head *h, int c, double *sum);
/* The label of row r, of any view. */
static inline int head_label(const mudpt_head *h, int r) {
    return h->labels[r % h->config.pictures];
}
/* directions = factor * t of length one; no biases. */
void head_text_directions(mudpt_head *h);
/* All rows, in their order. */
int head_choose_all(mudpt_head *h);
/* The next `batch` of a shuffled epoch over `count` rows from `first` on. */
int head_choose_shuffled(mudpt_head *h, int first, int count);
/* base (1 + cos(pi at / of)) / 2 */
double head_cosine(double base, double at, double of);
/* lambda * sum of (value - from)^2, from NULL: 0; its gradient is added. lambdas [rows] or NULL: what lambda of each
 * row is multiplied by. */
double head_penalty(head_tensor *t, const float *from, double lambda, const float *lambdas);
/* v = momentum v + g, p = p - rate v */
void head_sgd(head_tensor *t, double rate, double momentum);
/* Adam with bias correction, beta 0.9 and 0.999, eps 1e-4 added to the root; decay: of the parameter, before (AdamW) */
void head_adam(mudpt_head *h, head_tensor *t, double rate, double decay);
/* renew() where a class without pictures has the text alone. */
int head_renew_text(mudpt_head *h, const mudpt_head *from);

/* pass.c: rows through a head. */
/* Logits of rows first ... first+count-1 of the support -> h->logits; count <= HEAD_CHUNK */
void head_support_logits(mudpt_head *h, int first, int count);
/* Mean loss of rows of the support and its gradients. logits [count, C] or NULL */
double head_loss(mudpt_head *h, const int32_t *rows, int count, float *logits);

/* solve.c: symmetric systems, in double precision. */
/* a [n, n], of which the lower half is read, becomes its Cholesky factor. 0 where it is not positive definite. */
int solve_factor(double *a, int n);
/* b [n] = a^-1 b */
void solve_with(const double *factor, int n, double *b);
/* a [n, n] (lower half) = X^T X; fill writes rows first ... first+count-1 of X [count, n] to `to`. part [n, n] and
 * chunk [HEAD_CHUNK, n] are scratch. */
void solve_gram(double *a, float *part, float *chunk, int n, int rows,
                void (*fill)(const mudpt_head *h, float *to, int first, int count), const mudpt_head *h);
/* The largest eigenvalue of X^T X, X [rows, n]; work [2 n] */
double solve_largest(const float *x, int rows, int n, double *work);

#endif
