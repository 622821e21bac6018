// rueidis with its default settings, but for the cache in the client, which needs CLIENT TRACKING.
package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	. "sheaf.test/clients/story"
)

var (
	ctx    = context.Background()
	client rueidis.Client
)

func options(p *Place) rueidis.ClientOption {
	return rueidis.ClientOption{InitAddress: []string{p.Open}, DisableCache: true, AlwaysRESP2: p.RESP == 2}
}

func connect(p *Place) error {
	caching := options(p)
	caching.DisableCache, caching.AlwaysRESP2 = false, false
	if _, err := rueidis.NewClient(caching); !errors.Is(err, rueidis.ErrNoCache) {
		return fmt.Errorf("with a cache in the client: %v", err)
	}
	var err error
	if client, err = rueidis.NewClient(options(p)); err != nil {
		return err
	}
	pong, err := client.Do(ctx, client.B().Ping().Build()).ToString()
	info, err2 := client.Do(ctx, client.B().ClientInfo().Build()).ToString()
	return First(err, err2, Same("PING", pong, "PONG"),
		Same("protocol", strings.Contains(info, fmt.Sprintf(" resp=%d lib-name=rueidis", p.RESP)), true))
}

func set(key, value string) error {
	return client.Do(ctx, client.B().Set().Key(key).Value(value).Build()).Error()
}

func get(key string) (string, error) {
	return client.Do(ctx, client.B().Get().Key(key).Build()).ToString()
}

func isNil(what string, err error) error { return Same(what, rueidis.IsRedisNil(err), true) }

func refusal(what string, err error, code string) error {
	if refused, is := rueidis.IsRedisErr(err); !is || !strings.HasPrefix(refused.Error(), code) {
		return fmt.Errorf("%s: %v", what, err)
	}
	return nil
}

func stringsOverShards(p *Place) error {
	keys, pairs := []string{}, client.B().Mset().KeyValue()
	for n := range 20 {
		keys = append(keys, p.Key(fmt.Sprint("s", n)))
		pairs = pairs.KeyValue(keys[n], strconv.Itoa(n))
	}
	err := First(set(p.Key("a"), "\x00\r\n\xff"), client.Do(ctx, pairs.Build()).Error())
	got, err2 := get(p.Key("a"))
	_, missing := get(p.Key("none"))
	all, err3 := client.Do(ctx, client.B().Mget().Key(append(keys, p.Key("none"))...).Build()).ToArray()
	if err := First(err, err2, err3, Same("GET", got, "\x00\r\n\xff"), isNil("no value", missing),
		Same("MGET", len(all), 21), Same("the last of MGET", all[20].IsNil(), true)); err != nil {
		return err
	}
	for n := range 20 {
		value, err := all[n].ToString()
		if err := First(err, Same("MGET", value, strconv.Itoa(n))); err != nil {
			return err
		}
	}
	del, err := client.Do(ctx, client.B().Del().Key(append(keys, p.Key("none"))...).Build()).AsInt64()
	return First(err, Same("DEL", del, int64(20)))
}

func large(p *Place) error {
	value := strings.Repeat("0123456789abcdef", 1<<16)
	err := set(p.Key("large"), value)
	got, err2 := get(p.Key("large"))
	return First(err, err2, Same("a value of 1 MiB", got == value, true),
		client.Do(ctx, client.B().Del().Key(p.Key("large")).Build()).Error())
}

func collections(p *Place) error {
	h, z, x := p.Key("hash"), p.Key("zset"), p.Key("stream")
	for _, reply := range client.DoMulti(ctx,
		client.B().Del().Key(h, z, x).Build(),
		client.B().Hset().Key(h).FieldValue().FieldValue("f", "1").FieldValue("g", "2").Build(),
		client.B().Zadd().Key(z).ScoreMember().ScoreMember(1, "a").ScoreMember(2.5, "b").Build(),
		client.B().Xadd().Key(x).Id("1-1").FieldValue().FieldValue("f", "v").Build()) {
		if reply.Error() != nil {
			return reply.Error()
		}
	}
	all, err := client.Do(ctx, client.B().Hgetall().Key(h).Build()).AsStrMap()
	scores, err2 := client.Do(ctx, client.B().Zrange().Key(z).Min("0").Max("-1").Withscores().Build()).AsZScores()
	score, err3 := client.Do(ctx, client.B().Zscore().Key(z).Member("b").Build()).AsFloat64()
	read, err4 := client.Do(ctx, client.B().Xread().Streams().Key(x).Id("0").Build()).AsXRead()
	return First(err, err2, err3, err4, Same("HGETALL", all, map[string]string{"f": "1", "g": "2"}),
		Same("ZRANGE", scores, []rueidis.ZScore{{Member: "a", Score: 1}, {Member: "b", Score: 2.5}}),
		Same("ZSCORE", score, 2.5), Same("XREAD", read[x][0].FieldValues, map[string]string{"f": "v"}))
}

