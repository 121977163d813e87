/* Asks a judge before every call that takes space on a disk.

   Preloaded (LD_PRELOAD), it comes before the C library for Python and for
   whatever Python calls: torch, safetensors, matplotlib. The judge answers with
   an errno, with which the call fails, or 0. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

typedef int (*judge_type)(const char *call, const char *path);

static judge_type judge;
/* What the judge writes itself is not judged. */
static __thread int judging;

void set_judge(judge_type chosen) { judge = chosen; }

static int refused(const char *call, const char *path) {
    int kept = errno, found = 0;
    if (judge && !judging && path) {
        judging = 1;
        found = judge(call, path);
        judging = 0;
    }
    errno = found ? found : kept;
    return found;
}

static int refused_fd(const char *call, int fd) {
    char link[64], path[PATH_MAX];
    ssize_t length;
    if (!judge || judging)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return refused(call, path);
}

/* NEXT(result, name, types) declares `real`, the C library's own function. */
#define NEXT(result, name, ...)                                                \
    static result (*real)(__VA_ARGS__);                                        \
    if (!real)                                                                 \
    real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

#define BY_FD(result, name, call, types, names)                                \
    result name types {                                                        \
        NEXT(result, name, STRIP types);                                       \
        return refused_fd(call, fd) ? -1 : real names;                         \
    }
#define STRIP(...) __VA_ARGS__

BY_FD(ssize_t, write, "write", (int fd, const void *from, size_t size),
      (fd, from, size))
BY_FD(ssize_t, writev, "write", (int fd, const struct iovec *from, int count),
      (fd, from, count))
BY_FD(ssize_t, pwrite, "write",
      (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
BY_FD(ssize_t, pwrite64, "write",
      (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
BY_FD(ssize_t, sendfile, "write", (int fd, int in, off_t *at, size_t size),
      (fd, in, at, size))
BY_FD(ssize_t, sendfile64, "write", (int fd, int in, off_t *at, size_t size),
      (fd, in, at, size))
BY_FD(int, fsync, "fsync", (int fd), (fd))
BY_FD(int, fdatasync, "fsync", (int fd), (fd))
BY_FD(int, ftruncate, "truncate", (int fd, off_t size), (fd, size))
BY_FD(int, ftruncate64, "truncate", (int fd, off_t size), (fd, size))

ssize_t copy_file_range(int in, off_t *from, int fd, off_t *to, size_t size,
                        unsigned flags) {
    NEXT(ssize_t, copy_file_range, int, off_t *, int, off_t *, size_t,
         unsigned);
    return refused_fd("write", fd) ? -1 : real(in, from, fd, to, size, flags);
}

/* posix_fallocate returns its errno. */
#define ALLOCATE(name)                                                         \
    int name(int fd, off_t at, off_t size) {                                   \
        NEXT(int, name, int, off_t, off_t);                                    \
        int found = refused_fd("truncate", fd);                                \
        return found ? found : real(fd, at, size);                             \
    }
ALLOCATE(posix_fallocate)
ALLOCATE(posix_fallocate64)

static int makes(int flags) {
    return (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0;
}

#define OPEN(name)                                                             \
    int name(const char *path, int flags, ...) {                               \
        NEXT(int, name, const char *, int, ...);                               \
        va_list more;                                                          \
        va_start(more, flags);                                                 \
        mode_t mode = va_arg(more, mode_t);                                    \
        va_end(more);                                                          \
        if (makes(flags) && refused("open", path))                             \
            return -1;                                                         \
        return real(path, flags, mode);                                        \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                           \
    int name(int at, const char *path, int flags, ...) {                       \
        NEXT(int, name, int, const char *, int, ...);                          \
        va_list more;                                                          \
        va_start(more, flags);                                                 \
        mode_t mode = va_arg(more, mode_t);                                    \
        va_end(more);                                                          \
        if (makes(flags) && refused("open", path))                             \
            return -1;                                                         \
        return real(at, path, flags, mode);                                    \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name)                                                            \
    FILE *name(const char *path, const char *mode) {                           \
        NEXT(FILE *, name, const char *, const char *);                        \
        if (strpbrk(mode, "wa+") && refused("open", path))                     \
            return NULL;                                                       \
        return real(path, mode);                                               \
    }
FOPEN(fopen)
FOPEN(fopen64)

size_t fwrite(const void *from, size_t size, size_t count, FILE *file) {
    NEXT(size_t, fwrite, const void *, size_t, size_t, FILE *);
    if (refused_fd("write", fileno(file)))
        return 0;
    return real(from, size, count, file);
}

int mkdir(const char *path, mode_t mode) {
    NEXT(int, mkdir, const char *, mode_t);
    return refused("mkdir", path) ? -1 : real(path, mode);
}

int mkdirat(int at, const char *path, mode_t mode) {
    NEXT(int, mkdirat, int, const char *, mode_t);
    return refused("mkdir", path) ? -1 : real(at, path, mode);
}

int rename(const char *from, const char *to) {
    NEXT(int, rename, const char *, const char *);
    return refused("rename", to) ? -1 : real(from, to);
}

int renameat(int at, const char *from, int there, const char *to) {
    NEXT(int, renameat, int, const char *, int, const char *);
    return refused("rename", to) ? -1 : real(at, from, there, to);
}
