/* What a prompt-tuning method is: which tensors are trained, and how they become the prompts of each layer.
 *
 * Adding a method is one file here that defines a `method`, and one line in methods.c. A method never sees pictures or
 * sentences: it turns parameters into prompts, and gradients of prompts into gradients of parameters.
 */
#ifndef METHODS_METHOD_H
#define METHODS_METHOD_H

#include "base/arena.h"
#include "clip/weights.h"

/* What holds tuned features near the frozen model's (train/anchor.c): nothing, or which kinds of distance. */
typedef enum { ANCHOR_NONE, ANCHOR_ABSOLUTE, ANCHOR_COSINE } anchor_kind;

/* How a tensor starts. */
typedef enum {
    START_PHRASE, /* word embeddings of the phrase, or normal when there is none */
    START_NORMAL, /* normal, standard deviation 0.02 */
    START_LINEAR, /* uniform, +- 1 / sqrt(fan_in), matrices and biases */
    START_SCALED, /* normal, standard deviation 1 / sqrt(fan_in) */
    START_AGAIN,  /* as the tensor `fan_in` before it */
    START_ONE,
    START_ZERO
} parameter_start;

enum {
    MAPLE_MOST_LAYERS = 64,
    MMRL_MOST_LAYERS = 32,
    METHOD_MOST_PARAMETERS = 5 + 6 * MMRL_MOST_LAYERS,
    METHOD_NAME_ROOM = 56
};

typedef struct {
    char name[METHOD_NAME_ROOM];
    int dims, shape[4], count;
    parameter_start start;
    int fan_in;
    int idle;      /* nothing depends on it in this model */
    size_t offset; /* into values, gradients, velocity and average */
} parameter;

typedef struct method_state {
    const struct method *method;
    const mudpt_clip *clip;
    mudpt_method sizes;
    int classes;
    int text_rows; /* prompt rows of one text layer: text_length, or classes * text_length (class_specific) */

    parameter parameters[METHOD_MOST_PARAMETERS];
    int parameter_count;
    int oversized;        /* 1: one of them has more values than a tensor may have */
    uint64_t total;       /* values of all parameters */
    float *values;        /* [total] */
    float *gradients;     /* [total], NULL until training begins */
    float *velocity;      /* [total], the same */
    float *square;        /* [total], the same; NULL for SGD */
    float *average;       /* [total], the same; NULL where none is kept */
    const float *teacher; /* class_aware: the frozen model's features of the classes, of length one [classes, e] */

    float *text, *dtext;     /* [text_depth, text_rows, d_t] prompts after the injection, and their gradients */
    float *visual, *dvisual; /* [visual_depth, visual_length, d_v] */
    float *second, *dsecond; /* [d_v, e] the second feature's projection, where there is one */
    void *work;              /* the method's own intermediate values */
} method_state;

typedef struct method {
    const char *name;
    int text, visual;                        /* whether it has prompts on that side */
    int same_sizes;                          /* text and visual lengths and depths must be equal */
    int conditional;                         /* text prompts depend on the picture (cocoop) */
    int first_layer;                         /* its text prompts are the first layer's only */
    int class_aware;                         /* from sizes.layer on every class has text prompts of its own (tcp) */
    int upper;                               /* its prompts may begin in a later layer */
    int insertable;                          /* they may be rows of their own, and give a second feature */
    int of_space;                            /* they are made of a common space, whose sizes it has (mmrl) */
    anchor_kind anchor;                      /* which terms of the loss it can have */
    float adam_eps;                          /* trained by Adam, which adds this to the root; 0: by SGD */
    int decoupled;                           /* its Adam is AdamW */
    void (*declare)(method_state *s);        /* declares parameters; sizes are checked already */
    void (*take)(method_state *s, arena *a); /* intermediate values for forward and backward; may be NULL */
    int (*reserve)(const method_state *s);   /* kernels' scratch; may be NULL. -> MUDPT_OK, MUDPT_MEMORY */
    void (*forward)(method_state *s);        /* values -> text, visual */
    void (*backward)(method_state *s);       /* dtext, dvisual -> gradients, added */
    /* conditional: the text prompts of one picture from its feature of length one [e], and back */
    void (*forward_image)(method_state *s, const float *image);
    void (*backward_image)(method_state *s, const float *image);
} method;

