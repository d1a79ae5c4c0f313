/*
 * decay.c - how many unused pages may be kept, as time goes by (contract:
 * decay.h)
 *
 * Rejected: a timer a run of pages. It would purge exactly by age, but a page
 * that is used and freed again and again would then never age, and each purge
 * would be a system call for one run.
 *
 *   I1  backlog[i] came in the epoch that ended JEM_DECAY_STEPS - 1 - i epochs
 *       before the present one began.
 *   I2  limit_pages is the weighted sum over backlog, rounded down.
 */
#include "jemalloc/decay.h"

#include <string.h>

#include "base/check.h"

/* smootherstep at x = (i + 1) / JEM_DECAY_STEPS, as a fraction of 2^32. */
#define X(i)        (((double)(i) + 1.0) / JEM_DECAY_STEPS)
#define STEP(i)     (X(i) * X(i) * X(i) * (X(i) * (X(i) * 6.0 - 15.0) + 10.0))
#define WEIGHT_1(i) (uint64_t)(STEP(i) * 4294967296.0)
#define WEIGHT_5(i)                                                            \
    WEIGHT_1(i), WEIGHT_1(i + 1), WEIGHT_1(i + 2), WEIGHT_1(i + 3),            \
        WEIGHT_1(i + 4)
#define WEIGHT_20(i)                                                           \
    WEIGHT_5(i), WEIGHT_5(i + 5), WEIGHT_5(i + 10), WEIGHT_5(i + 15)
#define WEIGHT_100(i)                                                          \
    WEIGHT_20(i), WEIGHT_20(i + 20), WEIGHT_20(i + 40), WEIGHT_20(i + 60),     \
        WEIGHT_20(i + 80)

static const uint64_t weights[JEM_DECAY_STEPS] = {
    WEIGHT_100(0), WEIGHT_100(100)};

uint64_t
jem_decay_weight(unsigned age)
{
    return age < JEM_DECAY_STEPS ? weights[JEM_DECAY_STEPS - 1 - age] : 0;
}

void
jem_decay_init(struct jem_decay *decay, int64_t time_ms, uint64_t now_ns)
{
    memset(decay, 0, sizeof *decay);
    jem_decay_set(decay, time_ms, now_ns, 0);
}

void
jem_decay_set(struct jem_decay *decay, int64_t time_ms, uint64_t now_ns,
    size_t unused_pages)
{
    decay->time_ms = time_ms;
    decay->interval_ns =
        time_ms > 0 ? (uint64_t)time_ms * 1000000 / JEM_DECAY_STEPS : 1;
    decay->epoch_ns = now_ns;
    memset(decay->backlog, 0, sizeof decay->backlog);
    decay->backlog[JEM_DECAY_STEPS - 1] = unused_pages;
    decay->kept_pages = unused_pages;
    decay->limit_pages = time_ms < 0   ? SIZE_MAX
                         : time_ms > 0 ? unused_pages
                                       : 0;
}

static void
shift_backlog(struct jem_decay *decay, uint64_t epoch_count)
{
    if (epoch_count >= JEM_DECAY_STEPS) {
        memset(decay->backlog, 0, sizeof decay->backlog);
        return;
    }
    size_t left = JEM_DECAY_STEPS - (size_t)epoch_count;
    memmove(decay->backlog, decay->backlog + epoch_count,
        left * sizeof decay->backlog[0]);
    memset(decay->backlog + left, 0,
        (size_t)epoch_count * sizeof decay->backlog[0]);
}

/* I2. Pages are below 2^36, so a product stays below 2^68: halve the weight's
 * precision by working in units of 2^-16. */
static size_t
weigh_backlog(const struct jem_decay *decay)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < JEM_DECAY_STEPS; i++) {
        sum += decay->backlog[i] * (weights[i] >> 16);
    }
    return (size_t)(sum >> 16);
}

bool
jem_decay_advance(struct jem_decay *decay, uint64_t now_ns, size_t unused_pages)
{
    if (decay->time_ms <= 0 || now_ns < decay->epoch_ns + decay->interval_ns) {
        return false;
    }
    uint64_t epoch_count = (now_ns - decay->epoch_ns) / decay->interval_ns;
    decay->epoch_ns += epoch_count * decay->interval_ns;
    shift_backlog(decay, epoch_count);
    /* What came since the last advance counts as coming in the epoch that has
     * just ended: late rather than early. */
    if (unused_pages > decay->kept_pages) {
        decay->backlog[JEM_DECAY_STEPS - 1] = unused_pages - decay->kept_pages;
    }
    decay->limit_pages = weigh_backlog(decay);
    decay->kept_pages =
        unused_pages < decay->limit_pages ? unused_pages : decay->limit_pages;
    return true;
}
