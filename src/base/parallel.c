#include "parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mudpt.h"
#include "arena.h"
#include "error.h"

/* Turns before a thread sleeps: some ten microseconds, the usual gap between two products of a step. */
enum { SPINS = 4000 };

/* A job's number and how many of its tiles nobody has claimed, in one word: a tile is claimed by exchanging the word,
 * so a thread that comes late can neither run a tile twice nor take one of a job it has not looked at. Nobody waits for
 * threads that claimed nothing. */
typedef uint_fast64_t ticket;

static struct {
    int threads; /* the caller's included */
    pthread_t workers[MUDPT_MAX_THREADS];
    void *scratch[MUDPT_MAX_THREADS];
    size_t scratch_bytes;

    _Atomic ticket open; /* job << 32 | unclaimed tiles */
    atomic_int finished; /* tiles of the current job that are done */
    parallel_body body;  /* these three stay as they are until all tiles are done */
    void *context;
    int count;

    pthread_mutex_t mutex; /* only for going to sleep and waking up */
    pthread_cond_t wake, done;
    atomic_int sleepers;
    atomic_bool caller_sleeps, stop;
} pool = {
    .threads = 1,
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .wake = PTHREAD_COND_INITIALIZER,
    .done = PTHREAD_COND_INITIALIZER,
};

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static bool tiles_left(void) {
    return (uint32_t)atomic_load(&pool.open) != 0;
}

/* Claims and runs tiles until none is left. */
static void work(int thread) {
    ticket now = atomic_load(&pool.open);
    while ((uint32_t)now != 0) {
        if (!atomic_compare_exchange_weak(&pool.open, &now, now - 1)) continue;
        int count = pool.count;
        pool.body(pool.context, count - (int)(uint32_t)now, thread);
        if (atomic_fetch_add(&pool.finished, 1) == count - 1 && atomic_load(&pool.caller_sleeps)) {
            pthread_mutex_lock(&pool.mutex);
            pthread_cond_signal(&pool.done);
            pthread_mutex_unlock(&pool.mutex);
        }
        now = atomic_load(&pool.open);
    }
}

static void *worker_main(void *argument) {
    int thread = (int)(size_t)argument;
    while (!atomic_load(&pool.stop)) {
        work(thread);
        for (int i = 0; i < SPINS && !tiles_left() && !atomic_load(&pool.stop); i++) pause_briefly();
        if (tiles_left()) continue;
        pthread_mutex_lock(&pool.mutex);
        atomic_fetch_add(&pool.sleepers, 1);
        while (!tiles_left() && !atomic_load(&pool.stop)) pthread_cond_wait(&pool.wake, &pool.mutex);
        atomic_fetch_sub(&pool.sleepers, 1);
        pthread_mutex_unlock(&pool.mutex);
    }
    return NULL;
}

static void wake_sleepers(void) {
    if (atomic_load(&pool.sleepers) == 0) return;
    pthread_mutex_lock(&pool.mutex);
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.mutex);
}

static void stop_workers(int first, int end) {
    atomic_store(&pool.stop, true);
    wake_sleepers();
    for (int i = first; i < end; i++) pthread_join(pool.workers[i], NULL);
    atomic_store(&pool.stop, false);
}

static void release_scratch(int first, int end) {
    for (int i = first; i < end; i++) {
        aligned_release(pool.scratch[i]);
        pool.scratch[i] = NULL;
    }
}

int parallel_start(int threads) {
    if (threads < 1 || threads > MUDPT_MAX_THREADS)
        return fail(MUDPT_ARGUMENT, "threads must be 1 to %d, not %d", MUDPT_MAX_THREADS, threads);
    if (threads == pool.threads) return MUDPT_OK;
    int before = pool.threads;
    for (int i = before; i < threads && pool.scratch_bytes; i++) {
        pool.scratch[i] = aligned_take(pool.scratch_bytes, "a thread's scratch memory");
        if (!pool.scratch[i]) {
            release_scratch(before, i);
            return MUDPT_MEMORY;
        }
    }
    if (before > 1) stop_workers(1, before);
    int started = 1;
    while (started < threads && pthread_create(&pool.workers[started], NULL, worker_main, (void *)(size_t)started) == 0)
        started++;
    pool.threads = started;
    if (started < threads) {
        release_scratch(started, threads > before ? threads : before);
        return fail(MUDPT_MEMORY, "only %d of %d threads could be started; use fewer threads", started, threads);
    }
    release_scratch(threads, before);
    return MUDPT_OK;
}

int parallel_threads(void) {
    return pool.threads;
}

void parallel_for(int count, parallel_body body, void *context) {
    if (pool.threads == 1 || count <= 1) {
        for (int i = 0; i < count; i++) body(context, i, 0);
        return;
    }
    pool.body = body;
    pool.context = context;
    pool.count = count;
    atomic_store(&pool.finished, 0);
    ticket job = (atomic_load(&pool.open) >> 32) + 1;
    atomic_store(&pool.open, job << 32 | (uint32_t)count);
    wake_sleepers();
    work(0);
    for (int i = 0; i < SPINS && atomic_load(&pool.finished) < count; i++) pause_briefly();
    if (atomic_load(&pool.finished) == count) return;
    pthread_mutex_lock(&pool.mutex);
    atomic_store(&pool.caller_sleeps, true);
    while (atomic_load(&pool.finished) < count) pthread_cond_wait(&pool.done, &pool.mutex);
    atomic_store(&pool.caller_sleeps, false);
    pthread_mutex_unlock(&pool.mutex);
}

int parallel_reserve(size_t bytes) {
    if (bytes <= pool.scratch_bytes) return MUDPT_OK;
    void *fresh[MUDPT_MAX_THREADS];
    for (int i = 0; i < pool.threads; i++) {
        fresh[i] = aligned_take(bytes, "a thread's scratch memory");
        if (!fresh[i]) {
            while (i-- > 0) aligned_release(fresh[i]);
            return MUDPT_MEMORY;
        }
    }
    release_scratch(0, pool.threads);
    for (int i = 0; i < pool.threads; i++) pool.scratch[i] = fresh[i];
    pool.scratch_bytes = bytes;
    return MUDPT_OK;
}

void *parallel_scratch(int thread) {
    return pool.scratch[thread];
}

size_t parallel_scratch_bytes(void) {
    return pool.scratch_bytes;
}

int mudpt_set_threads(int threads) {
    return parallel_start(threads);
}
