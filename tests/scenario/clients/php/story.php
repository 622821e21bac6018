<?php
// What the programs of this folder have in common: their arguments, and a line for each check.
declare(strict_types=1);
error_reporting(E_ALL & ~E_DEPRECATED); // a library may be older than PHP
set_error_handler(function (int $level, string $text): bool {
    return error_reporting() & $level ? throw new ErrorException($text) : false;
});

const MANY = 300;
[, $port, $guarded_port, $tls_port, $authority, $prefix] = $argv;

function key_of(string $name): string
{
    global $prefix;
    return "$prefix:$name";
}

function tagged(string $name): string
{
    global $prefix;
    return '{' . $prefix . "}:$name";
}

function keys_of(string $name, int $count): array
{
    return array_map(fn(int $n) => key_of("$name$n"), range(0, $count - 1));
}

function same(mixed $got, mixed $want): void
{
    if ($got !== $want) {
        throw new Exception(var_export($got, true) . ', not ' . var_export($want, true));
    }
}

// Runs a function in a process of its own, with a connection of its own.
function beside(callable $do): int
{
    global $port;
    $child = pcntl_fork();
    if ($child === 0) {
        try {
            $do(client($port));
        } catch (Throwable $error) {
            fwrite(STDERR, "$error\n");
        }
        posix_kill(posix_getpid(), SIGKILL); // leaves the parent's connections alone
    }
    return $child;
}

// Runs the checks one after the other, up to the first that fails.
function tell(array $checks): void
{
    foreach ($checks as $name => $check) {
        try {
            $check();
        } catch (Throwable $error) {
            fwrite(STDERR, "$error\n");
            echo "failed $name: {$error->getMessage()}\n";
            exit(1);
        }
        echo "ok $name\n";
    }
}
