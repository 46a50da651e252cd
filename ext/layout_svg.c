/* SPDX-License-Identifier: MIT
**
** layout_svg.c: see layout_svg.h.
**
**     regions: 3 regions, 25100 bytes in a file of 1048576
**     0       [ first ][ hole    ][ third ][ tail                ]     LINES lines of equal parts of the file
**     524288  [ tail                                             ]
**     legend
**
** The file is cut into cells, some pixels wide.  A cell shows what takes most of its bytes; neighbouring cells that
** show the same row of the layout are one rectangle.  So there are at most as many rectangles as cells, and where many
** small regions share a cell the picture is as fine as it can be.  What names a rectangle is its tooltip.
*/
#include "layout_svg.h"
#include <stdbool.h>

#define LINES       16
#define CELL_PIXELS 2
#define MARGIN      110 /* left: offsets */
#define TOP         34
#define LINE_STEP   26
#define LINE_HEIGHT 20

enum look { LOOK_USED, LOOK_SLACK, LOOK_HOLE, LOOK_PENDING, LOOK_TAIL, LOOKS };

static const struct {
  const char *name, *colour;
} looks[LOOKS] = {{"region", "#3572b0"},
                  {"reserved, not used", "#a8c6e5"},
                  {"hole", "#f4f4f4"},
                  {"pending", "#e7a13a"},
                  {"tail", "#ffffff"}};

/* A part of the file that looks the same: a row of the layout; of a region two, its content and what is behind. */
struct part {
  const seqdb_layout_row *row;
  enum look look;
  uint64_t offset, end;
};

struct picture {
  sqlite3_str *svg;
  const seqdb_layout_row *rows;
  size_t count, at; /* the row that the next part comes from */
  bool behind;      /* ... what is behind its content */
  uint64_t bytes;   /* of the file */
  uint64_t cells;   /* of all lines */
  uint64_t totals[LOOKS];
};

/* false: there are no more. */
static bool next_part(struct picture *p, struct part *part) {
  static const enum look other[] = {
      [SEQDB_EXTENT_HOLE] = LOOK_HOLE, [SEQDB_EXTENT_PENDING] = LOOK_PENDING, [SEQDB_EXTENT_TAIL] = LOOK_TAIL};
  while (p->at < p->count) {
    const seqdb_layout_row *row = &p->rows[p->at];
    bool region = row->kind == SEQDB_EXTENT_REGION, behind = p->behind;
    uint64_t used = region ? row->used_bytes : row->bytes;
    p->behind = region && !behind;
    p->at += !p->behind;
    *part = (struct part){row, region ? (behind ? LOOK_SLACK : LOOK_USED) : other[row->kind],
                          row->offset + (behind ? used : 0), row->offset + (behind ? row->bytes : used)};
    if (part->end > part->offset) return true;
  }
  return false;
}

/* ---- text -------------------------------------------------------------------------------------------------- */

/* A name has no control characters. */
static void add_escaped(sqlite3_str *svg, const char *text, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    if (text[i] == '<')
      sqlite3_str_appendall(svg, "&lt;");
    else if (text[i] == '&')
      sqlite3_str_appendall(svg, "&amp;");
    else
      sqlite3_str_appendchar(svg, 1, text[i]);
  }
}

static size_t length_of(const char *text) {
  size_t bytes = 0;
  while (text[bytes])
    bytes++;
  return bytes;
}

static void add_head(struct picture *p, const char *title, int width) {
  uint64_t regions = 0;
  for (size_t i = 0; i < p->count; i++)
    regions += p->rows[i].kind == SEQDB_EXTENT_REGION;
  sqlite3_str_appendf(p->svg,
                      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
                      "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n"
                      "<text x=\"8\" y=\"20\" font-size=\"14\">",
                      width, TOP + LINES * LINE_STEP + 30);
  add_escaped(p->svg, title, length_of(title));
  sqlite3_str_appendf(p->svg, ": %llu region%s, %llu bytes in a file of %llu</text>\n", (unsigned long long)regions,
                      regions == 1 ? "" : "s", (unsigned long long)p->totals[LOOK_USED], (unsigned long long)p->bytes);
}

static void add_legend(struct picture *p) {
  int x = 8, y = TOP + LINES * LINE_STEP + 16;
  for (int look = 0; look < LOOKS; look++) {
    sqlite3_str_appendf(p->svg,
                        "<rect x=\"%d\" y=\"%d\" width=\"10\" height=\"10\" fill=\"%s\" stroke=\"#888888\"/>"
                        "<text x=\"%d\" y=\"%d\">%s</text>\n",
                        x, y - 9, looks[look].colour, x + 14, y, looks[look].name);
    x += 30 + 7 * (int)length_of(looks[look].name);
  }
}

