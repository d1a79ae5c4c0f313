/*
 * pageheap.c - spans out of hugepages (contract: pageheap.h)
 *
 *     span of 600 pages:   | hugepage | hugepage | 88 pages |  168 free   |
 *                            \__ whole: huge cache __/        \_ home: filler
 *
 * What a span needs is prepared first, the structures and room in the page map,
 * and only then written: a call that fails has changed nothing.
 *
 * Of a small span every page leads to it in the page map, of a large one only
 * the first: no address but its first is a block. When a span goes, its pages
 * are marked freed, which tells a double free from a foreign address.
 *
 * Invariants, true whenever the lock is free:
 *   I1  The pages of all spans are the used pages of the filler and the regions
 *       and the hugepages that are mapped and in neither nor in the cache.
 *   I2  Every large span is on `large`; large_count, large_pages, tail_pages and
 *       slack_pages are sums over them.
 */
#include "tcmalloc/pageheap.h"

#include "base/check.h"
#include "base/poison.h"
#include "base/print.h"
#include "tcmalloc/misuse.h"

#define FEW_OBJECTS ((size_t)128)
/* So much slack is no reason for a region. */
#define SLACK_MIN  (8 * TCM_HUGEPAGE_PAGES)
#define WHOLE_MASK (TCM_HUGEPAGE_PAGES - 1)

void
tcm_pageheap_init(struct tcm_pageheap *pageheap, struct meta *meta,
    size_t dirty_min, bool huge)
{
    size_t span_size = sizeof(struct tcm_span);

    mtx_init(&pageheap->lock, MTX_PAGEHEAP);
    tcm_filler_init(&pageheap->filler);
    tcm_hugecache_init(&pageheap->hugecache, meta, dirty_min, huge);
    pageheap->limits =
        (struct tcm_pageheap_limits){.soft = SIZE_MAX, .hard = SIZE_MAX};
    tcm_regions_init(&pageheap->regions, meta);
    list_init(&pageheap->large);
    tcm_pool_init(&pageheap->few_objects, meta,
        span_size + BITMAP_WORDS(FEW_OBJECTS) * sizeof(uint64_t));
    tcm_pool_init(&pageheap->many_objects, meta,
        span_size + BITMAP_WORDS(TCM_OBJECTS_MAX) * sizeof(uint64_t));
    tcm_pool_init(&pageheap->hugepages, meta, sizeof(struct tcm_hugepage));
    pagemap_init(&pageheap->map, TCM_PAGE_SHIFT);
}

void
tcm_pageheap_fini(struct tcm_pageheap *pageheap)
{
    tcm_hugecache_fini(&pageheap->hugecache);
    pagemap_fini(&pageheap->map);
    mtx_fini(&pageheap->lock);
}

/* ---- pages */

/* The whole hugepages at the head of a span. */
static size_t
whole_count(const struct tcm_span *span)
{
    return span->page_count / TCM_HUGEPAGE_PAGES;
}

/* Its pages in the hugepage that is its home. */
static size_t
home_pages(const struct tcm_span *span)
{
    return span->page_count & WHOLE_MASK;
}

static char *
home_addr(const struct tcm_span *span)
{
    return span->addr + (whole_count(span) << TCM_HUGEPAGE_SHIFT);
}

/* A large span with pages in a donated hugepage comes (1) or goes (-1). */
static void
count_tail_locked(struct tcm_pageheap *pageheap, const struct tcm_span *span,
    int sign) REQUIRES(pageheap->lock)
{
    if (span->home != NULL && whole_count(span) > 0) {
        size_t tail = home_pages(span);
        size_t slack = TCM_HUGEPAGE_PAGES - tail;

        pageheap->tail_pages += sign > 0 ? tail : -tail;
        pageheap->slack_pages += sign > 0 ? slack : -slack;
    }
}

static bool
take_from_filler_locked(struct tcm_pageheap *pageheap, struct tcm_span *span,
    size_t pages, size_t align_pages) REQUIRES(pageheap->lock)
{
    span->addr = tcm_filler_take(
        &pageheap->filler, pages, align_pages, &span->home, &span->zeroed);
    span->spare = NULL;
    return span->addr != NULL;
}

/* Neighbouring hugepages, with room for them in the page map. */
static char *
take_range_locked(struct tcm_pageheap *pageheap, size_t count, size_t align,
    struct tcm_hugerange **spare, bool *clean) REQUIRES(pageheap->lock)
{
    struct tcm_hugecache *cache = &pageheap->hugecache;
    char *addr = tcm_hugecache_take(cache, count, align, spare, clean);

