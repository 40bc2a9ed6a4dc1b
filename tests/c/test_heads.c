/* Heads: gradients of every trained one against finite differences of the loss that it gives, closed forms against the
 * equations they solve, and what all promise: any number of pictures a class where the method allows it, the same bits
 * for any number of threads and for the same seed, clear refusals, the last good tensors after a number that is not
 * finite, and a plan of bytes that holds.
 */
#include <string.h>

#include "check.h"
#include "tiny_clip.h"

enum { CLASSES = 5, TEMPLATES = 2, WIDTH = 24, BEFORE = 40, MOST_PICTURES = 600, VIEWS = 3, QUERIES = 300 };

/* Features with a structure: rows about their class's centre, of different lengths. */
typedef struct {
    float templates[TEMPLATES * CLASSES * WIDTH], projection[BEFORE * WIDTH];
    float before[VIEWS * MOST_PICTURES * BEFORE], after[VIEWS * MOST_PICTURES * WIDTH];
    float query_before[QUERIES * BEFORE], query_after[QUERIES * WIDTH];
    int32_t labels[MOST_PICTURES];
    int pictures;
} data;

static void project(float *after, const float *before, const float *projection, int rows) {
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < WIDTH; i++) {
            double sum = 0;
            for (int k = 0; k < BEFORE; k++) sum += (double)before[r * BEFORE + k] * (double)projection[k * WIDTH + i];
            after[r * WIDTH + i] = (float)sum;
        }
}

/* Pictures of each class; the same numbers for the same seed. */
static data *make_data(const int counts[CLASSES], uint64_t seed) {
    static data d;
    float centres[CLASSES * BEFORE];
    random_state = seed;
    d.pictures = 0;
    for (int i = 0; i < CLASSES * BEFORE; i++) centres[i] = (float)random_normal();
    for (int i = 0; i < BEFORE * WIDTH; i++) d.projection[i] = (float)(random_normal() / 6);
    for (int i = 0; i < TEMPLATES * CLASSES * WIDTH; i++) d.templates[i] = (float)(1.5 * random_normal());
    for (int c = 0; c < CLASSES; c++)
        for (int i = 0; i < counts[c]; i++) d.labels[d.pictures++] = c;
    for (int i = d.pictures - 1; i > 0; i--) { /* in no order */
        int j = (int)(random_uniform() * (i + 1));
        int32_t keep = d.labels[i];
        d.labels[i] = d.labels[j];
        d.labels[j] = keep;
    }
    for (int r = 0; r < VIEWS * d.pictures; r++) {
        double length = 0.5 + random_uniform();
        for (int i = 0; i < BEFORE; i++) {
            double value = (double)centres[d.labels[r % d.pictures] * BEFORE + i] + 2.5 * random_normal();
            d.before[r * BEFORE + i] = (float)(length * value);
        }
    }
    for (int i = 0; i < QUERIES * BEFORE; i++) d.query_before[i] = (float)random_normal();
    project(d.after, d.before, d.projection, VIEWS * d.pictures);
    project(d.query_after, d.query_before, d.projection, QUERIES);
    return &d;
}

static const int some[CLASSES] = {4, 2, 6, 1, 5}, absent[CLASSES] = {4, 0, 6, 1, 5},
                 many[CLASSES] = {120, 90, 150, 60, 100};

static int is_named(const char *method, const char *const *names) {
    for (; *names; names++)
        if (!strcmp(method, *names)) return 1;
    return 0;
}

static int sees_before(const char *method) {
    return is_named(method, (const char *const[]){"prolip", "ridge", "logistic", NULL});
}

