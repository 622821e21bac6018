import io.lettuce.core.ClientOptions;
import io.lettuce.core.KeyValue;
import io.lettuce.core.LettuceFutures;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisCommandExecutionException;
import io.lettuce.core.RedisConnectionException;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.RedisNoScriptException;
import io.lettuce.core.RedisURI;
import io.lettuce.core.ScanArgs;
import io.lettuce.core.ScanIterator;
import io.lettuce.core.ScoredValue;
import io.lettuce.core.ScriptOutputType;
import io.lettuce.core.SslOptions;
import io.lettuce.core.TransactionResult;
import io.lettuce.core.XAddArgs;
import io.lettuce.core.XReadArgs;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.async.RedisAsyncCommands;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.codec.ByteArrayCodec;
import io.lettuce.core.protocol.ProtocolVersion;
import io.lettuce.core.pubsub.RedisPubSubAdapter;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** Lettuce with its default settings. */
public final class LettuceStory {
    private static final String DOUBLE = "return redis.call('get', KEYS[1]) * ARGV[1]";

    private final Story story;
    private final RedisClient library = RedisClient.create();
    private final StatefulRedisConnection<String, String> connection;
    private final RedisCommands<String, String> redis;
    private String sha;

    private LettuceStory(Story story) {
        this.story = story;
        if (story.resp == 2) { // RESP3 is the library's default
            library.setOptions(ClientOptions.builder().protocolVersion(ProtocolVersion.RESP2).build());
        }
        connection = library.connect(at(story.port).build());
        redis = connection.sync();
    }

    private static RedisURI.Builder at(int port) {
        return RedisURI.builder().withHost("127.0.0.1").withPort(port);
    }

    private void connect() {
        Story.same(redis.ping(), "PONG");
        String info = redis.clientInfo();
        Story.same(info.contains(" resp=" + story.resp + " lib-name=Lettuce"), true);
    }

    private void strings() {
        try (StatefulRedisConnection<byte[], byte[]> binary =
                 library.connect(ByteArrayCodec.INSTANCE, at(story.port).build())) {
            byte[] name = story.key("a").getBytes(StandardCharsets.UTF_8);
            byte[] bytes = {0, 13, 10, -1};
            Story.same(binary.sync().set(name, bytes), "OK");
            Story.same(binary.sync().get(name), bytes);
        }
        Story.same(redis.get(story.key("none")), null);
        Map<String, String> pairs = new LinkedHashMap<>();
        List<KeyValue<String, String>> want = new ArrayList<>();
        String[] keys = story.keys("s", 21);
        for (int n = 0; n < 20; n++) {
            pairs.put(keys[n], "" + n);
            want.add(KeyValue.just(keys[n], "" + n));
        }
        want.add(KeyValue.empty(keys[20]));
        Story.same(redis.mset(pairs), "OK");
        Story.same(redis.mget(keys), want);
        Story.same(redis.del(keys), 20L);
    }

    private void large() {
        String value = "0123456789abcdef".repeat(1 << 16);
        Story.same(redis.set(story.key("large"), value), "OK");
        Story.same(redis.get(story.key("large")).equals(value), true);
        Story.same(redis.del(story.key("large")), 1L);
    }

    private void collections() {
        String hash = story.key("hash");
        String zset = story.key("zset");
        String stream = story.key("stream");
        redis.del(hash, zset, stream);
        redis.hset(hash, Map.of("f", "1", "g", "2"));
        redis.zadd(zset, ScoredValue.just(1, "a"), ScoredValue.just(2.5, "b"));
        redis.xadd(stream, new XAddArgs().id("1-1"), Map.of("f", "v"));
        Story.same(redis.hgetall(hash), Map.of("f", "1", "g", "2"));
        Story.same(redis.zrangeWithScores(zset, 0, -1), List.of(ScoredValue.just(1, "a"), ScoredValue.just(2.5, "b")));
        Story.same(redis.zscore(zset, "b"), 2.5);
        Story.same(redis.xread(XReadArgs.StreamOffset.from(stream, "0")).get(0).getBody(), Map.of("f", "v"));
    }

    private void pipeline() throws Exception {
        RedisAsyncCommands<String, String> async = connection.async();
        List<RedisFuture<?>> replies = new ArrayList<>();
        for (int n = 0; n < Story.MANY; n++) {
            async.set(story.key("p" + n), "" + n);
            replies.add(async.get(story.key("p" + n)));
        }
        LettuceFutures.awaitAll(Duration.ofSeconds(Story.PATIENCE), replies.toArray(new RedisFuture<?>[0]));
        for (int n = 0; n < Story.MANY; n++) {
            Story.same(replies.get(n).get(), "" + n);
        }
    }

    private void transaction() {
        redis.multi();
        redis.set(story.tagged("t"), "1");
        redis.incr(story.tagged("t"));
        TransactionResult result = redis.exec();
        Story.same(Arrays.asList(result.get(0), result.get(1)), List.of("OK", 2L));
    }

    private void watch() {
        String key = story.tagged("w");
        redis.set(key, "1");
        try (StatefulRedisConnection<String, String> other = library.connect(at(story.port).build())) {
            for (boolean overtaken : new boolean[] {true, false}) {
                redis.watch(key);
                int value = Integer.parseInt(redis.get(key));
                if (overtaken) {
                    other.sync().set(key, "10"); // somebody else, in between
                }
                redis.multi();
                redis.set(key, "" + (value + 1));
                Story.same(redis.exec().wasDiscarded(), overtaken);
            }
        }
        Story.same(redis.get(key), "11");
    }