    if (addr == NULL) {
        return NULL;
    }
    if (!pagemap_reserve(&pageheap->map, addr, count << TCM_HUGEPAGE_SHIFT)) {
        tcm_hugecache_give(cache, addr, count, *spare, *clean);
        return NULL;
    }
    if (pageheap->classmap != NULL) {
        tcm_classmap_cover(pageheap->classmap, addr);
    }
    return addr;
}

/* Takes whole hugepages; the last is a new one of the filler's where the span
 * does not need all of it. */
static bool
take_hugepages_locked(struct tcm_pageheap *pageheap, struct tcm_span *span,
    size_t pages, size_t align) REQUIRES(pageheap->lock)
{
    struct tcm_hugecache *cache = &pageheap->hugecache;
    size_t whole = pages / TCM_HUGEPAGE_PAGES;
    size_t rest = pages & WHOLE_MASK;
    size_t count = whole + (rest > 0);
    struct tcm_hugepage *home = NULL;
    struct tcm_hugerange *spare, *home_spare = NULL;
    bool clean;

    if (rest > 0 && ((home = tcm_pool_take(&pageheap->hugepages)) == NULL)) {
        return false;
    }
    if (rest > 0 && whole > 0 &&
        (home_spare = tcm_hugecache_spare(cache)) == NULL) {
        tcm_pool_give(&pageheap->hugepages, home);
        return false;
    }
    char *addr = take_range_locked(pageheap, count, align, &spare, &clean);
    if (addr == NULL) {
        if (home_spare != NULL) {
            tcm_hugecache_drop_spare(cache, home_spare);
        }
        if (home != NULL) {
            tcm_pool_give(&pageheap->hugepages, home);
        }
        return false;
    }
    span->addr = addr;
    span->home = home;
    span->zeroed = clean;
    span->spare = whole > 0 ? spare : NULL;
    if (home != NULL) {
        bool zeroed;
        tcm_hugepage_init(home, addr + (whole << TCM_HUGEPAGE_SHIFT), clean);
        (void)tcm_hugepage_take(home, rest, 1, &zeroed);
        home->spare = whole > 0 ? home_spare : spare;
        tcm_filler_add(&pageheap->filler, home,
            whole > 0 ? TCM_FILLER_DONATED : TCM_FILLER_REGULAR);
    }
    return true;
}

/* More slack than there are small spans to fill it. */
static bool
wants_region_locked(const struct tcm_pageheap *pageheap, size_t pages,
    size_t align_pages) REQUIRES(pageheap->lock)
{
    size_t small_pages = pageheap->filler.used_pages - pageheap->tail_pages;

    return pages > TCM_HUGEPAGE_PAGES && pages <= TCM_REGION_PAGES / 4 &&
           (pages & WHOLE_MASK) != 0 && align_pages == 1 &&
           pageheap->slack_pages > small_pages + SLACK_MIN;
}

static bool
add_region_locked(struct tcm_pageheap *pageheap) REQUIRES(pageheap->lock)
{
    struct tcm_region *region = tcm_regions_new(&pageheap->regions);
    struct tcm_hugerange *spare;
    bool clean;

    if (region == NULL) {
        return false;
    }
    char *addr = take_range_locked(
        pageheap, TCM_REGION_HUGEPAGES, TCM_HUGEPAGE, &spare, &clean);
    if (addr == NULL) {
        tcm_regions_drop(&pageheap->regions, region);
        return false;
    }
    tcm_regions_add(&pageheap->regions, region, addr, spare, clean);
    return true;
}

static bool
take_from_region_locked(struct tcm_pageheap *pageheap, struct tcm_span *span,
    size_t pages) REQUIRES(pageheap->lock)
{
    struct tcm_regions *regions = &pageheap->regions;
    char *addr = tcm_regions_take(regions, pages, &span->region, &span->zeroed);

    if (addr == NULL && add_region_locked(pageheap)) {
        addr = tcm_regions_take(regions, pages, &span->region, &span->zeroed);
    }
    if (addr == NULL) {
        return false;
    }
    span->addr = addr;
    span->home = NULL;
    span->spare = NULL;
    return true;
}

