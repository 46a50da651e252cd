// SPDX-License-Identifier: MIT
//
// main.go: regions and rows in one database, with database/sql and go-sqlite3.
//
//	go run . PATH/OF/seqdb        in a folder for demo.db; prints what ../README.md shows
package main

import (
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/mattn/go-sqlite3"
)

const appendSQL = "INSERT INTO regions(name, append) VALUES (?, ?)"

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// open returns a pool whose connections all have the extension: a pool opens them when it likes. _txlock=immediate
// takes the write lock when a transaction begins, where the busy timeout still helps.
func open(extension string) *sql.DB {
	sql.Register("sqlite3_seqdb", &sqlite3.SQLiteDriver{Extensions: []string{extension}})
	db, err := sql.Open("sqlite3_seqdb", "file:demo.db?_journal_mode=WAL&_busy_timeout=5000&_txlock=immediate")
	must(err)
	return db
}

// exec runs a statement of a transaction.
func exec(tx *sql.Tx, query string, arguments ...any) error {
	_, err := tx.Exec(query, arguments...)
	return err
}

// atomically runs work in a transaction: an error that it returns rolls back, rows and regions alike.
func atomically(db *sql.DB, work func(*sql.Tx) error) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	if err := work(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func value[T any](db *sql.DB, query string, arguments ...any) (result T) {
	must(db.QueryRow(query, arguments...).Scan(&result))
	return result
}

func printState(db *sql.DB, label string) {
	var notes, length int
	query := "SELECT (SELECT count(*) FROM note), length FROM regions WHERE name = 'log'"
	must(db.QueryRow(query).Scan(&notes, &length))
	fmt.Printf("%s: %d note, %d bytes in the log\n", label, notes, length)
}

func contents(db *sql.DB) string {
	rows, err := db.Query("SELECT content FROM regions ORDER BY name")
	must(err)
	defer rows.Close() // rows left open keep their snapshot, and the space of what is removed meanwhile
	var all []string
	for rows.Next() {
		var content []byte
		must(rows.Scan(&content))
		all = append(all, fmt.Sprintf("%x", content))
	}
	must(rows.Err())
	return strings.Join(all, ", ")
}

func addTwoLines(tx *sql.Tx) error {
	if err := exec(tx, "INSERT INTO note VALUES (?)", "two lines"); err != nil {
		return err
	}
	for _, line := range []string{"first\n", "second\n"} {
		if err := exec(tx, appendSQL, "log", []byte(line)); err != nil { // a string would be bound as text
			return err
		}
	}
	return exec(tx, appendSQL, "raw", []byte{0x00, 0xff, 0x80, 0x01})
}

var errWrong = errors.New("something went wrong")

func addThirdLineAndFail(tx *sql.Tx) error {
	if err := exec(tx, "INSERT INTO note VALUES (?)", "never to be"); err != nil {
		return err
	}
	if err := exec(tx, appendSQL, "log", []byte("third\n")); err != nil {
		return err
	}
	return errWrong
}

func cutAndReplace(tx *sql.Tx) error {
	if err := exec(tx, "UPDATE regions SET length = ? WHERE name = ?", 5, "log"); err != nil {
		return err
	}
	return exec(tx, "UPDATE regions SET content = ? WHERE name = ?", []byte{2}, "raw")
}

func removeAll(tx *sql.Tx) error {
	if err := exec(tx, "DELETE FROM regions WHERE name IN (?, ?)", "log", "raw"); err != nil {
		return err
	}
	return exec(tx, "DELETE FROM note")
}

func main() {
	db := open(os.Args[1])
	defer db.Close()
	fmt.Printf("SQLite %s, seqdb %s\n", value[string](db, "SELECT sqlite_version()"),
		value[string](db, "SELECT seqdb_version()"))
	fmt.Println("journal mode:", value[string](db, "PRAGMA journal_mode"))
	for _, statement := range []string{
		"CREATE TABLE IF NOT EXISTS note(text TEXT)",
		"CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions')",
	} {
		_, err := db.Exec(statement)
		must(err)
	}

	must(atomically(db, addTwoLines))
	printState(db, "committed")
	if err := atomically(db, addThirdLineAndFail); err != errWrong {
		log.Fatal(err)
	}
	printState(db, "rolled back")

	fmt.Printf("content: %x\n", value[[]byte](db, "SELECT content FROM regions WHERE name = ?", "raw"))
	fmt.Printf("a part by substr: %x\n",
		value[[]byte](db, "SELECT substr(content, ?, ?) FROM regions WHERE name = ?", 2, 2, "raw"))
	fmt.Printf("a part by seqdb_read: %x\n", value[[]byte](db, "SELECT seqdb_read('regions', ?, ?, ?)", "raw", 1, 2))

	must(atomically(db, cutAndReplace))
	fmt.Println("cut and replaced:", contents(db))
	must(atomically(db, removeAll))
	fmt.Printf("removed: %d regions left\n", value[int](db, "SELECT count(*) FROM regions"))
	fmt.Println("check:", value[string](db, "SELECT seqdb_check('regions')"))
}
