/* Values of the types that files have, as floats. */
#include <string.h>

#include "base/half.h"
#include "weights.h"

int clip_element_bytes(int type) {
    return type == MUDPT_I8 ? 1 : type == MUDPT_F32 ? 4 : 2;
}

void clip_widen(int type, float *out, const unsigned char *bytes, size_t count) {
    uint16_t two;
    switch (type) {
    case MUDPT_F32: memcpy(out, bytes, count * sizeof(float)); break;
    case MUDPT_I8:
        for (size_t i = 0; i < count; i++) out[i] = (float)(int8_t)bytes[i];
        break;
    case MUDPT_I16:
        for (size_t i = 0; i < count; i++) {
            memcpy(&two, bytes + 2 * i, 2);
            out[i] = (float)(int16_t)two;
        }
        break;
    case MUDPT_F16:
        for (size_t i = 0; i < count; i++) {
            memcpy(&two, bytes + 2 * i, 2);
            out[i] = half_to_float(two);
        }
        break;
    default: /* BF16: the upper half of a float */
        for (size_t i = 0; i < count; i++) {
            memcpy(&two, bytes + 2 * i, 2);
            uint32_t four = (uint32_t)two << 16;
            memcpy(&out[i], &four, 4);
        }
    }
}
