/* Recorded training runs, repeated step by step from picture files to predictions. Part of golden.c, which alone
 * includes it. The model and the pictures lie beside the golden folder, or in the product's tree, in which this
 * program was built. */
#ifndef GOLDEN_REPLAY_H
#define GOLDEN_REPLAY_H

#include <sys/stat.h>

#include "golden_check.h"
#include "golden_images.h"
#include "golden_teacher.h"

static const char *program; /* how this program was called */

static int is_folder(const char *path) {
    struct stat s;
    return !stat(path, &s) && S_ISDIR(s.st_mode);
}

/* The folder that a replay names: beside golden/, or in the product's tree, in which golden/ or at least this program
 * lies; below tests/ first, where the model of the recorded runs is kept as it was when they were recorded. */
static int find_folder(char out[PATH_BYTES], const char *replay, const char *named) {
    char base[PATH_BYTES], tests[PATH_BYTES];
    for (int from_program = 0; from_program < 2; from_program++) {
        const char *slash = strrchr(program, '/');
        if (from_program)
            snprintf(base, sizeof base, "%.*s", slash ? (int)(slash - program) : 1, slash ? program : ".");
        else join(base, replay, "../../..");
        for (int up = 0; up < 5; up++) {
            if (is_folder(join(out, join(tests, base, "tests"), named)) || is_folder(join(out, base, named))) return 1;
            join(base, base, "..");
        }
    }
    return 0;
}

typedef struct {
    outcome *o;
    const cJSON *json;
    const char *data; /* the pictures' folder */
    mudpt_clip *clip;
    mudpt_classifier *classifier;
    size_t picture; /* values of one */
    int classes;
} replay;

/* The sentences as the method reads them: words of the phrase, the name, a full stop. */
static int32_t *encode_sentences(outcome *o, const cJSON *json, const char *tokenizer_file, const mudpt_method *method,
                                 int context, int32_t *lengths, int32_t *name_lengths) {
    const cJSON *classes = json_get(json, "classes"), *item, *hyper = json_get(json, "hyper_parameters");
    const char *phrase = json_text(hyper, "phrase");
    /* MuDPT and its variants drop the phrase's words beyond the learned ones; the other methods keep them */
    int words = strstr(method->method, "mudpt") ? method->text_length : 1000;
    int placeholders = (int)json_number(hyper, "n_text", json_number(hyper, "n", 0));
    char lead[512] = "";
    for (int word = 0; *phrase && word < words; word++) {
        size_t length = strcspn(phrase, " ");
        if (strlen(lead) + length + 2 < sizeof lead) {
            strncat(lead, phrase, length);
            strcat(lead, " ");
        }
        phrase += length + strspn(phrase + length, " ");
    }
    if (!*lead)
        for (int word = 0; word < placeholders && word < 200; word++) strcat(lead, "X ");
    cJSON *tokenizer = read_json(tokenizer_file);
    int32_t *ids = need_bytes((size_t)cJSON_GetArraySize(classes) * (size_t)context * 4), row[1024];
    int c = 0;
    cJSON_ArrayForEach(item, classes) {
        char name[256], text[1024];
        snprintf(name, sizeof name, "%s", cJSON_IsString(item) ? item->valuestring : "");
        for (char *at = name; *at; at++) *at = *at == '_' ? ' ' : *at;
        snprintf(text, sizeof text, "%s%s.", lead, name);
        name_lengths[c] = encode_text(tokenizer, name, row, 1024) - 2;
        lengths[c] = encode_text(tokenizer, text, row, 1024);
        if (lengths[c] < 3 || lengths[c] > context || name_lengths[c] < 1)
            fault(o, "\"%s\" cannot be turned into 3 ... %d ids with %s", text, context, tokenizer_file);
        else memcpy(ids + (size_t)c * (size_t)context, row, (size_t)lengths[c] * 4);
        c++;
    }
    cJSON_Delete(tokenizer);
    return ids;
}

/* A step's picture [path, top, left, height, width, flip], or a test picture [path, ...], as the model reads it. */
static int read_pixels(replay *r, const cJSON *item, int crop, float *out) {
    char path[PATH_BYTES];
    int box[5];
    for (int i = 0; i < 5; i++) {
        const cJSON *v = cJSON_GetArrayItem(item, i + 1);
        box[i] = v ? v->valueint : 0;
    }
    const char *file = cJSON_GetStringValue(cJSON_GetArrayItem(item, 0));
    mudpt_image *image = file ? decode_file(join(path, r->data, file), 0) : NULL;
    int code = !image ? MUDPT_IMAGE
               : crop ? mudpt_clip_crop_pixels(r->clip, image, box[0], box[1], box[2], box[3], box[4], out)
                      : mudpt_clip_test_pixels(r->clip, image, out);
    if (code != MUDPT_OK) fault(r->o, "%s: code %d, %s", file ? file : "a picture", code, mudpt_last_error());
    mudpt_image_free(image);
    return code == MUDPT_OK;
}

