/* What is checked once for a configuration: other files of the same weights, and features of the pictures. Part of
 * golden.c, which alone includes it, behind the cases. */
#ifndef GOLDEN_ONCE_H
#define GOLDEN_ONCE_H

/* ------------------------------------------------------------------------------------------------ weight files */

/* Features of all pictures and of the first case's sentences as plain zero-shot: [pictures + classes, e]. */
static float *all_features(outcome *o, mudpt_clip *clip, const golden_case *first, int embed, size_t *count) {
    golden_case c = *first;
    mudpt_method method = {.method = "zeroshot"};
    mudpt_sentences sentences;
    mudpt_classifier *classifier = NULL;
    int32_t *owned[3] = {0};
    float *out = NULL;
    c.o = o;
    if (read_sentences(&c, &method, &sentences, owned)) {
        size_t pictures = (size_t)c.pictures * (size_t)embed;
        float *logits = need_bytes((size_t)c.pictures * (size_t)sentences.classes * 4);
        *count = pictures + (size_t)sentences.classes * (size_t)embed;
        out = need_bytes(*count * 4);
        int code = mudpt_classifier_create(clip, &method, &sentences, sentences.classes, &classifier);
        if (code == MUDPT_OK) code = mudpt_classifier_logits(classifier, c.images, c.pictures, logits, out);
        if (code == MUDPT_OK) code = mudpt_classifier_text_features(classifier, out + pictures);
        if (code != MUDPT_OK) {
            fault(o, "features: code %d, %s", code, mudpt_last_error());
            free(out);
            out = NULL;
        }
        free(logits);
    }
    mudpt_classifier_free(classifier);
    for (int i = 0; i < 3; i++) free(owned[i]);
    return out;
}

/* Every other file with the same weights, under whatever names, must give the same features bit for bit. */
static void check_weight_files(const char *folder, const char *name, const cJSON *config, const golden_case *first,
                               const mudpt_clip_config *sizes, load_options options, const char *weights) {
    char path[PATH_BYTES], model[PATH_BYTES], label[PATH_BYTES + 64];
    const cJSON *file, *files = json_get(config, "files"), *main_file = json_get(files, weights);
    const char *main_type = cJSON_GetStringValue(cJSON_GetArrayItem(main_file, 1));
    size_t count = 0;
    outcome reference = {.name = name};
    float *want = all_features(&reference, first->clip, first, sizes->embed, &count);
    join(model, folder, "model");
    cJSON_ArrayForEach(file, files) {
        const char *naming = cJSON_GetStringValue(cJSON_GetArrayItem(file, 0));
        const char *type = cJSON_GetStringValue(cJSON_GetArrayItem(file, 1));
        int same_values = number_of(config, "f16_exact") || (type && main_type && !strcmp(type, main_type));
        for (int custom_text = 0; custom_text < 2; custom_text++) {
            if (custom_text ? !naming || strcmp(naming, "openai") : !strcmp(file->string, weights)) continue;
            snprintf(label, sizeof label, "%s/%s%s", name, file->string,
                     custom_text ? " as open_clip's custom text" : "");
            outcome o = {.name = label};
            options.custom_text = custom_text;
            mudpt_clip *clip = load_clip(&o, model, join(path, folder, file->string), options);
            size_t got_count = 0;
            float *got = clip ? all_features(&o, clip, first, sizes->embed, &got_count) : NULL;
            if (got && same_values) {
                if (!want || got_count != count || memcmp(got, want, count * 4))
                    fault(&o, "features: got other bits than with %s, the same are right", weights);
                if (strcmp(mudpt_clip_fingerprint(clip), mudpt_clip_fingerprint(first->clip)))
                    fault(&o, "fingerprint: got %s, %s of %s is right", mudpt_clip_fingerprint(clip),
                          mudpt_clip_fingerprint(first->clip), weights);
            }
            free(got);
            mudpt_clip_free(clip);
            finish(&o);
        }
    }
    free(want);
}

/* ------------------------------------------------------------------------------------------------ features */

/* Pictures before and behind the image tower's projection, where a configuration has a file of them. */
static void check_features(const char *folder, const char *name, const golden_case *first,
                           const mudpt_clip_config *sizes) {
    char path[PATH_BYTES], label[PATH_BYTES + 64];
    tensor_file file = {0};
    tensor t;
    if (!tensor_file_open(&file, join(path, folder, "features.safetensors"))) return;
    snprintf(label, sizeof label, "%s/features", name);
    outcome o = {.name = label};
    const mudpt_method method = {.method = "zeroshot"};
    mudpt_classifier *classifier = NULL;
    size_t counts[2] = {(size_t)first->pictures * (size_t)sizes->vision.width,
                        (size_t)first->pictures * (size_t)sizes->embed};
    float *got[2] = {need_bytes(counts[0] * 4), need_bytes(counts[1] * 4)};
    static const char *const names[2] = {"before", "after"};
    int code = mudpt_classifier_create(first->clip, &method, NULL, 1, &classifier);
    if (code == MUDPT_OK)
        code = mudpt_classifier_image_features(classifier, first->images, first->pictures, got[0], got[1]);
    if (code != MUDPT_OK) fault(&o, "code %d, %s", code, mudpt_last_error());
    for (int i = 0; i < 2 && code == MUDPT_OK; i++) {
        float *want = tensor_floats(&file, names[i], &t);
        if (!want || t.count != counts[i]) fault(&o, "%s: no such tensor, or another size", names[i]);
        else compare(&o, names[i], got[i], want, t.count, tolerance_of(first, "image_features"));
        free(want);
    }
    mudpt_classifier_free(classifier);
    for (int i = 0; i < 2; i++) free(got[i]);
    tensor_file_close(&file);
    finish(&o);
}

#endif
