#include "mudpt.h"

#define VERSION "0.2.0"

const char *mudpt_version(void) {
    return VERSION;
}
