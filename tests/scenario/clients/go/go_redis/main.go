// go-redis with its default settings.
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	. "sheaf.test/clients/story"
)

var (
	ctx    = context.Background()
	client *redis.Client
)

func options(p *Place) *redis.Options {
	return &redis.Options{Addr: p.Open, Protocol: p.RESP}
}

func connect(p *Place) error {
	chosen := options(p)
	if p.RESP == 3 {
		chosen.Protocol = 0 // the library's default
	}
	client = redis.NewClient(chosen)
	info, err := client.ClientInfo(ctx).Result()
	if err != nil {
		return err
	}
	return First(client.Ping(ctx).Err(), Same("protocol", info.Resp, p.RESP), Same("library", info.LibName[:8], "go-redis"))
}

func stringsOverShards(p *Place) error {
	pairs, keys, want := []any{}, []string{}, []any{}
	for n := range 20 {
		keys = append(keys, p.Key(fmt.Sprint("s", n)))
		pairs = append(pairs, keys[n], n)
		want = append(want, fmt.Sprint(n))
	}
	set, err := client.Set(ctx, p.Key("a"), "\x00\r\n\xff", time.Minute).Result()
	got, err2 := client.Get(ctx, p.Key("a")).Result()
	_, missing := client.Get(ctx, p.Key("none")).Result()
	mset, err3 := client.MSet(ctx, pairs...).Result()
	mget, err4 := client.MGet(ctx, append(keys, p.Key("none"))...).Result()
	del, err5 := client.Del(ctx, append(keys, p.Key("none"))...).Result()
	return First(err, err2, err3, err4, err5, Same("SET", set, "OK"), Same("GET", got, "\x00\r\n\xff"),
		Same("no value", missing, redis.Nil), Same("MSET", mset, "OK"),
		Same("MGET", mget, append(want, nil)), Same("DEL", del, int64(20)))
}

func large(p *Place) error {
	value := strings.Repeat("0123456789abcdef", 1<<16)
	if err := client.Set(ctx, p.Key("large"), value, 0).Err(); err != nil {
		return err
	}
	got, err := client.Get(ctx, p.Key("large")).Result()
	return First(err, Same("a value of 1 MiB", got == value, true), client.Del(ctx, p.Key("large")).Err())
}

func collections(p *Place) error {
	h, z, x := p.Key("hash"), p.Key("zset"), p.Key("stream")
	err := First(client.Del(ctx, h, z, x).Err(), client.HSet(ctx, h, "f", "1", "g", "2").Err(),
		client.ZAdd(ctx, z, redis.Z{Score: 1, Member: "a"}, redis.Z{Score: 2.5, Member: "b"}).Err(),
		client.XAdd(ctx, &redis.XAddArgs{Stream: x, ID: "1-1", Values: []string{"f", "v"}}).Err())
	if err != nil {
		return err
	}
	all, err := client.HGetAll(ctx, h).Result()
	scores, err2 := client.ZRangeWithScores(ctx, z, 0, -1).Result()
	score, err3 := client.ZScore(ctx, z, "b").Result()
	read, err4 := client.XRead(ctx, &redis.XReadArgs{Streams: []string{x, "0"}, Block: -1}).Result()
	return First(err, err2, err3, err4, Same("HGETALL", all, map[string]string{"f": "1", "g": "2"}),
		Same("ZRANGE", scores, []redis.Z{{Score: 1, Member: "a"}, {Score: 2.5, Member: "b"}}),
		Same("ZSCORE", score, 2.5), Same("XREAD", read[0].Messages[0].Values, map[string]any{"f": "v"}))
}

func pipeline(p *Place) error {
	pipe := client.Pipeline()
	for n := range Many {
		pipe.Set(ctx, p.Key(fmt.Sprint("p", n)), n, 0)
		pipe.Get(ctx, p.Key(fmt.Sprint("p", n)))
	}
	replies, err := pipe.Exec(ctx)
	if err != nil {
		return err
	}
	for n := range Many {
		got, _ := replies[2*n+1].(*redis.StringCmd).Int()
		if err := Same("pipelined GET", got, n); err != nil {
			return err
		}
	}
	return nil
}

func transaction(p *Place) error {
	var sum *redis.IntCmd
	_, err := client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, p.Tagged("t"), "1", 0)
		sum = pipe.Incr(ctx, p.Tagged("t"))
		return nil
	})
	return First(err, Same("INCR", sum.Val(), int64(2)))
}

func watch(p *Place) error {
	key, tries := p.Tagged("w"), 0
	client.Set(ctx, key, "1", 0)
	add := func(tx *redis.Tx) error {
		value, err := tx.Get(ctx, key).Int()
		if tries++; tries == 1 {
			client.Set(ctx, key, "10", 0) // somebody else, in between
		}
		_, err2 := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			return pipe.Set(ctx, key, value+1, 0).Err()
		})
		return First(err, err2)
	}
	if err := client.Watch(ctx, add, key); !errors.Is(err, redis.TxFailedErr) {
		return fmt.Errorf("a transaction that was overtaken: %v", err)
	}
	err := client.Watch(ctx, add, key)
	return First(err, Same("value", client.Get(ctx, key).Val(), "11"))
}

func scan(p *Place) error {
	seen := map[string]int{}
	keys := client.Scan(ctx, 0, p.Key("p*"), 50).Iterator()
	for keys.Next(ctx) {
		seen[keys.Val()]++
	}
	return First(keys.Err(), Same("keys", len(seen), Many))
}

