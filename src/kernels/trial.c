#include "trial.h"

#include <string.h>

#include "gemm.h"

enum { TRIAL_MS = 25, TRIAL_TICKS = 200 }; /* TRIAL_MS each */

int gemm_tile_panels;

/* What tiles took by one panel and by two. */
static struct {
    double seconds[2], multiplications[2];
    double least[2];  /* of the fastest tile, a multiplication, which a busy machine spoils least */
    int tiles, ticks; /* the clock was seen to go on in so many of them: browsers make it coarse */
    int warm;         /* engines compile anew what runs often: what came before does not count */
    int products;
} trials[TRIAL_KINDS];

void trial_count(trial_kind kind, int two, double seconds, double multiplications) {
    double each = seconds / multiplications, *least = &trials[kind].least[two];
    if (*least == 0 || each < *least) *least = each;
    trials[kind].seconds[two] += seconds;
    trials[kind].multiplications[two] += multiplications;
    trials[kind].ticks += seconds > 0;
    trials[kind].tiles++;
}

static void conclude(trial_kind kind) {
    const double *seconds = trials[kind].seconds, *count = trials[kind].multiplications, *least = trials[kind].least;
    int warm = trials[kind].warm, ticks = trials[kind].ticks;
    if (seconds[0] < 1e-3 * TRIAL_MS || seconds[1] < 1e-3 * TRIAL_MS || (warm && ticks < TRIAL_TICKS)) return;
    /* Integers gain less by two panels, but attention gains with them. */
    double limit = kind == TRIAL_INTEGERS ? 1 : 0.95;
    int two = ticks == trials[kind].tiles ? least[1] < limit * least[0]
                                          : seconds[1] * count[0] < limit * seconds[0] * count[1];
    if (warm) gemm_tile_panels = 1 + two;
    memset(&trials[kind], 0, sizeof trials[kind]);
    trials[kind].warm = 1;
}

/* One, two, one, two, then the other way round, so that what is done again and again has its turn both ways. */
int trial_two_panels(trial_kind kind) {
    if (!gemm_tile_panels) conclude(kind);
    if (gemm_tile_panels) return gemm_tile_panels == 2;
    int turn = trials[kind].products++;
    return (turn ^ turn / 4) & 1;
}

void trial_forget(void) {
    gemm_tile_panels = 0;
    memset(trials, 0, sizeof trials);
}
