/* SPDX-License-Identifier: MIT
**
** layout_svg.h: `data` as a picture.
*/
#ifndef SDB_LAYOUT_SVG_H
#define SDB_LAYOUT_SVG_H

#include "failure.h"

#define SDB_SVG_WIDTH_MIN     200
#define SDB_SVG_WIDTH_MAX     10000
#define SDB_SVG_WIDTH_DEFAULT 800

/* The rows of seqdb_layout() as SVG, from sqlite3_malloc; NULL: *f is set.  Its size is bounded by the width, however
** many rows there are. */
char *sdb_layout_svg(const char *title, const seqdb_layout_row *rows, size_t count, int width, sdb_failure *f);

#endif /* SDB_LAYOUT_SVG_H */