/* Settings with which each method does something that shows. */
static mudpt_head_config config_of(const char *method, const data *d, int views) {
    int tip = !strncmp(method, "tip", 3),
        trained = !is_named(method, (const char *const[]){"sstext", "sstext+", "gda", "tip", "ridge", NULL});
    int batches = is_named(method, (const char *const[]){"tip-f", "clap", NULL});
    return (mudpt_head_config){.method = method,
                               .classes = CLASSES,
                               .templates = TEMPLATES,
                               .width = WIDTH,
                               .before = sees_before(method) ? BEFORE : 0,
                               .pictures = d->pictures,
                               .views = views,
                               .scale = strcmp(method, "lp++") ? 6 : 0,
                               .alpha = tip || !strcmp(method, "gda") ? 1.5f : 0,
                               .beta = tip ? 2 : 0,
                               .lambda = sees_before(method) ? 0.02f : 0,
                               .rate = !trained || !strcmp(method, "lp++") ? 0
                                       : strcmp(method, "logistic")        ? 0.01f
                                                                           : 1,
                               .epochs = trained ? 7 : 0,
                               .batch = batches ? 8 : 0,
                               .seed = 3};
}

static int create(const mudpt_head_config *config, const data *d, mudpt_head **out) {
    return mudpt_head_create(config, d->templates, config->before ? d->projection : NULL,
                             config->before ? d->before : d->after, d->labels, out);
}

static const float *query_of(const mudpt_head_config *config, const data *d) {
    return config->before ? d->query_before : d->query_after;
}

/* ------------------------------------------------------------------------------------------------ gradients */

/* The slope of the loss along a direction of one tensor, by central differences at two steps, extrapolated. */
static double slope(mudpt_head *head, const mudpt_parameter *p, const float *along, const int32_t *rows, int count) {
    float *keep = malloc((size_t)p->count * sizeof *keep), loss[2];
    double size = 0, norm = 0, slopes[2];
    if (!keep) abort();
    memcpy(keep, p->value, (size_t)p->count * sizeof *keep);
    for (int i = 0; i < p->count; i++) {
        size = fmax(size, fabs((double)keep[i]));
        norm = fmax(norm, fabs((double)along[i]));
    }
    for (int k = 0; k < 2; k++) {
        double step = (k ? 1e-2 : 2e-2) * fmax(size, 0.1) / norm;
        for (int side = 0; side < 2; side++) {
            for (int i = 0; i < p->count; i++)
                p->value[i] = (float)((double)keep[i] + (side ? -step : step) * (double)along[i]);
            mudpt_head_changed(head);
            CHECK(mudpt_head_gradients(head, rows, count, &loss[side], NULL) == MUDPT_OK, "%s", mudpt_last_error());
        }
        slopes[k] = ((double)loss[0] - (double)loss[1]) / (2 * step);
    }
    memcpy(p->value, keep, (size_t)p->count * sizeof *keep);
    mudpt_head_changed(head);
    free(keep);
    return (4 * slopes[1] - slopes[0]) / 3;
}

static void check_gradients(const char *method) {
    const data *d = make_data(some, 5);
    mudpt_head_config config = config_of(method, d, strcmp(method, "lp++") ? VIEWS : 1);
    mudpt_head *head = NULL;
    mudpt_progress progress;
    int32_t rows[] = {3, 17, 0, 9, 9, 12, 5};
    float loss;
    CHECK(create(&config, d, &head) == MUDPT_OK, "%s: %s", method, mudpt_last_error());
    if (!head) return;
    /* Where training starts some gradients are special: a step first. lp++'s rates are large. */
    CHECK(mudpt_head_step(head, NULL, 0, &progress) == MUDPT_OK, "%s: %s", method, mudpt_last_error());
    int tensors = 0;
    for (int t = 0; t < mudpt_head_tensors(head); t++) {
        mudpt_parameter p;
        if (mudpt_head_tensor(head, t, &p) != MUDPT_OK || !p.gradient) continue;
        tensors++;
        float *gradient = malloc((size_t)p.count * sizeof *gradient), *along = malloc((size_t)p.count * sizeof *along);
        if (!gradient || !along) abort();
        CHECK(mudpt_head_gradients(head, rows, 7, &loss, NULL) == MUDPT_OK, "%s", mudpt_last_error());
        memcpy(gradient, p.gradient, (size_t)p.count * sizeof *gradient);
        for (int way = 0; way < 4; way++) { /* along the gradient, then three others */
            double want = 0, length = 0;
            for (int i = 0; i < p.count; i++) {
                along[i] = way ? (float)random_normal() : gradient[i];
                want += (double)along[i] * (double)gradient[i];
                length += (double)gradient[i] * (double)gradient[i];
            }
            CHECK(length > 1e-6, "%s: the gradient of %s is %g", method, p.name, sqrt(length));
            double got = slope(head, &p, along, rows, 7), scale = 0;
            for (int i = 0; i < p.count; i++) scale += (double)along[i] * (double)along[i];
            CHECK_CLOSE(got, want, 4e-3 * sqrt(scale * length) + 1e-6, "%s: gradient of %s, direction %d", method,
                        p.name, way);
        }
        free(gradient);
        free(along);
    }
    CHECK(tensors > 0, "%s trains nothing", method);
    mudpt_head_free(head);
}

