"""The results as one SVG: a panel per row worth seeing, a bar per peer, a line where Sheaf must be."""
from xml.sax.saxutils import escape

from .results import UNDER_TEST
from .tables import number

WIDTH, MARGIN, GAP = 1080, 32, 28
PANEL_WIDTH = (WIDTH - 2 * MARGIN - GAP) / 2
NAME_WIDTH, NUMBER_WIDTH = 92, 84
BAR, STEP, HEAD, FOOT = 16, 22, 34, 18
COLOURS = {UNDER_TEST: "#0b7285", "haproxy": "#868e96", "direct": "#ced4da"}
REFERENCE_COLOUR = "#e8590c"
OTHER_COLOURS = ["#7048e8", "#2f9e44", "#c2255c", "#f08c00"]
STYLE = """
  text { font: 12px system-ui, 'DejaVu Sans', Arial, sans-serif; fill: #343a40 }
  .title { font-size: 20px; font-weight: 600 } .about { fill: #868e96 }
  .panel { font-weight: 600; font-size: 13px } .own { font-weight: 600 }
  .pass { fill: #2b8a3e; font-weight: 600 } .fail { fill: #c92a2a; font-weight: 600 }
  .number { paint-order: stroke; stroke: #fff; stroke-width: 3px; stroke-linejoin: round }
  .goal { stroke: #c92a2a; stroke-width: 1.5; stroke-dasharray: 4 3 } .goaltext { fill: #c92a2a; font-size: 11px }
"""


def colours(peers, reference):
    others, known = iter(OTHER_COLOURS * len(peers)), {**COLOURS, reference: REFERENCE_COLOUR}
    return {peer.name: known.get(peer.name) or next(others) for peer in peers}


def goal_value(row):
    """Where Sheaf's bar must end, in the row's unit."""
    if row.bar is None:
        return None
    if not row.bar.is_ratio:
        return row.bar.limit
    reference = row.value(row.reference)
    return None if reference is None else row.bar.limit * reference


class Panel:
    def __init__(self, row, title, peers, palette):
        self.row, self.title, self.palette = row, title, palette
        self.bars = [(p, row.value(p.name)) for p in peers if row.value(p.name) is not None]
        self.height = HEAD + STEP * len(self.bars) + FOOT

    def draw(self, x, y):
        goal, room = goal_value(self.row), PANEL_WIDTH - NAME_WIDTH - NUMBER_WIDTH
        most = max([value for _, value in self.bars] + [goal or 0]) or 1
        out = [f'<text class="panel" x="{x:.1f}" y="{y + 14:.1f}">{escape(self.title)}</text>']
        verdict = self.row.verdict()
        if verdict:
            out.append(f'<text class="{verdict.lower()}" x="{x + PANEL_WIDTH:.1f}" y="{y + 14:.1f}" '
                       f'text-anchor="end">{verdict}</text>')
        lengths = [max(1, room * value / most) for _, value in self.bars]
        for i, (peer, _) in enumerate(self.bars):
            out += self.bar(x, y + HEAD - 8 + i * STEP, peer, lengths[i])
        if goal is not None and self.bars:
            at, bottom = x + NAME_WIDTH + room * goal / most, y + HEAD - 12 + STEP * len(self.bars)
            out.append(f'<line class="goal" x1="{at:.1f}" y1="{y + HEAD - 13:.1f}" x2="{at:.1f}" '
                       f'y2="{bottom:.1f}"/>')
            out.append(f'<text class="goaltext" x="{at:.1f}" y="{bottom + 13:.1f}" '
                       f'text-anchor="middle">bar {number(goal)}</text>')
        for i, (peer, value) in enumerate(self.bars):
            own = " own" if peer.name == UNDER_TEST else ""
            out.append(f'<text class="number{own}" x="{x + NAME_WIDTH + lengths[i] + 6:.1f}" '
                       f'y="{y + HEAD - 8 + i * STEP + BAR - 4:.1f}">'
                       f'{number(value)} {escape(self.row.unit)}</text>')
        return out

    def bar(self, x, y, peer, length):
        own = ' class="own"' if peer.name == UNDER_TEST else ""
        start, middle = x + NAME_WIDTH, y + BAR - 4
        return [
            f'<text{own} x="{start - 8:.1f}" y="{middle:.1f}" text-anchor="end">'
            f'{escape(peer.title[:14])}</text>',
            f'<rect x="{start:.1f}" y="{y:.1f}" width="{length:.1f}" height="{BAR}" rx="2" '
            f'fill="{self.palette[peer.name]}"/>',
        ]


def draw(results, peers, about, title, wanted):
    """`wanted`: (name of a row, title of its panel)."""
    palette = colours(peers, results.reference)
    panels = [Panel(results.rows[name], text, peers, palette)
              for name, text in wanted if name in results.rows]
    panels = [panel for panel in panels if panel.bars]
    out, y = [], MARGIN + 64
    for i in range(0, len(panels), 2):
        pair = panels[i:i + 2]
        for column, panel in enumerate(pair):
            out += panel.draw(MARGIN + column * (PANEL_WIDTH + GAP), y)
        y += max(panel.height for panel in pair) + 16
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + MARGIN:.0f}" '
        f'viewBox="0 0 {WIDTH} {y + MARGIN:.0f}">',
        f"<style>{STYLE}</style>", f'<rect width="{WIDTH}" height="{y + MARGIN:.0f}" fill="#fff"/>',
        f'<text class="title" x="{MARGIN}" y="{MARGIN + 16}">{escape(title)}</text>',
        f'<text class="about" x="{MARGIN}" y="{MARGIN + 38}">{escape(about)} Shorter is better.</text>',
    ]
    return "\n".join(head + out + ["</svg>"]) + "\n"
