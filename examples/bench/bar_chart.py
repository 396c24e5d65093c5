"""Horizontal bars in groups, as SVG. Needs nothing but Python."""
from xml.sax.saxutils import escape

COLOURS = ["#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2", "#888888"]
BAR, GAP, WIDTH, LETTER = 16, 18, 500, 6.2


def bar_chart(title, groups, mark, bars_are=""):
    """`groups`: {group: {bar: value}}; values and `mark`, where a line is drawn, are 0 or more. `bars_are` stands before the
    names of the bars. Lines of `title` and of a group's name are written below each other."""
    most = max([mark, *(value for bars in groups.values() for value in bars.values())])
    scale = WIDTH / most
    names = list(dict.fromkeys(name for bars in groups.values() for name in bars))
    left = max(150, 16 + LETTER * max(len(line) for group in (bars_are, *groups) for line in group.split("\n")))
    titles = title.split("\n")
    top = 22 + 15 * len(titles)
    shapes, y = [text(8, top, bars_are)], top
    for i, name in enumerate(names):
        shapes += [rect(left + 110 * i, y - 9, 9, 9, COLOURS[i % len(COLOURS)]), text(left + 110 * i + 13, y, name)]
    y += GAP
    x = left + mark * scale
    mark_at = len(shapes)
    for group, bars in groups.items():
        shapes += [text(8, y + 12 + 14 * i, line) for i, line in enumerate(group.split("\n"))]
        for name, value in bars.items():
            shapes += [rect(left, y, value * scale, BAR - 2, COLOURS[names.index(name) % len(COLOURS)]),
                       text(left + value * scale + 5, y + 12, f"{value:.2f}")]
            y += BAR
        y += GAP // 2
    shapes.insert(mark_at, f'<path d="M{x:.1f} {top + GAP // 2}V{y}" stroke="black" stroke-dasharray="3 3"/>')
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + WIDTH + 60:.0f}" height="{y + 10}" '
                      'font-family="sans-serif" font-size="11">', '<rect width="100%" height="100%" fill="white"/>',
                      *(text(8, 18 + 15 * i, line) for i, line in enumerate(titles)), *shapes, "</svg>", ""])


def rect(x, y, width, height, colour):
    return f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}" fill="{colour}"/>'


def text(x, y, content):
    """Legible also over a line."""
    return (f'<text x="{x:.1f}" y="{y}" stroke="white" stroke-width="3" paint-order="stroke">'
            f'{escape(content)}</text>')