/* Where a row's other classes have next to no probability, what follows is zero, not subnormal: that is slow. */
static void check_far_apart(void) {
    const data *d = make_data(some, 5);
    mudpt_head_config config = config_of("tip-f", d, VIEWS);
    mudpt_head *head = NULL;
    config.alpha = 100;
    CHECK(create(&config, d, &head) == MUDPT_OK, "%s", mudpt_last_error());
    if (!head) return;
    mudpt_parameter p;
    float loss;
    int subnormal = 0, other = 0;
    CHECK(mudpt_head_tensor(head, 0, &p) == MUDPT_OK, "%s", mudpt_last_error());
    for (int32_t row = 0; row < d->pictures; row++) {
        CHECK(mudpt_head_gradients(head, &row, 1, &loss, NULL) == MUDPT_OK, "%s", mudpt_last_error());
        for (int i = 0; i < p.count; i++) {
            subnormal += fpclassify(p.gradient[i]) == FP_SUBNORMAL;
            other += fpclassify(p.gradient[i]) == FP_NORMAL;
        }
    }
    CHECK(subnormal == 0 && other > 0, "%d values of gradients are subnormal, and %d are not", subnormal, other);
    mudpt_head_free(head);
}

/* ------------------------------------------------------------------------------------------------ what all promise */

typedef struct {
    float logits[QUERIES * CLASSES];
    float losses[64], first, last; /* of each step; of all rows, before and after */
    int steps;
} run;

/* The loss of all rows that a head keeps. */
static float whole_loss(mudpt_head *head, const mudpt_head_config *config) {
    static int32_t rows[VIEWS * MOST_PICTURES];
    int count = config->pictures * (strcmp(config->method, "lp++") ? config->views : 1);
    float loss = NAN;
    for (int i = 0; i < count; i++) rows[i] = i;
    CHECK(mudpt_head_gradients(head, rows, count, &loss, NULL) == MUDPT_OK, "%s", mudpt_last_error());
    return loss;
}

/* A whole run on some threads; 0 where it fails. */
static int run_head(const char *method, const data *d, int threads, uint32_t seed, run *out) {
    mudpt_head_config config = config_of(method, d, VIEWS);
    if (is_named(method, (const char *const[]){"tip-f", "clap", "lp++", NULL})) config.seed = seed;
    mudpt_head *head = NULL;
    mudpt_progress progress;
    int code;
    memset(out, 0, sizeof *out);
    CHECK(mudpt_set_threads(threads) == MUDPT_OK, "%s", mudpt_last_error());
    code = create(&config, d, &head);
    if (!code && config.epochs) out->first = whole_loss(head, &config);
    while (!code && (code = mudpt_head_step(head, NULL, 0, &progress)) == MUDPT_OK)
        if (out->steps < 64) out->losses[out->steps++] = progress.loss;
    CHECK(code == MUDPT_DONE, "%s: %s", method, mudpt_last_error());
    if (head && config.epochs) out->last = whole_loss(head, &config);
    if (head) code = mudpt_head_logits(head, query_of(&config, d), QUERIES, out->logits);
    CHECK(code == MUDPT_OK, "%s: %s", method, mudpt_last_error());
    mudpt_head_free(head);
    CHECK(mudpt_set_threads(1) == MUDPT_OK, "%s", mudpt_last_error());
    return code == MUDPT_OK;
}

