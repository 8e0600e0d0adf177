/* Faults of a disk and of a clock, put between a program and its C library by LD_PRELOAD. The program under test
 * contains none of this and cannot be told to do any of it.
 *
 *   HUSHWIRE_SHIM_SYNC=off          every sync returns at once and does nothing
 *   HUSHWIRE_SHIM_SYNC=fail:N       the Nth sync fails with EIO, once, and what was not synced of that file is gone, as
 *                                   a kernel may drop it; those after it work. Of a directory, what was made or renamed
 *                                   in it since it was last synced is in doubt for ever, whatever says later that it is
 *                                   synced: it is reported, for somebody to take it away once the process has ended
 *   HUSHWIRE_SHIM_SYNC=fail-dir:N   the same of the Nth sync of a directory
 *   HUSHWIRE_SHIM_SYNC=abort:N      the process ends at its Nth sync, before it
 *   HUSHWIRE_SHIM_SYNC=slow:MS      every sync waits so many milliseconds first
 *   HUSHWIRE_SHIM_REPORT=FILE       a line for the sync that failed ("failed INODE PATH"), for each later one of the same
 *                                   file ("again", or "directory", which others may sync for what is not in doubt), for
 *                                   each entry in doubt ("lost INODE PATH"), for what CURRENT said before ("was INODE
 *                                   CONTENT"), and for each later sync of a manifest ("manifest")
 *   HUSHWIRE_SHIM_CLOCK=FILE        8 bytes, a signed number of seconds in the order of the machine, added to the clock
 *                                   on the wall whenever it is read; whoever writes the file turns the clock
 */
#define _GNU_SOURCE
#include <dirent.h>
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
#define PATH_BYTES 4096
#define CURRENT_BYTES 64

enum { NORMAL, OFF, FAIL, FAIL_DIRECTORY, ABORT, SLOW };

/* What survives, by the number of a file and when it was made, because a number is given to a new file once the old one
 * is deleted: how long it was when it was last synced, and in which directory its entry was when that one was. The entries
 * of directories are not followed: all of them are there before any relay starts. */
struct file { ino_t number; struct statx_timestamp made; off_t synced; ino_t entry_in; };
static struct file files[FILES_MAX];

static int mode = NORMAL;
static long number;
static long count;
static ino_t failed;
static struct statx_timestamp failed_made;
static const int64_t *turned;
static struct timespec began;               /* what was there before is */
static char current[CURRENT_BYTES];         /* what the file of this name said when its directory was last synced */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    LOAD("clock_gettime", int (*)(clockid_t, struct timespec *))(CLOCK_REALTIME_COARSE, &began);
    const char *sync = getenv("HUSHWIRE_SHIM_SYNC");
    const char *clock = getenv("HUSHWIRE_SHIM_CLOCK");
    if (sync && !strcmp(sync, "off")) mode = OFF;
    if (sync && sscanf(sync, "fail:%ld", &number) == 1) mode = FAIL;
    if (sync && sscanf(sync, "fail-dir:%ld", &number) == 1) mode = FAIL_DIRECTORY;
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

static void report(const char *what, ino_t file, const char *where, const char *name) {
    const char *path = getenv("HUSHWIRE_SHIM_REPORT");
    if (!path) return;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;
    dprintf(fd, "%s %lu %s%s%s\n", what, (unsigned long)file, where, *name ? "/" : "", name);
    close(fd);
}

static int is_same(const struct statx_timestamp *one, const struct statx_timestamp *other) {
    return one->tv_sec == other->tv_sec && one->tv_nsec == other->tv_nsec;
}

static struct file *known(ino_t number, const struct statx_timestamp *made) {
    size_t at = number % FILES_MAX;
    for (size_t tried = 0; files[at].number && files[at].number != number && tried < FILES_MAX; tried++)
        at = (at + 1) % FILES_MAX; /* nobody has so many files */
    if (files[at].number != number || !is_same(&files[at].made, made))
        files[at] = (struct file){.number = number, .made = *made};
    return &files[at];
}

static const char *path_of(int fd, char path[static PATH_BYTES]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(link, path, PATH_BYTES - 1);
    path[bytes < 0 ? 0 : bytes] = 0;
    return path;
}

static struct statx_timestamp made(int fd) {
    struct statx file = {0};
    statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &file);
    return file.stx_btime;
}

static int is_from_before(const struct statx_timestamp *made) {
    return made->tv_sec < began.tv_sec || (made->tv_sec == began.tv_sec && made->tv_nsec < began.tv_nsec);
}

/* What stands in a directory is there from now on, or in doubt for ever. */
static void entries(const char *path, ino_t directory, int fails) {
    DIR *all = opendir(path);
    if (!all) return;
    for (struct dirent *entry; (entry = readdir(all));) {
        if (entry->d_type != DT_REG) continue;
        struct statx stat = {0};
        statx(dirfd(all), entry->d_name, 0, STATX_BTIME, &stat);
        struct file *file = known(entry->d_ino, &stat.stx_btime);
        int is_current = !strcmp(entry->d_name, "CURRENT");
        if (!fails) file->entry_in = directory;
        else if (file->entry_in != directory && !is_from_before(&stat.stx_btime)) {
            report("lost", entry->d_ino, path, entry->d_name);
            if (is_current) report("was", entry->d_ino, current, "");
        }
        if (is_current) current[0] = 0;
    }
    closedir(all);
}

/* 0: go on. 1: say that it is done. -1: it failed. */
static int before(int fd) {
    struct stat stat;
    char path[PATH_BYTES];
    if (mode == NORMAL) return 0;
    if (mode == OFF) return 1;
    if (mode == SLOW) {
        struct timespec wait = {number / 1000, number % 1000 * 1000000};
        nanosleep(&wait, NULL);
        return 0;
    }
    if (fstat(fd, &stat)) return 0;
    pthread_mutex_lock(&lock);
    int is_file = S_ISREG(stat.st_mode);
    long this = mode != FAIL_DIRECTORY || !is_file ? ++count : 0;
    int fails = (mode == FAIL || mode == FAIL_DIRECTORY) && this == number;
    if (mode == ABORT && this == number) abort();
    path_of(fd, path);
    struct statx_timestamp at = made(fd);
    if (failed == stat.st_ino && is_same(&failed_made, &at)) report(is_file ? "again" : "directory", failed, path, "");
    if (failed && strstr(path, "/MANIFEST-")) report("manifest", stat.st_ino, path, "");
    if (fails) {
        failed = stat.st_ino;
        failed_made = at;
        report("failed", failed, path, "");
    }
    struct file *file = known(stat.st_ino, &at);
    if (!is_file) entries(path, stat.st_ino, fails);
    else if (!fails) file->synced = stat.st_size; /* what is written meanwhile may not be; nobody counts on that */
    else if (ftruncate(fd, file->synced)) report("not cut", stat.st_ino, path, "");
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

int rename(const char *from, const char *to) {
    const char *name = strrchr(to, '/');
    pthread_mutex_lock(&lock);
    if (name && !strcmp(name, "/CURRENT") && !*current) {
        int fd = open(to, O_RDONLY | O_CLOEXEC);
        ssize_t bytes = fd < 0 ? -1 : read(fd, current, CURRENT_BYTES - 1);
        if (bytes > 0 && current[bytes - 1] == '\n') bytes--;
        current[bytes < 0 ? 0 : bytes] = 0;
        if (fd >= 0) close(fd);
    }
    pthread_mutex_unlock(&lock);
    return LOAD("rename", int (*)(const char *, const char *))(from, to);
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
