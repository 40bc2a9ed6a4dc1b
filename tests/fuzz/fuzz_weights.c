/* Models from anywhere: a configuration, then tensors with their names, types, shapes and bytes, as js/loading/model.js
 * sends them from a file. The empty input is a whole model; a byte makes one step wrong.
 */
#include "input.h"

enum { MOST_NAMES = 128, NAME_ROOM = 96, MOST_VALUES = 1 << 16 };

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

static void add_norm(const char *prefix, int d) {
    char name[NAME_ROOM];
    add((snprintf(name, sizeof name, "%s.weight", prefix), name), 1, d, 0, 0, 0);
    add((snprintf(name, sizeof name, "%s.bias", prefix), name), 1, d, 0, 0, 0);
}

/* What a block and the head of attention pooling have in common: attention, MLP. */
static void add_block(const char *prefix, int d, int mlp) {
    char name[NAME_ROOM];
#define LEAF(leaf) (snprintf(name, sizeof name, "%s%s", prefix, leaf), name)
    add(LEAF("attn.in_proj_weight"), 2, 3 * d, d, 0, 0);
    add(LEAF("attn.in_proj_bias"), 1, 3 * d, 0, 0, 0);
    add(LEAF("attn.out_proj.weight"), 2, d, d, 0, 0);
    add(LEAF("attn.out_proj.bias"), 1, d, 0, 0, 0);
    add(LEAF("mlp.c_fc.weight"), 2, mlp, d, 0, 0);
    add(LEAF("mlp.c_fc.bias"), 1, mlp, 0, 0, 0);
    add(LEAF("mlp.c_proj.weight"), 2, d, mlp, 0, 0);
    add(LEAF("mlp.c_proj.bias"), 1, d, 0, 0, 0);
#undef LEAF
}

static void add_tower(const char *prefix, const mudpt_tower *t) {
    for (int l = 0; l < t->layers; l++) {
        char block[NAME_ROOM / 2], name[NAME_ROOM];
        snprintf(block, sizeof block, "%sresblocks.%d.", prefix, l);
        add_block(block, t->width, t->mlp);
#define LEAF(leaf) (snprintf(name, sizeof name, "%s%s", block, leaf), name)
        add_norm(LEAF("ln_1"), t->width);
        add_norm(LEAF("ln_2"), t->width);
        if (!t->layer_scale) continue;
        add(LEAF("ls_1.gamma"), 1, t->width, 0, 0, 0);
        add(LEAF("ls_2.gamma"), 1, t->width, 0, 0, 0);
#undef LEAF
    }
}

static void list_tensors(const mudpt_clip_config *c) {
    int side = c->image / c->patch, d_v = c->vision.width, d_t = c->text.width;
    count = 0;
    add("visual.conv1.weight", 4, d_v, 3, c->patch, c->patch);
    if (c->patch_bias) add("visual.conv1.bias", 1, d_v, 0, 0, 0);
    if (!c->no_class) add("visual.class_embedding", 1, d_v, 0, 0, 0);
    add("visual.positional_embedding", 2, !c->no_class + side * side, d_v, 0, 0);
    if (!c->no_pre_norm) add_norm("visual.ln_pre", d_v);
    add_norm("visual.ln_post", d_v);
    if (c->vision.pooling == MUDPT_POOL_ATTENTION) {
        add("visual.attn_pool.probe", 3, 1, 1, d_v, 0);
        add_block("visual.attn_pool.", d_v, c->pool_mlp);
        add_norm("visual.attn_pool.layernorm", d_v);
    }
    if (!c->vision.no_projection) add("visual.proj", 2, d_v, c->embed, 0, 0);
    if (c->vision.projection_bias) add("visual.proj_bias", 1, c->embed, 0, 0, 0);
    add("token_embedding.weight", 2, c->vocab, d_t, 0, 0);
    add("positional_embedding", 2, c->context, d_t, 0, 0);
    add_norm("ln_final", d_t);
    if (!c->text.no_projection) add("text_projection", 2, d_t, c->embed, 0, 0);
    if (c->text.projection_bias) add("text_projection.bias", 1, c->embed, 0, 0, 0);
    add("logit_scale", 0, 0, 0, 0, 0);
    if (c->logit_bias) add("logit_bias", 1, 1, 0, 0, 0);
    add_tower("visual.transformer.", &c->vision);
    add_tower("transformer.", &c->text);
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
    if (c->image > 64 || c->vocab > 512 || c->text.width > 512 || c->context > 256) return;
    for (int id = 0; c->text_side == MUDPT_TEXT_ROWS && id < 2; id++)
        answer(mudpt_clip_token(clip, id, MUDPT_F32, vector));
    answer(mudpt_clip_token_distances(clip, vector, distances));
    if (strlen(mudpt_clip_fingerprint(clip)) != 16 || mudpt_clip_weight_bytes(clip) == 0) abort();
    if (answer(mudpt_classifier_create(clip, &(mudpt_method){.method = "zeroshot"}, &s, 2, &classifier))) return;
    int code = answer(mudpt_classifier_logits(classifier, pixels, 1, logits, NULL));
    if (code == MUDPT_OK && !(logits[0] - logits[0] == 0 && logits[1] - logits[1] == 0)) abort(); /* not finite */
    mudpt_classifier_free(classifier);
}