/* More rows than go through at once, on one thread and on three; once more; with another seed. */
static void check_threads(const char *method) {
    static run runs[4];
    const data *d = make_data(many, 7);
    int fine = 1;
    for (int i = 0; i < 4; i++) fine &= run_head(method, d, i == 1 ? 3 : 1, i == 3 ? 4 : 3, &runs[i]);
    if (!fine) return;
    CHECK(!memcmp(&runs[0], &runs[1], sizeof runs[0]), "%s: three threads give other bits than one", method);
    CHECK(!memcmp(&runs[0], &runs[2], sizeof runs[0]), "%s: the same seed gives other bits", method);
    int seeded = is_named(method, (const char *const[]){"tip-f", "clap", "lp++", NULL});
    CHECK(!seeded || memcmp(&runs[0], &runs[3], sizeof runs[0]), "%s: another seed gives the same", method);
    CHECK(!runs[0].steps || runs[0].last < runs[0].first, "%s: the loss goes from %g to %g", method,
          (double)runs[0].first, (double)runs[0].last);
}

/* A class without pictures is refused, or has what the method says. */
static void check_absent(const char *method) {
    const data *d = make_data(absent, 9);
    mudpt_head_config config = config_of(method, d, VIEWS);
    mudpt_head *head = NULL;
    mudpt_progress progress;
    static float logits[QUERIES * CLASSES];
    int code = create(&config, d, &head);
    if (!strcmp(method, "gda")) {
        CHECK(code == MUDPT_ARGUMENT && strstr(mudpt_last_error(), "class 1"), "%s: %d, %s", method, code,
              mudpt_last_error());
        return;
    }
    CHECK(code == MUDPT_OK, "%s: %s", method, mudpt_last_error());
    while (code == MUDPT_OK) code = mudpt_head_step(head, NULL, 0, &progress);
    CHECK(code == MUDPT_DONE, "%s: %s", method, mudpt_last_error());
    code = head ? mudpt_head_logits(head, query_of(&config, d), QUERIES, logits) : code;
    CHECK(code == MUDPT_OK, "%s: %s", method, mudpt_last_error());
    mudpt_head_free(head);
}

/* Queries one at a time have the bits of all at once; a head whose tensors were given has those of the first. */
static void check_queries(const char *method) {
    static float all[QUERIES * CLASSES], one[CLASSES], again[QUERIES * CLASSES];
    const data *d = make_data(some, 11);
    mudpt_head_config config = config_of(method, d, 2);
    mudpt_head *head = NULL, *twin = NULL;
    mudpt_parameter from, to;
    int width = config.before ? BEFORE : WIDTH, code = create(&config, d, &head);
    if (!code) code = mudpt_head_logits(head, query_of(&config, d), QUERIES, all);
    CHECK(code == MUDPT_OK, "%s: %s", method, mudpt_last_error());
    for (int q = 0; q < QUERIES && !code; q += 37) {
        code = mudpt_head_logits(head, query_of(&config, d) + q * width, 1, one);
        CHECK(!code && !memcmp(one, all + q * CLASSES, sizeof one), "%s: query %d by itself differs", method, q);
    }
    if (!code)
        code = mudpt_head_create(&config, d->templates, config.before ? d->projection : NULL, NULL, d->labels, &twin);
    for (int i = 0; !code && i < mudpt_head_tensors(head); i++) {
        code = mudpt_head_tensor(head, i, &from) || mudpt_head_tensor(twin, i, &to);
        CHECK(!code && !strcmp(from.name, to.name) && from.count == to.count, "%s: tensor %d differs", method, i);
        if (!code) memcpy(to.value, from.value, (size_t)from.count * sizeof(float));
    }
    if (twin) mudpt_head_changed(twin);
    if (!code) code = mudpt_head_logits(twin, query_of(&config, d), QUERIES, again);
    CHECK(!code && !memcmp(all, again, sizeof all), "%s: its tensors in another head: %s", method, mudpt_last_error());
    float loss;
    if (twin) {
        mudpt_progress progress;
        CHECK(mudpt_head_step(twin, NULL, 0, &progress) == MUDPT_DONE, "%s: a step without pictures", method);
        CHECK(mudpt_head_gradients(twin, NULL, 0, &loss, NULL) == MUDPT_STATE, "%s: gradients of none", method);
    }
    mudpt_head_free(head);
    mudpt_head_free(twin);
}

