/*
 * signals.h - what a child says about itself when it dies or is stuck
 *
 *     a deadly signal --> handler --> shared->crash: who, where, the stack
 *     the supervisor's SIGNALS_ASK, to a thread --> its stack
 *
 * Concurrency: handlers run on whichever thread; each writes its own record.
 * Failure: a handler that itself fails leaves the record incomplete; the
 * supervisor then has the exit status alone.
 */
#pragma once

#include <signal.h>

#include "run/shared.h"

#define SIGNALS_ASK (SIGRTMAX - 1)

void signals_install(struct shared *shared);
