/* Learning rates, and which pictures are seen: few-shot samples that depend on the seed and the class alone. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/rng.h"
#include "mudpt.h"

double mudpt_learning_rate(double base, double warmup_rate, int epochs, int epoch) {
    if (epoch == 0) return warmup_rate;
    return base * (1 + cos(3.141592653589793 * (epoch - 1) / epochs)) / 2;
}

int mudpt_sample_shots(const int32_t *labels, int count, int classes, int shots, uint32_t seed, int32_t *chosen) {
    if (count < 0 || classes < 1 || shots < 1)
        return fail(MUDPT_ARGUMENT, "%d shots of %d classes among %d pictures; expected at least 1 shot and 1 class",
                    shots, classes, count);
    for (int i = 0; i < count; i++)
        if (labels[i] < 0 || labels[i] >= classes)
            return fail(MUDPT_ARGUMENT, "picture %d has label %d; expected 0 to %d", i, labels[i], classes - 1);
    int32_t *own = malloc((size_t)(count ? count : 1) * sizeof *own);
    if (!own) return fail_memory((size_t)count * sizeof *own, "sampling shots");
    int total = 0;
    for (int class = 0; class < classes; class ++) {
        int found = 0;
        for (int i = 0; i < count; i++)
            if (labels[i] == class) own[found++] = i;
        rng r;
        rng_seed(&r, seed, (uint64_t) class);
        if (found > shots) rng_shuffle(&r, own, found);
        for (int i = 0; i < found && i < shots; i++) chosen[total++] = own[i];
    }
    free(own);
    return total;
}