/* ------------------------------------------------------------------------------------------------ closed forms */

/* Other names: the text's logits alone, prolip's projection, gda's own; refused where there is no column for them. */
static void check_new_classes(const char *method) {
    static float own[QUERIES * CLASSES], mine[QUERIES * 2], both[QUERIES * CLASSES];
    const data *d = make_data(some, 13);
    mudpt_head_config config = config_of(method, d, VIEWS);
    mudpt_head *head = NULL, *other = NULL, *whole = NULL;
    float fresh[TEMPLATES * 2 * WIDTH];
    for (int t = 0; t < TEMPLATES; t++) /* the names of classes 1 and 3 once more */
        for (int c = 0; c < 2; c++)
            memcpy(fresh + (t * 2 + c) * WIDTH, d->templates + (t * CLASSES + 1 + 2 * c) * WIDTH,
                   WIDTH * sizeof(float));
    CHECK(create(&config, d, &head) == MUDPT_OK, "%s: %s", method, mudpt_last_error());
    if (!head) return;
    int code = mudpt_head_create_new(head, fresh, 2, &other);
    if (is_named(method, (const char *const[]){"lp++", "ridge", "logistic", NULL})) {
        CHECK(code == MUDPT_STATE, "%s: %d for new names", method, code);
        mudpt_head_free(head);
        return;
    }
    CHECK(code == MUDPT_OK, "%s: %s", method, mudpt_last_error());
    if (!code) code = mudpt_head_logits(other, query_of(&config, d), QUERIES, mine);
    CHECK(code == MUDPT_OK, "%s: %s", method, mudpt_last_error());
    /* What the text alone says: a head without pictures. */
    mudpt_head_config text = {.method = "sstext",
                              .classes = CLASSES,
                              .templates = TEMPLATES,
                              .width = WIDTH,
                              .views = 1,
                              .scale = config.scale};
    if (!code) code = mudpt_head_create(&text, d->templates, NULL, NULL, NULL, &whole);
    if (!code) code = mudpt_head_logits(whole, d->query_after, QUERIES, both);
    if (!code) code = mudpt_head_logits(head, query_of(&config, d), QUERIES, own);
    CHECK(code == MUDPT_OK, "%s: %s", method, mudpt_last_error());
    double away = 0;
    for (int q = 0; q < QUERIES; q++)
        for (int c = 0; c < 2; c++)
            away = fmax(away, fabs((double)mine[q * 2 + c] - (double)both[q * CLASSES + 1 + 2 * c]));
    if (!strcmp(method, "gda")) CHECK(away > 0.1, "gda's new classes have the text alone");
    else if (strcmp(method, "clap")) /* whose mean over templates is another */
        CHECK(away < 1e-3, "%s: new names are %g off the text alone", method, away);
    mudpt_head_free(head);
    mudpt_head_free(other);
    mudpt_head_free(whole);
}

