#!/bin/sh
# SPDX-License-Identifier: MIT
#
# newer_sqlite.sh: SQLite releases other than the machine's, as a shell, a library and a Tcl package each, for tests.
#
#   tests/newer_sqlite.sh           newer ones, the newest last
#   tests/newer_sqlite.sh oldest    the oldest that the extension loads into
#   tests/newer_sqlite.sh older     the oldest, and those up to the newer ones
#
# The sources come from two npm packages that carry SQLite inside: sqlite3 (the autoconf tarball with shell.c and the
# Tcl binding) and better-sqlite3 (an amalgamation, which takes shell and binding of an sqlite3 that is not newer).
# `npm pack` fetches them and runs no script of theirs.  What is built stays in a cache outside the tree,
# ${XDG_CACHE_HOME:-$HOME/.cache}/seqdb-tests, in a folder for each release; nothing of it is committed.
#
# Prints one line a release: version, tab, the shell, tab, a directory for TCLLIBPATH (empty without Tcl's headers).
# Beside the shell lie include/, its headers, and lib/: a directory for LD_LIBRARY_PATH (programs that share the
# machine's SQLite then use it), with the static library, too.
# Exit status: 0 all there; 77 cannot be had here (the reason is the last line of standard error); 1 the build failed.
# With SEQDB_NEWER_SQLITE=off it exits 77 at once; with =cached it uses what an earlier run built and fetches nothing.
set -u

# Exact versions, so that a failure means a change of seqdb and not one of SQLite.  What stands after a + lends shell
# and Tcl binding.
case ${1:-newer} in
  newer) releases="sqlite3@6.0.1 better-sqlite3@12.11.1+sqlite3@6.0.1" ;;
  oldest) releases=sqlite3@5.0.3 ;;
  older) releases="sqlite3@5.0.3 sqlite3@5.1.2 sqlite3@5.1.6 better-sqlite3@8.5.0+sqlite3@5.1.6 sqlite3@5.1.7
    better-sqlite3@11.1.2+sqlite3@5.1.7 better-sqlite3@11.8.1+sqlite3@5.1.7 better-sqlite3@12.2.0+sqlite3@5.1.7" ;;
  *)
    echo "usage: newer_sqlite.sh [newer | oldest | older]" >&2
    exit 1
    ;;
esac
npm_timeout_s=60
# What Debian's build has and the tests or other programs use.  Without usleep() SQLite 3.41 and older wait for a lock
# in whole seconds.  Raise the recipe's number with every change of what is built.
features="-DSQLITE_ENABLE_COLUMN_METADATA -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_DBSTAT_VTAB
  -DSQLITE_ENABLE_MATH_FUNCTIONS -DSQLITE_ENABLE_STMTVTAB -DSQLITE_USE_URI=1 -DSQLITE_ENABLE_FTS3
  -DSQLITE_ENABLE_UNLOCK_NOTIFY -DSQLITE_ENABLE_PREUPDATE_HOOK -DSQLITE_ENABLE_SESSION -DHAVE_USLEEP=1"
recipe=6

cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/seqdb-tests

skip() {
  echo "newer SQLite: $1" >&2
  exit 77
}

fail() {
  echo "newer SQLite: $1" >&2
  exit 1
}

