/* What every kind of golden case shares: a case's outcome, comparing arrays, loading a model, a method's sizes. Part of
 * golden.c, which alone includes it. */
#ifndef GOLDEN_CHECK_H
#define GOLDEN_CHECK_H

#include <stdarg.h>

#include "golden_files.h"
#include "mudpt.h"

/* ------------------------------------------------------------------------------------------------ outcomes */

static struct {
    int passed, failed;
    int skipped;           /* cases of a kind that is not known here */
    int failed_for_method; /* of the failed, those of a method that the library does not name */
    int verbose;           /* print every difference, not only a case's first */
    int fast;              /* precision MUDPT_FAST, with tolerances of its own; models' cases only */
} report;

/* What was wrong with one case: the first fault in words, and how many. */
typedef struct {
    const char *name;
    char text[512];
    int faults, unknown_method;
} outcome;

__attribute__((format(printf, 2, 3))) static void fault(outcome *o, const char *format, ...) {
    char text[sizeof o->text];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (!o->faults++) memcpy(o->text, text, sizeof text);
    if (report.verbose) printf("     %s: %s\n", o->name, text);
}

static void finish(const outcome *o) {
    if (!o->faults) {
        report.passed++;
        printf("ok   %s\n", o->name);
    } else {
        report.failed++;
        report.failed_for_method += o->unknown_method;
        printf("FAIL %s: %s", o->name, o->text);
        printf(o->faults > 1 ? " (and %d more)\n" : "\n", o->faults - 1);
    }
    fflush(stdout);
}

static void skip(const char *name, const char *kind) {
    report.skipped++;
    printf("skip %s: cases of kind %s are not known here\n", name, kind);
}

/* max |got - want| <= tolerance * max |want|. NaN fails. */
static void compare(outcome *o, const char *what, const float *got, const float *want, size_t count, double tolerance) {
    double scale = 0, worst = -1;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)got[i] - want[i]);
        scale = fmax(scale, fabs(want[i]));
        if (!(difference <= worst)) { /* a NaN is worse than anything, and stays */
            worst = difference;
            at = i;
            if (difference != difference) break;
        }
    }
    double allowed = fmax(tolerance * scale, 1e-9); /* the floor is for answers that are exactly 0 */
    if (count && !(worst <= allowed))
        fault(o, "%s: got %.8g where %.8g is right (index %zu of %zu), off by %.3g, allowed %.3g", what, got[at],
              want[at], at, count, worst, allowed);
}

/* |got - want| <= tolerance * |want|, both as the root of all squares. NaN fails. */
static void compare_norm(outcome *o, const char *what, const float *got, const float *want, size_t count,
                         double tolerance) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        norm += (double)want[i] * want[i];
    }
    double off = sqrt(difference), allowed = fmax(tolerance * sqrt(norm), 1e-9);
    if (!(off <= allowed)) fault(o, "%s: off by %.3g of all %zu, allowed %.3g", what, off, count, allowed);
}

static void compare_number(outcome *o, const char *what, double got, double want, double tolerance) {
    double allowed = tolerance * fmax(fabs(want), 1e-3);
    if (!(fabs(got - want) <= allowed))
        fault(o, "%s: got %.9g where %.9g is right, off by %.3g, allowed %.3g", what, got, want, fabs(got - want),
              allowed);
}

/* ------------------------------------------------------------------------------------------------ models */

static int number_of(const cJSON *object, const char *key) {
    return (int)json_number(object, key, 0);
}

/* What a tower's configuration says of its blocks; quick_gelu and 1e-5 where it says nothing. */
static void read_activation(const cJSON *part, mudpt_tower *out) {
    const char *name = json_text(part, "hidden_act");
    if (!strcmp(name, "gelu")) out->activation = MUDPT_GELU;
    out->epsilon = (float)json_number(part, "layer_norm_eps", 0);
}