func pipeline(p *Place) error {
	commands := rueidis.Commands{}
	for n := range Many {
		key := p.Key(fmt.Sprint("p", n))
		commands = append(commands, client.B().Set().Key(key).Value(strconv.Itoa(n)).Build(), client.B().Get().Key(key).Build())
	}
	for n, reply := range client.DoMulti(ctx, commands...) {
		got, err := reply.ToString()
		want := "OK"
		if n%2 == 1 {
			want = strconv.Itoa(n / 2)
		}
		if err := First(err, Same("a pipelined reply", got, want)); err != nil {
			return err
		}
	}
	return nil
}

func transaction(p *Place) error {
	return client.Dedicated(func(c rueidis.DedicatedClient) error {
		replies := c.DoMulti(ctx, c.B().Multi().Build(), c.B().Set().Key(p.Tagged("t")).Value("1").Build(),
			c.B().Incr().Key(p.Tagged("t")).Build(), c.B().Exec().Build())
		queued, err := replies[2].ToString()
		done, err2 := replies[3].ToArray()
		if err := First(err, err2, Same("queued", queued, "QUEUED"), Same("EXEC", len(done), 2)); err != nil {
			return err
		}
		sum, err := done[1].AsInt64()
		return First(err, Same("INCR", sum, int64(2)))
	})
}

func watch(p *Place) error {
	key := p.Tagged("w")
	if err := set(key, "1"); err != nil {
		return err
	}
	for _, overtaken := range []bool{true, false} {
		err := client.Dedicated(func(c rueidis.DedicatedClient) error {
			watched := c.Do(ctx, c.B().Watch().Key(key).Build()).Error()
			value, err := c.Do(ctx, c.B().Get().Key(key).Build()).AsInt64()
			if overtaken {
				err = First(err, set(key, "10")) // somebody else, in between
			}
			replies := c.DoMulti(ctx, c.B().Multi().Build(),
				c.B().Set().Key(key).Value(strconv.FormatInt(value+1, 10)).Build(), c.B().Exec().Build())
			return First(watched, err, Same("overtaken", rueidis.IsRedisNil(replies[2].Error()), overtaken))
		})
		if err != nil {
			return err
		}
	}
	got, err := get(key)
	return First(err, Same("value", got, "11"))
}

func scan(p *Place) error {
	seen := map[string]int{}
	scanner := rueidis.NewScanner(func(cursor uint64) (rueidis.ScanEntry, error) {
		return client.Do(ctx, client.B().Scan().Cursor(cursor).Match(p.Key("p*")).Count(50).Build()).AsScanEntry()
	})
	for key := range scanner.Iter() {
		seen[key]++
	}
	return First(scanner.Err(), Same("keys", len(seen), Many))
}

var double = rueidis.NewLuaScript("return redis.call('get', KEYS[1]) * ARGV[1]")

func script(p *Place) error {
	err := set(p.Key("n"), "21")
	first, err2 := double.Exec(ctx, client, []string{p.Key("n")}, []string{"2"}).AsInt64()
	second, err3 := double.Exec(ctx, client, []string{p.Key("n")}, []string{"4"}).AsInt64()
	return First(err, err2, err3, Same("script", first, int64(42)), Same("script again", second, int64(84)))
}

func scriptFlushed(p *Place) error {
	err := client.Do(ctx, client.B().ScriptFlush().Build()).Error()
	got, err2 := double.Exec(ctx, client, []string{p.Key("n")}, []string{"2"}).AsInt64()
	return First(err, err2, Same("script", got, int64(42)))
}

