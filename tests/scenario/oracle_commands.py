#!/usr/bin/python3
"""The command table against what a real server says of its commands."""
import pathlib
import re
import subprocess

from lib import *
from lib.sheaf import BINARY

TOOL = pathlib.Path(BINARY).parent / "redis_commands"

# As in shard/redis_command.h.
FLAGS = {"write": 0, "readonly": 1, "denyoom": 2, "fast": 3, "admin": 4, "pubsub": 5, "noscript": 6,
         "blocking": 7, "no_auth": 8, "no_multi": 9, "movablekeys": 10}
KEYS_CHANNELS = 3

# Where a later version takes fewer words than 7.0, or more.
MORE_PERMISSIVE = {"zrank", "zrevrank", "command|getkeys", "command|getkeysandflags"}

EXAMPLES = """
    set k v | get k | mget a b c | mset a 1 b 2 | msetnx a 1 b 2 | del a b | unlink a | exists a b
    touch a b | append k v | lcs a b LEN | bitop AND d a b | bitop NOT d a | rename a b | renamenx a b
    copy a b DB 1 REPLACE | smove a b m | sinterstore d a b | sdiff a b | sunionstore d a
    sintercard 2 a b | sintercard 1 a LIMIT 5 | lmpop 2 a b LEFT | lmpop 1 a RIGHT COUNT 2
    blmpop 0 2 a b LEFT | blpop a b 0 | brpop a 1 | brpoplpush a b 0 | blmove a b LEFT RIGHT 0
    lmove a b LEFT LEFT | rpoplpush a b | zmpop 2 a b MIN | zmpop 1 a MAX COUNT 3
    bzmpop 0 1 a MIN | bzpopmin a b 0 | bzpopmax a 0 | zunion 2 a b WEIGHTS 1 2 | zinter 1 a
    zdiff 2 a b WITHSCORES | zintercard 2 a b LIMIT 1 | zunionstore d 2 a b | zinterstore d 1 a
    zdiffstore d 2 a b | zrangestore d a 0 1 | geosearchstore d a FROMMEMBER m BYRADIUS 1 m
    georadius k 1 2 3 m | georadius k 1 2 3 m STORE d | georadius k 1 2 3 m STOREDIST d
    georadius k 1 2 3 m WITHDIST COUNT 3 STORE d
    georadiusbymember k m 3 km | georadiusbymember k m 3 km STORE d
    georadiusbymember k m 3 km ASC STOREDIST d | sort k | sort k LIMIT 0 10 ALPHA
    sort k STORE d | sort k BY p GET g GET # DESC STORE d | sort k BY nosort GET get STORE d
    sort_ro k BY p LIMIT 1 2 GET g | xread STREAMS a b 0 1 | xread COUNT 1 BLOCK 0 STREAMS a 0
    xread BLOCK 10 STREAMS a b c 0 0 0 | xreadgroup GROUP g c STREAMS a 0
    xreadgroup GROUP streams c COUNT 2 NOACK STREAMS a b 0 1 | xadd k * f v | xgroup CREATE k g $
    xgroup SETID k g 0 | xinfo STREAM k FULL | xinfo CONSUMERS k g | xautoclaim k g c 0 0
    eval s 2 a b c | eval_ro s 1 a | evalsha x 1 a b | evalsha_ro x 2 a b
    fcall f 2 a b c | fcall_ro f 1 a | object ENCODING k | object FREQ k | memory USAGE k
    memory USAGE k SAMPLES 5 | pfcount a b | pfmerge d a b | pfdebug GETREG k | restore k 0 v REPLACE
    restore-asking k 0 v | migrate h 1 k 0 9 | migrate h 1 k 0 9 COPY REPLACE AUTH p
    migrate h 1 - 0 9 KEYS a b | migrate h 1 - 0 9 AUTH2 keys p KEYS a b c | watch a b | dump k
    expire k 1 NX | scan 0 | keys p | eval s 0 | fcall f 0 x
"""

MISTAKES = """
    foo a b | foo | client foo x | client | get | get a b | mset a b c | msetnx a 1 b | eval s 5 a
    eval s -1 | eval s q | zunionstore d 0 x | zunionstore d 3 x | zunion q x
    zunion 5 x | zunion -1 x | zinter 0 x | zintercard 0 x | zintercard 9 x | zintercard q x
    zdiffstore d q x | sintercard 0 x | sintercard 5 x | sintercard q x | lmpop 0 x LEFT
    lmpop q x LEFT | lmpop 3 x LEFT | blmpop 0 0 x LEFT | zmpop 0 x MIN | zmpop -3 x MIN
    bzmpop 0 0 x MIN | xread STREAMS a 0 b | xread FOO a 0 | xread COUNT 1 STREAMS
    xread BLOCK 1 COUNT | xreadgroup GROUP g c STREAMS a b 0 | sort k STORE | sort k LIMIT 1
    sort k FOO | sort_ro k STORE d | georadius k 1 2 3 m STORE | migrate h 1 k 0 9 KEYS a
    migrate h 1 k 0 9 FOO | config set x | object foo k | object encoding | xgroup create
    xinfo foo k | slowlog foo | pubsub foo
"""


def words_of(text):
    return [line.split() for part in text.strip().splitlines() for line in part.split("|") if line.split()]


