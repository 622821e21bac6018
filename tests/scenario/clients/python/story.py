"""What the programs of this folder have in common: their arguments, and a line for each check."""
import sys
import traceback

MANY = 300
PATIENCE = 30  # seconds, for what must come


class Place:
    def __init__(self, port, guarded_port, tls_port, authority, prefix, resp):
        self.port, self.guarded_port, self.tls_port = int(port), int(guarded_port), int(tls_port)
        self.authority, self.prefix, self.resp = authority, prefix, int(resp)

    def key(self, name):
        return f"{self.prefix}:{name}"

    def tagged(self, name):
        return f"{{{self.prefix}}}:{name}"


place = Place(*sys.argv[1:])


def same(got, want):
    assert got == want, f"{got!r}, not {want!r}"


def refused(kind, code, function, *arguments):
    try:
        got = function(*arguments)
    except kind as error:
        assert code in str(error), repr(error)
    else:
        raise AssertionError(f"{got!r}, not {code}")


def tell(checks):
    """Runs (name, function) one after the other, up to the first that fails."""
    for name, function in checks:
        try:
            function()
        except Exception as error:  # pylint: disable=broad-except
            traceback.print_exc()
            print(f"failed {name}: {error!r}", flush=True)
            sys.exit(1)
        print("ok", name, flush=True)