static bool
take_pages_locked(struct tcm_pageheap *pageheap, struct tcm_span *span,
    size_t pages, size_t align) REQUIRES(pageheap->lock)
{
    size_t align_pages = align <= TCM_PAGE ? 1 : align >> TCM_PAGE_SHIFT;

    span->page_count = (uint32_t)pages;
    if (pages < TCM_HUGEPAGE_PAGES && align_pages < TCM_HUGEPAGE_PAGES &&
        take_from_filler_locked(pageheap, span, pages, align_pages)) {
        return true;
    }
    if (wants_region_locked(pageheap, pages, align_pages) &&
        take_from_region_locked(pageheap, span, pages)) {
        return true;
    }
    align = align < TCM_HUGEPAGE ? TCM_HUGEPAGE : align;
    if (!take_hugepages_locked(pageheap, span, pages, align)) {
        return false;
    }
    count_tail_locked(pageheap, span, 1);
    return true;
}

/* A span of a region; the last one gives its hugepages back. */
static void
give_to_region_locked(struct tcm_pageheap *pageheap, struct tcm_span *span)
    REQUIRES(pageheap->lock)
{
    struct tcm_region *region = span->region;

    if (tcm_regions_give(
            &pageheap->regions, region, span->addr, span->page_count)) {
        tcm_hugecache_give(&pageheap->hugecache, region->addr,
            TCM_REGION_HUGEPAGES, region->spare, region->dirty == 0);
        tcm_regions_drop(&pageheap->regions, region);
    }
}

static void
give_pages_locked(struct tcm_pageheap *pageheap, struct tcm_span *span)
    REQUIRES(pageheap->lock)
{
    struct tcm_hugepage *home = span->home;
    size_t whole = whole_count(span);

    if (span->region != NULL) {
        give_to_region_locked(pageheap, span);
        return;
    }
    count_tail_locked(pageheap, span, -1);
    if (home != NULL) {
        size_t first = tcm_hugepage_index(home, home_addr(span));

        if (tcm_filler_give(&pageheap->filler, home, first, home_pages(span))) {
            bool clean = home->clean_pages == TCM_HUGEPAGE_PAGES;
            tcm_hugecache_give(
                &pageheap->hugecache, home->addr, 1, home->spare, clean);
            tcm_pool_give(&pageheap->hugepages, home);
        } else if (whole > 0) {
            tcm_filler_adopt(&pageheap->filler, home);
        }
    }
    if (whole > 0) {
        tcm_hugecache_give(
            &pageheap->hugecache, span->addr, whole, span->spare, false);
    }
}

/* ---- giving back */

static size_t
release_locked(struct tcm_pageheap *pageheap, size_t size)
    REQUIRES(pageheap->lock)
{
    struct tcm_hugecache *cache = &pageheap->hugecache;
    size_t count = (size >> TCM_HUGEPAGE_SHIFT) + 1;
    size_t dirty = cache->count[TCM_RANGE_DIRTY];
    size_t released =
        tcm_hugecache_release(cache, dirty > count ? dirty - count : 0);

    if (released < count) {
        released += tcm_regions_release(&pageheap->regions, count - released);
    }
    released <<= TCM_HUGEPAGE_SHIFT;
    if (released < size) {
        size_t pages = (size - released + TCM_PAGE - 1) >> TCM_PAGE_SHIFT;
        released += tcm_filler_release(&pageheap->filler, pages)
                    << TCM_PAGE_SHIFT;
    }
    return released;
}

/* Bytes of used pages and of free ones that the OS has not back. */
static size_t
backed_size_locked(const struct tcm_pageheap *pageheap) REQUIRES(pageheap->lock)
{
    const struct tcm_hugecache *cache = &pageheap->hugecache;
    size_t hugepages = cache->mapped_count - cache->count[TCM_RANGE_CLEAN] -
                       pageheap->regions.clean_count;

    return (hugepages << TCM_HUGEPAGE_SHIFT) -
           (pageheap->filler.clean_pages << TCM_PAGE_SHIFT);
}

/* Before a span is taken: free pages make way for it above the soft limit. False
 * above the hard one. */
static bool
keep_limits_locked(struct tcm_pageheap *pageheap, size_t pages)
    REQUIRES(pageheap->lock)
{
    const struct tcm_pageheap_limits *limits = &pageheap->limits;
    size_t limit = limits->soft < limits->hard ? limits->soft : limits->hard;
    size_t size = pages << TCM_PAGE_SHIFT;

    if (limit == SIZE_MAX) {
        return true;
    }
    size_t wanted = backed_size_locked(pageheap) + size;
    if (wanted > limit) {
        (void)release_locked(pageheap, wanted - limit);
        wanted = backed_size_locked(pageheap) + size;
    }
    return wanted <= limits->hard;
}

