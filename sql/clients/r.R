# SPDX-License-Identifier: MIT
#
# r.R: regions and rows in one database, with DBI and RSQLite.
#
#   Rscript r.R PATH/OF/seqdb        in a folder for demo.db; prints what README.md shows
library(DBI)

extension <- commandArgs(trailingOnly = TRUE)[1]
db <- dbConnect(RSQLite::SQLite(), "demo.db", loadable.extensions = TRUE)
RSQLite::sqliteSetBusyHandler(db, 5000L)
invisible(dbGetQuery(db, "SELECT load_extension(?)", params = list(extension)))

value <- function(sql, ...) dbGetQuery(db, sql, params = if (...length()) list(...))[[1]]
# dbExecute() binds each element as a row of its own; a blob is a list with one raw vector.
run <- function(sql, ...) invisible(dbExecute(db, sql, params = if (...length()) list(...)))
append_to <- function(name, bytes) {
  run("INSERT INTO regions(name, append) VALUES (?, ?)", name, list(bytes))
}
state <- function() {
  value("SELECT printf('%d note, %d bytes in the log', (SELECT count(*) FROM note), length)
         FROM regions WHERE name = 'log'")
}
transaction <- function(code) invisible(dbWithTransaction(db, code))
hex <- function(blobs) vapply(blobs, function(bytes) paste(bytes, collapse = ""), "")
say <- function(...) cat(..., "\n", sep = "")

say("SQLite ", value("SELECT sqlite_version()"), ", seqdb ", value("SELECT seqdb_version()"))
say("journal mode: ", value("PRAGMA journal_mode = WAL"))
run("CREATE TABLE IF NOT EXISTS note(text TEXT)")
run("CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions')")

transaction({
  run("INSERT INTO note VALUES (?)", "two lines")
  append_to("log", charToRaw("first\n"))
  append_to("log", charToRaw("second\n"))
  append_to("raw", as.raw(c(0x00, 0xff, 0x80, 0x01)))
})
say("committed: ", state())

# dbBreak(), or an error, rolls back, rows and regions alike.
transaction({
  run("INSERT INTO note VALUES (?)", "never to be")
  append_to("log", charToRaw("third\n"))
  dbBreak()
})
say("rolled back: ", state())

say("content: ", hex(value("SELECT content FROM regions WHERE name = ?", "raw")))
say("a part by substr: ", hex(value("SELECT substr(content, ?, ?) FROM regions WHERE name = ?", 2, 2, "raw")))
say("a part by seqdb_read: ", hex(value("SELECT seqdb_read('regions', ?, ?, ?)", "raw", 1, 2)))

transaction({
  run("UPDATE regions SET length = ? WHERE name = ?", 5, "log")
  run("UPDATE regions SET content = ? WHERE name = ?", list(as.raw(0x02)), "raw")
})
say("cut and replaced: ", paste(hex(value("SELECT content FROM regions ORDER BY name")), collapse = ", "))

transaction({
  run("DELETE FROM regions WHERE name IN (?, ?)", "log", "raw")
  run("DELETE FROM note")
})
say("removed: ", value("SELECT count(*) FROM regions"), " regions left")
say("check: ", value("SELECT seqdb_check('regions')"))
dbDisconnect(db)