/* One step along the gradients that are there, by the run's optimizer; number from 1. */
static int replay_update(replay *r, float rate, int number) {
    if (strncmp(json_text(r->json, "optimizer"), "adam", 4))
        return mudpt_classifier_sgd(r->classifier, rate, 0.9f, 5e-4f);
    return mudpt_classifier_adam(r->classifier, rate, 5e-4f, number);
}

/* Where the run ends with an average over its epochs: an epoch's share of it, and behind the last epoch what it is. */
static int replay_average(replay *r, const cJSON *step) {
    const cJSON *shares = json_get(r->json, "epoch_weights"), *next = step->next;
    int epoch = number_of(step, "epoch");
    if (!shares || (next && number_of(next, "epoch") == epoch)) return MUDPT_OK;
    float share = (float)cJSON_GetNumberValue(cJSON_GetArrayItem(shares, epoch));
    int code = mudpt_classifier_average(r->classifier, share);
    mudpt_parameter p;
    for (int i = 0; !next && !code && i < mudpt_classifier_parameters(r->classifier); i++) {
        code = mudpt_classifier_parameter(r->classifier, i, &p);
        memcpy(p.value, p.average, (size_t)p.count * sizeof *p.value);
    }
    mudpt_classifier_changed(r->classifier);
    return code;
}

/* Every step of the run; 0 when it could not be finished. */
static int replay_steps(replay *r, double allowed) {
    const cJSON *rates = json_get(r->json, "learning_rate_per_epoch"), *step, *item;
    double worst = 0;
    int index = 0, at = 0;
    cJSON_ArrayForEach(step, json_get(r->json, "steps")) {
        int count, i = 0, ok = 1;
        int32_t *labels = json_ints(json_get(step, "labels"), &count);
        const cJSON *images = json_get(step, "images"), *rate = cJSON_GetArrayItem(rates, number_of(step, "epoch"));
        float loss = NAN, *pixels = need_bytes((size_t)cJSON_GetArraySize(images) * r->picture * 4);
        cJSON_ArrayForEach(item, images) ok = ok && read_pixels(r, item, 1, pixels + (size_t)i++ * r->picture);
        if (ok && (i != count || !rate)) {
            fault(r->o, "step %d of the file has no rate or other labels than pictures", index);
            ok = 0;
        }
        int code = ok ? mudpt_classifier_gradients(r->classifier, pixels, labels, count, &loss, NULL) : MUDPT_OK;
        if (ok && code == MUDPT_OK) code = replay_update(r, (float)rate->valuedouble, index + 1);
        if (ok && code == MUDPT_OK) code = replay_average(r, step);
        free(labels);
        free(pixels);
        if (code != MUDPT_OK) fault(r->o, "step %d: code %d, %s", index, code, mudpt_last_error());
        if (!ok || code != MUDPT_OK) return 0;
        double difference = fabs(loss - json_number(step, "loss", NAN));
        if (!(difference <= worst)) {
            worst = difference;
            at = index;
        }
        index++;
    }
    if (!(worst <= allowed))
        fault(r->o, "losses: got a difference of %.4g at step %d of %d, allowed %.4g", worst, at, index, allowed);
    if (report.verbose) printf("     %s: losses differ by at most %.4g\n", r->o->name, worst);
    return index > 0;
}

/* All tensors together: how far from the recorded end, as a share of the way that training went. */
static void replay_final(replay *r, const tensor_file *file) {
    double off = 0, way = 0;
    mudpt_parameter p;
    for (int i = 0; i < mudpt_classifier_parameters(r->classifier); i++) {
        char name[256];
        tensor t, u;
        if (mudpt_classifier_parameter(r->classifier, i, &p) != MUDPT_OK) continue;
        snprintf(name, sizeof name, "final.%s", p.name);
        float *end = tensor_floats(file, name, &t);
        snprintf(name, sizeof name, "init.%s", p.name);
        float *start = tensor_floats(file, name, &u);
        if (!start || !end || t.count != (size_t)p.count || u.count != t.count)
            fault(r->o, "final.%s: the golden file has none of this size", p.name);
        else
            for (size_t k = 0; k < t.count; k++) {
                off += (p.value[k] - (double)end[k]) * (p.value[k] - (double)end[k]);
                way += (start[k] - (double)end[k]) * (start[k] - (double)end[k]);
            }
        free(start);
        free(end);
    }
    const double allowed = 0.1;
    if (!(sqrt(off) <= allowed * sqrt(way)))
        fault(r->o, "final tensors: got %.3g of the way beside the recorded ones, allowed %.3g", sqrt(off / way),
              allowed);
    if (report.verbose) printf("     %s: final tensors differ by %.4g of the way\n", r->o->name, sqrt(off / way));
}

