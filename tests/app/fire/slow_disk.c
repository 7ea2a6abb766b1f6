/* Preloaded into a worker: writes and syncs of log segments take as many milliseconds as the file that FIRE_SLOW names
   says ("WRITE SYNC"); without the file they are as ever. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int is_segment(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    return length > 4 && strncmp(path + length - 4, ".seg", 4) == 0;
}

static void wait_for(int fd, int is_sync) {
    const char *name = getenv("FIRE_SLOW");
    if (name == NULL || !is_segment(fd)) return;
    FILE *file = fopen(name, "r");
    if (file == NULL) return;
    long milliseconds[2] = {0, 0};
    if (fscanf(file, "%ld %ld", &milliseconds[0], &milliseconds[1]) == 2) {
        long chosen = milliseconds[is_sync];
        struct timespec left = {chosen / 1000, chosen % 1000 * 1000000};
        nanosleep(&left, NULL);
    }
    fclose(file);
}

ssize_t write(int fd, const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (real == NULL) real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    wait_for(fd, 0);
    return real(fd, data, size);
}

int fsync(int fd) {
    static int (*real)(int);
    if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_for(fd, 1);
    return real(fd);
}
