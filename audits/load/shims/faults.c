/* Faults of a disk and of a clock, put between a program and its C library by LD_PRELOAD. The program under test
 * contains none of this and cannot be told to do any of it.
 *
 *   HUSHWIRE_SHIM_SYNC=off          every sync returns at once and does nothing
 *   HUSHWIRE_SHIM_SYNC=fail:N       the Nth sync fails with EIO, once, and what was not synced of that file is gone, as
 *                                   a kernel may drop it; those after it work
 *   HUSHWIRE_SHIM_SYNC=abort:N      the process ends at its Nth sync, before it
 *   HUSHWIRE_SHIM_SYNC=slow:MS      every sync waits so many milliseconds first
 *   HUSHWIRE_SHIM_REPORT=FILE       a line for the sync that failed, and for each later one of the same file; another word if
 *                                   it is a directory, which RocksDB syncs for each of several files as it gives up
 *   HUSHWIRE_SHIM_CLOCK=FILE        8 bytes, a signed number of seconds in the order of the machine, added to the clock
 *                                   on the wall whenever it is read; whoever writes the file turns the clock
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LOAD(name, type) ((type)dlsym(RTLD_NEXT, name))
#define FILES_MAX 65536

enum { NORMAL, OFF, FAIL, ABORT, SLOW };

/* How long a file was when it was last synced, by its number: what survives. */
static struct { ino_t file; off_t synced; } files[FILES_MAX];

static int mode = NORMAL;
static long number;
static long count;
static ino_t failed;
static struct statx_timestamp failed_made; /* a number is given to a new file once the old one is deleted */
static const int64_t *turned;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *sync = getenv("HUSHWIRE_SHIM_SYNC");
    const char *clock = getenv("HUSHWIRE_SHIM_CLOCK");
    if (sync && !strcmp(sync, "off")) mode = OFF;
    if (sync && sscanf(sync, "fail:%ld", &number) == 1) mode = FAIL;
    if (sync && sscanf(sync, "abort:%ld", &number) == 1) mode = ABORT;
    if (sync && sscanf(sync, "slow:%ld", &number) == 1) mode = SLOW;
    if (clock) {
        int fd = open(clock, O_RDONLY | O_CLOEXEC);
        void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *turned, PROT_READ, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED) {
            perror("the clock of the shim");
            _exit(99);
        }
        turned = at;
        close(fd);
    }
}

static void report(const char *what, ino_t file) {
    const char *path = getenv("HUSHWIRE_SHIM_REPORT");
    if (!path) return;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;
    dprintf(fd, "%s %lu\n", what, (unsigned long)file);
    close(fd);
}

static off_t *synced_of(ino_t file) {
    for (size_t tried = 0, at = file % FILES_MAX; tried < FILES_MAX; tried++, at = (at + 1) % FILES_MAX) {
        if (files[at].file == 0) files[at].file = file;
        if (files[at].file == file) return &files[at].synced;
    }
    return &files[0].synced; /* more files than anybody has */
}

static struct statx_timestamp made(int fd) {
    struct statx file = {0};
    statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &file);
    return file.stx_btime;
}

static int is_failed(int fd, const struct stat *stat) {
    struct statx_timestamp at = made(fd);
    return failed == stat->st_ino && failed_made.tv_sec == at.tv_sec && failed_made.tv_nsec == at.tv_nsec;
}

/* 0: go on. 1: say that it is done. -1: it failed. */
static int before(int fd) {
    struct stat stat;
    if (mode == NORMAL) return 0;
    if (mode == OFF) return 1;
    if (mode == SLOW) {
        struct timespec wait = {number / 1000, number % 1000 * 1000000};
        nanosleep(&wait, NULL);
        return 0;
    }
    if (fstat(fd, &stat)) return 0;
    pthread_mutex_lock(&lock);
    long this = ++count;
    int fails = mode == FAIL && this == number;
    if (mode == ABORT && this == number) abort();
    if (failed && is_failed(fd, &stat)) report(S_ISREG(stat.st_mode) ? "again" : "directory", stat.st_ino);
    if (fails) {
        failed = stat.st_ino;
        failed_made = made(fd);
        report("failed", stat.st_ino);
        if (S_ISREG(stat.st_mode) && ftruncate(fd, *synced_of(stat.st_ino))) report("not cut", stat.st_ino);
    } else {
        *synced_of(stat.st_ino) = stat.st_size; /* what is written meanwhile may not be; nobody counts on that */
    }
    pthread_mutex_unlock(&lock);
    if (fails) errno = EIO;
    return fails ? -1 : 0;
}

int fsync(int fd) {
    int known = before(fd);
    return known ? (known < 0 ? -1 : 0) : LOAD("fsync", int (*)(int))(fd);
}

int fdatasync(int fd) {
    int known = before(fd);
    return known ? (known < 0 ? -1 : 0) : LOAD("fdatasync", int (*)(int))(fd);
}

/* Promises nothing by itself, so it neither counts nor fails; with syncs off it must not help either. */
int sync_file_range(int fd, off64_t from, off64_t bytes, unsigned int flags) {
    if (mode == OFF) return 0;
    return LOAD("sync_file_range", int (*)(int, off64_t, off64_t, unsigned int))(fd, from, bytes, flags);
}

int msync(void *at, size_t bytes, int flags) {
    if (mode == OFF) return 0;
    return LOAD("msync", int (*)(void *, size_t, int))(at, bytes, flags);
}

void sync(void) {
    if (mode != OFF) LOAD("sync", void (*)(void))();
}

int syncfs(int fd) {
    return mode == OFF ? 0 : LOAD("syncfs", int (*)(int))(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = LOAD("clock_gettime", int (*)(clockid_t, struct timespec *))(clock, now);
    if (!done && turned && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *turned;
    return done;
}

int gettimeofday(struct timeval *now, void *zone) {
    int done = LOAD("gettimeofday", int (*)(struct timeval *, void *))(now, zone);
    if (!done && turned) now->tv_sec += *turned;
    return done;
}

time_t time(time_t *at) {
    time_t now = LOAD("time", time_t (*)(time_t *))(NULL) + (turned ? *turned : 0);
    if (at) *at = now;
    return now;
}
