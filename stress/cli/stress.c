/*
 * stress.c - `malstrom stress`: its options, then a campaign
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "cli/campaign.h"
#include "cli/cli.h"

enum {
    OPT_TARGET,
    OPT_SCENARIO,
    OPT_THREADS,
    OPT_TIME,
    OPT_SEED,
    OPT_POLICY,
    OPT_OUT,
    OPT_MAX_FINDINGS,
    OPT_JSON,
    OPT_UNCHECKED
};

static const struct option options[] = {
    [OPT_TARGET] = {"target", required_argument, NULL, 0},
    [OPT_SCENARIO] = {"scenario", required_argument, NULL, 0},
    [OPT_THREADS] = {"threads", required_argument, NULL, 0},
    [OPT_TIME] = {"time", required_argument, NULL, 0},
    [OPT_SEED] = {"seed", required_argument, NULL, 0},
    [OPT_POLICY] = {"policy", required_argument, NULL, 0},
    [OPT_OUT] = {"out", required_argument, NULL, 0},
    [OPT_MAX_FINDINGS] = {"max-findings", required_argument, NULL, 0},
    [OPT_JSON] = {"json", no_argument, NULL, 0},
    [OPT_UNCHECKED] = {"unchecked", no_argument, NULL, 0},
    {"help", no_argument, NULL, 0},
    {NULL, 0, NULL, 0},
};

static void
add_target(struct campaign *campaign, const char *name)
{
    struct target_error error;
    if (campaign->target_count == CAMPAIGN_TARGETS_MAX) {
        cli_fail(&command_stress, STATUS_USAGE, "more than %d targets",
            CAMPAIGN_TARGETS_MAX);
    }
    if (!target_find(
            &campaign->targets[campaign->target_count++], name, &error)) {
        cli_fail(&command_stress, (enum status)error.status, "%s", error.text);
    }
}

static void
add_scenario(struct campaign *campaign, const char *name)
{
    const struct scenario *scenario = scenario_find(name);
    if (scenario == NULL ||
        campaign->scenario_count == CAMPAIGN_SCENARIOS_MAX) {
        cli_fail(&command_stress, STATUS_USAGE,
            "%s: unknown scenario (see `malstrom list`)", name);
    }
    campaign->scenarios[campaign->scenario_count++] = scenario;
}

static void
set_policy(struct campaign *campaign, const char *text)
{
    const char *error;
    size_t offset;
    if (!policy_parse(&campaign->policy, text, &error, &offset)) {
        cli_fail(&command_stress, STATUS_USAGE,
            "--policy %s: %s at character %zu", text, error, offset + 1);
    }
    campaign->policy_text = text;
}

static void
set_option(struct campaign *campaign, int option, const char *value)
{
    const struct command *command = &command_stress;
    switch (option) {
    case OPT_TARGET:
        add_target(campaign, value);
        break;
    case OPT_SCENARIO:
        add_scenario(campaign, value);
        break;
    case OPT_THREADS:
        campaign->thread_count = (unsigned)cli_number(
            command, "threads", value, 1, PROGRAM_THREADS_MAX);
        break;
    case OPT_TIME:
        campaign->time_ns = cli_time_ms(command, "time", value) * 1000000;
        break;
    case OPT_SEED:
        campaign->seed = cli_number(command, "seed", value, 0, UINT64_MAX);
        break;
    case OPT_POLICY:
        set_policy(campaign, value);
        break;
    case OPT_OUT:
        campaign->out = value;
        campaign->out_given = true;
        break;
    case OPT_MAX_FINDINGS:
        campaign->findings_max =
            (unsigned)cli_number(command, "max-findings", value, 1, 1000000);
        break;
    case OPT_JSON:
        campaign->is_json = true;
        break;
    case OPT_UNCHECKED:
        campaign->unchecked = true;
        break;
    default:
        break;
    }
}

static unsigned
default_thread_count(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus < 2 ? 4 : cpus > 32 ? 64 : (unsigned)cpus * 2;
}

static void
read_options(struct campaign *campaign, int argc, char **argv)
{
    int option;
    campaign->seed = random_mix(supervisor_now_ns() ^ (uint64_t)getpid()) >> 32;
    campaign->time_ns = (uint64_t)30 * 1000000000;
    campaign->thread_count = default_thread_count();
    campaign->policy = policy_default();
    campaign->policy_text = "glibc";
    campaign->out = "malstrom-out";
    while ((option = cli_option(&command_stress, argc, argv, options)) >= 0) {
        set_option(campaign, option, optarg);
    }
    if (optind < argc) {
        cli_fail(&command_stress, STATUS_USAGE, "unexpected argument %s",
            argv[optind]);
    }
    if (campaign->target_count == 0) {
        for (int i = 0; alloc_all[i] != NULL; i++) {
            add_target(campaign, alloc_all[i]->name);
        }
    }
    if (campaign->scenario_count == 0) {
        for (int i = 0; scenario_all[i] != NULL; i++) {
            add_scenario(campaign, scenario_all[i]->name);
        }
    }
}

/* Where findings go must be writable before hours are spent on finding them. */
static void
check_out(const struct campaign *campaign)
{
    char error[512];
    if (campaign->out_given &&
        !cli_make_directory(campaign->out, error, sizeof error)) {
        cli_fail(&command_stress, STATUS_CANNOT_RUN, "%s", error);
    }
}

static int
run(const struct command *command, int argc, char **argv)
{
    static struct campaign campaign;
    (void)command;
    read_options(&campaign, argc, argv);
    check_out(&campaign);
    cli_catch_signals();
    return campaign_run(&campaign);
}

const struct command command_stress = {
    .name = "stress",
    .summary = "Runs scenarios on allocators and reports what breaks",
    .usage = "[OPTION]...",
    .help =
        "  --target T     dlmalloc, ..., system, or a library's path; may be\n"
        "                 repeated (default: all that are built in)\n"
        "  --scenario S   may be repeated (default: all in turn)\n"
        "  --threads N    threads of each program (default: two a CPU)\n"
        "  --time T       500ms, 30s, 10m, 2h (default: 30s)\n"
        "  --seed N       makes the programs repeatable\n"
        "  --policy P     c, posix or glibc, with +clause and -clause\n"
        "  --out DIR      where findings are written (default: malstrom-out)\n"
        "  --max-findings N  ends after that many\n"
        "  --json         one JSON object a line\n"
        "  --unchecked    no oracle: only crashes and hangs; to measure it\n",
    .run = run,
};
