/* SPDX-License-Identifier: MIT
**
** crew.c: the program.  See crew.h.
**
**   crew MODULE FIRST COUNT      runs with seeds FIRST, FIRST + 1, ...; MODULE: the shared object with the engine
**   crew MODULE SEED 1 loud      one run, each step printed, in this process and with the copies kept: for a debugger
**
** Prints the trace of the first run that fails, and ends with 1; else "N runs, N steps, ..." and 0.  Each run is made
** in a forked child: what a run leaves behind, memory of killed members too, goes with it.
*/
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "crash/crew.h"

#define LIVES (CREW_LIVES_MAX + 4)

static const crew_work *works[LIVES];

/* A copy of its own for each life: the loader takes files with one inode for one library. */
static bool load_copy(const char *module, const char *folder, int life, bool stays) {
  char path[600], buffer[1 << 16];
  snprintf(path, sizeof path, "%s/%d.so", folder, life);
  FILE *from = fopen(module, "rb"), *to = fopen(path, "wb");
  for (size_t got; from != NULL && to != NULL && (got = fread(buffer, 1, sizeof buffer, from)) > 0;) {
    (void)fwrite(buffer, 1, got, to);
  }
  if (from == NULL || to == NULL || fclose(to) != 0) {
    return false;
  }
  fclose(from);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!stays) {
    unlink(path);
  }
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return false;
  }
  works[life] = dlsym(library, "sdb_crew_work");
  return works[life] != NULL;
}

/* `stays`: for a debugger, which wants to find them. */
static bool load_copies(const char *module, bool stays) {
  char folder[PATH_MAX];
  const char *temp = getenv("SEQDB_TMP");
  snprintf(folder, sizeof folder, "%s/seqdb-crew.XXXXXX", temp ? temp : "/tmp");
  bool loaded = mkdtemp(folder) != NULL;
  for (int i = 0; i < LIVES && loaded; i++) {
    loaded = load_copy(module, folder, i, stays);
  }
  rmdir(folder);
  return loaded;
}

/* 0: all is well. */
static int run_one(uint64_t seed, crew_outcome *total) {
  int ends[2], status = 0;
  crew_outcome outcome = {.failed = true};
  if (pipe(ends) != 0) {
    return 1;
  }
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    alarm(120);
    crew_run(seed, works, false, &outcome);
    bool told = write(ends[1], &outcome, sizeof outcome) == (ssize_t)sizeof outcome;
    fflush(stdout);
    _exit(told && !outcome.failed ? 0 : 1);
  }
  close(ends[1]);
  bool heard = read(ends[0], &outcome, sizeof outcome) == (ssize_t)sizeof outcome;
  close(ends[0]);
  waitpid(child, &status, 0);
  total->steps += outcome.steps;
  total->kills += outcome.kills;
  total->cuts += outcome.cuts;
  total->faults += outcome.faults;
  total->commits += outcome.commits;
  if (!heard) {
    printf("seed %llu failed: the run ended with status %d\n", (unsigned long long)seed, status);
  }
  return status;
}

int main(int argc, char **argv) {
  if (argc < 4 || !load_copies(argv[1], argc > 4)) {
    fprintf(stderr, "usage: crew MODULE FIRST COUNT [loud]\n");
    return 2;
  }
  crew_outcome total = {.failed = false};
  uint64_t first = strtoull(argv[2], NULL, 10), count = strtoull(argv[3], NULL, 10);
  bool on = getenv("CREW_GO_ON") != NULL; /* past failures */
  if (argc > 4) {                         /* here and now */
    crew_run(first, works, true, &total);
    return total.failed;
  }
  int failures = 0;
  for (uint64_t i = 0; i < count; i++) {
    if (run_one(first + i, &total) != 0) {
      failures++;
      if (!on) {
        return 1;
      }
    }
  }
  printf("%llu runs, %llu steps, %llu kills, %llu cuts, %llu faults, %llu commits, %d failures\n",
         (unsigned long long)count, (unsigned long long)total.steps, (unsigned long long)total.kills,
         (unsigned long long)total.cuts, (unsigned long long)total.faults, (unsigned long long)total.commits, failures);
  return failures != 0;
}
