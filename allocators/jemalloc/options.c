/*
 * options.c - what a user may set for all heaps (contract: options.h)
 *
 * One table names each option, its kind and its range. env_read() does the
 * rest, complaints included.
 */
#include "jemalloc/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "jemalloc/heap.h"

#define DECAY_MS_MAX (INT64_MAX / 1000000) /* fits in nanoseconds */

const char *const jem_thp_names[] = {"default", "always", "never", NULL};
const char *const jem_junk_names[] = {"false", "true", "alloc", "free", NULL};

static const struct jem_options defaults = {
    .dirty_decay_ms = 10000,
    .muzzy_decay_ms = 0,
    .shard_count = 1,
    .tcache_max = JEM_TCACHE_SIZE_MAX,
    .tcache = true,
    .retain = true,
    .prof_active = true,
    .guarded_slots = 64,
    .lg_prof_sample = 19,
    .lg_prof_interval = -1,
    .prof_prefix = "jeprof",
    .prof_prefix_size = sizeof "jeprof" - 1,
};

static void
keep_letters(struct jem_options *options, const char *letters, size_t count)
{
    if (count >= sizeof options->stats_letters) {
        count = sizeof options->stats_letters - 1;
    }
    memcpy(options->stats_letters, letters, count);
    options->stats_letters[count] = '\0';
}

void
jem_options_read(struct jem_options *options)
{
    struct env_choice thp = {jem_thp_names, JEM_THP_DEFAULT};
    struct env_choice junk = {jem_junk_names, JEM_JUNK_FALSE};
    const char *letters = "";
    size_t letter_count = 0;
    unsigned bad_count;
    *options = defaults;
    const struct env_option known[] = {
        {"narenas", ENV_NUMBER, &options->arena_count, NULL, 1,
            JEM_AUTO_ARENAS_MAX},
        {"dirty_decay_ms", ENV_NUMBER, &options->dirty_decay_ms, NULL,
            (uint64_t)-1, DECAY_MS_MAX},
        {"muzzy_decay_ms", ENV_NUMBER, &options->muzzy_decay_ms, NULL,
            (uint64_t)-1, DECAY_MS_MAX},
        {"bin_shards", ENV_NUMBER, &options->shard_count, NULL, 1,
            JEM_SHARDS_MAX},
        {"tcache", ENV_FLAG, &options->tcache, NULL, 0, 0},
        {"tcache_max", ENV_SIZE, &options->tcache_max, NULL, 8,
            JEM_TCACHE_SIZE_MAX},
        {"background_thread", ENV_FLAG, &options->background_thread, NULL, 0,
            0},
        {"thp", ENV_CHOICE, &thp, NULL, 0, 0},
        {"retain", ENV_FLAG, &options->retain, NULL, 0, 0},
        {"guard", ENV_FLAG, &options->guard, NULL, 0, 0},
        {"junk", ENV_CHOICE, &junk, NULL, 0, 0},
        {"zero", ENV_FLAG, &options->zero, NULL, 0, 0},
        {"check_free", ENV_FLAG, &options->check_free, NULL, 0, 0},
        {"abort_conf", ENV_FLAG, &options->abort_conf, NULL, 0, 0},
        {"stats_print", ENV_FLAG, &options->stats_print, NULL, 0, 0},
        {"prof", ENV_FLAG, &options->prof, NULL, 0, 0},
        {"prof_active", ENV_FLAG, &options->prof_active, NULL, 0, 0},
        {"lg_prof_sample", ENV_NUMBER, &options->lg_prof_sample, NULL, 0, 40},
        {"prof_prefix", ENV_TEXT, &options->prof_prefix,
            &options->prof_prefix_size, 0, 0},
        {"prof_final", ENV_FLAG, &options->prof_final, NULL, 0, 0},
        {"guarded", ENV_SIZE, &options->guarded, NULL, 0, UINT32_MAX},
        {"guarded_slots", ENV_SIZE, &options->guarded_slots, NULL, 1, 4096},
        {"lg_prof_interval", ENV_NUMBER, &options->lg_prof_interval, NULL,
            (uint64_t)-1, 62},
        {"stats_print_opts", ENV_TEXT, &letters, &letter_count, 0, 0},
    };
    (void)env_read_counting(JEM_NAME, "JEM_OPTIONS", known,
        sizeof known / sizeof known[0], &bad_count);
    options->thp = (enum jem_thp)thp.chosen;
    options->junk = (enum jem_junk)junk.chosen;
    options->prof = options->prof || options->guarded != 0;
    keep_letters(options, letters, letter_count);
    if (bad_count != 0 && options->abort_conf) {
        abort();
    }
}
