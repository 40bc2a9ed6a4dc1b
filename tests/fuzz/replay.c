/* Runs a fuzz target over files, and over the empty input, without a fuzzer: crashes that were found stay mended, and
 * every target is tried on its seeds by any compiler. Its arguments are files or folders.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_BYTES = 1 << 24 };

static int count;

static void run_file(const char *path) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(MOST_BYTES);
    if (!file || !bytes) exit(2);
    size_t size = fread(bytes, 1, MOST_BYTES, file);
    fclose(file);
    /* An exact copy, so that a read behind the end is found. */
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact) exit(2);
    memcpy(exact, bytes, size);
    free(bytes);
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    count++;
}

static void run(const char *path) {
    char name[4096];
    struct stat info;
    if (stat(path, &info)) exit(2);
    if (!S_ISDIR(info.st_mode)) return run_file(path);
    DIR *folder = opendir(path);
    if (!folder) exit(2);
    for (struct dirent *entry; (entry = readdir(folder));) {
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && !stat(name, &info) && !S_ISDIR(info.st_mode)) run_file(name);
    }
    closedir(folder);
}

int main(int arguments, char **argument) {
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < arguments; i++) run(argument[i]);
    printf("%d files\n", count);
    return 0;
}
