"False alarms and power on the windows that follow a reference, counted and shown."

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
from drift_parts.ceiling import ceilings
from drift_parts.changes import CHANGES, DELIVERIES, change_columns
from drift_parts.windows import (
    DATASETS,
    GAPS,
    LENGTHS,
    REFERENCES,
    STATED,
    Placed,
    fails,
    judge,
    judge_rows,
    reference_of,
    starts,
    windows_after,
)

from mlops_kit.monitoring.reference import Reference
from mlops_kit.monitoring.verdict import list_unjudged

# checks of single values: they see a rounded column shifted by 0.3, where no level has changed much
VALUE_CHECKS = ("unseen", "decimals", "outside", "unit")
MOST_UNJUDGED = 0.10  # share of columns
ENOUGH = 90  # days of a reference from which on the bars hold
Hits = dict[tuple, list[int]]  # alarms and tries


def nothing() -> list[int]:
    return [0, 0]


def tally() -> Hits:
    return defaultdict(nothing)


def count_causes() -> dict[tuple, Counter]:
    return defaultdict(Counter)


@dataclass
class Measured:
    "What was found; the keys begin with data set, days of the reference, length of the window."

    alarms: Hits = field(default_factory=tally)
    # by data set, days and length: "column, check"
    causes: dict[tuple, Counter] = field(default_factory=count_causes)
    unjudged: Hits = field(default_factory=tally)
    seen: Hits = field(default_factory=tally)  # ..., column, change
    without: Hits = field(default_factory=tally)  # the same, without `VALUE_CHECKS`
    delivery: Hits = field(default_factory=tally)  # ..., change

    def add(self, other: "Measured") -> None:
        for name in ("alarms", "unjudged", "seen", "without", "delivery"):
            for key, (hits, count) in getattr(other, name).items():
                note(getattr(self, name), key, hits, count)
        for key, causes in other.causes.items():
            self.causes[key] += causes


def note(hits: Hits, key: tuple, found: int, count: int = 1) -> None:
    hits[key][0] += int(found)
    hits[key][1] += count


def measure(name: str, days: int, start: int, with_power: bool) -> Measured:
    "Judge the windows that follow one reference, and the same windows changed."
    found, reference = Measured(), reference_of(name, days, start)
    for placed in windows_after(name, days, start, GAPS):
        key = (name, days, placed.length)
        checks, _ = judge(reference, placed.table, placed.day)
        rows = judge_rows(reference, placed.table, placed.day, placed)
        causes = [f"{c.column}, {c.what}" for c in fails([*checks, *rows])]
        note(found.alarms, key, bool(causes))
        found.causes[key].update(causes)
        unjudged = set(list_unjudged(checks))
        note(found.unjudged, key, len(unjudged), placed.table.shape[1])
        if with_power and not placed.gap:
            left_out = unjudged | {c.column for c in fails(checks)}
            measure_changes(found, key, reference, placed, left_out)
            measure_deliveries(found, key, reference, placed)
    return found


def measure_changes(
    found: Measured, key: tuple, reference: Reference, placed: Placed, left_out: set[str]
) -> None:
    "Change all columns of a window at once, and note in which of them it is seen."
    kinds = DATASETS[key[0]].kinds
    for change, kind in CHANGES.items():
        table, touched = change_columns(placed.table, kinds, kind, placed.start)
        if touched:
            checks, _ = judge(reference, table, placed.day)
            alarmed = {c.column for c in fails(checks)}
            shaped = {c.column for c in fails(checks) if c.what not in VALUE_CHECKS}
            for column in set(touched) - left_out:
                note(found.seen, (*key, column, change), column in alarmed)
                note(found.without, (*key, column, change), column in shaped)


def measure_deliveries(found: Measured, key: tuple, reference: Reference, placed: Placed) -> None:
    "Deliver a window twice or by half, and note whether a check of the rows alarms."
    if fails(judge_rows(reference, placed.table, placed.day, placed)):
        return
    for change, make in DELIVERIES.items():
        alarmed = fails(judge_rows(reference, *make(placed.table, placed.day), placed))
        note(found.delivery, (*key, change), bool(alarmed))