    private void scan() {
        HashSet<String> seen = new HashSet<>();
        ScanIterator.scan(redis, ScanArgs.Builder.limit(50).match(story.key("p*"))).forEachRemaining(seen::add);
        Story.same(seen, new HashSet<>(Arrays.asList(story.keys("p", Story.MANY))));
    }

    /** The library has no object for scripts: its users do this. */
    private Object run(int times) {
        String[] keys = {story.key("n")};
        try {
            return redis.evalsha(sha, ScriptOutputType.INTEGER, keys, "" + times);
        } catch (RedisNoScriptException error) {
            return redis.eval(DOUBLE, ScriptOutputType.INTEGER, keys, "" + times);
        }
    }

    private void script() {
        redis.set(story.key("n"), "21");
        sha = redis.scriptLoad(DOUBLE);
        Story.same(run(2), 42L);
        Story.same(run(4), 84L);
    }

    private void scriptFlushed() {
        Story.same(redis.scriptFlush(), "OK");
        Story.same(redis.scriptExists(sha), List.of(false));
        Story.refused(RedisNoScriptException.class, "NOSCRIPT",
            () -> redis.evalsha(sha, ScriptOutputType.INTEGER, story.key("n")));
        Story.same(run(2), 42L);
        Story.same(run(4), 84L);
    }

    private void publish() throws Exception {
        BlockingQueue<String> heard = new LinkedBlockingQueue<>();
        try (StatefulRedisPubSubConnection<String, String> subscriber = library.connectPubSub(at(story.port).build())) {
            subscriber.addListener(new RedisPubSubAdapter<>() {
                @Override
                public void message(String channel, String message) {
                    heard.add(channel + " " + message);
                }

                @Override
                public void message(String pattern, String channel, String message) {
                    heard.add(channel + " " + message);
                }
            });
            subscriber.sync().subscribe(story.key("channel"));
            subscriber.sync().psubscribe(story.key("pattern:*"));
            for (String channel : new String[] {story.key("channel"), story.key("pattern:1")}) {
                Story.same(redis.publish(channel, "hello"), 1L);
                Story.same(heard.poll(Story.PATIENCE, TimeUnit.SECONDS), channel + " hello");
            }
            subscriber.sync().unsubscribe(story.key("channel"));
        }
    }

    private void blocking() throws Exception {
        String queue = story.key("queue");
        try (StatefulRedisConnection<String, String> other = library.connect(at(story.port).build())) {
            Story.same(other.sync().blpop(0.05, queue), null);
            RedisFuture<KeyValue<String, String>> popped = other.async().blpop(Story.PATIENCE, queue);
            redis.rpush(queue, "job");
            Story.same(popped.get(Story.PATIENCE, TimeUnit.SECONDS), KeyValue.just(queue, "job"));
        }
    }

    private void error() {
        redis.set(story.key("text"), "t");
        Story.refused(RedisCommandExecutionException.class, "WRONGTYPE", () -> redis.lpush(story.key("text"), "x"));
        Story.refused(RedisCommandExecutionException.class, "CROSSSLOT", () -> redis.sunion(story.keys("none", 50)));
        Story.same(redis.get(story.key("text")), "t");
    }

    private void auth() {
        RedisURI uri = at(story.guardedPort).withAuthentication("app", "app-secret").build();
        try (StatefulRedisConnection<String, String> known = library.connect(uri)) {
            Story.same(known.sync().set("app:" + story.prefix, "1"), "OK");
            Story.refused(RedisCommandExecutionException.class, "NOPERM", () -> known.sync().get("other"));
        }
        RedisURI wrong = at(story.guardedPort).withAuthentication("app", "guessed").build();
        // The cause is WRONGPASS, or that the library closed the connection for it: whichever it saw first.
        Story.refused(RedisConnectionException.class, "Unable to connect", () -> library.connect(wrong));
    }

    private void database() {
        try (StatefulRedisConnection<String, String> other = library.connect(at(story.port).withDatabase(1).build())) {
            Story.same(other.sync().get(story.key("text")), null);
            Story.same(other.sync().set(story.key("text"), "elsewhere"), "OK");
            other.sync().select(0);
            Story.same(other.sync().get(story.key("text")), "t");
        }
        Story.same(redis.get(story.key("text")), "t");
    }

    private void tls() {
        SslOptions trusted = SslOptions.builder().jdkSslProvider().trustManager(new File(story.authority)).build();
        library.setOptions(library.getOptions().mutate().sslOptions(trusted).build());
        try (StatefulRedisConnection<String, String> other = library.connect(at(story.tlsPort).withSsl(true).build())) {
            Story.same(other.sync().mget(story.key("text"), story.key("n")),
                List.of(KeyValue.just(story.key("text"), "t"), KeyValue.just(story.key("n"), "21")));
        }
    }

    public static void main(String[] args) {
        Story story = new Story(args);
        LettuceStory lettuce = new LettuceStory(story);
        story.tell("connect", lettuce::connect);
        story.tell("strings", lettuce::strings);
        story.tell("large", lettuce::large);
        story.tell("collections", lettuce::collections);
        story.tell("pipeline", lettuce::pipeline);
        story.tell("transaction", lettuce::transaction);
        story.tell("watch", lettuce::watch);
        story.tell("scan", lettuce::scan);
        story.tell("script", lettuce::script);
        story.tell("script_flushed", lettuce::scriptFlushed);
        story.tell("publish", lettuce::publish);
        story.tell("blocking", lettuce::blocking);
        story.tell("error", lettuce::error);
        story.tell("auth", lettuce::auth);
        story.tell("database", lettuce::database);
        story.tell("tls", lettuce::tls);
        System.exit(0);
    }
}
