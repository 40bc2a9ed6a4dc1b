#include "mudpt.h"

#define VERSION "0.1.0"

const char *mudpt_version(void) {
    return VERSION;
}
