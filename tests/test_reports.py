"Reports are for readers: the verdict first, pictures with conclusions, one header, and nothing from the network."

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import ROOT, make_project, run

from mlops_kit.core.project import project_notebooks, read_notebook, stage_names
from mlops_kit.notebooks.states import NO_VERDICT, stage_verdict, write_states

STAGES = stage_names(ROOT)
ON_DEMAND = ["registry", "retrain"]  # chapters that are no stages
PAGES = [*STAGES, *ON_DEMAND]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = make_project(tmp_path_factory.mktemp("reports") / "project")
    for name in ON_DEMAND:
        done = run(["mlops-nb", "stage", name], project, PYTHONPATH=str(project))
        assert done.returncode == 0, done.stdout + done.stderr
    return project


class Page(HTMLParser):
    "What a browser sees of a page."

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.words: dict[str, list[str]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("figcaption", "h1"):
            self.words.setdefault(tag, []).append("")
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.words.get(getattr(self, "inside", "")):
            self.words[self.inside][-1] += data

    def all(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def pages(project: Path) -> dict[str, str]:
    return {name: (project / f"reports/{name}.html").read_text() for name in PAGES}


@pytest.mark.parametrize("name", PAGES)
def test_a_report_begins_with_its_verdict(name: str, pages: dict[str, str], project: Path) -> None:
    page = Page(pages[name])
    banners = [a for a in page.all("section") if "banner" in a.get("class", "")]
    assert len(banners) == 1 and 2 <= len(page.all("dd")) <= 5
    first = [t for t, _ in page.tags if t in ("section", "img", "table", "details", "h2")][0]
    assert first == "section"
    verdict = stage_verdict(project, name)
    assert verdict["headline"] != NO_VERDICT["headline"] and verdict["figures"]
    assert not re.search(
        r"\bnan\b|None", " ".join([verdict["headline"], *verdict["figures"].values()])
    )


@pytest.mark.parametrize("name", PAGES)
def test_figures_say_what_to_conclude(name: str, pages: dict[str, str]) -> None:
    page = Page(pages[name])
    images = page.all("img")
    assert all(len(image["alt"]) >= 20 for image in images), [i["alt"] for i in images]
    assert all("nan" not in image["alt"].split() for image in images)
    assert len(page.words.get("figcaption", [])) == len(page.all("figure"))
    assert len(page.all("figure")) or not images
    assert len({i["alt"] for i in images}) == len(images)


def test_the_reports_of_stages_that_draw_hold_figures(pages: dict[str, str]) -> None:
    drawn = {name: text.count("<img ") for name, text in pages.items()}
    assert drawn["evaluate"] >= 4 and drawn["monitor"] >= 3 and drawn["train"] >= 2, drawn
    assert drawn["gate"] >= 3 and drawn["package"] >= 2 and drawn["retrain"] >= 2, drawn


@pytest.mark.parametrize("name", PAGES)
def test_headings_are_in_order(name: str, pages: dict[str, str]) -> None:
    levels = [int(t[1]) for t, _ in Page(pages[name]).tags if re.fullmatch("h[1-6]", t)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:])), levels


@pytest.mark.parametrize("name", PAGES)
def test_the_header_names_every_stage(name: str, pages: dict[str, str], project: Path) -> None:
    header = Page(pages[name].partition("<header>")[2].partition("</header>")[0])
    links = header.all("a")
    assert [a["data-page"] for a in links] == [*STAGES, *({name} - set(STAGES))]
    assert [a["data-page"] for a in links if "aria-current" in a] == [name]
    assert all((project / "reports" / a["href"]).is_file() for a in links)
    file = project_notebooks(project)[name].name
    assert f'href="../nbs/{file}"' in pages[name] and f'href="{name}.ipynb"' in pages[name]


@pytest.mark.parametrize("name", PAGES)
def test_only_run_is_shown(name: str, pages: dict[str, str], project: Path) -> None:
    cells = read_notebook(project_notebooks(project)[name])["cells"]
    exported = ["".join(c["source"]) for c in cells if "".join(c["source"]).startswith("#| export")]
    shown = re.sub(r"<.*?>", "", pages[name].partition("<main>")[2])
    for source in exported:
        for line in re.findall(r"(?m)^(?:def|class) \w+", source):
            assert line not in shown, line
    assert "assert " not in shown and "default_exp" not in shown and "PosixPath" not in shown
    assert "Question" in shown or name == "index"


@pytest.mark.parametrize("name", PAGES)
def test_nothing_comes_from_the_network(name: str, pages: dict[str, str]) -> None:
    page = Page(pages[name])
    assert page.all("script") == [{"src": "state.js", "defer": None}]
    assert not page.all("link") and not page.all("iframe")
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    assert not re.search(r"url\(|@import", pages[name].partition("</style>")[0])
    links = [a.get("href", "") for a in page.all("a")]
    assert not [link for link in links if link.startswith(("http", "/", "file"))]


def test_one_style_sheet_for_light_dark_phone_and_print(pages: dict[str, str]) -> None:
    styles = {re.search(r"<style>(.*?)</style>", text, flags=re.S)[1] for text in pages.values()}
    assert len(styles) == 1
    style = styles.pop()
    assert "prefers-color-scheme:dark" in style and "@media print" in style
    assert ".scroll{overflow-x:auto" in style
    for text in pages.values():
        tables = text.count("<table")
        assert len(re.findall(r'<div class="scroll[^>]*>(?:<div>)?\s*<table', text)) == tables


def test_states_are_filled_in_by_a_file_that_nothing_tracks(project: Path) -> None:
    script = (project / "reports/state.js").read_text()
    assert all(f'"name": "{name}", "state": "' in script for name in STAGES)
    assert all(
        f'"name": "{name}", "page": "{name}.html", "state": "' in script for name in ON_DEMAND
    )
    assert "neutral" in script and "passed" in script and str(project) not in script
    assert write_states(project).read_text() == script
    assert "state.js" not in (project / "dvc.lock").read_text()
    asked = ["git", "check-ignore", "-q", "reports/state.js"]
    assert subprocess.run(asked, cwd=ROOT).returncode == 0


def test_reports_stay_small(pages: dict[str, str]) -> None:
    without_figures = {n: len(re.sub(r'src="data:[^"]*"', "", t)) for n, t in pages.items()}
    assert max(without_figures.values()) < 60_000, without_figures
