/* Checks the library against golden files: `golden [options] DIR...`.
 *
 * Walks every folder below each DIR and recognises golden files by what they hold: model configurations with one case
 * per method, pictures, crops, learning rates and recorded training runs (tests/golden/README.md describes all of them;
 * token ids are checked in Node, for the library has no tokenizer). Prints one line per case, `ok NAME` or `FAIL NAME:
 * what`, and a last line `N passed, N failed`; the exit status is 1 when a case failed or there was none.
 *
 * Uses nothing of the library but mudpt.h. The rows of trace.* are not to be seen through it: the features cover them.
 * A case of a method that the library does not name is a failure, never skipped.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "golden_case.h"
#include "golden_heads.h"
#include "golden_images.h"
#include "golden_replay.h"
#include "golden_teacher.h"

static const char usage[] =
    "usage: golden [--threads T] [--dtype f32|f16] [--fast] [--without PATH] [--verbose] [--known-methods] DIR...\n"
    "  --threads T        threads that the library may use (1)\n"
    "  --dtype f32|f16    how weights are kept in memory (as they are stored)\n"
    "  --fast             products in block integers, which have tolerances of their own; of the models' cases only\n"
    "  --without PATH     leave out folders whose path ends so; may be repeated\n"
    "  --verbose          every difference, not only a case's first\n"
    "  --known-methods    exit with 0 if only cases of methods that the library does not have failed\n";

/* ------------------------------------------------------------------------------------------------ cases */

/* What a case calls the logits that a classifier gives. */
static const char *logits_of(golden_case *c) {
    return tensor_find(&c->file, "logits_fusion", &(tensor){0}) ? "logits_fusion" : "logits";
}

/* The logits of the first feature and of the second, where there are two, and their cross-entropies. */
static void check_second(golden_case *c, const mudpt_method *method, const mudpt_sentences *sentences,
                         mudpt_classifier *classifier) {
    size_t count = (size_t)c->count * (size_t)sentences->classes;
    float *logits[3];
    mudpt_classifier *other = NULL;
    mudpt_parameter p;
    for (int k = 0; k < 3; k++) logits[k] = need_bytes(count * 4);
    int code = mudpt_classifier_logits(classifier, c->pixels, c->count, logits[0], NULL);
    mudpt_method alone = *method;
    alone.alone = sentences->classes;
    if (!code) code = mudpt_classifier_create(c->clip, &alone, sentences, sentences->classes, &other);
    for (int i = 0; !code && i < mudpt_classifier_parameters(other); i++) {
        code = mudpt_classifier_parameter(other, i, &p);
        memcpy(p.value, find_parameter(classifier, p.name).value, (size_t)p.count * 4);
    }
    if (!code) {
        mudpt_classifier_changed(other);
        code = mudpt_classifier_logits(other, c->pixels, c->count, logits[1], NULL);
    }
    if (code) fault(c->o, "logits of one feature: code %d, %s", code, mudpt_last_error());
    else {
        for (size_t i = 0; i < count; i++)
            logits[2][i] = (logits[0][i] - (1 - method->second) * logits[1][i]) / method->second;
        compare_stored(c, "logits", logits[1], count, NULL, tolerance_of(c, "logits"), "logits of the first feature");
        /* a difference, which rounds worse */
        compare_stored(c, "logits_rep", logits[2], count, NULL, 4 * tolerance_of(c, "logits_rep"), "logits_rep");
    }
    mudpt_classifier_free(other);
    for (int k = 0; k < 3; k++) free(logits[k]);
}