/* ---- cells ------------------------------------------------------------------------------------------------- */

static uint64_t cell_start(const struct picture *p, uint64_t cell) {
  return p->bytes / p->cells * cell + p->bytes % p->cells * cell / p->cells;
}

/* What takes most of the cell; *part is one that reaches into it, and afterwards the last one that does. */
static struct part look_at(struct picture *p, uint64_t cell, struct part *part, bool *more) {
  uint64_t start = cell_start(p, cell), end = cell_start(p, cell + 1), most = 0;
  struct part best = *part;
  while (*more) {
    uint64_t from = part->offset > start ? part->offset : start, to = part->end < end ? part->end : end;
    if (to > from && to - from > most) {
      most = to - from;
      best = *part;
    }
    if (part->end > end || !(*more = next_part(p, part))) break;
    if (part->offset >= end) break;
  }
  return best;
}

static void add_rectangle(struct picture *p, const struct part *part, uint64_t from, uint64_t to, uint64_t a_line) {
  const seqdb_layout_row *row = part->row;
  sqlite3_str_appendf(p->svg,
                      "<rect x=\"%llu\" y=\"%llu\" width=\"%llu\" height=\"%d\" fill=\"%s\" stroke=\"#888888\" "
                      "stroke-width=\"0.3\"><title>",
                      (unsigned long long)(MARGIN + from % a_line * CELL_PIXELS),
                      (unsigned long long)(TOP + from / a_line * LINE_STEP),
                      (unsigned long long)((to - from) * CELL_PIXELS), LINE_HEIGHT, looks[part->look].colour);
  if (row->kind == SEQDB_EXTENT_REGION) {
    add_escaped(p->svg, row->name, row->name_bytes);
    sqlite3_str_appendf(p->svg, ": %llu of %llu bytes", (unsigned long long)row->used_bytes,
                        (unsigned long long)row->bytes);
  } else {
    sqlite3_str_appendf(p->svg, "%s: %llu bytes", looks[part->look].name, (unsigned long long)row->bytes);
  }
  sqlite3_str_appendf(p->svg, " at %llu</title></rect>\n", (unsigned long long)row->offset);
}

static void add_lines(struct picture *p) {
  uint64_t a_line = p->cells / LINES, from = 0;
  struct part part, shown = {0};
  bool more = next_part(p, &part);
  for (uint64_t cell = 0; cell < p->cells; cell++) {
    struct part now = look_at(p, cell, &part, &more);
    bool first = cell % a_line == 0, same = !first && now.row == shown.row && now.look == shown.look;
    if (!same && cell > 0) add_rectangle(p, &shown, from, cell, a_line);
    if (first)
      sqlite3_str_appendf(p->svg, "<text x=\"%d\" y=\"%llu\" text-anchor=\"end\">%llu</text>\n", MARGIN - 8,
                          (unsigned long long)(TOP + 15 + cell / a_line * LINE_STEP),
                          (unsigned long long)cell_start(p, cell));
    if (!same) from = cell;
    shown = now;
  }
  add_rectangle(p, &shown, from, p->cells, a_line);
}

static void count(struct picture *p) {
  struct part part;
  while (next_part(p, &part))
    p->totals[part.look] += part.end - part.offset;
  p->at = 0;
  p->behind = false;
}

char *sdb_layout_svg(const char *title, const seqdb_layout_row *rows, size_t row_count, int width, sdb_failure *f) {
  struct picture p = {.svg = sqlite3_str_new(NULL), .rows = rows, .count = row_count};
  if (row_count) p.bytes = rows[row_count - 1].offset + rows[row_count - 1].bytes;
  p.cells = (uint64_t)((width - MARGIN - 8) / CELL_PIXELS) * LINES;
  count(&p);
  add_head(&p, title, width);
  if (p.bytes > 0) add_lines(&p);
  add_legend(&p);
  sqlite3_str_appendall(p.svg, "</svg>\n");
  int rc = sqlite3_str_errcode(p.svg);
  char *svg = sqlite3_str_finish(p.svg);
  if (svg && rc == SQLITE_OK) return svg;
  sqlite3_free(svg);
  sdb_failure_nomem(f);
  return NULL;
}
