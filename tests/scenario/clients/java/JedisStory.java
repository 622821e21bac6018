import java.io.FileInputStream;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import redis.clients.jedis.AbstractTransaction;
import redis.clients.jedis.AbstractPipeline;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.JedisPubSub;
import redis.clients.jedis.Protocol;
import redis.clients.jedis.RedisClient;
import redis.clients.jedis.Response;
import redis.clients.jedis.StreamEntryID;
import redis.clients.jedis.exceptions.JedisAccessControlException;
import redis.clients.jedis.exceptions.JedisDataException;
import redis.clients.jedis.exceptions.JedisNoScriptException;
import redis.clients.jedis.params.XAddParams;
import redis.clients.jedis.resps.Tuple;

/** Jedis with its default settings. */
public final class JedisStory {
    private static final String DOUBLE = "return redis.call('get', KEYS[1]) * ARGV[1]";

    private final Story story;
    private final RedisClient client;
    private String sha;

    private JedisStory(Story story) {
        this.story = story;
        client = story.resp == 3 ? RedisClient.create("127.0.0.1", story.port) : client(story.port, config());
    }

    private DefaultJedisClientConfig.Builder config() {
        DefaultJedisClientConfig.Builder config = DefaultJedisClientConfig.builder();
        return story.resp == 2 ? config.resp2() : config; // RESP3 is the library's default
    }

    private static RedisClient client(int port, DefaultJedisClientConfig.Builder config) {
        return RedisClient.builder().hostAndPort("127.0.0.1", port).clientConfig(config.build()).build();
    }

    private void connect() {
        Story.same(client.ping(), "PONG");
        String info = new String((byte[]) client.sendCommand(Protocol.Command.CLIENT, "INFO"), StandardCharsets.UTF_8);
        Story.same(info.contains(" resp=" + story.resp + " lib-name=jedis"), true);
    }

    private void strings() {
        byte[] name = story.key("a").getBytes(StandardCharsets.UTF_8);
        byte[] bytes = {0, 13, 10, -1};
        Story.same(client.set(name, bytes), "OK");
        Story.same(client.get(name), bytes);
        Story.same(client.get(story.key("none")), null);
        List<String> pairs = new ArrayList<>();
        List<String> want = new ArrayList<>();
        String[] keys = story.keys("s", 21);
        for (int n = 0; n < 20; n++) {
            pairs.add(keys[n]);
            pairs.add("" + n);
            want.add("" + n);
        }
        want.add(null);
        Story.same(client.mset(pairs.toArray(new String[0])), "OK");
        Story.same(client.mget(keys), want);
        Story.same(client.del(keys), 20L);
    }

    private void large() {
        String value = "0123456789abcdef".repeat(1 << 16);
        Story.same(client.set(story.key("large"), value), "OK");
        Story.same(client.get(story.key("large")).equals(value), true);
        Story.same(client.del(story.key("large")), 1L);
    }

    private void collections() {
        String hash = story.key("hash");
        String zset = story.key("zset");
        String stream = story.key("stream");
        client.del(hash, zset, stream);
        client.hset(hash, Map.of("f", "1", "g", "2"));
        client.zadd(zset, Map.of("a", 1.0, "b", 2.5));
        client.xadd(stream, XAddParams.xAddParams().id("1-1"), Map.of("f", "v"));
        Story.same(client.hgetAll(hash), Map.of("f", "1", "g", "2"));
        Story.same(client.zrangeWithScores(zset, 0, -1), List.of(new Tuple("a", 1.0), new Tuple("b", 2.5)));
        Story.same(client.zscore(zset, "b"), 2.5);
        Story.same(client.xrange(stream, (StreamEntryID) null, null).get(0).getFields(), Map.of("f", "v"));
    }

    private void pipeline() {
        List<Response<String>> replies = new ArrayList<>();
        try (AbstractPipeline pipe = client.pipelined()) {
            for (int n = 0; n < Story.MANY; n++) {
                pipe.set(story.key("p" + n), "" + n);
                replies.add(pipe.get(story.key("p" + n)));
            }
            pipe.sync();
        }
        for (int n = 0; n < Story.MANY; n++) {
            Story.same(replies.get(n).get(), "" + n);
        }
    }

    private void transaction() {
        try (AbstractTransaction transaction = client.multi()) {
            transaction.set(story.tagged("t"), "1");
            transaction.incr(story.tagged("t"));
            Story.same(transaction.exec(), List.of("OK", 2L));
        }
    }

    private void watch() {
        String key = story.tagged("w");
        client.set(key, "1");
        for (boolean overtaken : new boolean[] {true, false}) {
            try (AbstractTransaction transaction = client.transaction(false)) {
                transaction.watch(key);
                int value = Integer.parseInt(client.get(key));
                if (overtaken) {
                    client.set(key, "10"); // somebody else, in between
                }
                transaction.multi();
                transaction.set(key, "" + (value + 1));
                Story.same(transaction.exec(), overtaken ? null : List.of("OK"));
            }
        }
        Story.same(client.get(key), "11");
    }

