# Redis.pm with its default settings: perl redis_perl.pl PORT GUARDED_PORT TLS_PORT AUTHORITY PREFIX RESP.
# See tests/scenario/lib/story.py for what it prints.
use strict;
use warnings FATAL => 'all';
use Digest::SHA qw(sha1_hex);
use IO::Socket::SSL;
use Redis;

my $MANY     = 300;
my $PATIENCE = 30; # seconds, for what must come
my $DOUBLE   = "return redis.call('get', KEYS[1]) * ARGV[1]";
my ($port, $guarded_port, $tls_port, $authority, $prefix) = @ARGV;

sub client { my ($at, %options) = @_; return Redis->new(server => "127.0.0.1:$at", %options); }
sub key    { return "$prefix:$_[0]"; }
sub keys_of { my ($name, $count) = @_; return map { key("$name$_") } 0 .. $count - 1; }
sub tagged { return "{$prefix}:$_[0]"; }

sub plain {
    my ($value) = @_;
    return ref $value eq 'ARRAY' ? '[' . join(',', map { plain($_) } @$value) . ']' : $value // '(null)';
}

sub same {
    my ($got, $want) = map { plain($_) } @_;
    die "$got, not $want\n" if $got ne $want;
}

sub refused {
    my ($code, $call) = @_;
    my $got = eval { $call->() };
    die plain($got) . ", not $code: $@\n" if $@ !~ /\b$code/;
}

my $redis = client($port);

# The library has no object for scripts: its users do this.
sub run {
    my ($times) = @_;
    my $got = eval { $redis->evalsha(sha1_hex($DOUBLE), 1, key('n'), $times) };
    return $got if !$@;
    die $@ if $@ !~ /NOSCRIPT/;
    return $redis->eval($DOUBLE, 1, key('n'), $times);
}

sub hears {
    my ($how, $to, $from) = @_;
    my ($subscriber, @heard) = client($port);
    $subscriber->$how($to, sub { push @heard, "$_[1] $_[0]" });
    same($redis->publish($from, 'hello'), 1);
    for (my $tries = 0; !@heard && $tries < 10 * $PATIENCE; $tries++) {
        $subscriber->wait_for_messages(0.1);
    }
    same(\@heard, ["$from hello"]);
}

my @checks = (
    connect => sub {
        same($redis->ping, 'PONG');
        same($redis->client('INFO') =~ / resp=2 / ? 1 : 0, 1);
    },
    strings => sub {
        same($redis->set(key('a'), "\0\r\n\xff", 'EX', 60), 'OK');
        same($redis->get(key('a')),    "\0\r\n\xff");
        same($redis->get(key('none')), undef);
        my @keys = keys_of('s', 21);
        same($redis->mset(map { ($keys[$_], $_) } 0 .. 19), 'OK');
        same([$redis->mget(@keys)], [0 .. 19, undef]);
        same($redis->del(@keys), 20);
    },
    large => sub {
        my $value = '0123456789abcdef' x (1 << 16);
        same($redis->set(key('large'), $value), 'OK');
        die "it came back as something else\n" if $redis->get(key('large')) ne $value;
        same($redis->del(key('large')), 1);
    },
    collections => sub {
        my ($hash, $zset, $stream) = map { key($_) } qw(hash zset stream);
        $redis->del($hash, $zset, $stream);
        $redis->hset($hash, 'f', 1, 'g', 2);
        $redis->zadd($zset, 1, 'a', 2.5, 'b');
        $redis->xadd($stream, '1-1', 'f', 'v');
        same([$redis->hgetall($hash)], ['f', 1, 'g', 2]);
        same([$redis->zrange($zset, 0, -1, 'WITHSCORES')], ['a', 1, 'b', 2.5]);
        same($redis->zscore($zset, 'b'), 2.5);
        same([$redis->xread('STREAMS', $stream, 0)], [[$stream, [['1-1', ['f', 'v']]]]]);
    },
    pipeline => sub {
        my (@got, @want);
        for my $n (0 .. $MANY - 1) {
            $redis->set(key("p$n"), $n, sub { push @got, $_[0] });
            $redis->get(key("p$n"), sub { push @got, $_[0] });
            push @want, 'OK', $n;
        }
        $redis->wait_all_responses;
        same(\@got, \@want);
    },
    transaction => sub {
        $redis->multi;
        same($redis->set(tagged('t'), 1), 'QUEUED');
        same($redis->incr(tagged('t')),   'QUEUED');
        same([$redis->exec], ['OK', 2]);
    },
    watch => sub {
        $redis->set(tagged('w'), 1);
        for my $overtaken (1, 0) {
            $redis->watch(tagged('w'));
            my $value = $redis->get(tagged('w'));
            client($port)->set(tagged('w'), 10) if $overtaken; # somebody else, in between
            $redis->multi;
            $redis->set(tagged('w'), $value + 1);
            same([$redis->exec], $overtaken ? [undef] : ['OK']);
        }
        same($redis->get(tagged('w')), 11);
    },
    scan => sub {
        my ($cursor, $keys, %seen) = (0);
        do {
            ($cursor, $keys) = $redis->scan($cursor, 'MATCH', key('p*'), 'COUNT', 50);
            $seen{$_}++ for @$keys;
        } while ($cursor ne '0');
        same([sort keys %seen], [sort(keys_of('p', $MANY))]);
    },
    script => sub {
        $redis->set(key('n'), 21);
        same($redis->script_load($DOUBLE), sha1_hex($DOUBLE));
        same([run(2), run(4)], [42, 84]);
    },
    script_flushed => sub {
        same($redis->script_flush, 'OK');
        same([$redis->script_exists(sha1_hex($DOUBLE))], [0]);
        same([run(2), run(4)], [42, 84]);
    },
    publish => sub {
        hears('subscribe',  key('channel'),   key('channel'));
        hears('psubscribe', key('pattern:*'), key('pattern:1'));
    },
    blocking => sub {
        same(scalar $redis->blpop(key('queue'), 0.05), undef);
        my $child = fork // die $!;
        if ($child == 0) {
            client($port)->rpush(key('queue'), 'job');
            kill 'KILL', $$; # leaves the parent's connections alone
        }
        same([$redis->blpop(key('queue'), $PATIENCE)], [key('queue'), 'job']);
        waitpid $child, 0;
    },
    error => sub {
        $redis->set(key('text'), 't');
        refused('WRONGTYPE', sub { $redis->lpush(key('text'), 'x') });
        refused('CROSSSLOT', sub { $redis->sunion(keys_of('none', 50)) });
        same($redis->get(key('text')), 't');
    },
    auth => sub {
        my $known = client($guarded_port, username => 'app', password => 'app-secret');
        same($known->set("app:$prefix", 1), 'OK');
        refused('NOPERM', sub { $known->get('other') });
        refused('WRONGPASS', sub { client($guarded_port, username => 'app', password => 'guessed')->ping });
    },
    database => sub {
        my $other = client($port, on_connect => sub { $_[0]->select(1) });
        same($other->get(key('text')), undef);
        same($other->set(key('text'), 'elsewhere'), 'OK');
        same($redis->get(key('text')), 't');
    },
    tls => sub {
        IO::Socket::SSL::set_client_defaults(SSL_ca_file => $authority); # it has no option of its own
        my $other = client($tls_port, ssl => 1);
        same([$other->mget(key('text'), key('n'))], ['t', 21]);
    },
);

$| = 1;
while (my ($name, $check) = splice @checks, 0, 2) {
    if (!eval { $check->(); 1 }) {
        print "failed $name: $@";
        exit 1;
    }
    print "ok $name\n";
}