static void replay_predictions(replay *r) {
    const cJSON *item, *test = json_get(r->json, "test");
    int differ = 0, right = 0, total = 0;
    int allowed = number_of(json_get(r->json, "test_margin"), "below_0.01");
    float *pixels = need_bytes(r->picture * 4), *logits = need_bytes((size_t)r->classes * 4);
    cJSON_ArrayForEach(item, test) {
        int best = 0;
        if (!read_pixels(r, item, 0, pixels)) break;
        if (mudpt_classifier_logits(r->classifier, pixels, 1, logits, NULL) != MUDPT_OK) {
            fault(r->o, "test: %s", mudpt_last_error());
            break;
        }
        for (int c = 1; c < r->classes; c++) best = logits[c] > logits[best] ? c : best;
        differ += best != (int)cJSON_GetNumberValue(cJSON_GetArrayItem(item, 2));
        right += best == (int)cJSON_GetNumberValue(cJSON_GetArrayItem(item, 1));
        total++;
    }
    if (differ > allowed)
        fault(r->o, "predictions: got %d of %d other than recorded (accuracy %.4f where it was %.4f), allowed %d",
              differ, total, (double)right / total, json_number(r->json, "test_accuracy", 0), allowed);
    if (report.verbose)
        printf("     %s: %d of %d predictions differ, accuracy %.4f\n", r->o->name, differ, total,
               (double)right / total);
    free(pixels);
    free(logits);
}

static void run_replay(const char *folder, const char *name, const cJSON *json, load_options options) {
    char model[PATH_BYTES], data[PATH_BYTES], path[PATH_BYTES];
    outcome o = {.name = name};
    mudpt_method method;
    mudpt_clip_config sizes;
    tensor_file file = {0};
    replay r = {.o = &o, .json = json, .data = data, .classes = cJSON_GetArraySize(json_get(json, "classes"))};
    int32_t *ids = NULL, *lengths = need_bytes((size_t)r.classes * 8);
    if (!read_method(&o, json_text(json, "method"), json_get(json, "hyper_parameters"), &method)) {
        /* its fault is noted */
    } else if (!find_folder(model, folder, json_text(json, "model")) ||
               !find_folder(data, folder, json_text(json, "data")))
        fault(&o, "%s and %s lie neither beside the golden folder nor in the tree of %s", json_text(json, "model"),
              json_text(json, "data"), program);
    else if (!tensor_file_open(&file, join(path, folder, "replay.safetensors")))
        fault(&o, "replay.safetensors cannot be read");
    else r.clip = load_clip(&o, model, join(path, model, "model.safetensors"), options);
    if (r.clip && read_architecture(model, &sizes)) {
        r.picture = (size_t)sizes.image * (size_t)sizes.image * 3;
        ids = encode_sentences(&o, json, join(path, model, "tokenizer.json"), &method, sizes.context, lengths,
                               lengths + r.classes);
        mudpt_sentences sentences = {ids,           lengths,   method.class_position ? lengths + r.classes : NULL,
                                     sizes.context, r.classes, 1};
        if (!o.faults && mudpt_classifier_create(r.clip, &method, &sentences, r.classes, &r.classifier) != MUDPT_OK)
            fault(&o, "classifier: %s", mudpt_last_error());
    }
    if (r.classifier && tensor_find(&file, "teacher_ids", &(tensor){0})) {
        float *teacher = teacher_of(&o, r.clip, &file, r.classes, sizes.embed);
        if (teacher && mudpt_classifier_set_teacher(r.classifier, teacher) != MUDPT_OK)
            fault(&o, "the frozen model's class features: %s", mudpt_last_error());
        free(teacher);
    }
    if (r.classifier && set_parameters(&o, r.classifier, &file)) {
        /* what the recording measured for another picture decoder, as golden/README.md states it */
        double noise = json_number(json_get(json, "loss_difference"), "half a unit of noise on the pixels", 0);
        if (replay_steps(&r, fmax(!strcmp(method.method, "uumudpt") ? 0.06 : 0.02, noise))) {
            replay_final(&r, &file);
            replay_predictions(&r);
        }
    }
    mudpt_classifier_free(r.classifier);
    mudpt_clip_free(r.clip);
    tensor_file_close(&file);
    free(ids);
    free(lengths);
    finish(&o);
}

#endif
