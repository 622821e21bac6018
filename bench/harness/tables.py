"""The measured table, for a terminal and as Markdown, and everything as JSON."""
import json

from .results import UNDER_TEST


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"


def names(peers):
    return {peer.name: peer.title for peer in peers}


def ratio_text(row):
    found = row.ratio(UNDER_TEST)
    return "" if found is None else f"{found:.2f}"


def row_title(row):
    return f"{row.title}{', ' if row.unit else ''}{row.unit}"


def terminal(results, peers):
    titles = names(peers)
    width = max([len(row_title(r)) for r in results.rows.values()] + [20]) + 4
    out = []
    for group, rows in results.groups().items():
        heads = "".join(f"{title[:13]:>14}" for title in titles.values())
        out += ["", f"{group}", " " * width + heads + f"{'Sheaf/' + results.short:>13}  bar"]
        for row in rows:
            cells = "".join(f"{number(row.value(name)):>14}" for name in titles)
            verdict = row.verdict() or ("" if row.bar is None else "not measured")
            bar = "" if row.bar is None else f"{row.bar.words}  {verdict}"
            out.append(f"  {row_title(row):<{width - 2}}{cells}{ratio_text(row):>13}  {bar}".rstrip())
    return "\n".join(out + [""] + problems(results, titles) + results.notes)


def problems(results, titles):
    """Each reason for missing values once."""
    found = {}
    for row in results.rows.values():
        for name, text in row.problems.items():
            found.setdefault((name, text), []).append(row.group)
    return [f"{titles.get(name, name)}: {text} ({where(groups, results)})"
            for (name, text), groups in found.items()]


def where(groups, results):
    groups = list(dict.fromkeys(groups))
    return "all rows" if len(groups) == len(results.groups()) else "; ".join(groups)


def markdown(results, peers, about):
    titles = names(peers)
    out = [about, ""]
    for group, rows in results.groups().items():
        out += [f"**{group}**", "",
                "| | " + " | ".join(titles.values()) +
                f" | Sheaf/{titles.get(results.reference, results.reference)} | bar | |",
                "|---|" + "---:|" * (len(titles) + 1) + "---|---|"]
        for row in rows:
            cells = " | ".join(number(row.value(name)) for name in titles)
            bar = "" if row.bar is None else row.bar.words
            out.append(f"| {row_title(row)} | {cells} | {ratio_text(row)} | {bar} | "
                       f"{row.verdict() or ''} |")
        out.append("")
    out += [f"- {text}" for text in problems(results, titles) + results.notes]
    return "\n".join(out).rstrip() + "\n"


def as_json(results, peers, about):
    rows = []
    for row in results.rows.values():
        rows.append({
            "name": row.name, "group": row.group, "title": row.title, "unit": row.unit,
            "median": {name: row.value(name) for name in row.values},
            "rounds": row.values, "problems": row.problems,
            f"ratio_to_{results.reference}": {name: row.ratio(name) for name in row.values},
            "bar": None if row.bar is None else {"limit": row.bar.limit,
                                                 "is_ratio": row.bar.is_ratio,
                                                 "at_least": row.bar.at_least},
            "verdict": row.verdict(),
        })
    return json.dumps({"about": about, "peers": names(peers), "rows": rows,
                       "notes": results.notes}, indent=1)
