import java.io.StringReader;
import java.io.StringWriter;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/** PostgreSQL's JDBC driver with its default settings: JdbcStory PORT STORY. */
public final class JdbcStory {
    private static String url;
    private final Connection db;

    private JdbcStory() throws SQLException {
        db = connect("");
    }

    private static Connection connect(String options) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", "app");
        properties.setProperty("password", "secret");
        return DriverManager.getConnection(url + options, properties);
    }

    private static void same(Object got, Object wanted) {
        if (!got.equals(wanted)) {
            throw new AssertionError(got + " instead of " + wanted);
        }
    }

    private void run(String sql) throws SQLException {
        try (Statement statement = db.createStatement()) {
            statement.execute(sql);
        }
    }

    private long number(String sql) throws SQLException {
        try (Statement statement = db.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            rows.next();
            return rows.getLong(1);
        }
    }

    private void fails(String sql, String state) {
        try {
            run(sql);
        } catch (SQLException error) {
            same(error.getSQLState(), state);
            return;
        }
        throw new AssertionError(sql + " did not fail");
    }

    private void table() throws SQLException {
        run("DROP TABLE IF EXISTS jdbc");
        run("CREATE TABLE jdbc (id serial PRIMARY KEY, v text)");
    }

    /** From the fifth time on the statement has a name on the server. */
    private void prepared() throws SQLException {
        try (PreparedStatement one = db.prepareStatement("SELECT ?::int + 1, ?::text")) {
            for (int n = 0; n < 20; n++) {
                one.setInt(1, n);
                one.setString(2, n % 2 == 0 ? "x" + n : null);
                try (ResultSet rows = one.executeQuery()) {
                    rows.next();
                    same(rows.getInt(1), n + 1);
                    same(String.valueOf(rows.getString(2)), n % 2 == 0 ? "x" + n : "null");
                }
            }
        }
        for (int n = 0; n < 600; n++) { // more than its cache holds
            try (PreparedStatement one = db.prepareStatement("SELECT " + n + " + ?")) {
                one.setInt(1, 1);
                for (int time = 0; time < 6 && n < 20; time++) {
                    one.executeQuery().close();
                }
                one.executeQuery().close();
            }
        }
    }

    private void writes() throws SQLException {
        table();
        try (PreparedStatement one = db.prepareStatement("INSERT INTO jdbc (v) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
            for (int n = 1; n <= 50; n++) {
                one.setString(1, "v" + n);
                same(one.executeUpdate(), 1);
                try (ResultSet keys = one.getGeneratedKeys()) {
                    keys.next();
                    same(keys.getInt(1), n);
                }
                same(number("SELECT count(*) FROM jdbc"), (long) n);
            }
        }
        fails("INSERT INTO jdbc VALUES (1, 'x')", "23505");
        fails("SELECT 1 / 0", "22012");
        fails("bogus", "42601");
    }

    private void batches() throws SQLException {
        table();
        for (String options : new String[] {"", "?reWriteBatchedInserts=true"}) {
            try (Connection other = connect(options); PreparedStatement one = other.prepareStatement("INSERT INTO jdbc (v) VALUES (?)")) {
                for (int n = 0; n < 2000; n++) {
                    one.setString(1, "v" + n);
                    one.addBatch();
                }
                same(one.executeBatch().length, 2000);
            }
        }
        same(number("SELECT count(*) FROM jdbc"), 4000L);
    }

    private void transactions() throws SQLException {
        table();
        db.setAutoCommit(false);
        run("INSERT INTO jdbc (v) VALUES ('a')");
        Savepoint savepoint = db.setSavepoint();
        fails("INSERT INTO jdbc VALUES (1, 'b')", "23505");
        db.rollback(savepoint);
        run("INSERT INTO jdbc (v) VALUES ('c')");
        db.commit();
        same(number("SELECT count(*) FROM jdbc"), 2L);
        run("DELETE FROM jdbc");
        db.rollback();
        same(number("SELECT count(*) FROM jdbc"), 2L);
        db.commit();
        db.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        same(number("SELECT count(*) FROM jdbc"), 2L);
        db.commit();
        db.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        db.setAutoCommit(true);
    }

    private void readOnly() throws SQLException {
        table();
        db.setReadOnly(true);
        db.setAutoCommit(false);
        same(number("SELECT count(*) FROM jdbc"), 0L);
        fails("DELETE FROM jdbc", "25006");
        db.rollback();
        db.setReadOnly(false);
        db.setAutoCommit(true);
        run("INSERT INTO jdbc (v) VALUES ('x')");
        same(number("SELECT count(*) FROM jdbc"), 1L);
    }

    /** A portal with a row limit. */
    private void fetchSize() throws SQLException {
        db.setAutoCommit(false);
        try (Statement statement = db.createStatement()) {
            statement.setFetchSize(50);
            try (ResultSet rows = statement.executeQuery("SELECT g FROM generate_series(1, 1000) g")) {
                for (int n = 1; rows.next(); n++) {
                    same(rows.getInt(1), n);
                    if (n == 100) {
                        number("SELECT 1");
                    }
                }
            }
        }
        db.commit();
        db.setAutoCommit(true);
    }

    private void copies() throws Exception {
        table();
        StringBuilder lines = new StringBuilder();
        for (int n = 0; n < 5000; n++) {
            lines.append(n).append("\tline\n");
        }
        PGConnection pg = db.unwrap(PGConnection.class);
        same(pg.getCopyAPI().copyIn("COPY jdbc FROM STDIN", new StringReader(lines.toString())), 5000L);
        StringWriter out = new StringWriter();
        same(pg.getCopyAPI().copyOut("COPY jdbc TO STDOUT", out), 5000L);
        same(out.toString(), lines.toString());
    }

    /** By function calls of the protocol. */
    private void largeObjects() throws SQLException {
        db.setAutoCommit(false);
        LargeObjectManager manager = db.unwrap(PGConnection.class).getLargeObjectAPI();
        long id = manager.createLO();
        LargeObject object = manager.open(id, LargeObjectManager.READWRITE);
        object.write(new byte[100000]);
        object.seek(0);
        same(object.read(200000).length, 100000);
        object.close();
        db.commit();
        manager.delete(id);
        db.commit();
        db.setAutoCommit(true);
    }

    private void cancelling() throws SQLException {
        for (int n = 0; n < 3; n++) {
            try (Statement statement = db.createStatement()) {
                statement.setQueryTimeout(1);
                statement.execute("SELECT pg_sleep(60)");
                throw new AssertionError("it was not cancelled");
            } catch (SQLException error) {
                same(error.getSQLState(), "57014");
            }
            same(number("SELECT 1"), 1L);
        }
    }

    private void notifications() throws SQLException {
        run("LISTEN jdbc");
        try (Connection other = connect(""); Statement statement = other.createStatement()) {
            statement.execute("NOTIFY jdbc, 'hello'");
        }
        PGNotification[] heard = db.unwrap(PGConnection.class).getNotifications(30000);
        same(heard[0].getParameter(), "hello");
        run("UNLISTEN *");
    }

    private void metadata() throws SQLException {
        table();
        int columns = 0;
        try (ResultSet rows = db.getMetaData().getColumns(null, "public", "jdbc", null)) {
            while (rows.next()) {
                columns++;
            }
        }
        same(columns, 2);
        same(db.getMetaData().getPrimaryKeys(null, "public", "jdbc").next(), true);
        db.setSchema("pg_catalog");
        same(db.getSchema(), "pg_catalog");
        same(db.isValid(10), true);
    }

    /** Whom it takes for a primary, and for a replica. */
    private void roles() throws SQLException {
        connect("?targetServerType=primary").close();
        connect("?preferQueryMode=simple").close();
        try (Connection simple = connect("?preferQueryMode=simple"); Statement statement = simple.createStatement()) {
            same(statement.execute("SELECT 1; SELECT 2"), true);
        }
        try (Connection always = connect("?prepareThreshold=-1"); PreparedStatement one = always.prepareStatement("SELECT ?::int")) {
            one.setInt(1, 5);
            same(one.executeQuery().next(), true);
        }
    }

    /** A savepoint around each statement: a transaction goes on after one that failed. */
    private void autosave() throws SQLException {
        for (String how : new String[] {"always", "conservative"}) {
            table();
            try (Connection saved = connect("?autosave=" + how); PreparedStatement all = saved.prepareStatement("SELECT * FROM jdbc")) {
                saved.setAutoCommit(false);
                for (int n = 0; n < 8; n++) {
                    try (Statement statement = saved.createStatement()) {
                        statement.execute("INSERT INTO jdbc (v) VALUES ('x')");
                    }
                    try (PreparedStatement wrong = saved.prepareStatement("SELECT 1 / ?::int")) {
                        wrong.setInt(1, 0);
                        wrong.executeQuery();
                        throw new AssertionError("it did not fail");
                    } catch (SQLException error) {
                        same(error.getSQLState(), "22012");
                    }
                    if (how.equals("conservative")) { // it is for plans alone
                        saved.rollback();
                    }
                    try (ResultSet rows = all.executeQuery()) {
                        same(rows.next(), how.equals("always"));
                    }
                }
                saved.commit();
                run("ALTER TABLE jdbc ADD w int DEFAULT 7"); // what is prepared has another result now
                try (ResultSet rows = all.executeQuery()) {
                    same(rows.getMetaData().getColumnCount(), 3);
                }
                saved.commit();
            }
            same(number("SELECT count(*) FROM jdbc"), how.equals("always") ? 8L : 0L);
        }
    }

    private void tell(String name) throws Exception {
        switch (name) {
            case "prepared": prepared(); break;
            case "writes": writes(); break;
            case "batches": batches(); break;
            case "transactions": transactions(); break;
            case "read_only": readOnly(); break;
            case "fetch_size": fetchSize(); break;
            case "copies": copies(); break;
            case "large_objects": largeObjects(); break;
            case "cancelling": cancelling(); break;
            case "notifications": notifications(); break;
            case "metadata": metadata(); break;
            case "roles": roles(); break;
            case "autosave": autosave(); break;
            default: throw new AssertionError("no story " + name);
        }
    }

    public static void main(String[] arguments) throws Exception {
        url = "jdbc:postgresql://127.0.0.1:" + arguments[0] + "/app";
        JdbcStory story = new JdbcStory();
        story.tell(arguments[1]);
        story.db.close();
    }
}