/* Features, logits and loss of the first batch. */
static void check_outputs(golden_case *c, mudpt_classifier *classifier, int classes, int embed) {
    size_t logits_size = (size_t)c->count * (size_t)classes;
    float *logits = need_bytes(logits_size * 4), *features = need_bytes((size_t)c->count * (size_t)embed * 4);
    float *text = need_bytes((size_t)classes * (size_t)embed * 4);
    tensor t;
    int code = mudpt_classifier_logits(classifier, c->pixels, c->count, logits, features);
    if (code != MUDPT_OK) fault(c->o, "logits: code %d, %s", code, mudpt_last_error());
    else {
        compare_stored(c, "image_features", features, (size_t)c->count * (size_t)embed, NULL,
                       tolerance_of(c, "image_features"), "image_features");
        /* where every picture has its own text features they stay inside; the logits cover them */
        if (tensor_find(&c->file, "text_features", &t) && t.dims == 2) {
            code = mudpt_classifier_text_features(classifier, text);
            if (code != MUDPT_OK) fault(c->o, "text_features: code %d, %s", code, mudpt_last_error());
            else
                compare_stored(c, "text_features", text, (size_t)classes * (size_t)embed, NULL,
                               tolerance_of(c, "text_features"), "text_features");
        }
        compare_stored(c, logits_of(c), logits, logits_size, NULL, tolerance_of(c, logits_of(c)), "logits");
        double loss = 0;
        for (int i = 0; i < c->count && !strcmp(logits_of(c), "logits"); i++) {
            const float *row = logits + (size_t)i * (size_t)classes;
            double largest = row[0], sum = 0;
            for (int k = 1; k < classes; k++) largest = fmax(largest, row[k]);
            for (int k = 0; k < classes; k++) sum += exp(row[k] - largest);
            loss += (largest + log(sum) - row[c->labels[i]]) / c->count;
        }
        double right = json_number(json_get(c->json, "loss_parts"), "cross_entropy", json_number(c->json, "loss", NAN));
        if (loss > 0) compare_number(c->o, "cross-entropy of the logits", loss, right, tolerance_of(c, "loss"));
    }
    free(logits);
    free(features);
    free(text);
}

/* Loss, logits and every gradient of the first batch. */
static void check_gradients(golden_case *c, mudpt_classifier *classifier, int classes) {
    size_t logits_size = (size_t)c->count * (size_t)classes;
    float loss, *logits = need_bytes(logits_size * 4);
    int code = mudpt_classifier_gradients(classifier, c->pixels, c->labels, c->count, &loss, logits);
    if (code != MUDPT_OK) fault(c->o, "gradients: code %d, %s", code, mudpt_last_error());
    else {
        compare_number(c->o, "loss", loss, json_number(c->json, "loss", NAN), tolerance_of(c, "loss"));
        compare_stored(c, logits_of(c), logits, logits_size, NULL, tolerance_of(c, logits_of(c)),
                       "logits of the gradients");
        mudpt_parameter p;
        for (int i = 0; i < mudpt_classifier_parameters(classifier); i++)
            if (mudpt_classifier_parameter(classifier, i, &p) == MUDPT_OK) {
                char name[256];
                snprintf(name, sizeof name, "grad.%s", p.name);
                compare_stored(c, name, p.gradient, (size_t)p.count, NULL, tolerance_of(c, "grad"), name);
            }
    }
    free(logits);
}

/* The folded prompts must do by themselves what prompts and injection did together: an IVLP (or VPT) that starts from
 * them has the logits of this method. */
