<?php
// SPDX-License-Identifier: MIT
//
// php_pdo.php: regions and rows in one database, with PDO.
//
//   php php_pdo.php PATH/OF/seqdb        in a folder for demo.db; prints what README.md shows
//
// PDO loads extensions from PHP 8.4 on. Before that SQLite itself is asked, through FFI, to set up each new connection.
function connect(string $extension): PDO
{
    if (class_exists('Pdo\Sqlite')) {
        $db = new Pdo\Sqlite('sqlite:demo.db');
        $db->loadExtension("$extension.so"); // the file itself: no suffix is added
        return $db;
    }
    static $entry = null;
    if ($entry === null) {
        $sqlite = FFI::cdef('int sqlite3_auto_extension(void (*entry)(void));', 'libsqlite3.so.0');
        $entry = FFI::cdef('void sqlite3_seqdb_init(void);', "$extension.so");
        $sqlite->sqlite3_auto_extension($entry->sqlite3_seqdb_init);
    }
    return new PDO('sqlite:demo.db');
}

$db = connect($argv[1]);
$db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
$db->setAttribute(PDO::ATTR_TIMEOUT, 5); // seconds

// Numbers given to execute() are bound as text.
function run(string $sql, array $values = []): PDOStatement
{
    global $db;
    $statement = $db->prepare($sql);
    $statement->execute($values);
    return $statement;
}

function append(string $name, string $bytes): void
{
    global $db;
    $statement = $db->prepare('INSERT INTO regions(name, append) VALUES (?, ?)');
    $statement->bindValue(1, $name);
    $statement->bindValue(2, $bytes, PDO::PARAM_LOB); // without it the bytes would be bound as text
    $statement->execute();
}

function value(string $sql, array $values = []): mixed
{
    return run($sql, $values)->fetchColumn();
}

function state(): string
{
    $sql = "SELECT (SELECT count(*) FROM note), length FROM regions WHERE name = 'log'";
    return vsprintf("%d note, %d bytes in the log\n", run($sql)->fetch(PDO::FETCH_NUM));
}

echo 'SQLite ', value('SELECT sqlite_version()'), ', seqdb ', value('SELECT seqdb_version()'), "\n";
echo 'journal mode: ', value('PRAGMA journal_mode = WAL'), "\n";
$db->exec('CREATE TABLE IF NOT EXISTS note(text TEXT)');
$db->exec("CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions')");

$db->beginTransaction();
run('INSERT INTO note VALUES (?)', ['two lines']);
append('log', "first\n");
append('log', "second\n");
append('raw', "\x00\xff\x80\x01");
$db->commit();
echo 'committed: ', state();

$db->beginTransaction();
try {
    run('INSERT INTO note VALUES (?)', ['never to be']);
    append('log', "third\n");
    throw new RuntimeException('something went wrong');
} catch (RuntimeException $problem) {
    $db->rollBack();
}
echo 'rolled back: ', state();

echo 'content: ', bin2hex(value('SELECT content FROM regions WHERE name = ?', ['raw'])), "\n";
$sql = 'SELECT substr(content, ?, ?) FROM regions WHERE name = ?';
echo 'a part by substr: ', bin2hex(value($sql, [2, 2, 'raw'])), "\n";
echo 'a part by seqdb_read: ', bin2hex(value("SELECT seqdb_read('regions', ?, ?, ?)", ['raw', 1, 2])), "\n";

$db->beginTransaction();
run('UPDATE regions SET length = ? WHERE name = ?', [5, 'log']);
$replace = $db->prepare("UPDATE regions SET content = ? WHERE name = 'raw'");
$replace->bindValue(1, "\x02", PDO::PARAM_LOB);
$replace->execute();
$db->commit();
$contents = run('SELECT content FROM regions ORDER BY name')->fetchAll(PDO::FETCH_COLUMN);
echo 'cut and replaced: ', implode(', ', array_map('bin2hex', $contents)), "\n";

$db->beginTransaction();
run('DELETE FROM regions WHERE name IN (?, ?)', ['log', 'raw']);
run('DELETE FROM note');
$db->commit();
echo 'removed: ', value('SELECT count(*) FROM regions'), " regions left\n";
echo 'check: ', value("SELECT seqdb_check('regions')"), "\n";
