"""What was measured: for each row and peer the values of all rounds; medians and ratios of them."""
import statistics

UNDER_TEST = "sheaf"


class Bar:
    """What Sheaf must reach: a ratio to the reference, or an absolute value; not to be exceeded, or
    at least."""

    def __init__(self, limit, is_ratio=True, words=None, at_least=False):
        self.limit, self.is_ratio, self.at_least = limit, is_ratio, at_least
        self.words = words or f"{'>=' if at_least else '<='} {limit:g}{' x' if is_ratio else ''}"

    def reached(self, value, ratio):
        found = ratio if self.is_ratio else value
        if found is None:
            return None
        return found >= self.limit if self.at_least else found <= self.limit


class Row:
    def __init__(self, name, group, title, unit, bar, reference):
        self.name, self.group, self.title, self.unit, self.bar = name, group, title, unit, bar
        self.reference = reference      # name of the peer that ratios are to
        self.values = {}        # peer name -> values, one a round; None where a round has none
        self.problems = {}      # peer name -> why there is nothing

    def add(self, peer, value):
        self.values.setdefault(peer, []).append(value)

    def value(self, peer):
        found = [v for v in self.values.get(peer, []) if v is not None]
        return statistics.median(found) if found else None

    def ratio(self, peer):
        """Median of the rounds' own ratios: what disturbs one round disturbs both sides of it."""
        pairs = zip(self.values.get(peer, []), self.values.get(self.reference, []))
        found = [a / b for a, b in pairs if a is not None and b]
        return statistics.median(found) if found else None

    def verdict(self):
        """PASS, FAIL, or None: no bar, or nothing measured."""
        if self.bar is None:
            return None
        reached = self.bar.reached(self.value(UNDER_TEST), self.ratio(UNDER_TEST))
        return None if reached is None else "PASS" if reached else "FAIL"


class Results:
    def __init__(self, reference, short):
        self.reference, self.short = reference, short   # a peer's name; a few letters for headings
        self.rows = {}
        self.notes = []         # sentences that belong under the table

    def row(self, name, group, title, unit, bar=None):
        if name not in self.rows:
            self.rows[name] = Row(name, group, title, unit, bar, self.reference)
        return self.rows[name]

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def groups(self):
        found = {}
        for row in self.rows.values():
            found.setdefault(row.group, []).append(row)
        return found

    def failed(self):
        return [row for row in self.rows.values() if row.verdict() == "FAIL"]