static void check_fold(golden_case *c, mudpt_classifier *classifier, const mudpt_method *sizes,
                       const mudpt_sentences *sentences, int classes, const mudpt_clip_config *config) {
    int32_t text_depth, text_length, visual_depth, visual_length;
    mudpt_classifier_folded_shape(classifier, &text_depth, &text_length, &visual_depth, &visual_length);
    if (visual_depth < 1) return; /* text prompts alone: nothing to fold */
    size_t text_row = (size_t)text_length * (size_t)config->text.width;
    size_t visual_row = (size_t)visual_length * (size_t)config->vision.width;
    float *text = need_bytes((size_t)text_depth * text_row * 4),
          *visual = need_bytes((size_t)visual_depth * visual_row * 4),
          *second = need_bytes((size_t)config->vision.width * (size_t)config->embed * 4);
    float *logits = need_bytes((size_t)c->count * (size_t)classes * 4);
    mudpt_classifier *plain = NULL;
    mudpt_method method = {.method = text_depth ? "ivlp" : "vpt",
                           .text_length = text_length,
                           .text_depth = text_depth,
                           .visual_length = visual_length,
                           .visual_depth = visual_depth,
                           .layer = sizes->layer,
                           .inserted = sizes->inserted,
                           .kept = sizes->kept,
                           .second = sizes->second,
                           .scale = sizes->scale};
    const struct {
        const char *first, *deep;
        const float *values;
        size_t row;
        int depth;
    } sides[] = {{"text_prompts.0", "text_prompts.deep", text, text_row, text_depth},
                 {"visual_prompts.0", "visual_prompts.deep", visual, visual_row, visual_depth}};
    int code = mudpt_classifier_fold(classifier, text, visual, second);
    if (code == MUDPT_OK) code = mudpt_classifier_create(c->clip, &method, sentences, classes, &plain);
    for (int s = 0; s < 2 && code == MUDPT_OK; s++) {
        mudpt_parameter first = find_parameter(plain, sides[s].first), deep = find_parameter(plain, sides[s].deep);
        if (first.name) memcpy(first.value, sides[s].values, sides[s].row * 4);
        if (deep.name)
            memcpy(deep.value, sides[s].values + sides[s].row, sides[s].row * (size_t)(sides[s].depth - 1) * 4);
    }
    if (code == MUDPT_OK) {
        mudpt_parameter projection = find_parameter(plain, "proj_rep");
        if (projection.name) memcpy(projection.value, second, (size_t)projection.count * 4);
        mudpt_classifier_changed(plain);
        code = mudpt_classifier_logits(plain, c->pixels, c->count, logits, NULL);
    }
    if (code != MUDPT_OK) fault(c->o, "folded prompts: code %d, %s", code, mudpt_last_error());
    else
        compare_stored(c, logits_of(c), logits, (size_t)c->count * (size_t)classes, NULL, tolerance_of(c, logits_of(c)),
                       "logits of the folded prompts");
    mudpt_classifier_free(plain);
    free(second);
    free(text);
    free(visual);
    free(logits);
}

/* Every parameter's tensor of this kind, and where `start` how far it is from the initial one. */
static void check_ends(golden_case *c, mudpt_classifier *classifier, const char *kind, int averages) {
    mudpt_parameter p;
    for (int i = 0; i < mudpt_classifier_parameters(classifier); i++) {
        char name[256], label[256], first[256];
        tensor t;
        if (mudpt_classifier_parameter(classifier, i, &p) != MUDPT_OK) continue;
        const float *values = averages ? p.average : p.value;
        snprintf(name, sizeof name, "%s.%s", kind, p.name);
        snprintf(label, sizeof label, "%s_change.%s", kind, p.name);
        snprintf(first, sizeof first, "init.%s", p.name);
        float *start = tensor_floats(&c->file, first, &t);
        if (start && t.count == (size_t)p.count) {
            compare_stored(c, name, values, (size_t)p.count, NULL, tolerance_of(c, kind), name);
            compare_stored(c, name, values, (size_t)p.count, start, tolerance_of(c, "final_change"), label);
            if (p.idle && memcmp(values, start, t.count * 4)) fault(c->o, "%s: nothing trains it, but it moved", name);
        }
        free(start);
    }
}

/* What nothing depends on in this model is what the case says. */
static void check_idle(golden_case *c, mudpt_classifier *classifier) {
    const cJSON *idle = json_get(c->json, "without_gradient"), *item;
    int count = 0;
    mudpt_parameter p;
    for (int i = 0; i < mudpt_classifier_parameters(classifier); i++)
        if (mudpt_classifier_parameter(classifier, i, &p) == MUDPT_OK) count += p.idle;
    cJSON_ArrayForEach(item, idle) {
        p = find_parameter(classifier, cJSON_GetStringValue(item));
        if (!p.name || !p.idle) fault(c->o, "%s: nothing depends on it, but it is trained", item->valuestring);
    }
    if (count != cJSON_GetArraySize(idle))
        fault(c->o, "%d tensors are idle, %d are right", count, cJSON_GetArraySize(idle));
}

