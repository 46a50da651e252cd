# SPDX-License-Identifier: MIT
#
# perl.pl: regions and rows in one database, with DBI and DBD::SQLite.
#
#   perl perl.pl PATH/OF/seqdb        in a folder for demo.db; prints what README.md shows
use strict;
use warnings;
use DBI qw(:sql_types);

my ($extension) = @ARGV;
my $db = DBI->connect('dbi:SQLite:dbname=demo.db', '', '', {RaiseError => 1, PrintError => 0, AutoCommit => 1});
$db->sqlite_busy_timeout(5000);
$db->sqlite_enable_load_extension(1);
$db->sqlite_load_extension($extension);
$db->sqlite_enable_load_extension(0);

sub value { return $db->selectrow_array($_[0], undef, @_[1 .. $#_]) }

sub state_of_things {
  return sprintf('%d note, %d bytes in the log',
    $db->selectrow_array("SELECT (SELECT count(*) FROM note), length FROM regions WHERE name = 'log'"));
}

# Without SQL_BLOB the bytes would be bound as text, and with sqlite_unicode those above 0x7f as two bytes each.
sub append {
  my ($name, $bytes) = @_;
  my $statement = $db->prepare_cached('INSERT INTO regions(name, append) VALUES (?, ?)');
  $statement->bind_param(1, $name);
  $statement->bind_param(2, $bytes, SQL_BLOB);
  $statement->execute;
}

printf("SQLite %s, seqdb %s\n", value('SELECT sqlite_version()'), value('SELECT seqdb_version()'));
print 'journal mode: ', value('PRAGMA journal_mode = WAL'), "\n";
$db->do('CREATE TABLE IF NOT EXISTS note(text TEXT)');
$db->do("CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions')");

$db->begin_work;
$db->do('INSERT INTO note VALUES (?)', undef, 'two lines');
append('log', "first\n");
append('log', "second\n");
append('raw', "\x00\xff\x80\x01");
$db->commit;
print 'committed: ', state_of_things(), "\n";

eval {
  $db->begin_work;
  $db->do('INSERT INTO note VALUES (?)', undef, 'never to be');
  append('log', "third\n");
  die "something went wrong\n";
} or $db->rollback;
print 'rolled back: ', state_of_things(), "\n";

print 'content: ', unpack('H*', value('SELECT content FROM regions WHERE name = ?', 'raw')), "\n";
print 'a part by substr: ',
  unpack('H*', value('SELECT substr(content, ?, ?) FROM regions WHERE name = ?', 2, 2, 'raw')), "\n";
print 'a part by seqdb_read: ', unpack('H*', value("SELECT seqdb_read('regions', ?, ?, ?)", 'raw', 1, 2)), "\n";

$db->begin_work;
$db->do('UPDATE regions SET length = ? WHERE name = ?', undef, 5, 'log');
my $replace = $db->prepare('UPDATE regions SET content = ? WHERE name = ?');
$replace->bind_param(1, "\x02", SQL_BLOB);
$replace->bind_param(2, 'raw');
$replace->execute;
$db->commit;
print 'cut and replaced: ',
  join(', ', map { unpack('H*', $_) } @{$db->selectcol_arrayref('SELECT content FROM regions ORDER BY name')}), "\n";

$db->begin_work;
$db->do('DELETE FROM regions WHERE name IN (?, ?)', undef, 'log', 'raw');
$db->do('DELETE FROM note');
$db->commit;
print 'removed: ', value('SELECT count(*) FROM regions'), " regions left\n";
print 'check: ', value("SELECT seqdb_check('regions')"), "\n";
undef $replace;
$db->disconnect;
