/* Shots are drawn at random, the same for the same seed, so many of each class, each picture once. */
#include "check.h"
#include "mudpt.h"
#include "refused.h"

int main(void) {
    enum { COUNT = 60, CLASSES = 4 };
    int32_t labels[COUNT], chosen[COUNT], again[COUNT], other[COUNT];
    for (int i = 0; i < COUNT; i++) labels[i] = i * 7 % 11 % CLASSES; /* classes of different sizes */
    for (int shots = 1; shots < 40; shots = shots * 2 + 1) {
        int got = mudpt_sample_shots(labels, COUNT, CLASSES, shots, 5, chosen), wanted = 0, seen[COUNT] = {0}, at = 0;
        for (int c = 0; c < CLASSES; c++) {
            int have = 0;
            for (int i = 0; i < COUNT; i++) have += labels[i] == c;
            wanted += have < shots ? have : shots;
            for (; at < wanted && at < got; at++) {
                CHECK(chosen[at] >= 0 && chosen[at] < COUNT && labels[chosen[at]] == c && !seen[chosen[at]]++,
                      "%d shots: picture %d at place %d", shots, chosen[at], at);
            }
        }
        CHECK(got == wanted, "%d shots: %d pictures, expected %d", shots, got, wanted);
        CHECK(mudpt_sample_shots(labels, COUNT, CLASSES, shots, 5, again) == got &&
                  !memcmp(chosen, again, (size_t)got * sizeof *chosen),
              "%d shots: another choice for the same seed", shots);
        CHECK(mudpt_sample_shots(labels, COUNT, CLASSES, shots, 6, other) == got,
              "another seed chooses another number");
        if (shots < 8) CHECK(memcmp(chosen, other, (size_t)got * sizeof *chosen), "the seed does not matter");
    }
    REFUSED(mudpt_sample_shots(labels, COUNT, CLASSES, 0, 1, chosen), MUDPT_ARGUMENT);
    REFUSED(mudpt_sample_shots(labels, COUNT, CLASSES, -1, 1, chosen), MUDPT_ARGUMENT);
    REFUSED(mudpt_sample_shots(labels, COUNT, 0, 1, 1, chosen), MUDPT_ARGUMENT);
    REFUSED(mudpt_sample_shots(labels, -1, CLASSES, 1, 1, chosen), MUDPT_ARGUMENT);
    REFUSED(mudpt_sample_shots(labels, COUNT, CLASSES - 1, 1, 1, chosen), MUDPT_ARGUMENT); /* a label outside */
    return check_report();
}
