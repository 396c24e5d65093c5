"""Horizontal bars in groups, as SVG. Needs nothing but Python."""
from xml.sax.saxutils import escape

COLOURS = ["#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2", "#888888"]
BAR, GAP, LEFT, WIDTH = 16, 18, 150, 500


def bar_chart(title, groups, mark):
    """`groups`: {group: {bar: value}}; values and `mark`, where a line is drawn, are 0 or more."""
    most = max([mark, *(value for bars in groups.values() for value in bars.values())])
    scale = WIDTH / most
    names = list(dict.fromkeys(name for bars in groups.values() for name in bars))
    shapes, y = [], 40
    for i, name in enumerate(names):
        shapes += [rect(LEFT + 110 * i, y - 9, 9, 9, COLOURS[i % len(COLOURS)]), text(LEFT + 110 * i + 13, y, name)]
    y += GAP
    for group, bars in groups.items():
        shapes.append(text(8, y + 12, group))
        for name, value in bars.items():
            shapes += [rect(LEFT, y, value * scale, BAR - 2, COLOURS[names.index(name) % len(COLOURS)]),
                       text(LEFT + value * scale + 5, y + 12, f"{value:.2f}")]
            y += BAR
        y += GAP // 2
    x = LEFT + mark * scale
    shapes.append(f'<path d="M{x:.1f} {40 + GAP // 2}V{y}" stroke="black" stroke-dasharray="3 3"/>')
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 60}" height="{y + 10}" '
                      'font-family="sans-serif" font-size="11">', '<rect width="100%" height="100%" fill="white"/>',
                      text(8, 18, title), *shapes, "</svg>", ""])


def rect(x, y, width, height, colour):
    return f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}" fill="{colour}"/>'


def text(x, y, content):
    return f'<text x="{x:.1f}" y="{y}">{escape(content)}</text>'