// hears subscribes, publishes once that was confirmed, and waits for the message.
func hears(subscribe func(rueidis.DedicatedClient) rueidis.Completed, channel string) error {
	c, release := client.Dedicate()
	defer release()
	messages, confirmed := make(chan rueidis.PubSubMessage, 1), make(chan bool, 1)
	c.SetPubSubHooks(rueidis.PubSubHooks{
		OnMessage:      func(m rueidis.PubSubMessage) { messages <- m },
		OnSubscription: func(rueidis.PubSubSubscription) { confirmed <- true },
	})
	if err := c.Do(ctx, subscribe(c)).Error(); err != nil {
		return err
	}
	<-confirmed
	heard, err := client.Do(ctx, client.B().Publish().Channel(channel).Message("hello").Build()).AsInt64()
	if err := First(err, Same("receivers", heard, int64(1))); err != nil {
		return err
	}
	message := <-messages
	return Same("message", message.Channel+" "+message.Message, channel+" hello")
}

func publish(p *Place) error {
	return First(
		hears(func(c rueidis.DedicatedClient) rueidis.Completed {
			return c.B().Subscribe().Channel(p.Key("channel")).Build()
		}, p.Key("channel")),
		hears(func(c rueidis.DedicatedClient) rueidis.Completed {
			return c.B().Psubscribe().Pattern(p.Key("pattern:*")).Build()
		}, p.Key("pattern:1")))
}

func blocking(p *Place) error {
	pop := func(seconds float64) ([]string, error) {
		return client.Do(ctx, client.B().Blpop().Key(p.Key("queue")).Timeout(seconds).Build()).AsStrSlice()
	}
	_, missing := pop(0.05)
	popped := make(chan error)
	go func() {
		got, err := pop(Patience.Seconds())
		popped <- First(err, Same("BLPOP", got, []string{p.Key("queue"), "job"}))
	}()
	err := client.Do(ctx, client.B().Rpush().Key(p.Key("queue")).Element("job").Build()).Error()
	return First(err, isNil("BLPOP of an empty list", missing), <-popped)
}

func failure(p *Place) error {
	err := set(p.Key("text"), "t")
	wrong := client.Do(ctx, client.B().Lpush().Key(p.Key("text")).Element("x").Build()).Error()
	union := client.B().Sunion().Key(p.Key("none"))
	for n := range 50 {
		union = union.Key(p.Key(fmt.Sprint("none", n)))
	}
	crossed := client.Do(ctx, union.Build()).Error()
	got, err2 := get(p.Key("text"))
	return First(err, err2, refusal("LPUSH to a string", wrong, "WRONGTYPE"),
		refusal("keys of several shards", crossed, "CROSSSLOT"), Same("GET after errors", got, "t"))
}

func auth(p *Place) error {
	chosen := options(p)
	chosen.InitAddress, chosen.Username, chosen.Password = []string{p.Guarded}, "app", "guessed"
	_, refused := rueidis.NewClient(chosen)
	chosen.Password = "app-secret"
	known, err := rueidis.NewClient(chosen)
	if err != nil {
		return err
	}
	defer known.Close()
	done := known.Do(ctx, known.B().Set().Key("app:"+p.Prefix).Value("1").Build()).Error()
	foreign := known.Do(ctx, known.B().Get().Key("other").Build()).Error()
	return First(done, refusal("a key that is not ours", foreign, "NOPERM"), refusal("a wrong password", refused, "WRONGPASS"))
}

func database(p *Place) error {
	chosen := options(p)
	chosen.SelectDB = 1
	other, err := rueidis.NewClient(chosen)
	if err != nil {
		return err
	}
	defer other.Close()
	before := other.Do(ctx, other.B().Get().Key(p.Key("text")).Build()).Error()
	done := other.Do(ctx, other.B().Set().Key(p.Key("text")).Value("elsewhere").Build()).Error()
	got, err := get(p.Key("text"))
	return First(done, err, isNil("of database 1", before), Same("of database 0", got, "t"))
}

func secure(p *Place) error {
	chosen := options(p)
	chosen.InitAddress, chosen.TLSConfig = []string{p.Secure}, p.TLS
	other, err := rueidis.NewClient(chosen)
	if err != nil {
		return err
	}
	defer other.Close()
	got, err := other.Do(ctx, other.B().Mget().Key(p.Key("text"), p.Key("n")).Build()).AsStrSlice()
	return First(err, Same("MGET", got, []string{"t", "21"}))
}

func main() {
	Run([]Check{
		{"connect", connect}, {"strings", stringsOverShards}, {"large", large}, {"collections", collections},
		{"pipeline", pipeline}, {"transaction", transaction}, {"watch", watch}, {"scan", scan},
		{"script", script}, {"script_flushed", scriptFlushed}, {"publish", publish}, {"blocking", blocking},
		{"error", failure}, {"auth", auth}, {"database", database}, {"tls", secure},
	})
}