/* ridge is logistic's first step; logistic goes down to where the gradient vanishes, whatever the data. */
static void check_linear(void) {
    const data *d = make_data(many, 17);
    mudpt_head_config ridge = config_of("ridge", d, VIEWS), logistic = config_of("logistic", d, VIEWS);
    mudpt_head *closed = NULL, *trained = NULL;
    mudpt_progress progress;
    mudpt_parameter a, b;
    float before = 0, after = 0;
    logistic.epochs = 300;
    CHECK(create(&ridge, d, &closed) == MUDPT_OK && create(&logistic, d, &trained) == MUDPT_OK, "%s",
          mudpt_last_error());
    if (!closed || !trained) return;
    CHECK(mudpt_head_step(trained, NULL, 0, &progress) == MUDPT_OK, "%s", mudpt_last_error());
    before = progress.loss;
    CHECK(!mudpt_head_tensor(closed, 0, &a) && !mudpt_head_tensor(trained, 0, &b), "%s", mudpt_last_error());
    CHECK(!memcmp(a.value, b.value, (size_t)a.count * sizeof(float)), "ridge is not the first step of logistic");
    while (mudpt_head_step(trained, NULL, 0, &progress) == MUDPT_OK) after = progress.loss;
    CHECK(after < before / 3, "loss from %g to %g", (double)before, (double)after);
    CHECK(mudpt_head_gradients(trained, NULL, 0, &after, NULL) == MUDPT_OK, "%s", mudpt_last_error());
    double most = 0;
    for (int i = 0; i < b.count; i++) most = fmax(most, fabs((double)b.gradient[i]));
    CHECK(most < 2e-5, "the gradient at the end is %g", most);
    mudpt_head_free(closed);
    mudpt_head_free(trained);
}

/* More than 1000 rows: sstext's weight of the text stays at its floor; then w = t + s sum x / (M 1e-3). */
static void check_floor(void) {
    const data *d = make_data(many, 19);
    mudpt_head_config config = config_of("sstext", d, VIEWS);
    mudpt_head *head = NULL;
    mudpt_parameter w;
    double want[WIDTH] = {0};
    CHECK(create(&config, d, &head) == MUDPT_OK && !mudpt_head_tensor(head, 0, &w), "%s", mudpt_last_error());
    if (!head) return;
    int rows = VIEWS * d->pictures;
    for (int r = 0; r < rows; r++) {
        double square = 0;
        if (d->labels[r % d->pictures] != 2) continue;
        for (int i = 0; i < WIDTH; i++) square += (double)d->after[r * WIDTH + i] * (double)d->after[r * WIDTH + i];
        for (int i = 0; i < WIDTH; i++) want[i] += 6 * (double)d->after[r * WIDTH + i] / sqrt(square) / (rows * 1e-3);
    }
    for (int t = 0; t < TEMPLATES; t++) {
        const float *f = d->templates + (t * CLASSES + 2) * WIDTH;
        double square = 0;
        for (int i = 0; i < WIDTH; i++) square += (double)f[i] * (double)f[i];
        for (int i = 0; i < WIDTH; i++) want[i] += (double)f[i] / sqrt(square) / TEMPLATES;
    }
    CHECK(rows > 1000, "%d rows", rows);
    for (int i = 0; i < WIDTH; i++) CHECK_CLOSE((double)w.value[2 * WIDTH + i], want[i], 1e-3, "w[2][%d]", i);
    mudpt_head_free(head);
}

/* ------------------------------------------------------------------------------------------------ refusals */

static void refused(const mudpt_head_config *config, const data *d, int code, const char *text) {
    mudpt_head *head = NULL;
    int got = create(config, d, &head);
    CHECK(got == code && strstr(mudpt_last_error(), text) && !head, "%s: got %d, %s; expected \"%s\"", config->method,
          got, mudpt_last_error(), text);
    mudpt_head_free(head);
}