/* The frozen model's class features, which the method compares with. */
static void give_teacher(golden_case *c, mudpt_classifier *classifier, int classes, int embed) {
    float *teacher = teacher_of(c->o, c->clip, &c->file, classes, embed);
    if (!teacher) return;
    compare_stored(c, "teacher", teacher, (size_t)classes * (size_t)embed, NULL, tolerance_of(c, "teacher"), "teacher");
    if (mudpt_classifier_set_teacher(classifier, teacher) != MUDPT_OK)
        fault(c->o, "the frozen model's class features: %s", mudpt_last_error());
    free(teacher);
}

/* The whole training run from the initial tensors. */
static void check_training(golden_case *c, mudpt_classifier *classifier) {
    const cJSON *training = json_get(c->json, "training"), *rate;
    const cJSON *losses = json_get(training, "losses");
    int batches = cJSON_GetArraySize(json_get(c->json, "batches")), step = 0, total = 0;
    float momentum = (float)json_number(training, "momentum", NAN),
          decay = (float)json_number(training, "weight_decay", NAN);
    int is_adam = !strncmp(json_text(training, "optimizer"), "adam", 4);
    const cJSON *shares = json_get(training, "epoch_weights"), *hyper = json_get(c->json, "hyper_parameters");
    int epochs = cJSON_GetArraySize(json_get(training, "learning_rate_per_epoch")), epoch = 0;
    total = epochs * batches;
    if (!total || cJSON_GetArraySize(losses) != total)
        fault(c->o, "training: the case has %d losses for %d steps", cJSON_GetArraySize(losses), total);
    cJSON_ArrayForEach(rate, json_get(training, "learning_rate_per_epoch")) {
        for (int b = 0; b < batches; b++, step++) {
            float loss;
            char name[32];
            if (!take_batch(c, b)) return;
            int code = mudpt_classifier_gradients(classifier, c->pixels, c->labels, c->count, &loss, NULL);
            float now = (float)rate->valuedouble;
            if (code == MUDPT_OK)
                code = is_adam ? mudpt_classifier_adam(classifier, now, decay, step + 1)
                               : mudpt_classifier_sgd(classifier, now, momentum, decay);
            if (code != MUDPT_OK) {
                fault(c->o, "training step %d: code %d, %s", step, code, mudpt_last_error());
                return;
            }
            snprintf(name, sizeof name, "losses[%d]", step);
            compare_number(c->o, name, loss, cJSON_GetNumberValue(cJSON_GetArrayItem(losses, step)),
                           tolerance_of(c, "losses"));
        }
        if (!shares) continue;
        double share = mudpt_average_weight(epochs, json_number(hyper, "average_mean", NAN),
                                            json_number(hyper, "average_std", NAN), epoch);
        compare_number(c->o, "epoch's share", share, cJSON_GetNumberValue(cJSON_GetArrayItem(shares, epoch++)), 1e-6);
        if (mudpt_classifier_average(classifier, (float)share) != MUDPT_OK)
            fault(c->o, "average: %s", mudpt_last_error());
    }
    check_ends(c, classifier, "final", 0);
    if (shares) check_ends(c, classifier, "average", 1);
}

/* The sentences of a case; the arrays are the caller's to free. */
static int read_sentences(golden_case *c, const mudpt_method *method, mudpt_sentences *out, int32_t **owned) {
    tensor ids, eot;
    int names = 0;
    owned[0] = tensor_ints(&c->file, "class_ids", &ids);
    owned[1] = tensor_ints(&c->file, "eot", &eot);
    owned[2] = json_ints(json_get(c->json, "name_lengths"), &names);
    if (!owned[0] || !owned[1] || ids.dims < 2 || ids.dims > 3 || eot.dims != ids.dims - 1 ||
        (method->class_position && names != ids.shape[ids.dims - 2])) {
        fault(c->o, "class_ids, eot and name_lengths of the case do not fit");
        return 0;
    }
    for (size_t i = 0; i < eot.count; i++) owned[1][i]++; /* the row of the end token becomes a number of tokens */
    *out = (mudpt_sentences){owned[0],
                             owned[1],
                             method->class_position ? owned[2] : NULL,
                             ids.shape[ids.dims - 1],
                             ids.shape[ids.dims - 2],
                             ids.dims == 3 ? ids.shape[0] : 1};
    return 1;
}

