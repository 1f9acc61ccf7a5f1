"""A verdict as one HTML file that opens offline: no script, no font, no address; charts are SVG within it.

Pure. Knows a verdict and how to draw a level under its ceiling. Must not know how it came about. Every text is
escaped: names of clients and queues are not ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html import escape

from sentinel.model import Severity
from sentinel.pipeline.diagnosis.words import count
from sentinel.replay.judge import Told, Verdict
from sentinel.replay.loop import Seen
from sentinel.replay.words import facts, moment_text, sentence

__all__ = ["as_page"]

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 960.0, 200.0, 60.0, 8.0, 24.0
_COLOURS = {Severity.INFO: "#8a8f98", Severity.WARNING: "#c77700", Severity.CRITICAL: "#c4281c"}
_CHARTS_MOST = 20
_STYLE = """
:root{color-scheme:light dark;--fg:#1b1e23;--bg:#fff;--dim:#68707c;--line:#d8dce2;--level:#2a6fb0}
@media(prefers-color-scheme:dark){:root{--fg:#e6e8eb;--bg:#15181c;--dim:#98a0ab;--line:#343a42;--level:#6fb1ee}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:62rem;margin:2rem auto}
body{padding:0 1rem}table{border-collapse:collapse;margin:1rem 0}
th,td{text-align:left;padding:.25rem 1rem .25rem 0;border-bottom:1px solid var(--line)}
td{vertical-align:top}.dim{color:var(--dim)}svg{width:100%;height:auto}h2{margin-top:2.2rem}
.critical{color:#c4281c}.warning{color:#c77700}.false{text-decoration:underline wavy}
"""


def as_page(verdicts: Mapping[str, Verdict], title: str = "What Sentinel would have told you") -> str:
    """The file's text."""
    first = next(iter(verdicts.values()))
    history = first.history
    scope = f"{moment_text(history.first)} to {moment_text(history.last)}, {count(history.samples)} samples"
    body = [f"<h1>{escape(title)}</h1>", f"<p class=dim>{escape(scope)}</p>", _table(verdicts)]
    for name, verdict in verdicts.items():
        if len(verdicts) > 1:
            body.append(f"<h2>{escape(name)}</h2>")
        body += _charts(verdict)
        body.append(_incidents(verdict))
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _table(verdicts: Mapping[str, Verdict]) -> str:
    columns = [facts(verdict) for verdict in verdicts.values()]
    head = "".join(f"<th>{escape(name)}</th>" for name in verdicts) if len(verdicts) > 1 else "<th></th>"
    rows = "".join(
        f"<tr><td>{escape(row[0][0])}</td>{''.join(f'<td>{escape(value)}</td>' for _, value in row)}</tr>"
        for row in zip(*columns, strict=True)
    )
    return f"<table><tr><th></th>{head}</tr>{rows}</table>"


def _charts(verdict: Verdict) -> Iterator[str]:
    """Targets of which something was told come first."""
    told = {each.target for each in verdict.told}
    names = sorted(verdict.history.targets, key=lambda name: (name not in told, name))
    for name in names[:_CHARTS_MOST]:
        of_it = [each for each in verdict.told if each.target == name and each.severity > Severity.INFO]
        yield f"<h3>{escape(name)}</h3>{_chart(verdict.history.targets[name], of_it, verdict)}"
    if len(names) > _CHARTS_MOST:
        yield f"<p class=dim>{len(names) - _CHARTS_MOST} more targets are not drawn.</p>"


def _chart(seen: Seen, told: list[Told], verdict: Verdict) -> str:
    """Clients as a band from lowest to highest, the ceiling as a dashed line, incidents as bars from opening to end."""
    level = seen.clients
    if not level.times:
        return "<p class=dim>The tape holds no number of clients for it.</p>"
    start, end = verdict.history.first, max(verdict.history.last, verdict.history.first + 1)
    top = max(*level.highs, seen.ceiling or 0, 1) * 1.05

    def x(time: float) -> float:
        return _LEFT + (time - start) / (end - start) * (_WIDTH - _LEFT)

    def y(value: float) -> float:
        return _TOP + (1 - value / top) * (_HEIGHT - _TOP - _BOTTOM)

    upper = [f"{x(t):.1f},{y(v):.1f}" for t, v in zip(level.times, level.highs, strict=True)]
    lower = [f"{x(t):.1f},{y(v):.1f}" for t, v in zip(level.times, level.lows, strict=True)]
    outline = " ".join(upper + lower[::-1])
    band = f"<polygon points='{outline}' fill='var(--level)' fill-opacity='.35' stroke='var(--level)'/>"
    parts = [_bar(each, x, end) for each in told] + [band]
    if seen.ceiling:
        parts.append(
            f"<line x1='{_LEFT}' x2='{_WIDTH}' y1='{y(seen.ceiling):.1f}' y2='{y(seen.ceiling):.1f}' "
            f"stroke='var(--dim)' stroke-dasharray='6 4'/>{_text(0, y(seen.ceiling) + 4, count(seen.ceiling))}"
        )
    parts += [
        f"<line x1='{x(wall):.1f}' x2='{x(wall):.1f}' y1='{_TOP}' y2='{_HEIGHT - _BOTTOM}' stroke='#c4281c' "
        "stroke-width='2'><title>refuses newcomers</title></line>"
        for wall in seen.walls
    ]
    parts += [_text(_LEFT, _HEIGHT - 6, moment_text(start)), _text(_WIDTH, _HEIGHT - 6, moment_text(end), "end")]
    parts.append(_text(0, y(0), "0"))
    return f"<svg viewBox='0 0 {_WIDTH:.0f} {_HEIGHT:.0f}' role=img>{''.join(parts)}</svg>"


def _bar(told: Told, x: Callable[[float], float], end: float) -> str:
    left = x(told.opened)
    width = max(2.0, x(told.resolved if told.resolved is not None else end) - left)
    title = escape(f"{told.severity.name.lower()} {told.cause}: {told.summary}")
    return (
        f"<rect x='{left:.1f}' y='{_TOP}' width='{width:.1f}' height='{_HEIGHT - _TOP - _BOTTOM}' "
        f"fill='{_COLOURS[told.severity]}' fill-opacity='.18'><title>{title}</title></rect>"
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='11' fill='var(--dim)' text-anchor='{anchor}'>{escape(text)}</text>"
    )


def _incidents(verdict: Verdict) -> str:
    shown = [told for told in verdict.told if told.severity > Severity.INFO or told.label is not None]
    if not shown:
        return "<p>Nothing would have been told.</p>"
    rows = "".join(_row(told, verdict) for told in shown)
    missed = "".join(
        f"<p class=critical>Missed: {escape('/'.join(sorted(label.causes)) or 'trouble')} on {escape(label.target)}, "
        f"{moment_text(label.start)} {escape(label.note)}</p>"
        for label in verdict.missed
    )
    return f"<table><tr><th>opened</th><th>what</th><th>why, and how early</th></tr>{rows}</table>{missed}"


def _row(told: Told, verdict: Verdict) -> str:
    severity = told.severity.name.lower()
    false = " <span class=false>false</span>" if told in verdict.false else ""
    subject = f"<br><span class=dim>{escape(told.subject)}</span>" if told.subject else ""
    return (
        f"<tr><td>{moment_text(told.opened)}</td><td><span class={severity}>{severity}</span> {escape(told.cause)} on "
        f"{escape(told.target)}{false}{subject}</td>"
        f"<td>{escape(told.summary)}<br><span class=dim>{escape(sentence(told))}</span></td></tr>"
    )