def tasks(count: int) -> list[tuple[str, int, int]]:
    "List the references: data set, days, start; the slowest first."
    found = [
        (name, days, start)
        for days in sorted(REFERENCES, reverse=True)
        for name, dataset in DATASETS.items()
        for start in starts(dataset, days, count)
    ]
    return sorted(found, key=lambda t: -t[1] * len(DATASETS[t[0]].table) / DATASETS[t[0]].span)


# --- what is printed, at most 100 columns wide


def pool(hits: Hits, wanted: object) -> tuple[int, int]:
    "Add up what a key must have."
    some = [pair for key, pair in hits.items() if wanted(key)]
    return sum(p[0] for p in some), sum(p[1] for p in some)


def percent(pair: tuple[int, int]) -> str:
    return f"{pair[0] / pair[1]:.0%}" if pair[1] else "-"


def grid(title: str, head: list[str], rows: list[list[str]], first: int = 22) -> str:
    "Lay a table out: the first column to the left, the others to the right, heads in two lines."
    parts = [h.rpartition(" ") for h in head]
    width = max(len(text) for over, _, under in parts for text in (over, under)) + 2
    line = lambda cells: cells[0].ljust(first) + "".join(c.rjust(width) for c in cells[1:])
    heads = [line(["", *(over for over, _, _ in parts)]), line(["", *(u for *_, u in parts)])]
    heads = [text for text in heads if text.strip()]
    return "\n".join([title, *(text.rstrip() for text in heads), *map(line, rows), ""])


def show_alarms(found: Measured) -> str:
    "Lay out the windows with an alarm, and the checks that alarmed most often."
    head = [f"{d} {length}" for d in REFERENCES for length in LENGTHS]
    cells = [(d, length) for d in REFERENCES for length in LENGTHS]
    text = lambda pair: f"{pair[0]}/{pair[1]}" if pair[1] else "-"
    row = lambda name, good: [
        name,
        *(text(pool(found.alarms, lambda k: good(k) and k[1:] == c)) for c in cells),
    ]
    rows = [row(name, lambda k, n=name: k[0] == n) for name in DATASETS]
    rows.append(row("all", lambda k: True))
    title = (
        "FALSE ALARMS: windows with an alarm, of windows in which nothing was changed\n"
        "(days of the reference; window of a day, week or month after it)"
    )
    return "\n".join([grid(title, head, rows, 10), show_causes(found.causes)])


def show_causes(causes: dict[tuple, Counter]) -> str:
    "Name the checks that alarmed most often, and after how many days in windows of which length."
    total, places = Counter(), defaultdict(Counter)
    for (name, days, length), some in causes.items():
        for cause, n in some.items():
            total[f"{name} {cause}"] += n
            places[f"{name} {cause}"][f"{days} {length}"] += n
    lines = ["which checks alarmed"]
    for cause, n in total.most_common(15):
        where = ", ".join(f"{place} {k}" for place, k in places[cause].most_common(3))
        lines.append(f"{n:4}  {cause:44}  {where}")
    return "\n".join([*lines, ""])


def show_power(found: Measured) -> str:
    "Lay out in how many windows each change of a judged column was seen."
    head, parts = list(CHANGES), []
    row = lambda name, good, hits=found.seen: [
        name,
        *(percent(pool(hits, lambda k: good(k) and k[4] == c)) for c in head),
    ]
    rows = [
        row(f"{days} days, {length}", lambda k, d=days, ln=length: k[1:3] == (d, ln))
        for length in LENGTHS
        for days in REFERENCES
    ]
    parts.append(grid("POWER: seen, of judged columns and windows", head, rows, 16))
    enough = lambda k: k[1] >= ENOUGH and k[2] == "week"
    rows = [row(n, lambda k, n=n: enough(k) and k[0] == n) for n in DATASETS]
    rows.append(row("all", enough))
    rows.append(row("without values*", enough, found.without))
    parts.append(grid(f"the same, weeks after at least {ENOUGH} days", head, rows, 16))
    parts.append(f"* without the checks {', '.join(VALUE_CHECKS)}\n")
    return "\n".join([*parts, show_ceilings(), show_deliveries(found), show_weakest(found)])