# build FOLDER SOURCES SHELL-AND-TCL: compile one release into $work/built; the line that tells of it says FOLDER.
build() {
  version=$(sed -n 's/^#define SQLITE_VERSION  *"\(.*\)"/\1/p' "$2/sqlite3.h")
  [ -n "$version" ] || fail "no version in $2/sqlite3.h"
  to=$work/built
  mkdir -p "$to/src" "$to/tcl" "$to/lib" "$to/include" || fail "cannot write below $work"
  # shell.c and tclsqlite3.c take the sqlite3.h that lies beside them: give each release its own copy of both.
  cp "$2/sqlite3.c" "$2/sqlite3.h" "$2/sqlite3ext.h" "$3/shell.c" "$3/tea/generic/tclsqlite3.c" "$to/src/" &&
    cp "$2/sqlite3.h" "$2/sqlite3ext.h" "$to/include/" || fail "cannot copy the sources of $version"
  "$compiler" -O1 -fPIC -w -DSQLITE_THREADSAFE=1 $features \
    -c "$to/src/sqlite3.c" -o "$to/sqlite3.o" || fail "sqlite3.c of $version does not compile"
  "$compiler" -O1 -w "$to/src/shell.c" "$to/sqlite3.o" -o "$to/sqlite3" -lm -lpthread $dl ||
    fail "shell.c of $version does not compile"
  "$compiler" -shared -Wl,-soname,libsqlite3.so.0 -o "$to/lib/libsqlite3.so.0" "$to/sqlite3.o" -lm -lpthread $dl &&
    ar rc "$to/lib/libsqlite3.a" "$to/sqlite3.o" || fail "the library of $version cannot be linked"
  tcl_dir=
  if [ -n "$tcl_cflags" ]; then
    # Tcl takes the package of the highest version: 100 puts an older SQLite before the machine's.
    # -Bsymbolic: the package must use its own SQLite also where another one is loaded.
    "$compiler" -O1 -fPIC -w -DUSE_SYSTEM_SQLITE=1 -DPACKAGE_VERSION="\"100.$version\"" -I"$to/src" $tcl_cflags \
      -c "$to/src/tclsqlite3.c" -o "$to/tclsqlite3.o" &&
      "$compiler" -shared -Wl,-Bsymbolic -o "$to/tcl/libtclsqlite3.so" "$to/tclsqlite3.o" "$to/sqlite3.o" \
        -lm -lpthread $dl || fail "the Tcl package of $version does not compile"
    printf '%s\n' "package ifneeded sqlite3 100.$version [list load [file join \$dir libtclsqlite3.so] Sqlite3]" \
      >"$to/tcl/pkgIndex.tcl"
    tcl_dir=$1/tcl
  fi
  rm -rf "$to/src" "$to"/*.o
  printf '%s\t%s\t%s\n' "$version" "$1/sqlite3" "$tcl_dir" >"$to/line"
}

# fetch PACKAGE@VERSION: sets `sources` to the folder of its sqlite3.c.
fetch() {
  at=$work/$(printf '%s' "$1" | tr @ -)
  if [ ! -d "$at" ]; then
    # $limit is a list of words.
    (cd "$work" && $limit npm pack --loglevel=error --fetch-retries=0 "$1") >"$work/npm.out" 2>&1 || {
      reason=$(grep -m 1 error "$work/npm.out")
      skip "npm cannot fetch $1: ${reason:-no answer in $npm_timeout_s s}"
    }
    mkdir "$at" && tar -xzf "$at.tgz" --no-same-owner -C "$at" || fail "cannot unpack $1"
    for inner in "$at"/package/deps/sqlite-autoconf-*.tar.gz; do
      [ ! -f "$inner" ] || tar -xzf "$inner" --no-same-owner -C "$at" || fail "cannot unpack the tarball in $1"
    done
  fi
  sources=$(dirname "$(find "$at" -name sqlite3.c | head -n 1)")
  [ -f "$sources/sqlite3ext.h" ] || fail "no sources of SQLite in $1"
}

# make FOLDER RELEASE: two runs at once build in folders of their own, and the first to rename wins.
make() {
  [ "${SEQDB_NEWER_SQLITE:-}" = cached ] && skip "no ${2%%+*} in $cache yet, and fetching is off"
  command -v npm >/dev/null 2>&1 || skip "npm is not installed"
  fetch "${2#*+}"
  lender=$sources
  fetch "${2%%+*}"
  build "$1" "$sources" "$lender"
  mv -T "$work/built" "$1" 2>/dev/null || [ -f "$1/line" ] || fail "cannot move the result to $1"
  rm -rf "$work/built"
}

[ "${SEQDB_NEWER_SQLITE:-}" = off ] && skip "switched off by SEQDB_NEWER_SQLITE=off"
compiler=$(command -v gcc || command -v clang || command -v cc) || skip "no C compiler"
limit=
command -v timeout >/dev/null 2>&1 && limit="timeout $npm_timeout_s"
dl=
[ "$(uname -s)" = Linux ] && dl=-ldl
tcl_cflags=$(pkg-config --cflags tcl 2>/dev/null) || tcl_cflags=

mkdir -p "$cache" || skip "cannot write to $cache"
work=$(mktemp -d "$cache/build.XXXXXX") || skip "cannot write to $cache"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# $dl, $features and $tcl_cflags are lists of words and stay unquoted.
for release in $releases; do
  folder=$cache/sqlite-$(printf '%s' "${release%%+*}" | tr @ -)-$recipe
  [ -f "$folder/line" ] || make "$folder" "$release"
  cat "$folder/line"
done
