/* Golden cases of heads, `"kind": "features"`: what a head computes from cached features, its gradients, its training
 * run. Part of golden.c, which alone includes it, behind what compares with stored tensors. */
#ifndef GOLDEN_HEADS_H
#define GOLDEN_HEADS_H

/* One case, and the model's scale and projection. */
typedef struct {
    golden_case *files;
    mudpt_head *head;
    double scale;
    const float *projection; /* [d_v, e] */
    int32_t before;          /* d_v */
    int classes;
} head_case;

static int head_is_known(const char *name) {
    for (int i = 0; mudpt_head_name(i); i++)
        if (!strcmp(mudpt_head_name(i), name)) return 1;
    return 0;
}

static mudpt_parameter find_tensor(mudpt_head *head, const char *name) {
    mudpt_parameter p;
    for (int i = 0; i < mudpt_head_tensors(head); i++)
        if (mudpt_head_tensor(head, i, &p) == MUDPT_OK && !strcmp(p.name, name)) return p;
    return (mudpt_parameter){0};
}

/* The configuration that a case's hyper-parameters describe. */
static mudpt_head_config head_config(const head_case *c, const tensor *templates, const tensor *support) {
    const cJSON *hyper = json_get(c->files->json, "hyper_parameters"), *scale = json_get(hyper, "scale");
    const char *method = json_text(c->files->json, "method");
    int model = !strcmp(method, "sstext") || !strcmp(method, "sstext+") || !strcmp(method, "clap") ||
                !strcmp(json_text(hyper, "scale"), "model");
    mudpt_head_config config = {.method = method,
                                .classes = templates->shape[1],
                                .templates = templates->shape[0],
                                .width = templates->shape[2],
                                .views = support->shape[0],
                                .pictures = support->shape[1],
                                .alpha = (float)json_number(hyper, "alpha", 0),
                                .beta = (float)json_number(hyper, "beta", 0),
                                .lambda = (float)json_number(hyper, "lambda", 0),
                                .rate = (float)json_number(hyper, "learning_rate", 0),
                                .batch = number_of(hyper, "batch"),
                                .steps_each = number_of(hyper, "steps_per_epoch"),
                                .epochs = number_of(hyper, "steps")};
    if (strcmp(method, "lp++")) config.scale = (float)(model ? c->scale : scale ? scale->valuedouble : 100);
    if (!strcmp(method, "prolip")) config.before = c->before;
    if (!strcmp(method, "clap")) config.epochs = number_of(hyper, "epochs");
    if (!strcmp(method, "tip-f")) config.steps_each = 1;
    return config;
}

/* The rows of step `index`; NULL: the method's own. tip-f's batches are a view and pictures. */
static int32_t *head_rows(const head_case *c, int index, int pictures, int *count) {
    const cJSON *batch = cJSON_GetArrayItem(json_get(c->files->json, "batches"), index);
    const cJSON *inner = cJSON_GetArrayItem(batch, 1);
    *count = 0;
    if (!batch) return NULL;
    if (!cJSON_IsArray(inner)) return json_ints(batch, count);
    int32_t *rows = json_ints(inner, count);
    for (int i = 0; i < *count; i++) rows[i] += cJSON_GetArrayItem(batch, 0)->valueint * pictures;
    return rows;
}

/* Every tensor of the head that the file has under prefix + name. gda's weight is stored [e, C]. */
static void compare_tensors(const head_case *c, const char *prefix, mudpt_head *head) {
    mudpt_parameter p;
    char name[128], kind[128];
    tensor t;
    for (int i = 0; i < mudpt_head_tensors(head); i++) {
        if (mudpt_head_tensor(head, i, &p) != MUDPT_OK) continue;
        snprintf(name, sizeof name, "%s%s", prefix, p.name);
        if (!tensor_find(&c->files->file, name, &t)) continue;
        snprintf(kind, sizeof kind, "%s", name);
        if (strchr(kind, '.')) *strchr(kind, '.') = 0;
        const float *values = p.value;
        float *turned = NULL;
        if (t.dims == 2 && t.shape[0] == p.shape[1] && !strcmp(json_text(c->files->json, "method"), "gda")) {
            turned = need_bytes((size_t)p.count * 4);
            for (int32_t k = 0; k < p.count; k++) turned[k % p.shape[1] * p.shape[0] + k / p.shape[1]] = p.value[k];
            values = turned;
        }
        compare_stored(c->files, name, values, (size_t)p.count, NULL, tolerance_of(c->files, kind), name);
        free(turned);
    }
}