    private void scan() {
        Set<String> want = new HashSet<>();
        Collections.addAll(want, story.keys("p", Story.MANY));
        Story.same(client.scanIteration(50, story.key("p*")).collect(new HashSet<>()), want);
    }

    /** The library has no object for scripts: its users do this. */
    private Object run(int times) {
        List<String> keys = List.of(story.key("n"));
        List<String> values = List.of("" + times);
        try {
            return client.evalsha(sha, keys, values);
        } catch (JedisNoScriptException error) {
            return client.eval(DOUBLE, keys, values);
        }
    }

    private void script() {
        client.set(story.key("n"), "21");
        sha = client.scriptLoad(DOUBLE);
        Story.same(run(2), 42L);
        Story.same(run(4), 84L);
    }

    private void scriptFlushed() {
        Story.same(client.scriptFlush(), "OK");
        Story.same(client.scriptExists(List.of(sha)), List.of(false));
        Story.refused(JedisNoScriptException.class, "NOSCRIPT", () -> client.evalsha(sha));
        Story.same(run(2), 42L);
        Story.same(run(4), 84L);
    }

    private void publish() throws Exception {
        BlockingQueue<String> heard = new LinkedBlockingQueue<>();
        JedisPubSub subscriber = new JedisPubSub() {
            @Override
            public void onSubscribe(String channel, int count) {
                psubscribe(story.key("pattern:*"));
            }

            @Override
            public void onPSubscribe(String pattern, int count) {
                heard.add("ready");
            }

            @Override
            public void onMessage(String channel, String message) {
                heard.add(channel + " " + message);
            }

            @Override
            public void onPMessage(String pattern, String channel, String message) {
                heard.add(channel + " " + message);
            }
        };
        CompletableFuture<Void> ended =
            CompletableFuture.runAsync(() -> client.subscribe(subscriber, story.key("channel")));
        Story.same(heard.poll(Story.PATIENCE, TimeUnit.SECONDS), "ready");
        for (String channel : new String[] {story.key("channel"), story.key("pattern:1")}) {
            Story.same(client.publish(channel, "hello"), 1L);
            Story.same(heard.poll(Story.PATIENCE, TimeUnit.SECONDS), channel + " hello");
        }
        subscriber.punsubscribe();
        subscriber.unsubscribe();
        ended.get(Story.PATIENCE, TimeUnit.SECONDS);
    }

    private void blocking() throws Exception {
        String queue = story.key("queue");
        Story.same(client.blpop(0.05, queue), null);
        CompletableFuture<List<String>> popped = CompletableFuture.supplyAsync(() -> client.blpop(Story.PATIENCE, queue));
        client.rpush(queue, "job");
        Story.same(popped.get(Story.PATIENCE, TimeUnit.SECONDS), List.of(queue, "job"));
    }

    private void error() {
        client.set(story.key("text"), "t");
        Story.refused(JedisDataException.class, "WRONGTYPE", () -> client.lpush(story.key("text"), "x"));
        Story.refused(JedisDataException.class, "CROSSSLOT", () -> client.sunion(story.keys("none", 50)));
        Story.same(client.get(story.key("text")), "t");
    }

    private void auth() {
        try (RedisClient known = RedisClient.create("127.0.0.1", story.guardedPort, "app", "app-secret")) {
            Story.same(known.set("app:" + story.prefix, "1"), "OK");
            Story.refused(JedisAccessControlException.class, "NOPERM", () -> known.get("other"));
        }
        try (RedisClient stranger = client(story.guardedPort, config().user("app").password("guessed"))) {
            Story.refused(JedisAccessControlException.class, "WRONGPASS", stranger::ping);
        }
    }

    private void database() {
        try (RedisClient other = client(story.port, config().database(1))) {
            Story.same(other.get(story.key("text")), null);
            Story.same(other.set(story.key("text"), "elsewhere"), "OK");
        }
        Story.same(client.get(story.key("text")), "t");
    }

    private void tls() throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (FileInputStream file = new FileInputStream(story.authority)) {
            trusted.setCertificateEntry("authority", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        try (RedisClient other =
                 client(story.tlsPort, config().ssl(true).sslSocketFactory(context.getSocketFactory()))) {
            Story.same(other.mget(story.key("text"), story.key("n")), List.of("t", "21"));
        }
    }

    public static void main(String[] args) {
        Story story = new Story(args);
        JedisStory jedis = new JedisStory(story);
        story.tell("connect", jedis::connect);
        story.tell("strings", jedis::strings);
        story.tell("large", jedis::large);
        story.tell("collections", jedis::collections);
        story.tell("pipeline", jedis::pipeline);
        story.tell("transaction", jedis::transaction);
        story.tell("watch", jedis::watch);
        story.tell("scan", jedis::scan);
        story.tell("script", jedis::script);
        story.tell("script_flushed", jedis::scriptFlushed);
        story.tell("publish", jedis::publish);
        story.tell("blocking", jedis::blocking);
        story.tell("error", jedis::error);
        story.tell("auth", jedis::auth);
        story.tell("database", jedis::database);
        story.tell("tls", jedis::tls);
        System.exit(0);
    }
}
