/* Work that was done so far, counted where it is done; by the calling thread alone, so without locks. */
#ifndef BASE_WORK_H
#define BASE_WORK_H

typedef struct {
    double products;     /* FLOP of matrix products: multiply-adds times 2 */
    double attention;    /* FLOP of attention: scores, sums of values, and what backward does of both */
    double weight_bytes; /* of weights that products have read, each product once */
} work_counts;

extern work_counts work_done;

#endif