static void compare_logits(const head_case *c, mudpt_head *head, int classes, const char *name) {
    tensor t;
    float *query = tensor_floats(&c->files->file, "query.features", &t);
    if (!query) query = tensor_floats(&c->files->file, "query.before", &t);
    if (!query) fault(c->files->o, "the golden file has no query features");
    else {
        size_t count = (size_t)t.shape[0] * (size_t)classes;
        float *logits = need_bytes(count * 4);
        int code = mudpt_head_logits(head, query, t.shape[0], logits);
        if (code != MUDPT_OK) fault(c->files->o, "%s: code %d, %s", name, code, mudpt_last_error());
        else compare_stored(c->files, name, logits, count, NULL, tolerance_of(c->files, name), name);
        free(logits);
    }
    free(query);
}

/* Logits and gradients of the first batch, every loss, what training ends with, and how far that is from the start. */
static void check_head_training(head_case *c, int pictures) {
    const cJSON *losses = json_get(c->files->json, "losses");
    int total = cJSON_GetArraySize(losses), count;
    int32_t *rows = head_rows(c, 0, pictures, &count);
    float loss, *logits = need_bytes((size_t)(count ? count : pictures) * (size_t)c->classes * 4);
    float *starts[8] = {0};
    mudpt_parameter p;
    mudpt_progress progress;
    char name[128];
    int code = mudpt_head_gradients(c->head, rows, count, &loss, logits);
    if (code != MUDPT_OK) fault(c->files->o, "gradients: code %d, %s", code, mudpt_last_error());
    else
        compare_stored(c->files, "logits", logits, (size_t)(count ? count : pictures) * (size_t)c->classes, NULL,
                       tolerance_of(c->files, "logits"), "logits");
    free(rows);
    free(logits);
    for (int i = 0; i < mudpt_head_tensors(c->head) && i < 8; i++) {
        if (mudpt_head_tensor(c->head, i, &p) != MUDPT_OK || !p.gradient) continue;
        snprintf(name, sizeof name, "grad.%s", p.name);
        compare_stored(c->files, name, p.gradient, (size_t)p.count, NULL, tolerance_of(c->files, "grad"), name);
        starts[i] = need_bytes((size_t)p.count * 4);
        memcpy(starts[i], p.value, (size_t)p.count * 4);
    }
    for (int step = 0; step < total && code == MUDPT_OK; step++) {
        rows = head_rows(c, step, pictures, &count);
        code = mudpt_head_step(c->head, rows, count, &progress);
        free(rows);
        snprintf(name, sizeof name, "losses[%d]", step);
        if (code != MUDPT_OK) fault(c->files->o, "step %d: code %d, %s", step, code, mudpt_last_error());
        else
            compare_number(c->files->o, name, progress.loss, cJSON_GetNumberValue(cJSON_GetArrayItem(losses, step)),
                           tolerance_of(c->files, "losses"));
    }
    if (code == MUDPT_OK && mudpt_head_step(c->head, NULL, 0, &progress) != MUDPT_DONE)
        fault(c->files->o, "training goes on behind the last of %d steps", total);
    for (int i = 0; i < mudpt_head_tensors(c->head) && i < 8; i++) {
        if (!starts[i] || mudpt_head_tensor(c->head, i, &p) != MUDPT_OK) continue;
        snprintf(name, sizeof name, "final.%s", p.name);
        compare_stored(c->files, name, p.value, (size_t)p.count, NULL, tolerance_of(c->files, "final"), name);
        compare_stored(c->files, name, p.value, (size_t)p.count, starts[i], tolerance_of(c->files, "final_change"),
                       "final_change");
        free(starts[i]);
    }
}

