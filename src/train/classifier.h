/* A classifier: one method's parameters over one set of classes, on one frozen CLIP. */
#ifndef TRAIN_CLASSIFIER_H
#define TRAIN_CLASSIFIER_H

#include "clip/text.h"
#include "clip/vision.h"
#include "methods/method.h"

/* Memory of the towers; opened for inference first and, when training begins, once more with what backward needs. */
typedef struct {
    arena memory;
    int training;
    int recompute; /* in training: blocks' inputs alone are kept */
    int group;     /* most pictures at once */
    tower_scratch scratch;
    vision vision;
    text text;              /* only while training text prompts, and for conditional methods */
    float *image_features;  /* [group, e] */
    float *image_norms;     /* [group] their lengths before they were scaled */
    float *dimage_features; /* [group, e] */
    float *logits;          /* [group, N] */
    float *dunit_text;      /* [N, e] gradient of the features of length one */
    float *dtext_features;  /* [N, e] */
} classifier_work;

struct mudpt_classifier {
    mudpt_clip *clip;
    method_state state;
    arena parameters; /* values */
    arena prompts;    /* prompts and, in training, gradients and velocity */
    classifier_work work;

    int classes, templates;
    int *rows, *lengths, stride; /* sentences: [templates, classes, stride] as text_sentences, [templates, classes] */
    float *text_features;        /* [N, e] as they leave the tower */
    float *unit_text;            /* [N, e] scaled to length one */
    float *text_norms;           /* [N] lengths before that */
    int prompts_ready;           /* state.text and state.visual belong to the values */
    int text_ready;              /* text_features belong to the values */
    int recompute;               /* asked for: as in classifier_work */
    int text_given;              /* by the caller: there are no sentences */
};

/* Makes sure that `count` pictures at a time can be trained on: memory for gradients and backward. */
int classifier_open_training(mudpt_classifier *c, int count);

/* Whether pictures' features change with the parameters; if not, they may be kept: */
int classifier_trains_images(const mudpt_classifier *c);
/* pixels [count, 3, image, image] -> units [count, e], the pictures' features scaled to length one */
void classifier_encode(mudpt_classifier *c, const float *pixels, int count, float *units);
/* mudpt_classifier_gradients in parts, between which the caller may go away: begin; then the batch, a group of
 * pictures at a time, from `first` = 0 until all of `count` are done; then end. Nothing else may use this classifier
 * meanwhile. */
int classifier_gradients_begin(mudpt_classifier *c, const int32_t *labels, int count);
/* Returns how many pictures were done. units, where not NULL, are what classifier_encode gave, and pixels are not
 * looked at. loss: the sum so far */
int classifier_gradients_group(mudpt_classifier *c, const float *pixels, const float *units, const int32_t *labels,
                               int first, int count, float *logits, double *loss);
/* pixels: of the batch, or NULL where units were given; they tell where NaN came from */
int classifier_gradients_end(mudpt_classifier *c, const float *pixels, int count, double loss, float *mean);

/* Features [count, e] of sentences first ... first+count-1 of one template, by a tower of their own. broken: as in
 * clip/tower.h. -> MUDPT_OK, MUDPT_MEMORY */
int classifier_encode_sentences(mudpt_classifier *c, int template, int first, int count, float *features, int *broken);

/* not_finite.c. */
int classifier_all_finite(const float *values, size_t count);
/* Something was not finite: says what came first (a picture, a tensor, a layer), for which it computes once more.
 * pixels [count, 3, image, image], or NULL for the text side alone. -> MUDPT_NOT_FINITE, always */
int classifier_not_finite(mudpt_classifier *c, const float *pixels, int count);
/* Whether all gradients are finite. -> MUDPT_OK, MUDPT_NOT_FINITE */
int classifier_check_gradients(const method_state *s);

#endif