static void run_case(golden_case *c, const mudpt_clip_config *config) {
    mudpt_method method;
    mudpt_sentences sentences;
    mudpt_classifier *classifier = NULL;
    int32_t *owned[3] = {0};
    if (!read_method(c->o, json_text(c->json, "method"), json_get(c->json, "hyper_parameters"), &method)) return;
    if (read_sentences(c, &method, &sentences, owned) && take_batch(c, 0)) {
        int code = mudpt_classifier_create(c->clip, &method, &sentences, sentences.classes, &classifier);
        if (code != MUDPT_OK) fault(c->o, "classifier: code %d, %s", code, mudpt_last_error());
        else if (set_parameters(c->o, classifier, &c->file)) {
            if (tensor_find(&c->file, "teacher_ids", &(tensor){0}))
                give_teacher(c, classifier, sentences.classes, config->embed);
            check_idle(c, classifier);
            check_outputs(c, classifier, sentences.classes, config->embed);
            if (method.second > 0) check_second(c, &method, &sentences, classifier);
            check_fold(c, classifier, &method, &sentences, sentences.classes, config);
            if (mudpt_classifier_parameters(classifier)) {
                check_gradients(c, classifier, sentences.classes);
                check_training(c, classifier);
            }
        }
    }
    mudpt_classifier_free(classifier);
    for (int i = 0; i < 3; i++) free(owned[i]);
}

#include "golden_once.h"

/* ------------------------------------------------------------------------------------------------ configurations */

/* `model` and `inputs` of a configuration may lie in another folder. */
static const char *place_of(const cJSON *config, const char *key, const char *otherwise) {
    const char *place = json_text(config, key);
    return *place ? place : otherwise;
}

/* A configuration that is loaded: what its cases share. */
typedef struct {
    const char *folder, *name;
    const cJSON *config;
    mudpt_clip_config sizes;
    load_options options;
    char model[PATH_BYTES], weights[PATH_BYTES]; /* the model's folder; its file, from `folder` */
    golden_case all;                             /* the model and the pictures */
    head_case head;
    int seen; /* a case of the towers, whose sentences serve for what is checked once */
} golden_config;

/* A case of the towers, on the model or on one of its own. */
static void run_tower_case(golden_config *g, golden_case *c) {
    char path[PATH_BYTES];
    if (number_of(json_get(c->json, "hyper_parameters"), "f16_weights")) {
        load_options halved = g->options; /* this case's answers are those of rounded weights */
        halved.halve = 1;
        c->clip = load_clip(c->o, g->model, join(path, g->folder, g->weights), halved);
        if (c->clip) run_case(c, &g->sizes);
        mudpt_clip_free(c->clip);
        c->clip = g->all.clip;
    } else run_case(c, &g->sizes);
}

static void run_titled(golden_config *g, const char *title) {
    char path[PATH_BYTES], label[PATH_BYTES + 64], file[512];
    snprintf(label, sizeof label, "%s/%s", g->name, title);
    outcome o = {.name = label};
    golden_case c = g->all;
    c.o = &o;
    snprintf(file, sizeof file, "%s.json", title);
    c.json = read_json(join(path, g->folder, file));
    snprintf(file, sizeof file, "%s.safetensors", title);
    int ok = tensor_file_open(&c.file, join(path, g->folder, file)) && c.json;
    const char *kind = json_text(c.json, "kind");
    int towers = ok && !*kind, heads = ok && !strcmp(kind, "features");
    g->head.files = &c;
    if (!ok) fault(&o, "%s: its two files cannot be read", title);
    else if (towers) run_tower_case(g, &c);
    else if (heads && !report.fast) run_head_case(&g->head);
    if (!ok || towers || (heads && !report.fast)) finish(&o);
    else if (!heads) skip(label, kind);
    if (towers && !g->seen) {
        if (json_get(g->config, "files"))
            check_weight_files(g->folder, g->name, g->config, &c, &g->sizes, g->options, g->weights);
        check_features(g->folder, g->name, &c, &g->sizes);
    }
    g->seen |= towers;
    tensor_file_close(&c.file);
    cJSON_Delete(c.json);
    free(c.pixels);
    free(c.labels);
}

