#!/bin/sh
# SPDX-License-Identifier: MIT
#
# newer_sqlite.sh: SQLite releases newer than the machine's, as a shell, a library and a Tcl package each, for tests.
#
# The sources come from two npm packages that carry SQLite inside: better-sqlite3 (an amalgamation) and sqlite3 (the
# autoconf tarball with shell.c and the Tcl binding).  `npm pack` fetches them and runs no script of theirs.  What is
# built stays in a cache outside the tree, ${XDG_CACHE_HOME:-$HOME/.cache}/seqdb-tests; nothing of it is committed.
#
# Prints one line a release: version, tab, the shell, tab, a directory for TCLLIBPATH (empty without Tcl's headers).
# Beside the shell lies lib/, a directory for LD_LIBRARY_PATH: programs that share the machine's SQLite then use it.
# Exit status: 0 all there; 77 cannot be had here (the reason is the last line of standard error); 1 the build failed.
# With SEQDB_NEWER_SQLITE=off it exits 77 at once; with =cached it uses what an earlier run built and fetches nothing.
set -u

# Exact versions, so that a failure means a change of seqdb and not one of SQLite.
amalgamation_package=better-sqlite3@12.11.1
autoconf_package=sqlite3@6.0.1
npm_timeout_s=60
# What Debian's build has and the tests or other programs use.  Raise the recipe's number with every change of what is
# built.
features="-DSQLITE_ENABLE_COLUMN_METADATA -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_DBSTAT_VTAB
  -DSQLITE_ENABLE_MATH_FUNCTIONS -DSQLITE_ENABLE_STMTVTAB -DSQLITE_USE_URI=1 -DSQLITE_ENABLE_FTS3
  -DSQLITE_ENABLE_UNLOCK_NOTIFY -DSQLITE_ENABLE_PREUPDATE_HOOK -DSQLITE_ENABLE_SESSION"
recipe=3

cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/seqdb-tests
key=$(printf '%s %s %s' "$amalgamation_package" "$autoconf_package" "$recipe" | tr '@ ' '--')
done_list=$cache/$key.list

skip() {
  echo "newer SQLite: $1" >&2
  exit 77
}

fail() {
  echo "newer SQLite: $1" >&2
  exit 1
}

# build VERSION-SOURCE-DIR SHELL.C TCLSQLITE3.C: compile one release, add its line to $work/list.
build() {
  version=$(sed -n 's/^#define SQLITE_VERSION  *"\(.*\)"/\1/p' "$1/sqlite3.h")
  [ -n "$version" ] || fail "no version in $1/sqlite3.h"
  to=$work/$version
  mkdir -p "$to/src" "$to/tcl" || fail "cannot write below $work"
  # shell.c and tclsqlite3.c take the sqlite3.h that lies beside them: give each release its own copy of both.
  cp "$1/sqlite3.c" "$1/sqlite3.h" "$1/sqlite3ext.h" "$to/src/" && cp "$2" "$to/src/shell.c" &&
    cp "$3" "$to/src/tclsqlite3.c" || fail "cannot copy the sources of $version"
  "$compiler" -O1 -fPIC -w -DSQLITE_THREADSAFE=1 $features \
    -c "$to/src/sqlite3.c" -o "$to/sqlite3.o" || fail "sqlite3.c of $version does not compile"
  "$compiler" -O1 -w "$to/src/shell.c" "$to/sqlite3.o" -o "$to/sqlite3" -lm -lpthread $dl ||
    fail "shell.c of $version does not compile"
  mkdir "$to/lib" && "$compiler" -shared -Wl,-soname,libsqlite3.so.0 -o "$to/lib/libsqlite3.so.0" "$to/sqlite3.o" \
    -lm -lpthread $dl || fail "the library of $version cannot be linked"
  tcl_dir=
  if [ -n "$tcl_cflags" ]; then
    # -Bsymbolic: the package must use its own SQLite also where another one is loaded.
    "$compiler" -O1 -fPIC -w -DUSE_SYSTEM_SQLITE=1 -DPACKAGE_VERSION="\"$version\"" -I"$to/src" $tcl_cflags \
      -c "$to/src/tclsqlite3.c" -o "$to/tclsqlite3.o" &&
      "$compiler" -shared -Wl,-Bsymbolic -o "$to/tcl/libtclsqlite3.so" "$to/tclsqlite3.o" "$to/sqlite3.o" \
        -lm -lpthread $dl || fail "the Tcl package of $version does not compile"
    printf '%s\n' "package ifneeded sqlite3 $version [list load [file join \$dir libtclsqlite3.so] Sqlite3]" \
      >"$to/tcl/pkgIndex.tcl"
    tcl_dir=$cache/$key/$version/tcl
  fi
  rm -rf "$to/src" "$to"/*.o
  printf '%s\t%s\t%s\n' "$version" "$cache/$key/$version/sqlite3" "$tcl_dir" >>"$work/list"
}

[ "${SEQDB_NEWER_SQLITE:-}" = off ] && skip "switched off by SEQDB_NEWER_SQLITE=off"
if [ -f "$done_list" ]; then
  cat "$done_list"
  exit 0
fi
[ "${SEQDB_NEWER_SQLITE:-}" = cached ] && skip "nothing in $cache yet, and SEQDB_NEWER_SQLITE=cached fetches nothing"

command -v npm >/dev/null 2>&1 || skip "npm is not installed"
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

# $limit, $dl, $features and $tcl_cflags are lists of words and stay unquoted.
if ! (cd "$work" && $limit npm pack --loglevel=error --fetch-retries=0 "$amalgamation_package" "$autoconf_package") \
  >"$work/npm.out" 2>&1; then
  reason=$(grep -m 1 error "$work/npm.out")
  skip "npm cannot fetch $amalgamation_package and $autoconf_package: ${reason:-no answer in $npm_timeout_s s}"
fi
for package in better-sqlite3 sqlite3; do
  mkdir "$work/$package" && tar -xzf "$work/$package"-[0-9]*.tgz --no-same-owner -C "$work/$package" ||
    fail "cannot unpack $package"
done
tar -xzf "$work"/sqlite3/package/deps/sqlite-autoconf-*.tar.gz --no-same-owner -C "$work" ||
  fail "no autoconf tarball in $autoconf_package"
autoconf=$(echo "$work"/sqlite-autoconf-*)

build "$autoconf" "$autoconf/shell.c" "$autoconf/tea/generic/tclsqlite3.c"
build "$work/better-sqlite3/package/deps/sqlite3" "$autoconf/shell.c" "$autoconf/tea/generic/tclsqlite3.c"

# Two runs at once: each builds in a directory of its own and the first rename wins; the list is written last.
rm -rf "$work"/*.tgz "$work/better-sqlite3" "$work/sqlite3" "$autoconf" "$work/npm.out"
mv "$work/list" "$work.list"
[ -d "$cache/$key" ] || mv "$work" "$cache/$key" || fail "cannot move the result to $cache/$key"
mv "$work.list" "$done_list" && cat "$done_list"
