import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.Callable;

/** What the programs of this folder have in common: their arguments, and a line for each check. */
final class Story {
    static final int MANY = 300;
    static final int PATIENCE = 30; // seconds, for what must come

    final int port;
    final int guardedPort;
    final int tlsPort;
    final String authority;
    final String prefix;
    final int resp;

    Story(String[] args) {
        port = Integer.parseInt(args[0]);
        guardedPort = Integer.parseInt(args[1]);
        tlsPort = Integer.parseInt(args[2]);
        authority = args[3];
        prefix = args[4];
        resp = Integer.parseInt(args[5]);
    }

    interface Check {
        void run() throws Exception;
    }

    String key(String name) {
        return prefix + ":" + name;
    }

    String tagged(String name) {
        return "{" + prefix + "}:" + name;
    }

    String[] keys(String name, int count) {
        String[] keys = new String[count];
        Arrays.setAll(keys, n -> key(name + n));
        return keys;
    }

    void tell(String name, Check check) {
        try {
            check.run();
        } catch (Exception | AssertionError error) {
            error.printStackTrace();
            System.out.println("failed " + name + ": " + error);
            System.exit(1);
        }
        System.out.println("ok " + name);
    }

    static void same(Object got, Object want) {
        if (!Objects.deepEquals(got, want)) {
            throw new AssertionError(got + ", not " + want);
        }
    }

    static void refused(Class<? extends Exception> kind, String text, Callable<?> call) {
        Object got;
        try {
            got = call.call();
        } catch (Exception error) {
            for (Throwable each = error; each != null; each = each.getCause()) {
                if (kind.isInstance(each) && each.getMessage().contains(text)) {
                    return;
                }
            }
            throw new AssertionError("not " + kind + " " + text, error);
        }
        throw new AssertionError(got + ", not " + text);
    }
}