def empty_for_dash(words):
    return [b"" if w == "-" else w.encode() for w in words]


def tool(*arguments, text=b""):
    done = subprocess.run([TOOL, *arguments], input=text, capture_output=True, check=False)
    return done.stdout.decode(errors="replace").splitlines()


def tool_keys(commands):
    lines = [" ".join(w.hex() or "-" for w in words) for words in commands]
    answers = tool("keys", text="\n".join(lines).encode() + b"\n")
    assert len(answers) == len(commands), answers
    return answers


class Commands(Case):
    @classmethod
    def setUpClass(cls):
        cls.redis = RedisServer(cls)
        cls.theirs = {}
        for command in cls.redis.ask("COMMAND"):
            for one in [command, *command[9]]:
                cls.theirs[one[0].decode()] = one
        cls.ours = {line[0]: [line[0], *map(int, line[1:])]
                    for line in (line.split("\t") for line in tool())}
        # 7 and older are all in the table; what later ones add may have to be learned.
        info = cls.redis.ask("INFO", "server").decode()
        cls.version = int(re.search(r"redis_version:(\d+)", info)[1])
        text = (REPOSITORY / "shard/redis_category.def").read_text()
        cls.categories = {"@" + name: int(bit) for name, bit in re.findall(r'"(\w+)", (\d+)\)', text)}

    def common(self):
        return sorted(set(self.ours) & set(self.theirs))

    def test_every_command_of_the_server_is_known(self):
        self.assertGreater(len(self.theirs), 200)
        missing = set(self.theirs) - set(self.ours)
        if self.version <= 7:
            self.assertEqual(missing, set())

    def test_arities_are_the_server_s(self):
        for name in self.common():
            ours, theirs = self.ours[name][1], self.theirs[name][1]
            if name in MORE_PERMISSIVE:
                self.assertTrue(ours < 0 and -ours <= abs(theirs), name)
            else:
                self.assertEqual(ours, theirs, name)

    def test_flags_are_the_server_s(self):
        for name in self.common():
            theirs = {f for f in self.theirs[name][2] if f in FLAGS}
            ours = {f for f, bit in FLAGS.items() if self.ours[name][2] >> bit & 1}
            self.assertEqual(ours, theirs, name)

    def test_categories_are_the_server_s(self):
        for name in self.common():
            theirs = {c for c in self.theirs[name][6] if c in self.categories}
            ours = {c for c, bit in self.categories.items() if self.ours[name][3] >> bit & 1}
            self.assertEqual(ours, theirs, name)

    def server_keys(self, words):
        """The keys that the server finds; None if it cannot tell."""
        found = self.redis.ask("COMMAND", "GETKEYS", *words)
        if isinstance(found, Failure):
            return [] if "no key arguments" in found else None
        return found

    def compare_keys(self, commands):
        compared = 0
        for words, ours in zip(commands, tool_keys(commands)):
            theirs = self.server_keys(words)
            if words == [b"pfmerge", b"w1"]:
                continue  # it runs, but GETKEYS refuses it
            if theirs is None:
                self.assertTrue(ours.startswith(("error", "arity")), f"{words}: {ours}")
                continue
            self.assertRegex(ours, r"^[\d ]*$", str(words))
            self.assertEqual([words[int(place)] for place in ours.split()], theirs, str(words))
            compared += 1
        return compared

    def test_keys_of_examples_are_where_the_server_finds_them(self):
        commands = [empty_for_dash(words) for words in words_of(EXAMPLES)]
        self.assertEqual(self.compare_keys(commands), len(commands))

    def test_keys_of_all_commands_with_fixed_places_are_where_the_server_finds_them(self):
        commands = []
        for name in self.common():
            _, arity, flags, first = self.theirs[name][:4]
            if first <= 0 or "movablekeys" in flags or self.ours[name][4] == KEYS_CHANNELS:
                continue
            for more in [0] if arity > 0 else [0, 2, 4]:
                words = name.encode().split(b"|")
                words += [b"w%d" % i for i in range(len(words), abs(arity) + more)]
                commands.append(words)
        self.assertGreater(self.compare_keys(commands), 300)

    def test_every_command_with_movable_keys_has_an_example(self):
        shown = {words[0].lower() for words in words_of(EXAMPLES)}
        for name in self.common():
            if "movablekeys" in self.theirs[name][2]:
                self.assertIn(name, shown)

    def test_mistakes_are_told_in_the_server_s_words(self):
        commands = [empty_for_dash(words) for words in words_of(MISTAKES)]
        for words, ours in zip(commands, tool_keys(commands)):
            theirs = self.redis.ask(*words)
            self.assertIsInstance(theirs, Failure, str(words))
            self.assertEqual(ours.partition(" ")[2].rstrip(), theirs.rstrip(), str(words))

    def test_the_server_s_whole_reply_is_readable_in_both_protocols(self):
        for version in ("2", "3"):
            with self.redis.connect() as session:
                session.ask("HELLO", version)
                session.send(encode("COMMAND"))
                answer = tool("learned", text=session.reply_bytes())
            self.assertRegex(answer[0], r"^\d+$")
            if self.version <= 7:
                self.assertEqual(answer, ["0"])


if __name__ == "__main__":
    main()
