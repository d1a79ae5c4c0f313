/*
 * replay.c - runs a fuzz target on files, without libFuzzer
 *
 *     corpus/<target>/{seeds,fixed} --> replay --> LLVMFuzzerTestOneInput
 *
 * usage: NAME-replay FILE|DIRECTORY...
 *
 * Each input is named before it runs, so that the last line names the one that
 * crashed. Directories are searched, also below. Status 0: all ran; 3: a path
 * cannot be read, or there is no input at all.
 */
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t input_count;

/* The input is copied to its exact size, so that a sanitizer sees a read past
 * its end. */
static int
replay_file(const char *path)
{
    static struct file_error error;
    struct buffer content = {0};

    printf("%s\n", path);
    fflush(stdout);
    if (!file_read(&content, path, &error)) {
        fprintf(stderr, "%s\n", error.line);
        return 3;
    }
    uint8_t *copy = malloc(content.size + 1);
    if (copy == NULL) {
        return 3;
    }
    memcpy(copy + 1, content.data, content.size);
    LLVMFuzzerTestOneInput(copy + 1, content.size);
    free(copy);
    buffer_fini(&content);
    input_count++;
    return 0;
}

static int
visit(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat;
    (void)walk;
    if (type == FTW_D || type == FTW_DP) {
        return 0;
    }
    return replay_file(path);
}

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int result = nftw(argv[i], visit, 16, FTW_PHYS);

        if (result != 0) {
            if (result < 0) {
                perror(argv[i]);
            }
            return 3;
        }
    }
    if (input_count == 0) {
        fprintf(stderr, "usage: %s FILE|DIRECTORY...\n", argv[0]);
        return 3;
    }
    printf("%zu inputs\n", input_count);
    return 0;
}
