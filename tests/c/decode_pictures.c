/* For tests/trust/pictures.py: reads the path of a picture file a line and answers with a line, "read WIDTH HEIGHT" or
 * "refused BYTES", and then the pixels [height, width, 3] or the message of so many bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mudpt.h"

enum { MOST_BYTES = 1 << 24 };

int main(void) {
    static char path[4096], bytes[MOST_BYTES];
    while (fgets(path, sizeof path, stdin)) {
        path[strcspn(path, "\n")] = 0;
        FILE *file = fopen(path, "rb");
        if (!file) return 2;
        size_t size = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        mudpt_image *image = NULL;
        if (mudpt_image_decode(bytes, size, 0, &image) == MUDPT_OK) {
            int width = mudpt_image_width(image), height = mudpt_image_height(image);
            printf("read %d %d\n", width, height);
            fwrite(mudpt_image_rgb(image), 3, (size_t)width * (size_t)height, stdout);
        } else {
            const char *message = mudpt_last_error();
            printf("refused %zu\n%s", strlen(message), message);
        }
        mudpt_image_free(image);
        fflush(stdout);
    }
    return 0;
}
