/* SPDX-License-Identifier: MIT
**
** report.c: medians, spreads, ratios and verdicts, as a table on stdout, as CSV, and as data for gnuplot.
** Owns every number of the run.  One thread.
**
** A ratio is a median of one contender over a median of another, both of the same run.  A target that the contenders of
** a filtered run (--contender) cannot decide has no verdict.
*/
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHEETS_MAX 32

/* The numbers of one workload. */
typedef struct bench_sheet {
  const bench_workload *workload;
  int rounds[BENCH_CASES];
  bench_result results[BENCH_CASES][BENCH_ROUNDS_MAX];
} bench_sheet;

static bench_sheet *sheets[SHEETS_MAX];
static int sheet_count;
static const bench_options *the_options;
static int targets_met, targets_missed;

typedef struct spread {
  int count;
  double median, low, high;
} spread;

static int compare_double(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static spread spread_of(double *values, int count) {
  spread s = {.count = count};
  if (count == 0) return s;
  qsort(values, (size_t)count, sizeof *values, compare_double);
  s.median = count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
  s.low = values[0];
  s.high = values[count - 1];
  return s;
}

static spread metric_of(const bench_sheet *sheet, int contender, int metric) {
  double values[BENCH_ROUNDS_MAX];
  int count = 0;
  for (int i = 0; i < sheet->rounds[contender]; i++) {
    if (sheet->results[contender][i].has[metric]) values[count++] = sheet->results[contender][i].metrics[metric];
  }
  return spread_of(values, count);
}

static int contender_of(const bench_workload *workload, const char *name) {
  for (int c = 0; name && workload->cases[c].name; c++) {
    if (strcmp(workload->cases[c].name, name) == 0) return c;
  }
  return -1;
}

/* Four significant digits, without an exponent. */
static const char *number(double value, char text[32]) {
  double size = value < 0 ? -value : value;
  int decimals = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 0.01 || size == 0 ? 3 : 6;
  snprintf(text, 32, "%.*f", decimals, value);
  return text;
}

/* ---- verdicts ---------------------------------------------------------------------------------------------------- */

typedef struct verdict {
  bool known;  /* the numbers are there */
  bool target; /* the row has a target */
  bool met;
  double value; /* ratio, or the value itself against an absolute target */
} verdict;

static verdict judge(const bench_sheet *sheet, const bench_row *row) {
  verdict v = {.target = row->limit > 0};
  int ours = contender_of(sheet->workload, row->ours), peer = contender_of(sheet->workload, row->peer);
  spread a = ours < 0 ? (spread){.count = 0} : metric_of(sheet, ours, row->metric);
  spread b = peer < 0 ? (spread){.count = 0} : metric_of(sheet, peer, row->metric);
  if (a.count == 0 || (row->peer && (b.count == 0 || b.median == 0))) return v;
  v.known = true;
  v.value = row->peer ? a.median / b.median : a.median;
  v.met = row->at_most ? v.value <= row->limit : v.value >= row->limit;
  return v;
}

static void verdict_text(const bench_row *row, verdict v, char *text, size_t bytes) {
  const char *unit = row->peer ? "x " : "";
  char value[32], limit[32];
  text[0] = 0;
  if (!v.known) return;
  number(v.value, value);
  number(row->limit, limit);
  int at = row->peer || v.target
               ? snprintf(text, bytes, "%s: %s %s%s", row->ours, value, unit, row->peer ? row->peer : row->unit)
               : 0;
  if (v.target && at >= 0 && (size_t)at < bytes) {
    snprintf(text + at, bytes - (size_t)at, ", target %s %s: %s", row->at_most ? "<=" : ">=", limit,
             v.met ? "met" : "MISSED");
  }
}

/* ---- workloads --------------------------------------------------------------------------------------------------- */

void bench_report_begin(const bench_options *options) {
  the_options = options;
}

void bench_report_workload(const bench_workload *workload) {
  if (sheet_count == SHEETS_MAX || !(sheets[sheet_count] = calloc(1, sizeof **sheets))) {
    fprintf(stderr, "too many workloads\n");
    exit(2);
  }
  sheets[sheet_count++]->workload = workload;
}

void bench_report_add(int contender, int round, const bench_result *result) {
  bench_sheet *sheet = sheets[sheet_count - 1];
  sheet->results[contender][round] = *result;
  sheet->rounds[contender] = round + 1;
}

void bench_report_print(void) {
  const bench_sheet *sheet = sheets[sheet_count - 1];
  for (const bench_row *row = sheet->workload->rows; row->name; row++) {
    char text[256];
    verdict v = judge(sheet, row);
    int peer = contender_of(sheet->workload, row->peer);
    double base = peer < 0 ? 0 : metric_of(sheet, peer, row->metric).median;
    printf("\n%s: %s\n", row->name, row->title);
    for (int c = 0; sheet->workload->cases[c].name; c++) {
      char median[32], low[32], high[32];
      spread s = metric_of(sheet, c, row->metric);
      if (s.count == 0) continue;
      printf("  %-28s %10s  (%s .. %s) %s", sheet->workload->cases[c].name, number(s.median, median),
             number(s.low, low), number(s.high, high), row->unit);
      if (base != 0) printf("   %.2f x", s.median / base);
      printf("\n");
    }
    verdict_text(row, v, text, sizeof text);
    if (text[0]) printf("  -> %s\n", text);
    if (v.known && v.target) (v.met ? targets_met++ : targets_missed++);
  }
  fflush(stdout);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static FILE *create_file(const char *name) {
  char path[BENCH_PATH_BYTES];
  snprintf(path, sizeof path, "%s/%s", the_options->out, name);
  FILE *file = fopen(path, "w");
  if (!file) perror(path);
  return file;
}

static void write_rounds(void) {
  FILE *file = create_file("rounds.csv");
  if (!file) return;
  fprintf(file, "row,contender,round,value,unit\n");
  for (int s = 0; s < sheet_count; s++) {
    for (const bench_row *row = sheets[s]->workload->rows; row->name; row++) {
      for (int c = 0; sheets[s]->workload->cases[c].name; c++) {
        for (int r = 0; r < sheets[s]->rounds[c]; r++) {
          const bench_result *result = &sheets[s]->results[c][r];
          if (!result->has[row->metric]) continue;
          fprintf(file, "%s,\"%s\",%d,%.6g,%s\n", row->name, sheets[s]->workload->cases[c].name, r + 1,
                  result->metrics[row->metric], row->unit);
        }
      }
    }
  }
  fclose(file);
}

static void write_latency_csv(void) {
  FILE *file = create_file("latency.csv");
  if (!file) return;
  fprintf(file, "workload,contender,round,p50_us,p90_us,p99_us,p99.9_us,max_us,mean_us\n");
  for (int s = 0; s < sheet_count; s++) {
    for (int c = 0; sheets[s]->workload->cases[c].name; c++) {
      for (int r = 0; r < sheets[s]->rounds[c]; r++) {
        const bench_result *result = &sheets[s]->results[c][r];
        if (!result->has_latency) continue;
        fprintf(file, "%s,\"%s\",%d", sheets[s]->workload->name, sheets[s]->workload->cases[c].name, r + 1);
        for (int p = 0; p < BENCH_PERCENTILES; p++)
          fprintf(file, ",%.3f", result->latency_us[p]);
        fprintf(file, "\n");
      }
    }
  }
  fclose(file);
}

/* gnuplot: a block for each contender, its name as a heading, percentile and median of the rounds as columns. */
static void write_latency_data(const bench_sheet *sheet) {
  static const char *const labels[] = {"p50", "p90", "p99", "p99.9", "max"};
  char name[64];
  bool any = false;
  for (int c = 0; sheet->workload->cases[c].name; c++)
    any = any || (sheet->rounds[c] && sheet->results[c][0].has_latency);
  snprintf(name, sizeof name, "latency-%s.dat", sheet->workload->name);
  FILE *file = any ? create_file(name) : NULL;
  if (!file) return;
  for (int c = 0; sheet->workload->cases[c].name; c++) {
    if (!sheet->rounds[c] || !sheet->results[c][0].has_latency) continue;
    fprintf(file, "\"percentile\" \"%s\"\n", sheet->workload->cases[c].name);
    for (int p = 0; p < 5; p++) {
      double values[BENCH_ROUNDS_MAX];
      for (int r = 0; r < sheet->rounds[c]; r++)
        values[r] = sheet->results[c][r].latency_us[p];
      fprintf(file, "%s %.3f\n", labels[p], spread_of(values, sheet->rounds[c]).median);
    }
    fprintf(file, "\n\n");
  }
  fclose(file);
}

/* gnuplot: a block for each row that moves bytes, contenders and GB/s. */
static void write_throughput_data(void) {
  FILE *file = create_file("throughput.dat");
  if (!file) return;
  for (int s = 0; s < sheet_count; s++) {
    for (const bench_row *row = sheets[s]->workload->rows; row->name; row++) {
      if (row->gigabytes == 0) continue;
      fprintf(file, "\"contender\" \"%s\"\n", row->title);
      for (int c = 0; sheets[s]->workload->cases[c].name; c++) {
        spread v = metric_of(sheets[s], c, row->metric);
        if (v.count == 0) continue;
        double rate = row->gigabytes < 0 ? v.median : row->gigabytes / (v.median / 1e9);
        fprintf(file, "\"%s\" %.6g\n", sheets[s]->workload->cases[c].name, rate);
      }
      fprintf(file, "\n\n");
    }
  }
  fclose(file);
}

/* gnuplot: how far each row with a target is from it; above 1 is better than the target. */
static void write_targets_data(void) {
  FILE *file = create_file("targets.dat");
  if (!file) return;
  for (int s = 0; s < sheet_count; s++) {
    for (const bench_row *row = sheets[s]->workload->rows; row->name; row++) {
      verdict v = judge(sheets[s], row);
      double least = row->limit / 1000; /* a value of nothing would be infinitely better */
      if (!v.known || !v.target) continue;
      double value = v.value > least ? v.value : least;
      fprintf(file, "\"%s\" %.4f\n", row->name, row->at_most ? row->limit / value : value / row->limit);
    }
  }
  fclose(file);
}

static void write_table(void) {
  FILE *file = create_file("table.md");
  if (!file) return;
  fprintf(file, "| workload | medians (spread) | seqdb against its target |\n|---|---|---|\n");
  for (int s = 0; s < sheet_count; s++) {
    for (const bench_row *row = sheets[s]->workload->rows; row->name; row++) {
      char text[256], a[32], b[32], d[32];
      fprintf(file, "| %s, %s | ", row->title, row->unit);
      const char *between = "";
      for (int c = 0; sheets[s]->workload->cases[c].name; c++) {
        spread v = metric_of(sheets[s], c, row->metric);
        if (v.count == 0) continue;
        fprintf(file, "%s%s %s (%s–%s)", between, sheets[s]->workload->cases[c].name, number(v.median, a),
                number(v.low, b), number(v.high, d));
        between = "; ";
      }
      verdict_text(row, judge(sheets[s], row), text, sizeof text);
      fprintf(file, " | %s |\n", text);
    }
  }
  fclose(file);
}

int bench_report_end(void) {
  if (the_options->out && sheet_count > 0) {
    write_rounds();
    write_latency_csv();
    for (int s = 0; s < sheet_count; s++)
      write_latency_data(sheets[s]);
    write_throughput_data();
    write_targets_data();
    write_table();
  }
  if (targets_met + targets_missed > 0) {
    printf("\n%d of %d targets met%s\n", targets_met, targets_met + targets_missed,
           the_options->quick ? " (--quick: the figures mean nothing)" : "");
  }
  for (int s = 0; s < sheet_count; s++) {
    for (const bench_row *row = sheets[s]->workload->rows; row->name; row++) {
      char text[256];
      verdict v = judge(sheets[s], row);
      if (!v.known || !v.target || v.met) continue;
      verdict_text(row, v, text, sizeof text);
      printf("  %-18s %s\n", row->name, text);
    }
  }
  return targets_missed;
}

/* ---- scaling ----------------------------------------------------------------------------------------------------- */

static struct {
  int points, rounds;
  uint64_t at[BENCH_POINTS_MAX];
  bench_result results[BENCH_POINTS_MAX][BENCH_ROUNDS_MAX];
} scale;
static FILE *scale_csv;

void bench_scale_begin(const bench_options *options, const bench_axis *axis) {
  (void)axis;
  memset(&scale, 0, sizeof scale);
  if (options->out && !scale_csv && (scale_csv = create_file("scale.csv"))) {
    fprintf(scale_csv, "axis,point,series,round,value,unit\n");
  }
}

void bench_scale_add(const bench_axis *axis, uint64_t point, int round, const bench_result *result) {
  int p = 0;
  while (p < scale.points && scale.at[p] != point)
    p++;
  if (p == BENCH_POINTS_MAX) return;
  if (p == scale.points) scale.at[scale.points++] = point;
  scale.results[p][round] = *result;
  if (scale.rounds <= round) scale.rounds = round + 1;
  for (const bench_series *s = axis->series; scale_csv && s->name; s++) {
    if (!result->has[s->metric]) continue;
    fprintf(scale_csv, "%s,%llu,\"%s\",%d,%.6g,%s\n", axis->name, (unsigned long long)point, s->name, round + 1,
            result->metrics[s->metric], s->unit);
  }
}

static spread scale_value(int point, int metric) {
  double values[BENCH_ROUNDS_MAX];
  int count = 0;
  for (int r = 0; r < scale.rounds; r++) {
    if (scale.results[point][r].has[metric]) values[count++] = scale.results[point][r].metrics[metric];
  }
  return spread_of(values, count);
}

static const char *point_text(const bench_axis *axis, uint64_t point, char text[32]) {
  bool bytes = strcmp(axis->unit, "bytes") == 0;
  unsigned long long value = point;
  if (bytes && point >= BENCH_GIB) {
    snprintf(text, 32, "%llu GiB", value / BENCH_GIB);
  } else if (bytes && point >= BENCH_MIB) {
    snprintf(text, 32, "%llu MiB", value / BENCH_MIB);
  } else if (bytes) {
    snprintf(text, 32, "%llu KiB", value / BENCH_KIB);
  } else {
    snprintf(text, 32, "%llu", value);
  }
  return text;
}

static void print_scale_row(const bench_axis *axis, const bench_series *s) {
  double first = 0, last = 0;
  char text[32], unit[64];
  snprintf(unit, sizeof unit, "%s, %s", s->name, s->unit);
  printf("  %-36s", unit);
  for (int p = 0; p < scale.points; p++) {
    spread v = scale_value(p, s->metric);
    printf(" %9s", v.count ? number(v.median, text) : "-");
    if (v.count == 0) continue;
    if (first == 0 && scale.at[p] >= axis->flat_from) first = v.median;
    last = v.median;
  }
  printf("%s\n", s->flat && first > 0 && last > 2 * first ? "   GROWS" : "");
}

/* gnuplot: costs in ns, so that one axis serves all of them; rates as multiples of the rate at the first point. */
static void write_scale_block(FILE *file, const bench_axis *axis, const bench_series *s) {
  double first = scale_value(0, s->metric).median;
  double factor = s->flat ? (strcmp(s->unit, "us") == 0 ? 1000 : 1) : first > 0 ? 1 / first : 0;
  fprintf(file, "\"%s\" \"%s\"\n", axis->unit, s->name);
  for (int p = 0; p < scale.points; p++) {
    spread v = scale_value(p, s->metric);
    if (v.count) fprintf(file, "%llu %.6g\n", (unsigned long long)scale.at[p], v.median * factor);
  }
  fprintf(file, "\n\n");
}

void bench_scale_end(const bench_options *options, const bench_axis *axis) {
  char text[32], name[64];
  bench_progress("%s", "");
  snprintf(text, sizeof text, "%s", axis->unit);
  printf("\n%s\n  %-36s", axis->name, text);
  for (int p = 0; p < scale.points; p++)
    printf(" %9s", point_text(axis, scale.at[p], text));
  printf("\n");
  for (const bench_series *s = axis->series; s->name; s++)
    print_scale_row(axis, s);
  fflush(stdout);
  snprintf(name, sizeof name, "%s.dat", axis->name);
  FILE *file = options->out ? create_file(name) : NULL;
  for (const bench_series *s = axis->series; file && s->name; s++)
    write_scale_block(file, axis, s);
  if (file) fclose(file);
}