/* After a span has come free. What is released at once is at least a hugepage,
 * so some is released in advance. */
static void
keep_rate_locked(struct tcm_pageheap *pageheap, size_t pages)
    REQUIRES(pageheap->lock)
{
    double rate = pageheap->limits.release_rate;

    if (rate <= 0) {
        return;
    }
    pageheap->release_due += (double)pages * rate / 1000;
    if (pageheap->release_due >= 1) {
        size_t due = (size_t)pageheap->release_due;
        size_t got = release_locked(pageheap, due << TCM_PAGE_SHIFT);

        pageheap->release_due -= (double)(got >> TCM_PAGE_SHIFT);
        /* What there is not to release is not owed later. */
        if (pageheap->release_due > (double)TCM_HUGEPAGE_PAGES) {
            pageheap->release_due = (double)TCM_HUGEPAGE_PAGES;
        }
    }
}

/* So many free pages of the filler, or of regions, may hold memory, as of the
 * huge cache: in proportion to what is in use, and always some. */
static size_t
dirty_limit_locked(const struct tcm_pageheap *pageheap, size_t used_pages)
    REQUIRES(pageheap->lock)
{
    size_t least = pageheap->hugecache.dirty_min * TCM_HUGEPAGE_PAGES;

    return used_pages / 4 > least ? used_pages / 4 : least;
}

/* After a span has come free: a program that has shrunk gives back. An eighth
 * above the limit is let pass, so that what is given back is worth the search
 * for it. */
static void
keep_dirty_locked(struct tcm_pageheap *pageheap) REQUIRES(pageheap->lock)
{
    struct tcm_filler *filler = &pageheap->filler;
    size_t dirty = tcm_filler_free_pages(filler) - filler->clean_pages;
    size_t limit = dirty_limit_locked(pageheap, filler->used_pages);

    if (dirty > limit + limit / 8) {
        (void)tcm_filler_release(filler, dirty - limit);
    }
    struct tcm_regions *regions = &pageheap->regions;
    size_t loose_max =
        dirty_limit_locked(pageheap, regions->used_pages) / TCM_HUGEPAGE_PAGES;
    if (regions->loose_count > loose_max) {
        (void)tcm_regions_release(regions, regions->loose_count - loose_max);
    }
}

/* ---- spans */

static struct tcm_pool *
pool_of(struct tcm_pageheap *pageheap, unsigned size_class)
{
    return tcm_classes[size_class].object_count > FEW_OBJECTS
               ? &pageheap->many_objects
               : &pageheap->few_objects;
}

static struct tcm_span *
take_span_locked(struct tcm_pageheap *pageheap, unsigned size_class,
    size_t pages, size_t align) REQUIRES(pageheap->lock)
{
    struct tcm_pool *pool = pool_of(pageheap, size_class);
    struct tcm_span *span =
        keep_limits_locked(pageheap, pages) ? tcm_pool_take(pool) : NULL;

    if (span == NULL) {
        return NULL;
    }
    span->size_class = (uint8_t)size_class;
    span->free_count = 0;
    span->region = NULL;
    if (!take_pages_locked(pageheap, span, pages, align)) {
        tcm_pool_give(pool, span);
        return NULL;
    }
    return span;
}

/* The bytes of a span that lead to it in the page map. */
static size_t
mapped_size(const struct tcm_span *span)
{
    return span->size_class == 0 ? TCM_PAGE : tcm_span_size(span);
}

/* What the span's pages lead to from now on: it, or nothing. */
static void
set_owner_locked(struct tcm_pageheap *pageheap, const struct tcm_span *span,
    void *owner) REQUIRES(pageheap->lock)
{
    pagemap_set(&pageheap->map, span->addr, mapped_size(span), owner);
    if (pageheap->classmap != NULL && span->size_class != 0) {
        tcm_classmap_set(pageheap->classmap, span->addr, mapped_size(span),
            tcm_owner_class(owner));
    }
}

