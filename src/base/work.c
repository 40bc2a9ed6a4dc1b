#include "work.h"

#include "mudpt.h"

work_counts work_done;

void mudpt_work(double counts[3]) {
    counts[0] = work_done.products;
    counts[1] = work_done.attention;
    counts[2] = work_done.weight_bytes;
}
