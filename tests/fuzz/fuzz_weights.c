/* Models from anywhere: a configuration, then tensors with their names, types, shapes and bytes, as js/loading/model.js
 * sends them from a file. The empty input is a whole model; a byte makes one step wrong.
 */
#include "input.h"

enum { MOST_NAMES = 64, NAME_ROOM = 96, MOST_VALUES = 1 << 16 };

typedef struct {
    char name[NAME_ROOM];
    int32_t shape[4];
    int dims;
} tensor;

static tensor tensors[MOST_NAMES];
static int count;

static void add(const char *name, int dims, int a, int b, int c, int d) {
    tensor *t = &tensors[count++];
    snprintf(t->name, sizeof t->name, "%s", name);
    memcpy(t->shape, (int32_t[]){a, b, c, d}, sizeof t->shape);
    t->dims = dims;
}

static void add_tower(const char *prefix, int layers, int d, int mlp) {
    for (int l = 0; l < layers; l++) {
        char name[NAME_ROOM];
#define LEAF(leaf) (snprintf(name, sizeof name, "%sresblocks.%d.%s", prefix, l, leaf), name)
        add(LEAF("attn.in_proj_weight"), 2, 3 * d, d, 0, 0);
        add(LEAF("attn.in_proj_bias"), 1, 3 * d, 0, 0, 0);
        add(LEAF("attn.out_proj.weight"), 2, d, d, 0, 0);
        add(LEAF("attn.out_proj.bias"), 1, d, 0, 0, 0);
        add(LEAF("ln_1.weight"), 1, d, 0, 0, 0);
        add(LEAF("ln_1.bias"), 1, d, 0, 0, 0);
        add(LEAF("ln_2.weight"), 1, d, 0, 0, 0);
        add(LEAF("ln_2.bias"), 1, d, 0, 0, 0);
        add(LEAF("mlp.c_fc.weight"), 2, mlp, d, 0, 0);
        add(LEAF("mlp.c_fc.bias"), 1, mlp, 0, 0, 0);
        add(LEAF("mlp.c_proj.weight"), 2, d, mlp, 0, 0);
        add(LEAF("mlp.c_proj.bias"), 1, d, 0, 0, 0);
    }
}

static void list_tensors(const mudpt_clip_config *c) {
    int side = c->image / c->patch;
    count = 0;
    add("visual.conv1.weight", 4, c->vision_width, 3, c->patch, c->patch);
    add("visual.class_embedding", 1, c->vision_width, 0, 0, 0);
    add("visual.positional_embedding", 2, 1 + side * side, c->vision_width, 0, 0);
    add("visual.ln_pre.weight", 1, c->vision_width, 0, 0, 0);
    add("visual.ln_pre.bias", 1, c->vision_width, 0, 0, 0);
    add("visual.ln_post.weight", 1, c->vision_width, 0, 0, 0);
    add("visual.ln_post.bias", 1, c->vision_width, 0, 0, 0);
    add("visual.proj", 2, c->vision_width, c->embed, 0, 0);
    add("token_embedding.weight", 2, c->vocab, c->text_width, 0, 0);
    add("positional_embedding", 2, c->context, c->text_width, 0, 0);
    add("ln_final.weight", 1, c->text_width, 0, 0, 0);
    add("ln_final.bias", 1, c->text_width, 0, 0, 0);
    add("text_projection", 2, c->text_width, c->embed, 0, 0);
    add("logit_scale", 0, 0, 0, 0, 0);
    add_tower("visual.transformer.", c->vision_layers, c->vision_width, c->vision_mlp);
    add_tower("transformer.", c->text_layers, c->text_width, c->text_mlp);
}

