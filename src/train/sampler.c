/* Learning rates, and which pictures are seen: few-shot samples that depend on the seed and the class alone. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/rng.h"
#include "base/series.h"
#include "mudpt.h"

double mudpt_learning_rate(double base, double warmup_rate, int epochs, int epoch) {
    if (epoch == 0) return warmup_rate;
    return base * (1 + series_sine(0.5 + (double)(epoch - 1) / epochs)) / 2;
}

/* How far the Gaussian's exponent lies below 0 at an epoch counted from 1. */
static double below(double mean, double deviation, int epoch) {
    double apart = (epoch - mean) / deviation;
    return apart * apart / 2;
}

double mudpt_average_weight(int epochs, double mean, double deviation, int epoch) {
    /* Relative to the epoch nearest to the mean, whose share must not become 0. */
    int nearest = mean > epochs ? epochs : mean < 1 ? 1 : (int)(mean + 0.5);
    double top = below(mean, deviation, nearest), sum = 0;
    for (int k = 1; k <= epochs; k++) sum += (double)expf((float)(top - below(mean, deviation, k)));
    return (double)expf((float)(top - below(mean, deviation, epoch + 1))) / sum;
}

int mudpt_sample_shots(const int32_t *labels, int count, int classes, int shots, uint32_t seed, int32_t *chosen) {
    if (count < 0 || classes < 1 || classes > MUDPT_MAX_CLASSES || shots < 1)
        return fail(MUDPT_ARGUMENT,
                    "%d shots of %d classes among %d pictures; expected at least 1 shot, and 1 to %d classes", shots,
                    classes, count, MUDPT_MAX_CLASSES);
    for (int i = 0; i < count; i++)
        if (labels[i] < 0 || labels[i] >= classes)
            return fail(MUDPT_ARGUMENT, "picture %d has label %d; expected 0 to %d", i, labels[i], classes - 1);
    /* Pictures by class, in their order: own[start[c]] ... own[start[c + 1] - 1] */
    int32_t *own = malloc((size_t)(count ? count : 1) * sizeof *own);
    int32_t *start = calloc((size_t)classes + 2, sizeof *start);
    if (!own || !start) {
        free(own);
        free(start);
        return fail_memory(((size_t)count + (size_t)classes + 2) * sizeof *own, "sampling shots");
    }
    for (int i = 0; i < count; i++) start[labels[i] + 2]++;
    for (int class = 0; class < classes; class ++) start[class + 2] += start[class + 1];
    for (int i = 0; i < count; i++) own[start[labels[i] + 1]++] = i;
    int total = 0;
    for (int class = 0; class < classes; class ++) {
        int32_t *first = own + start[class];
        int found = start[class + 1] - start[class];
        rng r;
        rng_seed(&r, seed, (uint64_t) class);
        if (found > shots) rng_shuffle(&r, first, found);
        for (int i = 0; i < found && i < shots; i++) chosen[total++] = first[i];
    }
    free(own);
    free(start);
    return total;
}
