# SPDX-License-Identifier: MIT
#
# tcl.tcl: regions and rows in one database, with SQLite's Tcl package.
#
#   tclsh tcl.tcl PATH/OF/seqdb        in a folder for demo.db; prints what README.md shows
package require sqlite3

set extension [lindex $argv 0]
sqlite3 db demo.db
db timeout 5000
db enable_load_extension 1
db eval {SELECT load_extension($extension)}
db enable_load_extension 0

proc state {} {
  return [db onecolumn {
    SELECT printf('%d note, %d bytes in the log', (SELECT count(*) FROM note), length) FROM regions WHERE name = 'log'
  }]
}

puts "SQLite [db onecolumn {SELECT sqlite_version()}], seqdb [db onecolumn {SELECT seqdb_version()}]"
puts "journal mode: [db onecolumn {PRAGMA journal_mode = WAL}]"
db eval {
  CREATE TABLE IF NOT EXISTS note(text TEXT);
  CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions');
}

# @name binds a variable as a blob, byte by byte; $name would bind text, as UTF-8.
set raw [binary decode hex 00ff8001]
db transaction {
  db eval {INSERT INTO note VALUES ('two lines')}
  foreach line [list "first\n" "second\n"] {
    db eval {INSERT INTO regions(name, append) VALUES ('log', @line)}
  }
  db eval {INSERT INTO regions(name, append) VALUES ('raw', @raw)}
}
puts "committed: [state]"

# An error inside `transaction` rolls back, rows and regions alike.
catch {
  db transaction {
    set line "third\n"
    db eval {INSERT INTO note VALUES ('never to be')}
    db eval {INSERT INTO regions(name, append) VALUES ('log', @line)}
    error "something went wrong"
  }
}
puts "rolled back: [state]"

proc hex {bytes} {return [binary encode hex $bytes]}
set offset 1
set count 2
puts "content: [hex [db onecolumn {SELECT content FROM regions WHERE name = 'raw'}]]"
puts "a part by substr: [hex [db onecolumn {
  SELECT substr(content, 1 + $offset, $count) FROM regions WHERE name = 'raw'
}]]"
puts "a part by seqdb_read: [hex [db onecolumn {SELECT seqdb_read('regions', 'raw', $offset, $count)}]]"

set length 5
set raw [binary decode hex 02]
db transaction {
  db eval {UPDATE regions SET length = $length WHERE name = 'log'}
  db eval {UPDATE regions SET content = @raw WHERE name = 'raw'}
}
puts "cut and replaced: [join [lmap bytes [db eval {SELECT content FROM regions ORDER BY name}] {hex $bytes}] {, }]"

db transaction {
  db eval {DELETE FROM regions WHERE name IN ('log', 'raw')}
  db eval {DELETE FROM note}
}
puts "removed: [db onecolumn {SELECT count(*) FROM regions}] regions left"
puts "check: [db onecolumn {SELECT seqdb_check('regions')}]"
db close
