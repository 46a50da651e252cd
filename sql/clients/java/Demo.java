// SPDX-License-Identifier: MIT
//
// Demo.java: regions and rows in one database, with JDBC and sqlite-jdbc.
//
//   java -cp PATH/OF/sqlite-jdbc.jar Demo.java PATH/OF/seqdb
//
// In a folder for demo.db; prints what ../README.md shows.
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.sqlite.SQLiteConfig;

public class Demo {
  private final Connection db;

  private Demo(Connection db) {
    this.db = db;
  }

  private static Connection open(String extension) throws SQLException {
    SQLiteConfig config = new SQLiteConfig();
    config.setJournalMode(SQLiteConfig.JournalMode.WAL);
    config.setBusyTimeout(5000);
    config.enableLoadExtension(true);
    Connection db = config.createConnection("jdbc:sqlite:demo.db");
    try (PreparedStatement load = db.prepareStatement("SELECT load_extension(?)")) {
      load.setString(1, extension);
      load.execute();
    }
    return db;
  }

  private PreparedStatement bind(String sql, Object... values) throws SQLException {
    PreparedStatement statement = db.prepareStatement(sql);
    for (int at = 0; at < values.length; at++) {
      statement.setObject(at + 1, values[at]); // a byte[] is bound as a blob, a String as text
    }
    return statement;
  }

  private void run(String sql, Object... values) throws SQLException {
    try (PreparedStatement statement = bind(sql, values)) {
      statement.executeUpdate();
    }
  }

  private void append(String name, byte[] bytes) throws SQLException {
    run("INSERT INTO regions(name, append) VALUES (?, ?)", name, bytes);
  }

  /** The first column of all rows, blobs in hexadecimal digits. */
  private List<String> column(String sql, Object... values) throws SQLException {
    List<String> column = new ArrayList<>();
    try (PreparedStatement statement = bind(sql, values);
        ResultSet rows = statement.executeQuery()) {
      while (rows.next()) {
        Object value = rows.getObject(1);
        column.add(value instanceof byte[] ? HexFormat.of().formatHex((byte[]) value) : value.toString());
      }
    }
    return column;
  }

  private String value(String sql, Object... values) throws SQLException {
    return column(sql, values).get(0);
  }

  private String state() throws SQLException {
    return value("SELECT printf('%d note, %d bytes in the log', (SELECT count(*) FROM note), length)"
        + " FROM regions WHERE name = 'log'");
  }

  private static void print(String label, String text) {
    System.out.println(label + text);
  }

  private void createTables() throws SQLException {
    try (Statement statement = db.createStatement()) {
      statement.execute("CREATE TABLE IF NOT EXISTS note(text TEXT)");
      statement.execute("CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions')");
    }
  }

  private void work() throws SQLException {
    print("SQLite ", value("SELECT sqlite_version() || ', seqdb ' || seqdb_version()"));
    print("journal mode: ", value("PRAGMA journal_mode"));
    createTables();

    // From here on the driver begins a transaction with the first statement, also with a SELECT.
    db.setAutoCommit(false);
    run("INSERT INTO note VALUES (?)", "two lines");
    append("log", "first\n".getBytes());
    append("log", "second\n".getBytes());
    append("raw", new byte[] {0x00, (byte) 0xff, (byte) 0x80, 0x01});
    db.commit();
    print("committed: ", state());
    db.commit();

    run("INSERT INTO note VALUES (?)", "never to be");
    append("log", "third\n".getBytes());
    db.rollback();
    print("rolled back: ", state());

    print("content: ", value("SELECT content FROM regions WHERE name = ?", "raw"));
    print("a part by substr: ", value("SELECT substr(content, ?, ?) FROM regions WHERE name = ?", 2, 2, "raw"));
    print("a part by seqdb_read: ", value("SELECT seqdb_read('regions', ?, ?, ?)", "raw", 1, 2));
    db.commit();

    run("UPDATE regions SET length = ? WHERE name = ?", 5, "log");
    run("UPDATE regions SET content = ? WHERE name = ?", new byte[] {2}, "raw");
    db.commit();
    print("cut and replaced: ", String.join(", ", column("SELECT content FROM regions ORDER BY name")));
    db.commit();

    run("DELETE FROM regions WHERE name IN (?, ?)", "log", "raw");
    run("DELETE FROM note");
    db.commit();
    print("removed: ", value("SELECT count(*) || ' regions left' FROM regions"));
    print("check: ", value("SELECT seqdb_check('regions')"));
    db.commit();
  }

  public static void main(String[] arguments) throws SQLException {
    try (Connection db = open(arguments[0])) {
      new Demo(db).work();
    }
  }
}