struct tcm_span *
tcm_pageheap_take(struct tcm_pageheap *pageheap, unsigned size_class)
{
    mtx_lock(&pageheap->lock);
    struct tcm_span *span = take_span_locked(
        pageheap, size_class, tcm_classes[size_class].pages, TCM_PAGE);
    if (span != NULL) {
        pageheap->small_count++;
        tcm_span_init_objects(span);
        poison_free(span->addr, tcm_span_size(span)); /* till it is taken */
        set_owner_locked(pageheap, span, tcm_owner_make(span));
    }
    mtx_unlock(&pageheap->lock);
    return span;
}

struct tcm_span *
tcm_pageheap_take_large(
    struct tcm_pageheap *pageheap, size_t pages, size_t align)
{
    if (pages > TCM_SPAN_PAGES_MAX) {
        return NULL;
    }
    mtx_lock(&pageheap->lock);
    struct tcm_span *span = take_span_locked(pageheap, 0, pages, align);
    if (span != NULL) {
        tcm_span_set_sample(span, NULL);
        list_push(&pageheap->large, &span->link);
        pageheap->large_count++;
        pageheap->large_pages += pages;
        poison_use(span->addr, tcm_span_size(span));
        set_owner_locked(pageheap, span, tcm_owner_make(span));
    }
    mtx_unlock(&pageheap->lock);
    return span;
}

static void
give_span_locked(struct tcm_pageheap *pageheap, struct tcm_span *span)
    REQUIRES(pageheap->lock)
{
    set_owner_locked(pageheap, span, TCM_OWNER_FREED);
    if (span->size_class == 0) {
        list_remove(&span->link);
        pageheap->large_count--;
        pageheap->large_pages -= span->page_count;
    } else {
        pageheap->small_count--;
    }
    poison_free(span->addr, tcm_span_size(span));
    give_pages_locked(pageheap, span);
    keep_dirty_locked(pageheap);
    keep_rate_locked(pageheap, span->page_count);
    tcm_pool_give(pool_of(pageheap, span->size_class), span);
}

void
tcm_pageheap_give(struct tcm_pageheap *pageheap, struct tcm_span *span)
{
    mtx_lock(&pageheap->lock);
    give_span_locked(pageheap, span);
    mtx_unlock(&pageheap->lock);
}

void
tcm_pageheap_give_large(struct tcm_pageheap *pageheap, void *block)
{
    mtx_lock(&pageheap->lock);
    struct tcm_span *span =
        tcm_owner_span(tcm_owner_get(&pageheap->map, block));
    if (span == NULL || span->addr != (char *)block) {
        tcm_misuse(TCM_DOUBLE_FREE, block);
    }
    give_span_locked(pageheap, span);
    mtx_unlock(&pageheap->lock);
}

static bool
extend_locked(struct tcm_pageheap *pageheap, struct tcm_span *span,
    size_t pages) REQUIRES(pageheap->lock)
{
    size_t more = pages - span->page_count;

    if (span->region != NULL) {
        return keep_limits_locked(pageheap, more) &&
               tcm_regions_extend(&pageheap->regions, span->region, span->addr,
                   span->page_count, more);
    }
    if (span->home == NULL || home_pages(span) + more > WHOLE_MASK ||
        !keep_limits_locked(pageheap, more)) {
        return false;
    }
    size_t first = tcm_hugepage_index(span->home, home_addr(span));
    return tcm_filler_extend(
        &pageheap->filler, span->home, first, home_pages(span), more);
}

bool
tcm_pageheap_extend(
    struct tcm_pageheap *pageheap, struct tcm_span *span, size_t pages)
{
    ASSERT(span->size_class == 0 && pages > span->page_count);
    mtx_lock(&pageheap->lock);
    bool done = extend_locked(pageheap, span, pages);
    if (done) {
        count_tail_locked(pageheap, span, -1);
        pageheap->large_pages += pages - span->page_count;
        span->page_count = (uint32_t)pages;
        count_tail_locked(pageheap, span, 1);
        poison_use(span->addr, tcm_span_size(span));
    }
    mtx_unlock(&pageheap->lock);
    return done;
}

/* ---- limits */

size_t
tcm_pageheap_release(struct tcm_pageheap *pageheap, size_t size)
{
    mtx_lock(&pageheap->lock);
    size_t released = release_locked(pageheap, size);
    mtx_unlock(&pageheap->lock);
    return released;
}

void
tcm_pageheap_set_limits(
    struct tcm_pageheap *pageheap, const struct tcm_pageheap_limits *limits)
{
    mtx_lock(&pageheap->lock);
    pageheap->limits = *limits;
    (void)keep_limits_locked(pageheap, 0);
    mtx_unlock(&pageheap->lock);
}