/* The architecture from a Hugging Face model folder. */
static int read_architecture(const char *folder, mudpt_clip_config *out) {
    char path[PATH_BYTES];
    cJSON *config = read_json(join(path, folder, "config.json"));
    cJSON *preprocessor = read_json(join(path, folder, "preprocessor_config.json"));
    const cJSON *vision = json_get(config, "vision_config"), *text = json_get(config, "text_config");
    *out = (mudpt_clip_config){.image = number_of(vision, "image_size"),
                               .patch = number_of(vision, "patch_size"),
                               .vision.width = number_of(vision, "hidden_size"),
                               .vision.layers = number_of(vision, "num_hidden_layers"),
                               .vision.heads = number_of(vision, "num_attention_heads"),
                               .vision.mlp = number_of(vision, "intermediate_size"),
                               .text.width = number_of(text, "hidden_size"),
                               .text.layers = number_of(text, "num_hidden_layers"),
                               .text.heads = number_of(text, "num_attention_heads"),
                               .text.mlp = number_of(text, "intermediate_size"),
                               .embed = number_of(config, "projection_dim"),
                               .context = number_of(text, "max_position_embeddings"),
                               .vocab = number_of(text, "vocab_size"),
                               .storage = -1,
                               .precision = report.fast ? MUDPT_FAST : MUDPT_HIGH};
    read_activation(vision, &out->vision);
    read_activation(text, &out->text);
    for (int c = 0; c < 3; c++) {
        out->mean[c] = (float)cJSON_GetNumberValue(cJSON_GetArrayItem(json_get(preprocessor, "image_mean"), c));
        out->std[c] = (float)cJSON_GetNumberValue(cJSON_GetArrayItem(json_get(preprocessor, "image_std"), c));
    }
    int ok = vision && text && preprocessor;
    cJSON_Delete(config);
    cJSON_Delete(preprocessor);
    return ok;
}

typedef struct {
    int storage;     /* MUDPT_F32, MUDPT_F16 or -1 */
    int custom_text; /* put open_clip's `text.` in front of the text tower's names (in OpenAI's layout) */
    int halve;       /* round every weight to float16 before it is sent */
} load_options;

static int send_tensor(mudpt_clip *clip, const char *name, const tensor *t, int halve) {
    static const char *const types[] = {
        [MUDPT_F32] = "F32", [MUDPT_F16] = "F16", [MUDPT_I8] = "I8", [MUDPT_BF16] = "BF16"};
    int dtype = 0;
    while (dtype < 4 && strcmp(types[dtype], t->dtype)) dtype++;
    if (dtype == 4) return MUDPT_OK; /* indices that older files carry, no weight */
    const uint8_t *data = t->data;
    uint8_t *halves = NULL;
    size_t bytes = t->bytes;
    if (halve && dtype == MUDPT_F32) {
        data = halves = need_bytes(bytes /= 2);
        for (size_t i = 0; i < t->count; i++) {
            float v;
            memcpy(&v, t->data + 4 * i, 4);
            uint16_t h = float_to_half(v);
            memcpy(halves + 2 * i, &h, 2);
        }
        dtype = MUDPT_F16;
    }
    int code = mudpt_clip_tensor_begin(clip, name, dtype, t->shape, t->dims);
    if (code == MUDPT_OK) {
        for (size_t at = 0, piece; at < bytes && code == MUDPT_OK; at += piece) {
            piece = bytes - at < 16381 ? bytes - at : 16381; /* pieces that cut values in two */
            code = mudpt_clip_tensor_bytes(clip, data + at, piece);
        }
        if (code == MUDPT_OK) code = mudpt_clip_tensor_end(clip);
    } else if (code == MUDPT_SKIP) code = MUDPT_OK;
    free(halves);
    return code;
}