def show_ceilings() -> str:
    "Lay out what a judge sees who knows how weeks vary, see `ceiling`."
    by_set = {name: ceilings(dataset) for name, dataset in DATASETS.items()}
    head = list(next(iter(by_set.values())))
    some = lambda shares: f"{np.mean(shares):.0%}" if shares else "-"
    rows = [[name, *(some(found[c]) for c in head)] for name, found in by_set.items()]
    rows.append(["all", *(some([s for f in by_set.values() for s in f[c]]) for c in head)])
    return grid("the most that weekly figures show, were it known how weeks vary", head, rows, 16)


def show_deliveries(found: Measured) -> str:
    head = [*DELIVERIES, "not judged"]
    rows = []
    for length in LENGTHS:
        good = lambda k: k[1] >= ENOUGH and k[2] == length
        cells = [percent(pool(found.delivery, lambda k: good(k) and k[3] == c)) for c in DELIVERIES]
        rows.append([length, *cells, percent(pool(found.unjudged, good))])
    return grid(f"whole deliveries, and columns not judged ({ENOUGH} days or more)", head, rows, 16)


def by_column(found: Measured, length: str = "week") -> dict[tuple[str, str, str], tuple[int, int]]:
    "Add up by data set, column and change, over references that are long enough."
    result: Hits = tally()
    for (name, days, ln, column, change), (hits, count) in found.seen.items():
        if days >= ENOUGH and ln == length:
            note(result, (change, name, column), hits, count)
    return {key: tuple(pair) for key, pair in result.items()}


def show_weakest(found: Measured) -> str:
    "Name the columns in which a change is not seen as often as it must."
    lines, columns = (
        [f"columns below the bar, weeks after at least {ENOUGH} days"],
        by_column(found),
    )
    for change, kind in CHANGES.items():
        own = {key: pair for key, pair in columns.items() if key[0] == change}
        weak = sorted(
            (h / n, f"{c} of {s}") for (_, s, c), (h, n) in own.items() if h < kind.least * n
        )
        if weak:
            lines.append(f"  {change}: {len(weak)} of {len(own)}")
            lines += [f"    {share:4.0%} {column}" for share, column in weak[:6]]
    return "\n".join([*lines, ""])


def missed(found: Measured, with_power: bool) -> list[str]:
    "Name the bars that were missed."
    result = []
    for length in LENGTHS:
        hits, count = pool(found.alarms, lambda k: k[2] == length)
        if hits > STATED * count:
            result.append(f"false alarms of windows of a {length}: {hits} of {count}")
    hits, count = pool(found.unjudged, lambda k: k[1] >= ENOUGH and k[2] == "week")
    if hits > MOST_UNJUDGED * count:
        result.append(f"columns not judged: {hits / count:.0%} of weeks")
    if not with_power:
        return result
    columns = by_column(found)
    for change, kind in CHANGES.items():
        own = [pair for key, pair in columns.items() if key[0] == change]
        weak = sum(h < kind.least * n for h, n in own)
        if weak:
            result.append(
                f"{change}: seen less than {kind.least:.0%} in {weak} of {len(own)} columns"
            )
    for change in DELIVERIES:
        good = lambda k: k[1] >= ENOUGH and k[2:] == ("week", change)
        hits, count = pool(found.delivery, good)
        if hits < 0.95 * count:
            result.append(f"{change}: seen in {hits} of {count} weeks")
    return result


def records(found: Measured) -> list[tuple]:
    "List what was found: what, tool, data set, reference, window, change, hits, tries."
    rows: Hits = tally()
    for (name, days, length), pair in found.alarms.items():
        note(rows, ("alarms", "here", name, days, length, ""), *pair)
    for (name, days, length), pair in found.unjudged.items():
        note(rows, ("not judged", "here", name, days, length, ""), *pair)
    for (name, days, length, _, change), pair in found.seen.items():
        note(rows, ("power", "here", "all", days, length, change), *pair)
        if days >= ENOUGH:
            note(rows, ("power", "here", name, f"{ENOUGH}+", length, change), *pair)
    for (_, days, length, change), pair in found.delivery.items():
        note(rows, ("power", "here", "all", days, length, change), *pair)
    return [(*key, *pair) for key, pair in rows.items()]
