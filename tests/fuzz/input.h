/* Values that a fuzzer's bytes stand for. Behind their end everything is 0, and 0 always stands for what is ordinary:
 * so the empty input is an ordinary run, and every byte may make it stranger.
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mudpt.h"

/* The model of the targets that compute: as small as one can be with two layers, several heads, and few widths that are
 * powers of two. */
enum { IMAGE = 24, VISION_WIDTH = 24, TEXT_WIDTH = 8, EMBED = 6, VOCAB = 53 };
static const mudpt_clip_config small_config = {.image = IMAGE,
                                               .patch = 8,
                                               .vision.width = VISION_WIDTH,
                                               .vision.layers = 2,
                                               .vision.heads = 3,
                                               .vision.mlp = 40,
                                               .text.width = TEXT_WIDTH,
                                               .text.layers = 3,
                                               .text.heads = 2,
                                               .text.mlp = 24,
                                               .embed = EMBED,
                                               .context = 24,
                                               .vocab = VOCAB,
                                               .storage = MUDPT_F32,
                                               .mean = {0.48f, 0.46f, 0.41f},
                                               .std = {0.27f, 0.26f, 0.28f}};

typedef struct {
    const uint8_t *at, *end;
} input;

static inline unsigned take_byte(input *in) {
    return in->at < in->end ? *in->at++ : 0;
}

static inline int32_t take_int(input *in) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) value |= (uint32_t)take_byte(in) << 8 * i;
    return (int32_t)value;
}

/* 0 ... below - 1 */
static inline int take_below(input *in, int below) {
    return (int)(take_byte(in) % (unsigned)below);
}

/* The ordinary value, mostly; small steps beside it, and the ends of the range. */
static inline int32_t take_near(input *in, int32_t ordinary) {
    static const int32_t ends[] = {0, -1, 1, INT32_MAX, INT32_MIN, 65536, 1 << 30};
    unsigned kind = take_byte(in);
    if (kind < 200) return ordinary;
    if (kind < 220) return (int32_t)((uint32_t)ordinary + take_byte(in) - 128);
    if (kind < 250) return ends[kind % (sizeof ends / sizeof *ends)];
    return take_int(in);
}

/* Mostly small; sometimes any bits, NaN and infinity among them. */
static inline float take_float(input *in) {
    unsigned kind = take_byte(in);
    if (kind < 240) return (float)((int)kind - 120 * (kind > 0)) / 64;
    int32_t bits = take_int(in);
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

/* What mudpt.h promises of every answer: a known code, and one line of text where it is a failure. */
static inline int answer(int code) {
    if (code < MUDPT_STATE || code > MUDPT_SKIP) abort();
    const char *text = mudpt_last_error();
    if (code < 0 && (!*text || strchr(text, '\n') || strlen(text) > 1023)) abort();
    return code;
}

#endif
