/* SPDX-License-Identifier: MIT
**
** report.h: between the programs that measure and the tables, CSV files and chart data that come out.
** report.c holds all numbers until the end of a run; one thread.
*/
#ifndef REPORT_H
#define REPORT_H

#include "bench.h"

/* ---- running (main.c) -------------------------------------------------------------------------------------------- */

/* Run `work` in a child process, in a fresh directory.  False if it failed; the message is printed and counted. */
bool bench_measure(const bench_options *options, const char *name, void (*work)(bench_run *run), uint64_t x,
                   bench_result *result);
/* One line on stderr saying what runs; overwrites itself on a terminal. */
void bench_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- workloads --------------------------------------------------------------------------------------------------- */

void bench_report_begin(const bench_options *options);
/* Start the numbers of a workload; they are kept until bench_report_end(). */
void bench_report_workload(const bench_workload *workload);
void bench_report_add(int contender, int round, const bench_result *result);
/* Print the current workload's rows. */
void bench_report_print(void);
/* Write CSV and chart data, print the summary.  Returns the number of missed targets. */
int bench_report_end(void);

/* ---- scaling ----------------------------------------------------------------------------------------------------- */

typedef struct bench_series {
  const char *name, *unit;
  int metric;
  bool flat; /* should not depend on the point */
} bench_series;

#define BENCH_POINTS_MAX 16

typedef struct bench_axis {
  const char *name, *unit;
  const uint64_t *points, *quick_points, *huge_points; /* end with UINT64_MAX */
  uint64_t flat_from;
  void (*run)(bench_run *run);
  const bench_series *series; /* ends with a NULL name */
} bench_axis;

void bench_scale(const bench_options *options);
void bench_scale_begin(const bench_options *options, const bench_axis *axis);
void bench_scale_add(const bench_axis *axis, uint64_t point, int round, const bench_result *result);
/* Print the table, name what grows, write the chart's data. */
void bench_scale_end(const bench_options *options, const bench_axis *axis);

#endif /* REPORT_H */
