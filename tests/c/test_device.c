/* A device that takes every tower and then is lost: what its forward left is gone, so the library computes it again and
 * gives the same bits as without a device. A device that declines everything changes nothing.
 */
#include "clip/device.h"
#include "clip/tower.h"
#include "check.h"
#include "tiny_clip.h"

enum { CLASSES = 3, PICTURES = 2, MOST = 1 << 16 };

static const mudpt_clip_config *config = &odd_config; /* of the model that is tried */

/* What entered the towers whose backward is still to come. */
static struct {
    const tower *tower;
    const float *deep;
    float *x;
} entered[2];
static int asked[3], asked_for_text, declines;

/* Computes forward by the library itself, and then spoils what it kept. */
static int take_and_lose(int call, const void *a, const void *b, const void *c) {
    asked[call]++;
    if (call == DEVICE_PRODUCT) return DEVICE_NO;
    const tower *t = a;
    asked_for_text += t->width == config->text.width;
    if (declines) return DEVICE_NO;
    size_t floats = (size_t)t->rows * (size_t)t->width;
    int slot = 0;
    while (slot < 2 && entered[slot].tower != t && entered[slot].tower) slot++;
    CHECK(slot < 2, "more than two towers wait for their backward");
    if (call == DEVICE_FORWARD) {
        if (t->mode == TOWER_FORWARD) return DEVICE_NO;
        free(entered[slot].x);
        entered[slot].x = malloc(floats * sizeof(float));
        memcpy(entered[slot].x, t->scratch->x, floats * sizeof(float));
        entered[slot].tower = t;
        entered[slot].deep = b;
        device_host = NULL;
        tower_forward(t, b);
        device_host = take_and_lose;
        for (int l = 0; l < (t->mode == TOWER_RECOMPUTE ? 1 : t->layers); l++)
            for (size_t i = 0; i < floats; i++) t->saved[l].xhat_1[i] = t->saved[l].kv[i] = NAN;
        for (size_t i = 0; i < floats; i++) t->scratch->x[i] = NAN;
        return DEVICE_DONE;
    }
    if (entered[slot].tower != t) return DEVICE_NO;
    memcpy(t->scratch->x, entered[slot].x, floats * sizeof(float));
    memcpy((void *)(uintptr_t)c, &entered[slot].deep, sizeof entered[slot].deep);
    entered[slot].tower = NULL;
    return DEVICE_LOST;
}

/* Gradients of a step, all behind each other; the step before it was done without a device. Returns how many. */
static int gradients(mudpt_clip *clip, const mudpt_method *method, int recompute, const float *pixels, float *out) {
    mudpt_classifier *classifier = NULL;
    tiny_sentences s;
    const int32_t labels[PICTURES] = {2, 0};
    float loss;
    int total = 0;
    random_state = 77;
    make_sentences(&s, config, method->text_length, CLASSES, 1, 0);
    CHECK(mudpt_classifier_create(clip, method, &s.view, CLASSES, &classifier) == MUDPT_OK, "%s", mudpt_last_error());
    if (!classifier) exit(check_report());
    CHECK(mudpt_classifier_init(classifier, 1, NULL, 0) == MUDPT_OK, "%s", mudpt_last_error());
    mudpt_classifier_recompute(classifier, recompute);
    int rows = device_rows();
    for (int with = 0; with < 2; with++) {
        mudpt_use_device(with ? rows : 0);
        CHECK(mudpt_classifier_gradients(classifier, pixels, labels, PICTURES, &loss, NULL) == MUDPT_OK, "%s",
              mudpt_last_error());
    }
    for (int i = 0; i < mudpt_classifier_parameters(classifier); i++) {
        mudpt_parameter p;
        mudpt_classifier_parameter(classifier, i, &p);
        CHECK(total + p.count <= MOST, "%d gradients are too many for the test", total + p.count);
        memcpy(out + total, p.gradient, (size_t)p.count * sizeof *out);
        total += p.count;
    }
    mudpt_classifier_free(classifier);
    return total;
}

/* A model that was finished while there was a device, or before. */
static void check_model(const mudpt_clip_config *of, int device) {
    static const mudpt_method methods[] = {
        {.method = "mudpt",
         .text_length = 3,
         .text_depth = 2,
         .visual_length = 3,
         .visual_depth = 2,
         .layer0_fusion = 1},
        {.method = "coop", .text_length = 4, .text_depth = 1},
        {.method = "cocoop", .text_length = 2, .text_depth = 1},
        {.method = "vpt", .visual_length = 3, .visual_depth = 2},
    };
    static float right[MOST], got[MOST];
    config = of;
    size_t each = 3 * (size_t)config->image * (size_t)config->image;
    float *pixels = random_values(PICTURES * each, 0, 1);
    mudpt_use_device(device ? 1024 : 0);
    mudpt_clip *clip = tiny_clip(config, 1);
    CHECK(clip != NULL, "%s", mudpt_last_error());
    for (size_t i = 0; clip && i < 2 * (sizeof methods / sizeof *methods); i++) {
        const mudpt_method *method = &methods[i / 2];
        int recompute = i % 2;
        mudpt_use_device(0);
        int total = gradients(clip, method, recompute, pixels, right);
        mudpt_use_device(1024);
        device_host = take_and_lose;
        for (declines = 0; declines < 2; declines++) {
            memset(asked, 0, sizeof asked);
            asked_for_text = 0;
            CHECK(gradients(clip, method, recompute, pixels, got) == total, "other gradients");
            CHECK(!memcmp(got, right, (size_t)total * sizeof *got), "%s: other bits, recompute %d, declines %d",
                  method->method, recompute, declines);
            /* Towers with rotary positions are computed here. */
            int all_here = config->rope > 0 && !method->text_length;
            CHECK(asked[DEVICE_PRODUCT] && ((asked[DEVICE_FORWARD] && asked[DEVICE_BACKWARD]) || all_here),
                  "%s: never asked", method->method);
            CHECK(asked_for_text >= 2 || !method->text_length, "%s: never asked for text", method->method);
        }
        device_host = NULL;
    }
    mudpt_clip_free(clip);
    free(pixels);
}

int main(void) {
    for (int device = 0; device < 2; device++) check_model(&odd_config, device);
    for (int f = 0; f < FAMILY; f++) check_model(&family_configs[f], 1);
    mudpt_use_device(0);
    for (int i = 0; i < 2; i++) free(entered[i].x);
    return check_report();
}