var double = redis.NewScript("return redis.call('get', KEYS[1]) * ARGV[1]")

func script(p *Place) error {
	client.Set(ctx, p.Key("n"), "21", 0)
	first, err := double.Run(ctx, client, []string{p.Key("n")}, 2).Int()
	second, err2 := double.Run(ctx, client, []string{p.Key("n")}, 4).Int()
	return First(err, err2, Same("script", first, 42), Same("script again", second, 84))
}

func scriptFlushed(p *Place) error {
	if err := client.ScriptFlush(ctx).Err(); err != nil {
		return err
	}
	there, err := double.Exists(ctx, client).Result()
	got, err2 := double.Run(ctx, client, []string{p.Key("n")}, 2).Int()
	return First(err, err2, Same("SCRIPT EXISTS", there, []bool{false}), Same("script", got, 42))
}

func publish(p *Place) error {
	sub := client.Subscribe(ctx, p.Key("channel"))
	defer sub.Close()
	if err := sub.PSubscribe(ctx, p.Key("pattern:*")); err != nil {
		return err
	}
	for range 2 {
		if _, err := sub.ReceiveTimeout(ctx, Patience); err != nil {
			return err
		}
	}
	for _, channel := range []string{p.Key("channel"), p.Key("pattern:1")} {
		heard, err := client.Publish(ctx, channel, "hello").Result()
		message, err2 := sub.ReceiveTimeout(ctx, Patience)
		if err := First(err, err2, Same("receivers", heard, int64(1))); err != nil {
			return err
		}
		got := message.(*redis.Message)
		if err := Same("message", got.Channel+" "+got.Payload, channel+" hello"); err != nil {
			return err
		}
	}
	return nil
}

func blocking(p *Place) error {
	_, err := client.BLPop(ctx, time.Second, p.Key("queue")).Result()
	if !errors.Is(err, redis.Nil) {
		return fmt.Errorf("BLPOP of an empty list: %v", err)
	}
	popped := make(chan []string)
	go func() { popped <- client.BLPop(ctx, Patience, p.Key("queue")).Val() }()
	err = client.RPush(ctx, p.Key("queue"), "job").Err()
	return First(err, Same("BLPOP", <-popped, []string{p.Key("queue"), "job"}))
}

func failure(p *Place) error {
	client.Set(ctx, p.Key("text"), "t", 0)
	wrong := client.LPush(ctx, p.Key("text"), "x").Err()
	if wrong == nil || !strings.HasPrefix(wrong.Error(), "WRONGTYPE") {
		return fmt.Errorf("LPUSH to a string: %v", wrong)
	}
	keys := []string{}
	for n := range 50 {
		keys = append(keys, p.Key(fmt.Sprint("none", n)))
	}
	crossed := client.SUnion(ctx, keys...).Err()
	if crossed == nil || !strings.HasPrefix(crossed.Error(), "CROSSSLOT") {
		return fmt.Errorf("keys of several shards: %v", crossed)
	}
	return Same("GET after errors", client.Get(ctx, p.Key("text")).Val(), "t")
}

func auth(p *Place) error {
	chosen := options(p)
	chosen.Addr, chosen.Username, chosen.Password = p.Guarded, "app", "app-secret"
	known := redis.NewClient(chosen)
	defer known.Close()
	set, err := known.Set(ctx, "app:"+p.Prefix, "1", 0).Result()
	foreign := known.Get(ctx, "other").Err()
	if foreign == nil || !strings.HasPrefix(foreign.Error(), "NOPERM") {
		return fmt.Errorf("a key that is not ours: %v", foreign)
	}
	wrong := options(p)
	wrong.Addr, wrong.Username, wrong.Password = p.Guarded, "app", "guessed"
	stranger := redis.NewClient(wrong)
	defer stranger.Close()
	refused := stranger.Ping(ctx).Err()
	if refused == nil || !strings.Contains(refused.Error(), "WRONGPASS") {
		return fmt.Errorf("a wrong password: %v", refused)
	}
	return First(err, Same("SET", set, "OK"))
}

func database(p *Place) error {
	chosen := options(p)
	chosen.DB = 1
	other := redis.NewClient(chosen)
	defer other.Close()
	before := other.Get(ctx, p.Key("text")).Err()
	set, err := other.Set(ctx, p.Key("text"), "elsewhere", 0).Result()
	return First(err, Same("of database 1", before, redis.Nil), Same("SET", set, "OK"),
		Same("of database 0", client.Get(ctx, p.Key("text")).Val(), "t"))
}

func secure(p *Place) error {
	chosen := options(p)
	chosen.Addr, chosen.TLSConfig = p.Secure, p.TLS
	other := redis.NewClient(chosen)
	defer other.Close()
	got, err := other.MGet(ctx, p.Key("text"), p.Key("n")).Result()
	return First(err, Same("MGET", got, []any{"t", "21"}))
}

func main() {
	Run([]Check{
		{"connect", connect}, {"strings", stringsOverShards}, {"large", large}, {"collections", collections},
		{"pipeline", pipeline}, {"transaction", transaction}, {"watch", watch}, {"scan", scan},
		{"script", script}, {"script_flushed", scriptFlushed}, {"publish", publish}, {"blocking", blocking},
		{"error", failure}, {"auth", auth}, {"database", database}, {"tls", secure},
	})
}
