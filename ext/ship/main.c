/* SPDX-License-Identifier: MIT
**
** main.c: seqdb-ship, the program: reads the command line, runs a command, says how it went.
*/
#include <stdio.h>
#include <string.h>
#include "args.h"

static void stop(int number) {
  (void)number;
  ship_stop = 1;
}

/* The first signal lets the work end in good order, the second one kills. */
static void catch_signals(void) {
  const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = stop;
  action.sa_flags = (int)SA_RESETHAND;
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    sigaction(numbers[i], &action, NULL);
  signal(SIGPIPE, SIG_IGN);
}

/* The statuses that never leave the program mean a plain failure here.  A publisher and a follower that are stopped say
** SHIP_OK themselves; what has an end of its own is not done. */
static int exit_status(ship *s, ship_status status) {
  if (status == SHIP_STOPPED) return (int)ship_fail(s, SHIP_FAILED, "ended by a signal, before it was done");
  return status < 0 ? SHIP_FAILED : (int)status;
}

int main(int argc, char **argv) {
  ship_options options;
  const args_command *command = NULL;
  ship_status status = args_read(argc, argv, &options, &command);
  if (status || !command) return (int)status;
  ship s = {.options = &options, .last_report = ship_now_ms()};
  setvbuf(stderr, NULL, _IOLBF, 0);
  catch_signals();
  status = command->run(&s);
  carrier_close(s.carrier);
  int code = exit_status(&s, status);
  if (code) ship_say(&s, "%s", s.message);
  if (fflush(stdout) != 0 && !code) return SHIP_FAILED;
  return code;
}
