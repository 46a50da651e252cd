# SPDX-License-Identifier: MIT
#
# ruby.rb: regions and rows in one database, with the gem sqlite3.
#
#   ruby ruby.rb PATH/OF/seqdb        in a folder for demo.db; prints what README.md shows
require 'sqlite3'

db = SQLite3::Database.new('demo.db')
db.busy_timeout = 5000
db.enable_load_extension(true)
db.load_extension(ARGV[0])
db.enable_load_extension(false)

state = lambda do
  format('%d note, %d bytes in the log',
         *db.get_first_row("SELECT (SELECT count(*) FROM note), length FROM regions WHERE name = 'log'"))
end
hex = ->(bytes) { bytes.unpack1('H*') }
# A Blob is bound as it is. So is a String whose encoding is BINARY; any other is converted to UTF-8.
blob = ->(bytes) { SQLite3::Blob.new(bytes) }

puts format('SQLite %s, seqdb %s', *db.get_first_row('SELECT sqlite_version(), seqdb_version()'))
puts "journal mode: #{db.get_first_value('PRAGMA journal_mode = WAL')}"
db.execute('CREATE TABLE IF NOT EXISTS note(text TEXT)')
db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions')")

append = 'INSERT INTO regions(name, append) VALUES (?, ?)'
db.transaction do
  db.execute('INSERT INTO note VALUES (?)', ['two lines'])
  db.execute(append, ['log', blob.call("first\n")])
  db.execute(append, ['log', blob.call("second\n")])
  db.execute(append, ['raw', blob.call("\x00\xff\x80\x01".b)])
end
puts "committed: #{state.call}"

begin
  db.transaction do
    db.execute('INSERT INTO note VALUES (?)', ['never to be'])
    db.execute(append, ['log', blob.call("third\n")])
    raise 'something went wrong'
  end
rescue RuntimeError
  puts "rolled back: #{state.call}"
end

puts "content: #{hex.call(db.get_first_value('SELECT content FROM regions WHERE name = ?', ['raw']))}"
part = db.get_first_value('SELECT substr(content, ?, ?) FROM regions WHERE name = ?', [2, 2, 'raw'])
puts "a part by substr: #{hex.call(part)}"
part = db.get_first_value("SELECT seqdb_read('regions', ?, ?, ?)", ['raw', 1, 2])
puts "a part by seqdb_read: #{hex.call(part)}"

db.transaction do
  db.execute('UPDATE regions SET length = ? WHERE name = ?', [5, 'log'])
  db.execute('UPDATE regions SET content = ? WHERE name = ?', [blob.call("\x02"), 'raw'])
end
contents = db.execute('SELECT content FROM regions ORDER BY name').map { |row| hex.call(row[0]) }
puts "cut and replaced: #{contents.join(', ')}"

db.transaction do
  db.execute('DELETE FROM regions WHERE name IN (?, ?)', %w[log raw])
  db.execute('DELETE FROM note')
end
puts "removed: #{db.get_first_value('SELECT count(*) FROM regions')} regions left"
puts "check: #{db.get_first_value("SELECT seqdb_check('regions')")}"
db.close