extern const method method_zeroshot, method_coop, method_cocoop, method_vpt, method_ivlp, method_mudpt, method_umudpt,
    method_uumudpt, method_maple, method_kgcoop, method_promptsrc, method_tcp, method_mmrl, method_mmrlpp;

const method *method_find(const char *name); /* NULL with the error text set */
/* Checks sizes, declares parameters. -> MUDPT_OK, MUDPT_ARGUMENT */
int method_open(method_state *s, const mudpt_clip *clip, const mudpt_method *sizes, int classes);
/* Prompts and intermediate values; gradients of prompts too when `training`. */
void method_take(method_state *s, arena *a, int training);
void method_start(method_state *s, uint32_t seed, const int32_t *phrase);

/* parameters.c. For declare(): one tensor, last arguments its shape. */
void method_add(method_state *s, parameter_start start, int fan_in, const char *name, int dims, ...);
/* A Linear layer's two tensors NAME.weight [out, in] and NAME.bias [out]. */
void method_add_linear(method_state *s, const char *name, int out, int in);
/* SIDE_prompts.0 and, with depth > 1, SIDE_prompts.deep. */
void method_add_prompts(method_state *s, const char *side, int length, int depth, int width, parameter_start start);
/* Nothing depends on the last `count` tensors that were added. */
void method_idle(method_state *s, int count);
/* The last `count` tensors start as those `back` before them do. */
void method_start_again(method_state *s, int count, int back);
float *method_value(const method_state *s, const char *name); /* NULL when there is no such tensor */
float *method_gradient(const method_state *s, const char *name);

/* Raw prompts of one side as they are, all layers: values to prompts, gradients of prompts to gradients. */
void method_copy_prompts(const method_state *s, const char *side, float *prompts);
void method_add_gradients(const method_state *s, const char *side, const float *dprompts);

/* proj_rep, the second feature's projection as it is, where there is one: values to it, its gradient to gradients. */
void method_add_second(method_state *s);
void method_copy_second(const method_state *s);
void method_add_second_gradients(const method_state *s);

/* What methods with the same tensors share: of coop, and of ivlp. */
void coop_forward(method_state *s);
void coop_backward(method_state *s);
void ivlp_declare(method_state *s);
void ivlp_forward(method_state *s);
void ivlp_backward(method_state *s);

/* Of methods whose prompts are made of a space (mmrl.c): one side, its layers that have prompts, and these. */
typedef struct {
    const char *name; /* its tensors begin so */
    int width, layers;
    float *prompts, *dprompts; /* [text_depth, text_length, width] */
} space_side;
space_side space_side_of(const method_state *s, int visual);

/* The tensors NAME.i.weight and NAME.i.bias, with their gradients once training begins. */
typedef struct {
    float *weight, *bias, *dweight, *dbias;
} linear_tensors;
linear_tensors method_linear(const method_state *s, const char *name, int i);
/* Scratch for products of what is as wide as the model's parts, the space, or the prompts' number. */
int method_reserve(const method_state *s);

/* y [rows, out] (+)= x [rows, in] W^T + b, for a Linear that is trained; b NULL: none */
void linear_forward(float *y, const float *x, const float *weight, const float *bias, int rows, int out, int in,
                    int accumulate);
/* dx (+)= dy W (NULL: not wanted), dweight += dy^T x (NULL: nor dbias), dbias += sum of dy (NULL: none) */
void linear_backward(float *dx, float *dweight, float *dbias, const float *dy, const float *x, const float *weight,
                     int rows, int out, int in, int accumulate);

#endif