/* A head made anew of what this one has learned must have the same logits. */
static void check_head_restored(head_case *c, const mudpt_head_config *config, const float *templates,
                                const int32_t *labels) {
    mudpt_head *twin = NULL;
    mudpt_parameter from, to;
    int code = mudpt_head_create(config, templates, config->before ? c->projection : NULL, NULL, labels, &twin);
    for (int i = 0; code == MUDPT_OK && i < mudpt_head_tensors(c->head); i++)
        if (mudpt_head_tensor(c->head, i, &from) == MUDPT_OK && mudpt_head_tensor(twin, i, &to) == MUDPT_OK)
            memcpy(to.value, from.value, (size_t)from.count * 4);
    if (code != MUDPT_OK) fault(c->files->o, "a head whose tensors are given: code %d, %s", code, mudpt_last_error());
    else {
        mudpt_head_changed(twin);
        compare_logits(c, twin, c->classes, "query_logits");
    }
    mudpt_head_free(twin);
}

static void run_head_case(head_case *c) {
    tensor templates, support, labels, fresh, bias;
    const char *method = json_text(c->files->json, "method");
    if (!head_is_known(method)) {
        fault(c->files->o, "head %s is not available", method);
        c->files->o->unknown_method = 1;
        return;
    }
    float *text = tensor_floats(&c->files->file, "template_features", &templates);
    c->head = NULL;
    float *features = tensor_floats(&c->files->file, "support.features", &support);
    if (!features) features = tensor_floats(&c->files->file, "support.before", &support);
    int32_t *own = tensor_ints(&c->files->file, "support.labels", &labels);
    float *other = tensor_floats(&c->files->file, "new_template_features", &fresh);
    float *start = tensor_floats(&c->files->file, "init.bias", &bias);
    if (!text || !features || !own || templates.dims != 3 || support.dims != 3 || labels.shape[0] != support.shape[1])
        fault(c->files->o, "template_features, support and labels of the case do not fit");
    else {
        mudpt_head_config config = head_config(c, &templates, &support);
        c->classes = config.classes;
        int code = mudpt_head_create(&config, text, config.before ? c->projection : NULL, features, own, &c->head);
        if (code != MUDPT_OK) fault(c->files->o, "head: code %d, %s", code, mudpt_last_error());
        else if (!(mudpt_head_bytes(&config) > 0)) fault(c->files->o, "its bytes: %s", mudpt_last_error());
        if (code == MUDPT_OK && start) {
            memcpy(find_tensor(c->head, "bias").value, start, bias.bytes);
            mudpt_head_changed(c->head);
        }
        if (code == MUDPT_OK) {
            compare_tensors(c, "", c->head);
            compare_tensors(c, "init.", c->head);
            if (cJSON_GetArraySize(json_get(c->files->json, "losses"))) check_head_training(c, config.pictures);
            compare_logits(c, c->head, c->classes, "query_logits");
            check_head_restored(c, &config, text, own);
        }
        if (code == MUDPT_OK && other) {
            mudpt_head *next = NULL;
            code = mudpt_head_create_new(c->head, other, fresh.shape[1], &next);
            if (code != MUDPT_OK) fault(c->files->o, "new classes: code %d, %s", code, mudpt_last_error());
            else {
                compare_tensors(c, "new_", next);
                compare_logits(c, next, fresh.shape[1], "new_query_logits");
            }
            mudpt_head_free(next);
        }
    }
    mudpt_head_free(c->head);
    free(text);
    free(features);
    free(own);
    free(other);
    free(start);
}

#endif
