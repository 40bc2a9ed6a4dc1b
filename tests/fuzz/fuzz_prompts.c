/* Saved classifiers from anywhere: sizes, sentences, prompts, text features and training state, as
 * js/classifier/classifier.js and js/training/checkpoint.js hand them over from a file; then everything a classifier is
 * asked for.
 */
#include "../c/tiny_clip.h"
#include "input.h"

enum { MOST_CLASSES_HERE = 6, ROOM = 16 };

static mudpt_clip *clip;

static int is_finite(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i])) return 0;
    return 1;
}

/* Fills parameters as a file would, of the value or the velocity. */
static void restore(input *in, mudpt_classifier *classifier) {
    mudpt_parameter p;
    for (int i = 0; i < mudpt_classifier_parameters(classifier); i++) {
        if (answer(mudpt_classifier_parameter(classifier, i, &p))) abort();
        unsigned kind = take_byte(in);
        if (kind < 64) continue;
        float *to = kind > 200 && p.velocity ? p.velocity : p.value;
        for (int k = 0; k < p.count; k++) to[k] = k < 40 ? take_float(in) : to[k % 40];
    }
    mudpt_classifier_changed(classifier);
}

static void ask(input *in, mudpt_classifier *classifier, int classes) {
    static float pixels[2 * 3 * IMAGE * IMAGE], logits[2 * MOST_CLASSES_HERE], features[MOST_CLASSES_HERE * EMBED],
        loss;
    static float attention[64 * 1100], text[8 * MOST_CLASSES_HERE * ROOM * TEXT_WIDTH];
    static float visual[8 * ROOM * VISION_WIDTH];
    const int32_t labels[2] = {take_near(in, 0), 0};
    int32_t text_depth, text_length, visual_depth, visual_length;
    for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++) pixels[i] = i < 8 ? take_float(in) : (float)(i % 7) / 7;
    if (answer(mudpt_classifier_logits(classifier, pixels, 1 + take_below(in, 2), logits, NULL)) == MUDPT_OK)
        if (!is_finite(logits, (size_t)classes)) abort();
    if (answer(mudpt_classifier_text_features(classifier, features)) == MUDPT_OK)
        if (!is_finite(features, (size_t)classes * EMBED)) abort();
    mudpt_classifier_folded_shape(classifier, &text_depth, &text_length, &visual_depth, &visual_length);
    if (text_depth * text_length * TEXT_WIDTH <= (int)(sizeof text / sizeof *text) &&
        visual_depth * visual_length * VISION_WIDTH <= (int)(sizeof visual / sizeof *visual))
        answer(mudpt_classifier_fold(classifier, text, visual, NULL));
    answer(mudpt_classifier_attention(classifier, pixels, attention));
    if (mudpt_classifier_bytes(classifier) == 0) abort();
    for (int step = take_below(in, 3); step >= 0; step--) {
        if (answer(mudpt_classifier_gradients(classifier, pixels, labels, 2, &loss, logits))) return;
        if (!isfinite(loss)) abort();
        restore(in, classifier);
        answer(mudpt_classifier_sgd(classifier, take_float(in), 0.9f, take_float(in)));
    }
}

/* The small model, or one that has what others of CLIP's family have. */
static mudpt_clip *open_model(int is_other) {
    mudpt_clip_config c = small_config;
    if (is_other) {
        c.vision.activation = c.text.activation = MUDPT_GELU;
        c.vision.layer_scale = c.patch_bias = c.no_class = c.no_pre_norm = c.no_mask = c.no_start = 1;
        c.vision.pooling = MUDPT_POOL_ATTENTION;
        c.pool_heads = 2;
        c.pool_mlp = 16;
        c.rope = 100;
        c.pad = 2;
    }
    return tiny_clip(&c, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, data + size};
    static mudpt_clip *models[2];
    int other = size && data[size - 1] > 170;
    clip = models[other] ? models[other] : (models[other] = open_model(other));
    if (!clip) abort();
    const char *name = mudpt_method_name(take_below(&in, 9));
    int n = 1 + take_below(&in, 3), depth = 1 + take_below(&in, 4), classes = 1 + take_below(&in, MOST_CLASSES_HERE);
    int has_text = take_byte(&in) < 200, has_visual = take_byte(&in) < 200;
    mudpt_method method = {.method = name ? name : "mudpt",
                           .text_length = has_text ? take_near(&in, n) : 0,
                           .text_depth = has_text ? take_near(&in, depth) : 0,
                           .visual_length = has_visual ? take_near(&in, n) : 0,
                           .visual_depth = has_visual ? take_near(&in, depth) : 0,
                           .layer0_fusion = take_below(&in, 2),
                           .class_position = take_below(&in, 4),
                           .class_specific = take_below(&in, 3)};
    /* Beyond these only time and memory are at stake. */
    if (method.text_length > ROOM && method.text_length <= MUDPT_MAX_PROMPTS) method.text_length = ROOM;
    if (method.visual_length > ROOM && method.visual_length <= MUDPT_MAX_PROMPTS) method.visual_length = ROOM;
    if (method.text_depth > 8 && method.text_depth <= MUDPT_MAX_LAYERS) method.text_depth = 8;
    if (method.visual_depth > 8 && method.visual_depth <= MUDPT_MAX_LAYERS) method.visual_depth = 8;
    int32_t ids[MOST_CLASSES_HERE * MOST_ROWS], lengths[MOST_CLASSES_HERE], names[MOST_CLASSES_HERE];
    for (int i = 0; i < classes; i++) {
        lengths[i] = take_near(&in, 4 + n);
        names[i] = take_near(&in, 1);
        for (int k = 0; k < MOST_ROWS; k++) ids[i * MOST_ROWS + k] = k < 8 ? take_near(&in, k + 1) : 2;
    }
    const mudpt_sentences s = {ids, lengths, names, MOST_ROWS, take_near(&in, classes), 1};
    if (s.classes > classes) return 0; /* arrays as long as they say are the caller's part */
    mudpt_classifier *classifier = NULL;
    int given = take_byte(&in) > 200;
    if (answer(mudpt_classifier_create(clip, &method, given ? NULL : &s, classes, &classifier))) {
        if (classifier) abort();
        return 0;
    }
    if (!given) classes = s.classes;
    int32_t phrase[4];
    for (int i = 0; i < 4; i++) phrase[i] = take_near(&in, i + 1);
    answer(mudpt_classifier_init(classifier, take_byte(&in), phrase, take_below(&in, 5)));
    restore(&in, classifier);
    if (take_byte(&in) > 128) {
        float features[MOST_CLASSES_HERE * EMBED];
        for (int i = 0; i < classes * EMBED; i++) features[i] = i < 24 ? take_float(&in) : 0.25f;
        answer(mudpt_classifier_set_text_features(classifier, features));
    }
    ask(&in, classifier, classes);
    mudpt_classifier_free(classifier);
    return 0;
}
