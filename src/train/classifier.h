/* A classifier: one method's parameters over one set of classes, on one frozen CLIP. */
#ifndef TRAIN_CLASSIFIER_H
#define TRAIN_CLASSIFIER_H

#include <math.h>

#include "clip/text.h"
#include "clip/vision.h"
#include "methods/method.h"

/* Sentences that go through the text tower in parts, one after the other (parts.c); count 1: at once. */
typedef struct {
    int count;                /* parts */
    int prefix, below_prefix; /* rows that all sentences begin with; and below the prompts of upper layers */
    tower_mode mode;
    uint64_t each;                /* bytes of a part */
    uint64_t start, carry_floats; /* where a part's memory begins in the arena */
    float *constants, *carry;     /* of clip/tower.h, for all parts */
    int constants_known;
} text_parts;

/* Memory of the towers; opened for inference first and, when training begins, once more with what backward needs. */
typedef struct {
    arena memory;
    int training;
    int recompute; /* in training: blocks' inputs alone are kept */
    int group;     /* most pictures at once */
    tower_scratch scratch;
    vision vision;
    vision frozen; /* without prompts; only where the loss compares with it, as the next three */
    text text;     /* only while training text prompts, and for conditional methods; of the last part */
    text_parts parts;
    float *image_features;  /* [group, e] */
    float *image_norms;     /* [group] their lengths before they were scaled */
    float *dimage_features; /* [group, e] */
    float *second_features; /* [group, e] the pictures' second feature, where they have one; as the next two */
    float *second_norms;    /* [group] */
    float *dsecond;         /* [group, e] */
    float *frozen_features; /* [group, e] of length one */
    float *scores;          /* [3, N] */
    float *dscores;         /* [N] gradient of the scores' term */
    double anchored;        /* the classes' term of the loss */
    float *logits;          /* [group, N] */
    float *second_logits;   /* [N] */
    float *dunit_text;      /* [N, e] gradient of the features of length one */
    float *dtext_features;  /* [N, e] */
} classifier_work;

struct mudpt_classifier {
    live live;
    mudpt_clip *clip;
    mudpt_trainer *trainer; /* that trains it, or NULL */
    int freed;              /* 1: it goes with its trainer */
    int busy;               /* 1: a step is under way, whose memory nobody else may use */
    method_state state;
    arena parameters; /* values */
    arena prompts;    /* prompts and, in training, gradients and velocity */
    classifier_work work;

    int classes, templates;
    int *rows, *lengths, *ends, stride; /* sentences: [templates, classes, stride] and [templates, classes], as in
                                           text_sentences */
    int *below_rows, *below_lengths;    /* the same, where text prompts enter higher up */
    int enters;                         /* whether prompts do; */
    tower_entry entry;                  /* and then where */
    float *text_features;               /* [N, e] as they leave the tower */
    float *unit_text;                   /* [N, e] scaled to length one */
    float *text_norms;                  /* [N] lengths before that */
    float *teacher;                     /* [N, e] the frozen model's, of length one; NULL where nothing needs them */
    int teacher_given;
    int prompts_ready; /* state.text and state.visual belong to the values */
    int text_ready;    /* text_features belong to the values */
    int recompute;     /* asked for: as in classifier_work */
    int text_given;    /* by the caller: there are no sentences */
};

/* ------------------------------------------------------------------------------------------------ sentences.c */

/* Checks the sentences and keeps them. -> MUDPT_OK, MUDPT_ARGUMENT, MUDPT_MEMORY */
int classifier_keep_sentences(mudpt_classifier *c, const mudpt_sentences *s);
/* Sentences that are encoded at a time: memory does not grow with the number of classes. */
enum { SENTENCES = 256 };
/* `count` of the kept sentences of one template, from class `first` on. */
text_sentences classifier_sentences(const mudpt_classifier *c, int template, int first, int count);
/* Whether what the sentences need of the model has been sent. -> MUDPT_OK, MUDPT_STATE */
int classifier_check_tokens(const mudpt_classifier *c);
/* Bytes that encoding the sentences takes for a moment: those of the largest SENTENCES of one template that go at once.
 * Opened once for all of them: memory that grew with each part would leave a hole as large as the part before. */
uint64_t classifier_encoding_bytes(const mudpt_classifier *c);
/* -> MUDPT_OK, MUDPT_MEMORY */
int classifier_open_encoding(const mudpt_classifier *c, arena *memory);
/* Features [count, e] of sentences first ... first+count-1 of one template, by a tower of their own, and where not NULL
 * rows [count, d_t] before the projection; count at most SENTENCES, from one of its multiples on, or 1. broken: as in
 * clip/tower.h. */
void classifier_encode_sentences(mudpt_classifier *c, const arena *memory, int template, int first, int count,
                                 float *features, float *rows, int *broken);
/* Bytes of the kept sentences. */
uint64_t classifier_sentence_bytes(const mudpt_classifier *c);

/* ---------------------------------------------------------------------------------------------------- parts.c */

/* Bytes up to which sentences go through the text tower at once, and bytes of a part: what is kept is smaller with
 * recompute and may then be a part's. Tests alone change them. */
extern uint64_t parts_most, parts_each;

/* How the sentences go through a tower of this mode. -> the most rows that go at once */
int parts_plan(const mudpt_classifier *c, text_parts *p, tower_mode mode);
/* Takes the tower's memory in w->memory, as planned in w->parts. */
void parts_take(mudpt_classifier *c, classifier_work *w);
/* Text features of all sentences, as they leave the tower; from work.dtext_features to the state's dtext, added to. */
void parts_forward(mudpt_classifier *c);
void parts_backward(mudpt_classifier *c);

