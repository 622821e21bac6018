#!/usr/bin/perl
# What Perl's two memcached clients do with a pool; prints a line for each.
use strict;
use warnings;
use Cache::Memcached;
use Cache::Memcached::Fast;

my $address = $ARGV[0];

sub check {
    my ($what, $found, $expected) = @_;
    $found = defined $found ? $found : "undef";
    die "$what: $found, expected $expected\n" if $found ne $expected;
}

for my $class (qw(Cache::Memcached Cache::Memcached::Fast)) {
    my $cache = $class->new({ servers => [$address], namespace => "$class:" });
    $cache->flush_all;
    check("set", $cache->set("k$_", "value$_"), 1) for 1 .. 50;
    check("get", $cache->get("k7"), "value7");
    check("get of none", scalar $cache->get("none"), "undef");
    my $many = $cache->get_multi(map { "k$_" } 1 .. 60);
    check("get_multi", scalar(keys %$many), 50);
    check("get_multi's values", join(",", map { $many->{"k$_"} } 1 .. 3), "value1,value2,value3");
    check("reference", ($cache->set("ref", { a => [1, 2] }), $cache->get("ref")->{a}[1])[-1], 2);
    check("add", $cache->add("k1", "x") ? 1 : 0, 0);
    check("replace", $cache->replace("k1", "y"), 1);
    check("count", ($cache->set("n", 5), $cache->incr("n", 3), $cache->decr("n"))[-1], 7);
    check("large", ($cache->set("large", "x" x 900_000), length $cache->get("large"))[-1], 900_000);
    check("delete", $cache->delete("k1"), 1);
    check("deleted", scalar $cache->get("k1"), "undef");
    print "$class is content\n";
}