/* The model of `folder` with the weights of `weights`, or NULL with the fault noted. */
static mudpt_clip *load_clip(outcome *o, const char *folder, const char *weights, load_options options) {
    mudpt_clip_config config;
    mudpt_clip *clip = NULL;
    tensor_file file = {0};
    if (!read_architecture(folder, &config)) {
        fault(o, "%s: no config.json and preprocessor_config.json of a CLIP there", folder);
        return NULL;
    }
    config.storage = options.storage;
    int code = mudpt_clip_create(&config, &clip);
    if (code == MUDPT_OK && !tensor_file_open(&file, weights)) {
        fault(o, "%s: not a safetensors file", weights);
        goto failed;
    }
    const cJSON *entry;
    cJSON_ArrayForEach(entry, file.header) {
        tensor t;
        char name[512];
        if (code != MUDPT_OK) break;
        if (!strcmp(entry->string, "__metadata__")) continue;
        int text_side = strncmp(entry->string, "visual.", 7) && strcmp(entry->string, "logit_scale");
        snprintf(name, sizeof name, "%s%s", options.custom_text && text_side ? "text." : "", entry->string);
        if (!tensor_read(&file, entry, &t)) {
            fault(o, "%s: tensor %s does not lie in the file", weights, name);
            goto failed;
        }
        code = send_tensor(clip, name, &t, options.halve);
    }
    tensor_file_close(&file);
    if (code == MUDPT_OK) code = mudpt_clip_finish(clip);
    if (code == MUDPT_OK) return clip;
    fault(o, "%s: code %d, %s", weights, code, mudpt_last_error());
failed:
    tensor_file_close(&file);
    mudpt_clip_free(clip);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ methods */

static int method_is_known(const char *name) {
    for (int i = 0; mudpt_method_name(i); i++)
        if (!strcmp(mudpt_method_name(i), name)) return 1;
    return 0;
}

/* The sizes of a method from a golden case's hyper-parameters; 0, with the fault noted, for a method not there. */
static int read_method(outcome *o, const char *name, const cJSON *hyper, mudpt_method *out) {
    int n = number_of(hyper, "n"), depth = number_of(hyper, "depth");
    *out = (mudpt_method){.method = name};
    if (!method_is_known(name)) {
        fault(o, "method %s is not available", name);
        o->unknown_method = 1;
        return 0;
    }
    if (!strcmp(name, "coop") || !strcmp(name, "cocoop")) {
        const char *position = json_text(hyper, "position");
        out->text_length = n;
        out->text_depth = 1;
        out->class_position = !strcmp(position, "middle") ? 1 : !strcmp(position, "front") ? 2 : 0;
        out->class_specific = number_of(hyper, "class_specific");
    } else if (!strcmp(name, "vpt")) {
        out->visual_length = n;
        out->visual_depth = depth;
    } else if (!strcmp(name, "kgcoop") || !strcmp(name, "tcp")) {
        out->text_length = n;
        out->layer = number_of(hyper, "layer");
        out->text_depth = 1;
        out->text_weight = (float)json_number(hyper, "text_weight", 8);
    } else if (!strcmp(name, "ivlp") || !strcmp(name, "promptsrc")) {
        out->text_length = number_of(hyper, "n_text");
        out->text_depth = number_of(hyper, "depth_text");
        out->visual_length = number_of(hyper, "n_visual");
        out->visual_depth = number_of(hyper, "depth_visual");
        if (strcmp(name, "promptsrc")) return 1;
        out->text_weight = (float)json_number(hyper, "text_weight", 25);
        out->image_weight = (float)json_number(hyper, "image_weight", 10);
        out->kl_weight = 1;
        out->averages = 1;
    } else if (!strncmp(name, "mmrl", 4)) {
        const cJSON *layers = json_get(hyper, "layers"); /* from 1, one behind the other */
        out->layer = (int)cJSON_GetNumberValue(cJSON_GetArrayItem(layers, 0)) - 1;
        out->text_length = out->visual_length = n;
        out->text_depth = out->visual_depth = cJSON_GetArraySize(layers);
        out->inserted = 1;
        out->space = number_of(hyper, "space");
        out->second = (float)(1 - json_number(hyper, "alpha", 0.7));
        out->text_weight = out->image_weight = (float)json_number(hyper, "weight", 1);
        out->scale = strcmp(json_text(hyper, "scale"), "model") ? 100 : 0;
        if (!strcmp(name, "mmrl")) return 1;
        out->kept = (float)(1 - json_number(hyper, "beta", 0.9));
        out->rank = (int)json_number(hyper, "rank", 4);
        out->projection_rank = (int)json_number(hyper, "proj_rank", 64);
    } else if (strcmp(name, "zeroshot")) {
        out->text_length = out->visual_length = n;
        out->text_depth = out->visual_depth = depth;
        out->layer0_fusion = !strcmp(name, "mudpt") && json_number(hyper, "layer0_fusion", 1) != 0;
    }
    return 1;
}

/* The parameter of this name, or NULL in out->name. */
static mudpt_parameter find_parameter(mudpt_classifier *classifier, const char *name) {
    mudpt_parameter p;
    for (int i = 0; i < mudpt_classifier_parameters(classifier); i++)
        if (mudpt_classifier_parameter(classifier, i, &p) == MUDPT_OK && !strcmp(p.name, name)) return p;
    return (mudpt_parameter){0};
}

/* Sets every parameter to the tensor init.<name>; every parameter and every tensor must have its counterpart. */
static int set_parameters(outcome *o, mudpt_classifier *classifier, const tensor_file *file) {
    int before = o->faults, wanted = 0;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, file->header) {
        if (strncmp(entry->string, "init.", 5)) continue;
        tensor t;
        float *values = tensor_floats(file, entry->string, &t);
        mudpt_parameter p = find_parameter(classifier, entry->string + 5);
        wanted++;
        if (!values || !p.name || p.dims != t.dims || memcmp(p.shape, t.shape, sizeof(int32_t) * (size_t)t.dims))
            fault(o, "parameter %s: %s", entry->string + 5,
                  p.name ? "has another shape" : "the library has none of that name");
        else memcpy(p.value, values, t.count * 4);
        free(values);
    }
    if (wanted != mudpt_classifier_parameters(classifier))
        fault(o, "parameters: got %d, %d are right", mudpt_classifier_parameters(classifier), wanted);
    mudpt_classifier_changed(classifier);
    return o->faults == before;
}

#endif
