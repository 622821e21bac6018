#!/usr/bin/python3
"""The clients of PHP, Ruby and Perl, as Debian packages them, with their default settings: they speak RESP2."""
# release only
from lib import *
from lib.story import CLIENTS, Story


class Packaged(Story):
    def test_phpredis(self):
        self.tells("/usr/bin/php", CLIENTS / "php/php_redis.php", resp=2)

    def test_predis(self):
        self.tells("/usr/bin/php", CLIENTS / "php/predis.php", resp=2)

    def test_redis_rb(self):
        self.tells("/usr/bin/ruby", CLIENTS / "redis_rb.rb", resp=2)

    def test_redis_pm(self):
        self.tells("/usr/bin/perl", CLIENTS / "redis_perl.pl", resp=2)


if __name__ == "__main__":
    main()
