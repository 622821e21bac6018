<?php
// phpredis with its default settings.
declare(strict_types=1);
require __DIR__ . '/story.php';

function client(string $port): Redis
{
    $redis = new Redis();
    same($redis->connect('127.0.0.1', (int) $port), true);
    return $redis;
}

// The library tells errors in two ways: false and getLastError(), or an exception.
function refused(Redis $redis, string $code, callable $call): void
{
    $redis->clearLastError();
    try {
        same($call(), false);
        $text = $redis->getLastError();
    } catch (RedisException $error) {
        $text = $error->getMessage();
    }
    same(str_starts_with((string) $text, $code) ? $code : $text, $code);
}

$redis = client($port);
$double = "return redis.call('get', KEYS[1]) * ARGV[1]";
$run = function (int $times) use ($redis, $double): mixed {
    $redis->clearLastError();
    $got = $redis->evalSha(sha1($double), [key_of('n'), $times], 1);
    return $redis->getLastError() === null ? $got : $redis->eval($double, [key_of('n'), $times], 1);
};

tell([
    'connect' => function () use ($redis) {
        same($redis->ping(), true);
        same(str_contains($redis->rawCommand('CLIENT', 'INFO'), ' resp=2 '), true);
    },
    'strings' => function () use ($redis) {
        same($redis->set(key_of('a'), "\0\r\n\xff", 60), true);
        same($redis->get(key_of('a')), "\0\r\n\xff");
        same($redis->get(key_of('none')), false);
        $keys = keys_of('s', 21);
        $values = array_map('strval', range(0, 19));
        same($redis->mset(array_combine(array_slice($keys, 0, 20), $values)), true);
        same($redis->mget($keys), [...$values, false]);
        same($redis->del($keys), 20);
    },
    'large' => function () use ($redis) {
        $value = str_repeat('0123456789abcdef', 1 << 16);
        same($redis->set(key_of('large'), $value), true);
        same($redis->get(key_of('large')) === $value, true);
        same($redis->del(key_of('large')), 1);
    },
    'collections' => function () use ($redis) {
        [$hash, $zset, $stream] = [key_of('hash'), key_of('zset'), key_of('stream')];
        $redis->del($hash, $zset, $stream);
        $redis->hMSet($hash, ['f' => '1', 'g' => '2']);
        $redis->zAdd($zset, 1, 'a', 2.5, 'b');
        $redis->xAdd($stream, '1-1', ['f' => 'v']);
        same($redis->hGetAll($hash), ['f' => '1', 'g' => '2']);
        same($redis->zRange($zset, 0, -1, true), ['a' => 1.0, 'b' => 2.5]);
        same($redis->zScore($zset, 'b'), 2.5);
        same($redis->xRead([$stream => '0']), [$stream => ['1-1' => ['f' => 'v']]]);
    },
    'pipeline' => function () use ($redis) {
        $pipe = $redis->multi(Redis::PIPELINE);
        $want = [];
        foreach (keys_of('p', MANY) as $n => $key) {
            $pipe->set($key, (string) $n)->get($key);
            array_push($want, true, (string) $n);
        }
        same($pipe->exec(), $want);
    },
    'transaction' => function () use ($redis) {
        same($redis->multi()->set(tagged('t'), '1')->incr(tagged('t'))->exec(), [true, 2]);
    },
    'watch' => function () use ($redis, $port) {
        $redis->set(tagged('w'), '1');
        foreach ([true, false] as $overtaken) {
            $redis->watch(tagged('w'));
            $value = (int) $redis->get(tagged('w'));
            if ($overtaken) {
                client($port)->set(tagged('w'), '10'); // somebody else, in between
            }
            same($redis->multi()->set(tagged('w'), (string) ($value + 1))->exec(), $overtaken ? false : [true]);
        }
        same($redis->get(tagged('w')), '11');
    },
    'scan' => function () use ($redis) {
        [$cursor, $seen] = [null, []];
        do {
            foreach ($redis->scan($cursor, key_of('p*'), 50) ?: [] as $key) {
                $seen[$key] = true;
            }
        } while ($cursor > 0);
        $want = array_fill_keys(keys_of('p', MANY), true);
        ksort($seen);
        ksort($want);
        same($seen, $want);
    },
    'script' => function () use ($redis, $double, $run) {
        $redis->set(key_of('n'), '21');
        same($redis->script('load', $double), sha1($double));
        same([$run(2), $run(4)], [42, 84]);
    },
    'script_flushed' => function () use ($redis, $double, $run) {
        same($redis->script('flush'), true);
        same($redis->script('exists', sha1($double)), [0]);
        same([$run(2), $run(4)], [42, 84]);
    },
    'publish' => function () use ($port) {
        $say = fn(string $channel) => function (Redis $other) use ($channel) {
            while ($other->publish($channel, 'hello') < 1) {
                usleep(1000);
            }
        };
        foreach (['subscribe' => ['channel', 'channel'], 'psubscribe' => ['pattern:*', 'pattern:1']] as $how => [$to, $from]) {
            $subscriber = client($port);
            $child = beside($say(key_of($from)));
            $got = null;
            try {
                $subscriber->$how([key_of($to)], function (Redis $redis, string ...$heard) use (&$got) {
                    $got = array_slice($heard, -2);
                    $redis->close();
                });
            } catch (RedisException) { // the way out of subscribe(): the connection is closed
            }
            pcntl_waitpid($child, $status);
            same($got, [key_of($from), 'hello']);
        }
    },
    'blocking' => function () use ($redis) {
        same($redis->blPop([key_of('queue')], 1), []);
        $child = beside(fn(Redis $other) => $other->rPush(key_of('queue'), 'job'));
        same($redis->blPop([key_of('queue')], 30), [key_of('queue'), 'job']);
        pcntl_waitpid($child, $status);
    },
    'error' => function () use ($redis) {
        $redis->set(key_of('text'), 't');
        refused($redis, 'WRONGTYPE', fn() => $redis->lPush(key_of('text'), 'x'));
        refused($redis, 'CROSSSLOT', fn() => $redis->sUnion(...keys_of('none', 50)));
        same($redis->get(key_of('text')), 't');
    },
    'auth' => function () use ($guarded_port, $prefix) {
        $known = client($guarded_port);
        refused($known, 'WRONGPASS', fn() => $known->auth(['app', 'guessed']));
        same($known->auth(['app', 'app-secret']), true);
        same($known->set("app:$prefix", '1'), true);
        refused($known, 'NOPERM', fn() => $known->get('other'));
    },
    'database' => function () use ($redis, $port) {
        $other = client($port);
        same($other->select(1), true);
        same($other->get(key_of('text')), false);
        same($other->set(key_of('text'), 'elsewhere'), true);
        same($redis->get(key_of('text')), 't');
    },
    'tls' => function () use ($tls_port, $authority) {
        $other = new Redis();
        $context = ['stream' => ['cafile' => $authority]];
        same($other->connect('tls://127.0.0.1', (int) $tls_port, 0, null, 0, 0, $context), true);
        same($other->mget([key_of('text'), key_of('n')]), ['t', '21']);
    },
]);
