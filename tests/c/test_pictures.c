/* Files of every kind in tests/data/pictures, made by several encoders and by hand: each is read to the last bit as
 * Pillow 13 reads it, or refused where Pillow refuses it (tests/reference/picture_samples.py wrote down which).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mudpt.h"

#define FOLDER "tests/data/pictures/"

static void check_picture(const char *name, const char *expected) {
    static uint8_t bytes[1 << 16];
    char path[512], seen[64];
    snprintf(path, sizeof path, FOLDER "%s", name);
    FILE *file = fopen(path, "rb");
    CHECK(file, "%s is not there", path);
    if (!file) return;
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    /* A copy of just the right size, so that the address sanitizer sees a byte read too far. */
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    mudpt_image *image = NULL;
    int status = mudpt_image_decode(copy, size, 0, &image);
    free(copy);
    snprintf(seen, sizeof seen, "refused");
    if (image) {
        int width = mudpt_image_width(image), height = mudpt_image_height(image);
        uint32_t sum = 2166136261u;
        for (int i = 0; i < 3 * width * height; i++) sum = (sum ^ mudpt_image_rgb(image)[i]) * 16777619u;
        snprintf(seen, sizeof seen, "%d %d %08x", width, height, (unsigned)sum);
    }
    CHECK(strcmp(seen, expected) == 0, "%s: %s, expected %s (%s)", name, seen, expected,
          image ? "the pixels differ" : mudpt_last_error());
    CHECK(image || (status == MUDPT_IMAGE && strchr(mudpt_last_error(), ';')), "%s: no hint in: %s", name,
          mudpt_last_error());
    mudpt_image_free(image);
}

int main(void) {
    FILE *list = fopen(FOLDER "expected.txt", "r");
    CHECK(list, "run it in the folder of the tree");
    char line[256];
    int count = 0;
    for (; list && fgets(line, sizeof line, list); count++) {
        line[strcspn(line, "\n")] = 0;
        char *space = strchr(line, ' ');
        *space = 0;
        check_picture(line, space + 1);
    }
    if (list) fclose(list);
    CHECK(count > 150, "only %d pictures were tried", count);
    return check_report();
}
