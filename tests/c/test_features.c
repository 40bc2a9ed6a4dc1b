/* Features by themselves: of pictures before and behind the projection, of sentences before it. */
#include "check.h"
#include "tiny_clip.h"

enum { CLASSES = 5, PICTURES = 2, PICTURE = 3 * 24 * 24, E = 20, D_TEXT = 40, D_VISION = 48 };

static void refused(int code, int expected, const char *what) {
    CHECK(code == expected, "%s: code %d, expected %d: %s", what, code, expected, mudpt_last_error());
}

static void check_finite(const float *values, int count, const char *what) {
    for (int i = 0; i < count; i++) CHECK(isfinite(values[i]), "%s: value %d is not finite", what, i);
}

/* They need no sentences, are those that the logits are made of, and NaN is told and writes nothing. */
static void check_pictures(mudpt_clip *clip, float *pixels) {
    const mudpt_method method = {.method = "zeroshot"};
    mudpt_classifier *given = NULL;
    float rows[PICTURES * D_VISION], features[PICTURES * E], one[E], again[PICTURES * E], logits[PICTURES * CLASSES];
    float text[CLASSES * E], of_features[PICTURES * CLASSES], kept = pixels[7];
    CHECK(mudpt_classifier_create(clip, &method, NULL, CLASSES, &given) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_classifier_image_features(given, pixels, PICTURES, rows, features) == MUDPT_OK, "%s",
          mudpt_last_error());
    check_finite(rows, PICTURES * D_VISION, "rows");
    CHECK(mudpt_classifier_image_features(given, pixels, 1, NULL, one) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(!memcmp(one, features, sizeof one), "features of a picture alone are others");
    for (int i = 0; i < CLASSES * E; i++) text[i] = (float)(i % 7) - 3;
    CHECK(mudpt_classifier_set_text_features(given, text) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(mudpt_classifier_logits(given, pixels, PICTURES, logits, again) == MUDPT_OK, "%s", mudpt_last_error());
    CHECK(!memcmp(again, features, sizeof again), "features beside the logits are others");
    CHECK(mudpt_classifier_feature_logits(given, features, PICTURES, of_features) == MUDPT_OK, "%s",
          mudpt_last_error());
    CHECK(!memcmp(of_features, logits, sizeof logits), "logits of features are not those of the pictures");
    refused(mudpt_classifier_feature_logits(given, features, -1, of_features), MUDPT_ARGUMENT, "-1 features");
    features[E] = INFINITY;
    refused(mudpt_classifier_feature_logits(given, features, PICTURES, of_features), MUDPT_NOT_FINITE, "infinity");
    refused(mudpt_classifier_image_features(given, pixels, -1, rows, features), MUDPT_ARGUMENT, "-1 pictures");
    CHECK(mudpt_classifier_image_features(given, pixels, 0, rows, features) == MUDPT_OK, "no pictures");
    pixels[7] = NAN;
    refused(mudpt_classifier_image_features(given, pixels, 1, NULL, one), MUDPT_NOT_FINITE, "NaN");
    CHECK(!memcmp(one, features, sizeof one), "features of NaN were written");
    pixels[7] = kept;
    mudpt_classifier_free(given);
}

/* They leave the features as they are; an ensemble has none, nor has a classifier without sentences. */
static void check_sentences(mudpt_clip *clip) {
    const mudpt_method method = {.method = "zeroshot"};
    const mudpt_method tuned = {
        .method = "ivlp", .text_length = 2, .text_depth = 2, .visual_length = 1, .visual_depth = 1};
    mudpt_classifier *classifier = NULL;
    tiny_sentences s;
    int code;
    float rows[CLASSES * D_TEXT], features[CLASSES * E], again[CLASSES * E];
    for (int i = 0; i < 2; i++) {
        make_sentences(&s, &odd_config, i ? 2 : 0, CLASSES, 1, 0);
        const mudpt_method *which = i ? &tuned : &method;
        CHECK(mudpt_classifier_create(clip, which, &s.view, CLASSES, &classifier) == MUDPT_OK, "%s",
              mudpt_last_error());
        CHECK(mudpt_classifier_init(classifier, 1, NULL, 0) == MUDPT_OK, "%s", mudpt_last_error());
        CHECK(mudpt_classifier_text_features(classifier, features) == MUDPT_OK, "%s", mudpt_last_error());
        CHECK(mudpt_classifier_text_rows(classifier, rows) == MUDPT_OK, "%s", mudpt_last_error());
        check_finite(rows, CLASSES * D_TEXT, "rows of sentences");
        CHECK(mudpt_classifier_text_features(classifier, again) == MUDPT_OK, "%s", mudpt_last_error());
        CHECK(!memcmp(features, again, sizeof features), "rows of the sentences change their features");
        code = mudpt_classifier_feature_logits(classifier, features, 1, again);
        CHECK(code == (i ? MUDPT_STATE : MUDPT_OK), "logits of features: code %d, %s", code, mudpt_last_error());
        mudpt_classifier_free(classifier);
    }
    make_sentences(&s, &odd_config, 0, CLASSES, 2, 0);
    CHECK(mudpt_classifier_create(clip, &method, &s.view, CLASSES, &classifier) == MUDPT_OK, "%s", mudpt_last_error());
    refused(mudpt_classifier_text_rows(classifier, rows), MUDPT_STATE, "two templates");
    mudpt_classifier_free(classifier);
    CHECK(mudpt_classifier_create(clip, &method, NULL, CLASSES, &classifier) == MUDPT_OK, "%s", mudpt_last_error());
    refused(mudpt_classifier_text_rows(classifier, rows), MUDPT_STATE, "no sentences");
    mudpt_classifier_free(classifier);
}

int main(void) {
    mudpt_clip *clip = tiny_clip(&odd_config, 5);
    if (!clip) return check_report();
    float *pixels = random_values((size_t)PICTURES * PICTURE, 0, 1);
    check_pictures(clip, pixels);
    check_sentences(clip);
    free(pixels);
    mudpt_clip_free(clip);
    return check_report();
}