struct tcm_pageheap_limits
tcm_pageheap_limits(struct tcm_pageheap *pageheap)
{
    mtx_lock(&pageheap->lock);
    struct tcm_pageheap_limits limits = pageheap->limits;
    mtx_unlock(&pageheap->lock);
    return limits;
}

/* ---- looking */

void
tcm_pageheap_stats(
    struct tcm_pageheap *pageheap, struct tcm_pageheap_stats *stats)
{
    const struct tcm_hugecache *cache = &pageheap->hugecache;
    const struct tcm_filler *filler = &pageheap->filler;
    const struct tcm_regions *regions = &pageheap->regions;

    mtx_lock(&pageheap->lock);
    size_t dirty = cache->count[TCM_RANGE_DIRTY] * TCM_HUGEPAGE_PAGES;
    size_t clean = cache->count[TCM_RANGE_CLEAN] * TCM_HUGEPAGE_PAGES;
    *stats = (struct tcm_pageheap_stats){
        .mapped_pages = cache->mapped_count * TCM_HUGEPAGE_PAGES,
        .free_pages = tcm_filler_free_pages(filler) +
                      tcm_regions_free_pages(regions) + dirty + clean,
        .clean_pages = filler->clean_pages +
                       regions->clean_count * TCM_HUGEPAGE_PAGES + clean,
        .free_runs = filler->hugepage_count + regions->region_count +
                     cache->by_addr[TCM_RANGE_DIRTY].count +
                     cache->by_addr[TCM_RANGE_CLEAN].count,
        .large_count = pageheap->large_count,
        .large_pages = pageheap->large_pages,
    };
    mtx_unlock(&pageheap->lock);
}

void
tcm_pageheap_check_owner(
    const struct tcm_pageheap *pageheap, const struct tcm_span *span)
{
    for (size_t at = 0; at < mapped_size(span); at += TCM_PAGE) {
        const char *page = span->addr + at;

        CHECK(tcm_owner_get(&pageheap->map, page) == tcm_owner_make(span));
        if (pageheap->classmap != NULL) {
            unsigned seen = tcm_classmap_get(pageheap->classmap, page);
            CHECK(seen == span->size_class || seen == 0); /* its I1 */
        }
    }
}

static void
check_large_locked(struct tcm_pageheap *pageheap) REQUIRES(pageheap->lock)
{
    size_t count = 0, pages = 0, tail = 0, slack = 0;
    struct list *link;

    list_check(&pageheap->large);
    LIST_EACH (link, &pageheap->large) {
        const struct tcm_span *span = tcm_span_of(link);

        tcm_span_check(span);
        tcm_pageheap_check_owner(pageheap, span);
        CHECK(span->size_class == 0);
        CHECK((span->home == NULL) ==
              (span->region != NULL || home_pages(span) == 0));
        count++;
        pages += span->page_count;
        if (span->home != NULL && whole_count(span) > 0) {
            tail += home_pages(span);
            slack += TCM_HUGEPAGE_PAGES - home_pages(span);
        }
    }
    CHECK(count == pageheap->large_count && pages == pageheap->large_pages);
    CHECK(tail == pageheap->tail_pages && slack == pageheap->slack_pages);
}

void
tcm_pageheap_check(struct tcm_pageheap *pageheap)
{
    mtx_lock(&pageheap->lock);
    tcm_pool_check(&pageheap->few_objects);
    tcm_pool_check(&pageheap->many_objects);
    tcm_pool_check(&pageheap->hugepages);
    tcm_filler_check(&pageheap->filler);
    tcm_hugecache_check(&pageheap->hugecache);
    tcm_regions_check(&pageheap->regions);
    check_large_locked(pageheap);
    mtx_unlock(&pageheap->lock);
}

void
tcm_pageheap_dump(struct tcm_pageheap *pageheap, int fd)
{
    struct print print;

    print_init(&print, fd);
    mtx_lock(&pageheap->lock);
    print_format(&print,
        "page heap: %zu small spans, %zu large ones of %zu pages\n",
        pageheap->small_count, pageheap->large_count, pageheap->large_pages);
    print_flush(&print);
    tcm_filler_dump(&pageheap->filler, fd);
    tcm_regions_dump(&pageheap->regions, fd);
    tcm_hugecache_dump(&pageheap->hugecache, fd);
    mtx_unlock(&pageheap->lock);
}
