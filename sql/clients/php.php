<?php
// SPDX-License-Identifier: MIT
//
// php.php: regions and rows in one database, with PHP's class SQLite3.
//
//   php -d sqlite3.extension_dir=PATH/OF php.php seqdb.so        in a folder for demo.db; prints what README.md shows
//
// loadExtension() takes a file's name inside the directory of that setting, with its suffix, and nothing else.
$db = new SQLite3('demo.db');
$db->enableExceptions(true);
$db->busyTimeout(5000);
$db->loadExtension($argv[1]);

function run(string $sql, array $values = []): SQLite3Result
{
    global $db;
    // Never fetch from the result of a statement that writes: fetchArray() runs it a second time.
    $statement = $db->prepare($sql);
    foreach ($values as $at => [$value, $type]) {
        $statement->bindValue($at + 1, $value, $type);
    }
    return $statement->execute();
}

function append(string $name, string $bytes): void
{
    // Without SQLITE3_BLOB the bytes would be bound as text.
    run('INSERT INTO regions(name, append) VALUES (?, ?)', [[$name, SQLITE3_TEXT], [$bytes, SQLITE3_BLOB]]);
}

function state(): string
{
    global $db;
    $sql = "SELECT (SELECT count(*) FROM note) AS notes, length FROM regions WHERE name = 'log'";
    $row = $db->querySingle($sql, true);
    return "$row[notes] note, $row[length] bytes in the log\n";
}

$versions = $db->querySingle('SELECT sqlite_version() AS sqlite, seqdb_version() AS seqdb', true);
echo "SQLite $versions[sqlite], seqdb $versions[seqdb]\n";
echo 'journal mode: ', $db->querySingle('PRAGMA journal_mode = WAL'), "\n";
$db->exec('CREATE TABLE IF NOT EXISTS note(text TEXT)');
$db->exec("CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions')");

$db->exec('BEGIN IMMEDIATE');
run('INSERT INTO note VALUES (?)', [['two lines', SQLITE3_TEXT]]);
append('log', "first\n");
append('log', "second\n");
append('raw', "\x00\xff\x80\x01");
$db->exec('COMMIT');
echo 'committed: ', state();

$db->exec('BEGIN IMMEDIATE');
try {
    run('INSERT INTO note VALUES (?)', [['never to be', SQLITE3_TEXT]]);
    append('log', "third\n");
    throw new RuntimeException('something went wrong');
} catch (RuntimeException $problem) {
    $db->exec('ROLLBACK');
}
echo 'rolled back: ', state();

function firstAsHex(SQLite3Result $result): string
{
    $value = $result->fetchArray(SQLITE3_NUM)[0];
    $result->finalize();
    return bin2hex($value) . "\n";
}

$raw = ['raw', SQLITE3_TEXT];
$two = [2, SQLITE3_INTEGER];
echo 'content: ', firstAsHex(run('SELECT content FROM regions WHERE name = ?', [$raw]));
$sql = 'SELECT substr(content, ?, ?) FROM regions WHERE name = ?';
echo 'a part by substr: ', firstAsHex(run($sql, [$two, $two, $raw]));
$sql = "SELECT seqdb_read('regions', ?, ?, ?)";
echo 'a part by seqdb_read: ', firstAsHex(run($sql, [$raw, [1, SQLITE3_INTEGER], $two]));

$db->exec('BEGIN IMMEDIATE');
run('UPDATE regions SET length = ? WHERE name = ?', [[5, SQLITE3_INTEGER], ['log', SQLITE3_TEXT]]);
run('UPDATE regions SET content = ? WHERE name = ?', [["\x02", SQLITE3_BLOB], $raw]);
$db->exec('COMMIT');
$contents = [];
for ($result = $db->query('SELECT content FROM regions ORDER BY name'); $row = $result->fetchArray(SQLITE3_NUM);) {
    $contents[] = bin2hex($row[0]);
}
$result->finalize();
echo 'cut and replaced: ', implode(', ', $contents), "\n";

$db->exec('BEGIN IMMEDIATE');
run('DELETE FROM regions WHERE name IN (?, ?)', [['log', SQLITE3_TEXT], $raw]);
$db->exec('DELETE FROM note');
$db->exec('COMMIT');
echo 'removed: ', $db->querySingle('SELECT count(*) FROM regions'), " regions left\n";
echo 'check: ', $db->querySingle("SELECT seqdb_check('regions')"), "\n";
$db->close();