static void run_config(const char *folder, const char *name, const cJSON *config, load_options options) {
    char path[PATH_BYTES];
    outcome loading = {.name = name};
    tensor_file inputs = {0};
    tensor t = {0};
    golden_config g = {.folder = folder, .name = name, .config = config, .options = options};
    join(g.weights, place_of(config, "model", "model"), "model.safetensors");
    read_architecture(join(g.model, folder, place_of(config, "model", "model")), &g.sizes);
    mudpt_clip *clip = load_clip(&loading, g.model, join(path, folder, g.weights), options);
    float *images = tensor_file_open(&inputs, join(path, folder, place_of(config, "inputs", "inputs.safetensors")))
                        ? tensor_floats(&inputs, "images", &t)
                        : NULL;
    if (!images || t.dims != 4 || t.shape[1] != 3 || t.shape[2] != g.sizes.image || t.shape[3] != g.sizes.image)
        fault(&loading, "inputs.safetensors: no images [pictures, 3, %d, %d] there", g.sizes.image, g.sizes.image);
    if (loading.faults) finish(&loading);
    else {
        g.all = (golden_case){
            .clip = clip, .images = images, .pictures = t.shape[0], .picture = t.count / (size_t)t.shape[0]};
        float *projection = need_bytes((size_t)g.sizes.vision.width * (size_t)g.sizes.embed * 4);
        int code = mudpt_clip_projection(clip, projection); /* which not every model of the family has */
        g.head = (head_case){.projection = code == MUDPT_OK ? projection : NULL,
                             .before = g.sizes.vision.width,
                             .scale = (double)mudpt_clip_logit_scale(clip)};
        const cJSON *item;
        cJSON_ArrayForEach(item, json_get(config, "cases")) run_titled(&g, cJSON_GetStringValue(item));
        cJSON_ArrayForEach(item, json_get(config, "new_cases")) run_titled(&g, cJSON_GetStringValue(item));
        free(projection);
    }
    free(images);
    tensor_file_close(&inputs);
    mudpt_clip_free(clip);
}

static void run_schedule(const char *name, const char *file, const cJSON *json) {
    const cJSON *item, *rate;
    cJSON_ArrayForEach(item, json_get(json, "cases")) {
        char label[PATH_BYTES];
        int epochs = number_of(item, "epochs"), epoch = 0;
        double base = json_number(item, "base", NAN);
        snprintf(label, sizeof label, "%s/%s: %d epochs from %g", name, file, epochs, base);
        outcome o = {.name = label};
        cJSON_ArrayForEach(rate, json_get(item, "rates")) {
            double got = mudpt_learning_rate(base, json_number(json, "warmup_rate", NAN), epochs, epoch);
            double allowed = json_number(json, "relative_tolerance", 0) * fabs(rate->valuedouble);
            if (!(fabs(got - rate->valuedouble) <= allowed))
                fault(&o, "rate of epoch %d: got %.12g where %.12g is right, allowed %.3g", epoch, got,
                      rate->valuedouble, allowed);
            epoch++;
        }
        finish(&o);
    }
}

/* ------------------------------------------------------------------------------------------------ folders */