static void check_refusals(void) {
    data *d = make_data(some, 23);
    mudpt_head_config c = config_of("clap", d, VIEWS);
    mudpt_head *head = NULL;
    float logits[CLASSES];
    CHECK(mudpt_head_name(-1) == NULL && mudpt_head_name(1000) == NULL, "names beyond the table");
#define WITH(field, value, text)                                                                                       \
    do {                                                                                                               \
        mudpt_head_config bad = c;                                                                                     \
        bad.field = (value);                                                                                           \
        refused(&bad, d, MUDPT_ARGUMENT, text);                                                                        \
        CHECK(mudpt_head_bytes(&bad) == MUDPT_ARGUMENT, "bytes of a configuration that is refused: %s", #field);       \
    } while (0)
    WITH(method, "none", "valid: sstext, sstext+, gda");
    WITH(classes, 0, "classes of clap is 0; expected 1 to");
    WITH(templates, 1001, "templates");
    WITH(width, -3, "width");
    WITH(pictures, 0, "pictures of clap is 0; expected 1");
    WITH(views, 0, "views");
    WITH(epochs, 0, "epochs");
    WITH(batch, 0, "batch");
    WITH(scale, 0, "scale of clap is 0; expected above 0");
    WITH(scale, NAN, "scale");
    WITH(rate, INFINITY, "rate");
    WITH(alpha, 1, "clap has no alpha; it must be 0");
    WITH(before, 8, "clap has no before");
#undef WITH
    d->labels[2] = CLASSES;
    refused(&c, d, MUDPT_ARGUMENT, "picture 2 has label 5; expected 0 to 4");
    d->labels[2] = 0;
    float keep = d->after[7 * WIDTH + 1];
    d->after[7 * WIDTH + 1] = NAN;
    refused(&c, d, MUDPT_ARGUMENT, "row 7 holds NaN or infinity");
    d->after[7 * WIDTH + 1] = keep;
    memset(d->after + 8 * WIDTH, 0, WIDTH * sizeof(float));
    refused(&c, d, MUDPT_ARGUMENT, "row 8 is 0");
    d = make_data(some, 23);
    d->templates[1] = INFINITY;
    refused(&c, d, MUDPT_ARGUMENT, "class 0 holds NaN or infinity");
    d = make_data(some, 23);
    CHECK(mudpt_head_create(&c, d->templates, d->projection, d->after, d->labels, &head) == MUDPT_ARGUMENT,
          "clap takes a projection");
    CHECK(mudpt_head_create(&c, d->templates, NULL, d->after, NULL, &head) == MUDPT_ARGUMENT, "no labels");
    mudpt_head_config p = config_of("prolip", d, 1);
    CHECK(mudpt_head_create(&p, d->templates, NULL, d->before, d->labels, &head) == MUDPT_ARGUMENT, "no projection");
    /* Two classes of one row each: no covariance. */
    const int single[CLASSES] = {1, 1, 1, 1, 1};
    d = make_data(single, 29);
    mudpt_head_config g = config_of("gda", d, 1);
    refused(&g, d, MUDPT_NOT_FINITE, "no covariance");
    /* Wrong rows of a batch, wrong features. */
    d = make_data(some, 23);
    CHECK(create(&c, d, &head) == MUDPT_OK, "%s", mudpt_last_error());
    float loss;
    const int32_t wrong[] = {0, VIEWS * 18};
    CHECK(mudpt_head_gradients(head, wrong, 2, &loss, NULL) == MUDPT_ARGUMENT, "row 54 of 54");
    CHECK(mudpt_head_gradients(head, wrong, 0, &loss, NULL) == MUDPT_ARGUMENT, "an empty batch");
    CHECK(mudpt_head_logits(head, d->query_after, -1, logits) == MUDPT_ARGUMENT, "-1 rows");
    d->query_after[3] = NAN;
    CHECK(mudpt_head_logits(head, d->query_after, 1, logits) == MUDPT_ARGUMENT, "NaN in a query");
    mudpt_parameter parameter;
    CHECK(mudpt_head_tensor(head, 9, &parameter) == MUDPT_ARGUMENT, "tensor 9");
    mudpt_head_free(head);
    mudpt_head_free(NULL);
}

/* A rate that throws the weights out of range: the tensors are those of the last finite loss, and the head still
 * answers. */
static void check_not_finite(void) {
    static float logits[QUERIES * CLASSES];
    const data *d = make_data(some, 31);
    mudpt_head_config c = config_of("prolip", d, 1);
    mudpt_head *head = NULL;
    mudpt_parameter p;
    mudpt_progress progress;
    CHECK(create(&c, d, &head) == MUDPT_OK && !mudpt_head_tensor(head, 0, &p), "%s", mudpt_last_error());
    if (!head) return;
    CHECK(mudpt_head_step(head, NULL, 0, &progress) == MUDPT_OK, "%s", mudpt_last_error());
    float good = d->projection[5];
    p.value[5] = NAN;
    mudpt_head_changed(head);
    int code = mudpt_head_logits(head, d->query_before, QUERIES, logits);
    CHECK(code == MUDPT_NOT_FINITE, "NaN in the projection: %d", code);
    code = mudpt_head_step(head, NULL, 0, &progress);
    CHECK(code == MUDPT_NOT_FINITE && strstr(mudpt_last_error(), "prolip"), "%d, %s", code, mudpt_last_error());
    CHECK(p.value[5] == good, "the value is %g, not that of the last good step %g", (double)p.value[5], (double)good);
    code = mudpt_head_logits(head, d->query_before, QUERIES, logits);
    CHECK(code == MUDPT_OK, "%s", mudpt_last_error());
    mudpt_head_free(head);
}

/* The plan counts in 64 bits, grows with every size, and what cannot be had is refused, not wrapped around. */
static void check_bytes(void) {
    mudpt_head_config c = {.method = "logistic",
                           .classes = 100,
                           .templates = 7,
                           .width = 512,
                           .before = 768,
                           .pictures = 1600,
                           .views = 11,
                           .scale = 100,
                           .lambda = 1e-3f,
                           .rate = 1,
                           .epochs = 30};
    double bytes = mudpt_head_bytes(&c), rows = 1600.0 * 11 * 768 * 4;
    CHECK(bytes > rows && bytes < 3 * rows, "%g bytes for %g of rows", bytes, rows);
    c.views = 40;
    CHECK(mudpt_head_bytes(&c) > bytes + 2 * rows, "%g bytes", mudpt_head_bytes(&c));
    c = (mudpt_head_config){.method = "tip-f",
                            .classes = 100000,
                            .templates = 1,
                            .width = 512,
                            .pictures = 1000000,
                            .views = 1,
                            .scale = 1,
                            .alpha = 1,
                            .beta = 1,
                            .rate = 1,
                            .epochs = 1,
                            .batch = 1};
    CHECK(mudpt_head_bytes(&c) > 1e10, "%g bytes", mudpt_head_bytes(&c));
    c.views = 100;
    CHECK(mudpt_head_bytes(&c) == MUDPT_ARGUMENT && strstr(mudpt_last_error(), "too many values"), "%s",
          mudpt_last_error());
}

int main(void) {
    for (int i = 0; mudpt_head_name(i); i++) {
        const char *method = mudpt_head_name(i);
        const data *d = make_data(some, 1);
        if (config_of(method, d, 1).epochs) check_gradients(method);
        check_threads(method);
        check_absent(method);
        check_queries(method);
        check_new_classes(method);
    }
    check_linear();
    check_floor();
    check_far_apart();
    check_refusals();
    check_not_finite();
    check_bytes();
    return check_report();
}
