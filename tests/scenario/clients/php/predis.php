<?php
// Predis with its default settings.
declare(strict_types=1);
require __DIR__ . '/story.php';
require 'Predis/autoload.php';

use Predis\Client;
use Predis\Collection\Iterator\Keyspace;
use Predis\Command\ScriptCommand;
use Predis\PredisException;
use Predis\Transaction\AbortedMultiExecException;

class Doubled extends ScriptCommand
{
    protected function getKeysCount()
    {
        return 1;
    }

    public function getScript()
    {
        return "return redis.call('get', KEYS[1]) * ARGV[1]";
    }
}

function client(string $port, array $more = []): Client
{
    return new Client(['host' => '127.0.0.1', 'port' => (int) $port] + $more);
}

function refused(string $code, callable $call): void
{
    try {
        $got = $call();
    } catch (PredisException $error) {
        same(str_starts_with($error->getMessage(), $code) ? $code : $error->getMessage(), $code);
        return;
    }
    throw new Exception(var_export($got, true) . ", not $code");
}

$redis = client($port);
$redis->getProfile()->defineCommand('doubled', Doubled::class);

tell([
    'connect' => function () use ($redis) {
        same((string) $redis->ping(), 'PONG');
        same(str_contains($redis->executeRaw(['CLIENT', 'INFO']), ' resp=2 '), true);
    },
    'strings' => function () use ($redis) {
        same((string) $redis->set(key_of('a'), "\0\r\n\xff", 'EX', 60), 'OK');
        same($redis->get(key_of('a')), "\0\r\n\xff");
        same($redis->get(key_of('none')), null);
        $keys = keys_of('s', 21);
        $values = array_map('strval', range(0, 19));
        same((string) $redis->mset(array_combine(array_slice($keys, 0, 20), $values)), 'OK');
        same($redis->mget($keys), [...$values, null]);
        same($redis->del($keys), 20);
    },
    'large' => function () use ($redis) {
        $value = str_repeat('0123456789abcdef', 1 << 16);
        same((string) $redis->set(key_of('large'), $value), 'OK');
        same($redis->get(key_of('large')) === $value, true);
        same($redis->del(key_of('large')), 1);
    },
    'collections' => function () use ($redis) {
        [$hash, $zset, $stream] = [key_of('hash'), key_of('zset'), key_of('stream')];
        $redis->del([$hash, $zset, $stream]);
        $redis->hmset($hash, ['f' => '1', 'g' => '2']);
        $redis->zadd($zset, ['a' => 1, 'b' => 2.5]);
        $redis->executeRaw(['XADD', $stream, '1-1', 'f', 'v']);
        same($redis->hgetall($hash), ['f' => '1', 'g' => '2']);
        same($redis->zrange($zset, 0, -1, ['withscores' => true]), ['a' => '1', 'b' => '2.5']);
        same($redis->zscore($zset, 'b'), '2.5');
        same($redis->executeRaw(['XREAD', 'STREAMS', $stream, '0']), [[$stream, [['1-1', ['f', 'v']]]]]);
    },
    'pipeline' => function () use ($redis) {
        $got = $redis->pipeline(function ($pipe) {
            foreach (keys_of('p', MANY) as $n => $key) {
                $pipe->set($key, (string) $n);
                $pipe->get($key);
            }
        });
        $want = array_merge(...array_map(fn(int $n) => ['OK', (string) $n], range(0, MANY - 1)));
        same(array_map('strval', $got), $want);
    },
    'transaction' => function () use ($redis) {
        $got = $redis->transaction(function ($transaction) {
            $transaction->set(tagged('t'), '1');
            $transaction->incr(tagged('t'));
        });
        same([(string) $got[0], $got[1]], ['OK', 2]);
    },
    'watch' => function () use ($redis, $port) {
        $redis->set(tagged('w'), '1');
        $tries = 0;
        $add = function ($transaction) use ($port, &$tries) {
            $value = (int) $transaction->get(tagged('w'));
            if ($tries++ === 0) {
                client($port)->set(tagged('w'), '10'); // somebody else, in between
            }
            $transaction->multi();
            $transaction->set(tagged('w'), (string) ($value + 1));
        };
        $options = ['watch' => tagged('w'), 'cas' => true];
        try {
            $redis->transaction($options, $add);
            throw new Exception('what was overtaken was done');
        } catch (AbortedMultiExecException) {
            $redis->transaction($options, $add);
        }
        same([$tries, $redis->get(tagged('w'))], [2, '11']);
    },
    'scan' => function () use ($redis) {
        $seen = array_unique(iterator_to_array(new Keyspace($redis, key_of('p*'), 50), false));
        $want = keys_of('p', MANY);
        sort($seen);
        sort($want);
        same($seen, $want);
    },
    'script' => function () use ($redis) {
        $redis->set(key_of('n'), '21');
        same([$redis->doubled(key_of('n'), 2), $redis->doubled(key_of('n'), 4)], [42, 84]);
    },
    'script_flushed' => function () use ($redis) {
        same((string) $redis->script('flush'), 'OK');
        same($redis->script('exists', sha1((new Doubled())->getScript())), [0]);
        same([$redis->doubled(key_of('n'), 2), $redis->doubled(key_of('n'), 4)], [42, 84]);
    },
    'publish' => function () use ($redis, $port) {
        $loop = client($port)->pubSubLoop(['subscribe' => key_of('channel'), 'psubscribe' => key_of('pattern:*')]);
        foreach (['subscribe', 'psubscribe'] as $kind) {
            same($loop->current()->kind, $kind);
        }
        foreach ([key_of('channel'), key_of('pattern:1')] as $channel) {
            same($redis->publish($channel, 'hello'), 1);
            $message = $loop->current();
            same([$message->channel, $message->payload], [$channel, 'hello']);
        }
        $loop->stop(true);
    },
    'blocking' => function () use ($redis) {
        same($redis->blpop([key_of('queue')], 0.05), null);
        $child = beside(fn(Client $other) => $other->rpush(key_of('queue'), ['job']));
        same($redis->blpop([key_of('queue')], 30), [key_of('queue'), 'job']);
        pcntl_waitpid($child, $status);
    },
    'error' => function () use ($redis) {
        $redis->set(key_of('text'), 't');
        refused('WRONGTYPE', fn() => $redis->lpush(key_of('text'), ['x']));
        refused('CROSSSLOT', fn() => $redis->sunion(keys_of('none', 50)));
        same($redis->get(key_of('text')), 't');
    },
    'auth' => function () use ($guarded_port, $prefix) {
        $known = client($guarded_port); // this version has no option for users
        refused('WRONGPASS', fn() => $known->auth('app', 'guessed'));
        same((string) $known->auth('app', 'app-secret'), 'OK');
        same((string) $known->set("app:$prefix", '1'), 'OK');
        refused('NOPERM', fn() => $known->get('other'));
    },
    'database' => function () use ($redis, $port) {
        $other = client($port, ['database' => 1]);
        same($other->get(key_of('text')), null);
        same((string) $other->set(key_of('text'), 'elsewhere'), 'OK');
        same($redis->get(key_of('text')), 't');
    },
    'tls' => function () use ($tls_port, $authority) {
        $other = client($tls_port, ['scheme' => 'tls', 'ssl' => ['cafile' => $authority]]);
        same($other->mget([key_of('text'), key_of('n')]), ['t', '21']);
    },
]);
