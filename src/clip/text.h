/* The text tower: sentences of ragged length with prompts in them, features at their end-of-text rows, and back.
 *
 * Where attention is causal, rows behind end of text are never computed, and what all sentences begin with (start of
 * text, shared prompts, shared words) is computed once: every sentence attends to that prefix's keys and values and
 * has only its own rows. Where rows see each other both ways nothing is shared, and the rows that fill a sentence up to
 * the context's length are computed like others.
 */
#ifndef CLIP_TEXT_H
#define CLIP_TEXT_H

#include "tower.h"

typedef struct text_sentences {
    int count, stride;
    const int *lengths;  /* [count] rows of each, from 1 on */
    const int *rows;     /* [count, stride] a token id >= 0, or -1 - p for prompt row p */
    int both_ways;       /* 1: rows see each other, so that sentences share nothing */
    const int *ends;     /* [count] the row that is read; NULL: each sentence's last */
    int second;          /* the first layer whose prompts replace others; 0: 1, else all between keep what they get */
    int is_part, prefix; /* 1: of more sentences, of which all begin with these `prefix` rows, */
    int below_prefix;    /* and below an entry with so many */
    /* NULL, or where prompts enter, and the sentences below that, [count] and [count, stride], of ids alone: as long as
     * above, where prompts take the place of words, or shorter by the prompts */
    const tower_entry *entry;
    const int *below_lengths, *below_rows;
} text_sentences;

typedef struct text {
    tower tower;
    const mudpt_clip *clip;
    int count;            /* sentences */
    int prefix;           /* rows shared by all */
    int constants_known;  /* 1: the tower's constants have been computed */
    int *ids, *positions; /* [rows] id or -1 - p; position in its sentence */
    float *rows;          /* [count, d] */
    float *xhat, *rstd;   /* of ln_final, [count, d], [count] */
    /* Where prompts enter higher up, otherwise nothing of this: */
    struct text *below; /* the blocks under them, over sentences without prompts: computed once */
    int *below_of;      /* [rows] a row's among those, of no meaning for prompts */
    float *entering;    /* [their rows, d] */
    int entered;        /* 1: these have been computed */
} text;

/* Rows that all sentences begin with, and rows that a tower over them has. */
int text_prefix(const text_sentences *sentences);
int text_row_count(const text_sentences *sentences);
/* The same where prompts enter higher up: what they begin with below that (0: prompts do not), and the more of both. */
int text_prefix_below(const text_sentences *sentences);
int text_most_rows(const text_sentences *sentences);
/* Takes memory (a counts on the first pass), which need not be zeros. prompts: rows of the first layer's prompts;
 * depth: layers that get prompts (at most 1: only the first), then from sentences->second on. With depth > 1 every
 * layer has the same prompt rows. */
void text_open(text *t, arena *a, const mudpt_clip *clip, const text_sentences *sentences, int prompts, int depth,
               tower_mode mode, tower_scratch *scratch);

/* first [prompts, d_t], deep [depth - 1, prompts, d_t] -> features [count, e], not scaled */
void text_forward(text *t, float *features, const float *first, const float *deep);
/* dfeatures [count, e] -> dfirst [prompts, d_t], ddeep [depth - 1, prompts, d_t], added to. Parts of many sentences go
 * back in their order, each right behind its forward, with the tower's `part` and `carry` set: the bits are those of
 * all sentences at once. */
void text_backward(text *t, float *dfirst, float *ddeep, const float *dfeatures);

#endif