/* What the model has that CLIP has not, and the other way round. */
static void choose_family(input *in, mudpt_clip_config *c) {
    int32_t *flags[] = {&c->vision.layer_scale,
                        &c->vision.no_projection,
                        &c->vision.projection_bias,
                        &c->text.layer_scale,
                        &c->text.no_projection,
                        &c->text.projection_bias,
                        &c->patch_bias,
                        &c->no_class,
                        &c->no_pre_norm,
                        &c->norm_after_pool,
                        &c->no_mask,
                        &c->no_start,
                        &c->logit_bias};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        unsigned kind = take_byte(in);
        *flags[i] = kind > 252 ? take_int(in) : kind > 127;
    }
    c->vision.activation = take_near(in, take_below(in, 3));
    c->text.activation = take_near(in, take_below(in, 3));
    int no_class = c->no_class & 1; /* any number may stand there */
    c->vision.pooling = take_near(in, no_class + take_below(in, 3) % (3 - no_class));
    c->text.pooling = take_near(in, take_below(in, 2) * MUDPT_POOL_LAST);
    if (c->vision.pooling == MUDPT_POOL_ATTENTION) {
        c->pool_heads = take_near(in, 1 << take_below(in, 3));
        c->pool_mlp = take_near(in, 8 + 8 * take_below(in, 3));
        c->pool_activation = take_near(in, take_below(in, 3));
    }
    c->pad = take_near(in, 0);
    if (take_byte(in) > 200) c->rope = take_float(in);
    if (take_byte(in) > 200) c->vision.epsilon = take_float(in);
    if (take_byte(in) > 200) c->text.epsilon = take_float(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, data + size};
    mudpt_clip_config c = {.image = 8,
                           .patch = 4,
                           .vision.width = 16,
                           .vision.layers = 1,
                           .vision.heads = 2,
                           .vision.mlp = 16,
                           .text.width = 8,
                           .text.layers = 1,
                           .text.heads = 1,
                           .text.mlp = 16,
                           .embed = 8,
                           .context = 4,
                           .vocab = 9,
                           .storage = take_below(&in, 6) - 1,
                           .mean = {0.5f, 0.5f, 0.5f},
                           .std = {0.25f, 0.25f, 0.25f},
                           .text_side = take_below(&in, 3),
                           .precision = take_below(&in, 2)};
    mudpt_clip *clip = NULL;
    if (take_byte(&in) > 220) { /* also what is no model at all */
        int32_t *fields[] = {&c.image,      &c.patch,      &c.vision.width, &c.vision.layers, &c.vision.heads,
                             &c.vision.mlp, &c.text.width, &c.text.layers,  &c.text.heads,    &c.text.mlp,
                             &c.embed,      &c.context,    &c.vocab};
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) *fields[i] = take_near(&in, *fields[i]);
        c.mean[0] = take_float(&in);
        c.std[1] = take_float(&in);
    }
    choose_family(&in, &c);
    if (answer(mudpt_clip_create(&c, &clip))) {
        if (clip) abort();
        return 0;
    }
    /* Large models cost the fuzzer's time and nothing else. */
    int64_t widest = c.vision.mlp > c.text.mlp ? c.vision.mlp : c.text.mlp;
    if (c.vision.layers + c.text.layers > 4 || c.vocab > 4096 || c.image > 256 || c.embed > 1024 || widest > 1024 ||
        c.vision.width > 256 || c.text.width > 256 || c.pool_mlp > 1024) {
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
