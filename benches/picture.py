"""The picture of the speed: our functions beside the same jobs in Python and bash."""

from __future__ import annotations

import re
from typing import Any

import pygal
from pygal.style import Style

_STYLE = Style(
    background="white",
    plot_background="white",
    foreground="#333333",
    foreground_strong="#111111",
    foreground_subtle="#666666",
    opacity="1",
    colors=("#b7410e", "#3b6ea5", "#8a8a8a"),
    font_family="Helvetica, Arial, sans-serif",
    title_font_size=18,
    label_font_size=14,
    major_label_font_size=14,
    legend_font_size=14,
    value_font_size=14,
    value_colors=("white",) * 3,
)
_SERIES = (("Rust (this project)", None), ("Python, boto3", "Python"), ("bash, AWS CLI, curl", "bash"))
_FIGURE = "first_answer_milliseconds"


def draw(results: dict[str, Any]) -> str:
    """An SVG of the results of the part `functions`; the same results give the same picture."""
    chart = pygal.HorizontalBar(
        style=_STYLE, logarithmic=True, js=[], explicit_size=True, width=820, height=760,
        print_values=True, print_values_position="center", legend_at_bottom=True,
        legend_at_bottom_columns=3, truncate_legend=-1, truncate_label=-1, margin=16, spacing=8,
        title="Cold start to first answer, in milliseconds (log scale)",
        zero=1, range=(1, 10_000), y_labels=[1, 10, 100, 1_000, 10_000],
        value_formatter=lambda value: f"{value:,.0f} ms",
    )  # fmt: skip
    # Not one that is new each time.
    chart.uuid = "speed"
    names = sorted(results["counterparts"], reverse=True)
    chart.x_labels = names
    for title, language in _SERIES:
        chart.add(title, [_value(results, name, language) for name in names])
    # GitHub shows the picture as an image, in which no script runs.
    svg = re.sub(r"<script.*?</script>|<!--.*?-->", "", chart.render(is_unicode=True), flags=re.DOTALL)
    return svg.rstrip() + "\n"


def _value(results: dict[str, Any], name: str, language: str | None) -> float | None:
    found = results["counterparts"][name].get(language) if language else results["functions"][name]
    return float(found[_FIGURE]) if found else None