/* One tensor, in pieces; how it goes wrong is the input's choice. */
static void send(input *in, mudpt_clip *clip, const tensor *t) {
    static uint8_t bytes[4 * MOST_VALUES + 64];
    char name[NAME_ROOM + 8];
    int32_t shape[4];
    int type = take_below(in, 200) < 190 ? MUDPT_F32 : take_below(in, 7) - 1, dims = t->dims;
    snprintf(name, sizeof name, "%s%s", t->name, take_byte(in) > 240 ? "_scale" : "");
    unsigned strange = take_byte(in);
    if (strange > 250) name[take_below(in, (int)strlen(name))] = (char)(1 + take_below(in, 255));
    if (strange > 245) dims = take_below(in, 6);
    size_t values = 1;
    for (int i = 0; i < 4; i++) shape[i] = strange > 235 ? take_near(in, t->shape[i]) : t->shape[i];
    for (int i = 0; i < t->dims; i++) values *= (size_t)t->shape[i];
    if (values > MOST_VALUES) values = MOST_VALUES;
    if (answer(mudpt_clip_tensor_begin(clip, name, type, shape, dims > 4 ? 5 : dims))) return;
    size_t size = type == MUDPT_I8 ? 1 : type == MUDPT_F32 ? 4 : 2, total = values * size, sent = 0;
    for (size_t i = 0; i < values * size; i++) bytes[i] = type == MUDPT_F32 && i % 4 == 3 ? 0x3c : (uint8_t)(i * 7);
    for (int i = take_below(in, 256) > 230 ? 8 : 0; i > 0; i--)
        bytes[(size_t)(uint32_t)take_int(in) % (total ? total : 1)] = (uint8_t)take_byte(in);
    if (take_byte(in) > 240) total += take_byte(in);
    else if (take_byte(in) > 240 && total) total -= 1 + (size_t)take_byte(in) % total;
    int pieces = 1 + take_below(in, 250) / 60;
    for (int i = 0; i < pieces; i++) {
        size_t now = i == pieces - 1 ? total - sent : (total - sent) / 3 + take_byte(in) % 3;
        if (now > total - sent) now = total - sent;
        if (answer(mudpt_clip_tensor_bytes(clip, bytes + sent, now))) return;
        sent += now;
    }
    if (take_byte(in) <= 250) answer(mudpt_clip_tensor_end(clip));
}

/* A model that was taken as whole must answer. */
static void use(mudpt_clip *clip, const mudpt_clip_config *c) {
    static float pixels[3 * 64 * 64], logits[2], distances[512], vector[512];
    const int32_t ids[] = {1, 0, 1, 0}, lengths[] = {2, 2};
    const mudpt_sentences s = {ids, lengths, NULL, 2, 2, 1};
    mudpt_classifier *classifier = NULL;
    if (c->image > 64 || c->vocab > 512 || c->text_width > 512) return;
    for (int id = 0; c->text == MUDPT_TEXT_ROWS && id < 2; id++) answer(mudpt_clip_token(clip, id, MUDPT_F32, vector));
    answer(mudpt_clip_token_distances(clip, vector, distances));
    if (strlen(mudpt_clip_fingerprint(clip)) != 16 || mudpt_clip_weight_bytes(clip) == 0) abort();
    if (answer(mudpt_classifier_create(clip, &(mudpt_method){.method = "zeroshot"}, &s, 2, &classifier))) return;
    int code = answer(mudpt_classifier_logits(classifier, pixels, 1, logits, NULL));
    if (code == MUDPT_OK && !(logits[0] - logits[0] == 0 && logits[1] - logits[1] == 0)) abort(); /* not finite */
    mudpt_classifier_free(classifier);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, data + size};
    mudpt_clip_config c = {.image = 8,
                           .patch = 4,
                           .vision_width = 16,
                           .vision_layers = 1,
                           .vision_heads = 2,
                           .vision_mlp = 16,
                           .text_width = 8,
                           .text_layers = 1,
                           .text_heads = 1,
                           .text_mlp = 16,
                           .embed = 8,
                           .context = 4,
                           .vocab = 9,
                           .storage = take_below(&in, 6) - 1,
                           .mean = {0.5f, 0.5f, 0.5f},
                           .std = {0.25f, 0.25f, 0.25f},
                           .text = take_below(&in, 3),
                           .precision = take_below(&in, 2)};
    mudpt_clip *clip = NULL;
    if (take_byte(&in) > 220) { /* also what is no model at all */
        int32_t *fields = &c.image;
        for (int i = 0; i < 13; i++) fields[i] = take_near(&in, fields[i]);
        c.mean[0] = take_float(&in);
        c.std[1] = take_float(&in);
    }
    if (answer(mudpt_clip_create(&c, &clip))) {
        if (clip) abort();
        return 0;
    }
    /* Large models cost the fuzzer's time and nothing else. */
    int64_t widest = c.vision_mlp > c.text_mlp ? c.vision_mlp : c.text_mlp;
    if (c.vision_layers + c.text_layers > 4 || c.vocab > 4096 || c.image > 256 || c.embed > 1024 || widest > 1024 ||
        c.vision_width > 256 || c.text_width > 256) {
        mudpt_clip_free(clip);
        return 0;
    }
    list_tensors(&c);
    for (int i = 0; i < count; i++) {
        unsigned order = take_byte(&in);
        if (order > 252) continue; /* left out */
        send(&in, clip, order > 249 ? &tensors[take_below(&in, count)] : &tensors[i]);
    }
    for (int again = take_byte(&in) > 230; again >= 0; again--)
        if (answer(mudpt_clip_finish(clip)) == MUDPT_OK) use(clip, &c);
    mudpt_clip_free(clip);
    return 0;
}