/* What a JSON file is, by its keys; a file of another kind is passed by. */
static void run_json(const char *folder, const char *name, const char *file, load_options options) {
    char path[PATH_BYTES];
    cJSON *json = read_json(join(path, folder, file));
    const cJSON *cases = json_get(json, "cases"), *one = cJSON_GetArrayItem(cases, 0);
    if (!json) {
        outcome o = {.name = path};
        fault(&o, "not a JSON file");
        finish(&o);
    } else if (cJSON_IsString(one) && json_get(json, "architecture")) run_config(folder, name, json, options);
    else if (report.fast) /* nothing else depends on it */
        ;
    else if (json_get(json, "steps") && json_get(json, "test")) run_replay(folder, name, json, options);
    else if (json_get(one, "file") && json_get(one, "expected")) run_preprocess(folder, name, json);
    else if (json_get(one, "image") && json_get(one, "expected")) run_crops(folder, name, json);
    else if (json_get(one, "rates")) run_schedule(name, file, json);
    cJSON_Delete(json);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct {
    const char *end[8];
    int count;
} left_out;

static int is_left_out(const char *path) {
    for (int i = 0; i < left_out.count; i++) {
        size_t length = strlen(path), end = strlen(left_out.end[i]);
        if (end <= length && !strcmp(path + length - end, left_out.end[i])) return 1;
    }
    return 0;
}

/* Every JSON file in `folder` and below, in the order of names; `name` is the folder's as reports show it. */
static int walk(const char *folder, const char *name, int depth, load_options options) {
    DIR *d = opendir(folder);
    char **names = NULL;
    int count = 0;
    if (!d) return 0;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') {
            names = need(realloc(names, (size_t)(count + 1) * sizeof *names));
            names[count] = need(malloc(strlen(e->d_name) + 1));
            strcpy(names[count++], e->d_name);
        }
    closedir(d);
    if (count) qsort(names, (size_t)count, sizeof *names, by_name);
    for (int i = 0; i < count; i++) {
        char path[PATH_BYTES], label[PATH_BYTES];
        struct stat s;
        size_t length = strlen(names[i]);
        if (!stat(join(path, folder, names[i]), &s)) {
            if (S_ISDIR(s.st_mode) && depth < 16) {
                if (!is_left_out(path)) walk(path, join(label, name, names[i]), depth + 1, options);
            } else if (length > 5 && !strcmp(names[i] + length - 5, ".json")) run_json(folder, name, names[i], options);
        }
        free(names[i]);
    }
    free(names);
    return 1;
}

int main(int argc, char **argv) {
    load_options options = {.storage = -1};
    int threads = 1, known_methods = 0, folders = 0;
    program = argv[0];
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--verbose")) report.verbose = 1;
        else if (!strcmp(argv[i], "--fast")) report.fast = 1;
        else if (!strcmp(argv[i], "--known-methods")) known_methods = 1;
        else if (!strcmp(argv[i], "--threads") && (threads = atoi(value)) >= 1) i++;
        else if (!strcmp(argv[i], "--dtype") && (!strcmp(value, "f32") || !strcmp(value, "f16"))) {
            options.storage = !strcmp(value, "f16") ? MUDPT_F16 : MUDPT_F32;
            i++;
        } else if (!strcmp(argv[i], "--without") && *value && left_out.count < 8) {
            left_out.end[left_out.count++] = value;
            i++;
        } else if (argv[i][0] == '-') {
            fprintf(stderr, "golden: cannot read the option %s\n%s", argv[i], usage);
            return 2;
        } else argv[folders++] = argv[i];
    }
    if (!folders) {
        fputs(usage, stderr);
        return 2;
    }
    if (mudpt_set_threads(threads) != MUDPT_OK) {
        fprintf(stderr, "golden: --threads %d: %s\n", threads, mudpt_last_error());
        return 2;
    }
    for (int i = 0; i < folders; i++) {
        for (size_t last = strlen(argv[i]); last > 1 && argv[i][last - 1] == '/'; last--) argv[i][last - 1] = 0;
        const char *slash = strrchr(argv[i], '/');
        if (!walk(argv[i], slash ? slash + 1 : argv[i], 0, options)) {
            outcome o = {.name = argv[i]};
            fault(&o, "cannot open this folder");
            finish(&o);
        }
    }
    if (!report.passed && !report.failed) puts("no golden files there");
    if (report.skipped) printf("%d skipped, of kinds that are not known here\n", report.skipped);
    printf("%d passed, %d failed\n", report.passed, report.failed);
    int failed = report.failed - (known_methods ? report.failed_for_method : 0);
    return failed || !report.passed;
}