/* --------------------------------------------------------------------------------------------------- memory.c */

/* Scratch of the kernels, for any product and any attention of its towers. -> MUDPT_OK, MUDPT_MEMORY */
int classifier_reserve_kernels(const mudpt_classifier *c);
/* Opens working memory for `count` pictures at a time, or keeps what is there when it does. */
int classifier_open_work(mudpt_classifier *c, int count, int training);
/* Makes sure that `count` pictures at a time can be trained on: memory for gradients and backward. */
int classifier_open_training(mudpt_classifier *c, int count);
/* Whether training without random views keeps pictures' features, its own or the frozen model's. */
int classifier_keeps_pictures(const mudpt_classifier *c);
/* Values of a picture's rows that prompts meet where they enter higher up; 0: they do not. */
size_t classifier_below_count(const mudpt_classifier *c);

/* ----------------------------------------------------------------------------------------------- not_finite.c */

int classifier_all_finite(const float *values, size_t count);
/* Something was not finite: says what came first (a picture, a tensor, a layer), for which it computes once more.
 * pixels [count, 3, image, image], or NULL for the text side alone. -> MUDPT_NOT_FINITE, always */
int classifier_not_finite(mudpt_classifier *c, const float *pixels, int count);
/* Whether all gradients are finite. -> MUDPT_OK, MUDPT_NOT_FINITE */
int classifier_check_gradients(const method_state *s);

/* ----------------------------------------------------------------------------------------------- classifier.c */

/* Whether it can be used now: it has not been freed, and no step is under way. -> MUDPT_OK, MUDPT_STATE */
int classifier_check(const mudpt_classifier *c);
/* Frees it, which nothing uses any more. */
void classifier_release(mudpt_classifier *c);
/* Makes the prompts that belong to the values, where they are not there yet. */
void classifier_prepare_prompts(mudpt_classifier *c);
/* The same for the text features, as they are for classification. */
int classifier_prepare_text(mudpt_classifier *c);
/* The training tower's text features, and their lengths. */
void classifier_train_text(mudpt_classifier *c);
/* What cosines are multiplied by. */
static inline float classifier_scale(const mudpt_classifier *c) {
    return c->state.sizes.scale > 0 ? c->state.sizes.scale : expf(*c->clip->logit_scale);
}
/* Conditional methods: the text features for one picture, whose feature of length one is unit [e]. */
void classifier_picture_text(mudpt_classifier *c, const float *unit);
/* Whether pictures' features change with the parameters; if not, they may be kept: */
int classifier_trains_images(const mudpt_classifier *c);
/* pixels [count, 3, image, image] -> units [count, e], the pictures' features scaled to length one */
void classifier_encode(mudpt_classifier *c, const float *pixels, int count, float *units);
/* The same for a group that is encoded at once; norms [count] are the features' lengths. Where there is a second
 * feature work has it. rows, where not NULL: what classifier_below gave, and pixels are not looked at. count <=
 * work.group */
void classifier_encode_group(mudpt_classifier *c, const float *pixels, const float *rows, int count, float *units,
                             float *norms);
/* Makes logits [N] of a picture's feature those of both its features, for the first `classes`; second [e] of length
 * one */
void classifier_add_second(mudpt_classifier *c, float *logits, const float *second, int classes);
/* What prompts meet where they enter higher up, which depends on nothing that is trained: rows [count,
 * classifier_below_count]. count <= work.group */
void classifier_below(mudpt_classifier *c, const float *pixels, int count, float *rows);

/* The same as classifier_encode by the frozen model, whatever the method; rows as above. */
void classifier_encode_frozen(mudpt_classifier *c, const float *pixels, const float *rows, int count, float *units);

/* --------------------------------------------------------------------------------------------------- anchor.c */

/* Whether the frozen model's features that something needs have been given. -> MUDPT_OK, MUDPT_STATE */
int classifier_check_teacher(const mudpt_classifier *c);
/* Whether the loss (or the method) needs the frozen model's features of the classes, and the loss those of pictures. */
int anchor_needs_classes(const mudpt_classifier *c);
int anchor_needs_pictures(const mudpt_classifier *c);
/* Each returns its term of the loss and gives the gradient of what is of length one. A picture's term is still to be
 * divided by `batch`, its gradient is already. unit, frozen, dunit [e], logits [N] */
double anchor_classes(mudpt_classifier *c); /* adds to work.dunit_text */
/* adds to dunit */
double anchor_picture(mudpt_classifier *c, const float *unit, const float *frozen, int batch, float *dunit);
/* sets work.dscores */
double anchor_scores(mudpt_classifier *c, const float *logits, const float *frozen, int batch);

/* ------------------------------------------------------------------------------------------------ gradients.c */

/* mudpt_classifier_gradients in parts, between which the caller may go away: begin; then the batch, a group of
 * pictures at a time, from `first` = 0 until all of `count` are done; then end. Nothing else may use this classifier
 * meanwhile. */
int classifier_gradients_begin(mudpt_classifier *c, const int32_t *labels, int count);
/* Returns how many pictures were done. units, where not NULL, are what classifier_encode gave, rows what
 * classifier_below gave, and pixels are not looked at; frozen, where not NULL, what classifier_encode_frozen gave. All
 * are of the batch. loss: the sum so far */
int classifier_gradients_group(mudpt_classifier *c, const float *pixels, const float *units, const float *rows,
                               const float *frozen, const int32_t *labels, int first, int count, float *logits,
                               double *loss);
/* pixels: of the batch, or NULL where units were given; they tell where NaN came from */
int classifier_gradients_end(mudpt_classifier *c, const float *pixels, int count, double loss, float *mean);

#endif
