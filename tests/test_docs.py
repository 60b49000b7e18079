"README and the site's pages: commands parse, parameters, files and variables exist, every page is reachable, and the built site asks no other host."

import re
import shlex
import shutil
import subprocess
import tomllib
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import typer
import yaml
from conftest import ROOT, run

from mlops_kit.cli.main import app
from mlops_kit.core.params import declared_parameters
from mlops_kit.core.project import project_notebooks, read_notebook

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*/*.md"))]
PAGES = [p for p in PAGES if "_build" not in p.parts] + [ROOT / "docs/index.md"]
COMMANDS = typer.main.get_command(app).commands
TARGETS = dict(re.findall(r"^([a-z-]+):.*?## (.*)", (ROOT / "Makefile").read_text(), flags=re.M))
LIBRARY = project_notebooks(ROOT / "lib")
OTHERS = {"git", "dvc", "cd", "python", ".", "echo"}
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))


def commands_of(text: str) -> list[list[str]]:
    "List the commands in a page's blocks of shell: words, without variables set before them."
    found = []
    for block in re.findall(r"^ *```bash\n(.*?)^ *```", text, flags=re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            for part in " ".join(map(shlex.quote, words)).replace("'||'", "'&&'").split("'&&'"):
                kept = shlex.split(part)
                while kept and re.fullmatch(r"[A-Z_]+=.*", kept[0]):
                    kept = kept[1:]
                found += [kept] if kept else []
    return found


def complaint(words: list[str]) -> str:
    "Say what is wrong with a command; nothing when it would be understood."
    name, *rest = words
    if name == "make":
        unknown = [w for w in rest if "=" not in w and w not in TARGETS]
        unset = [
            w.split("=")[0]
            for w in rest
            if "=" in w and f"$({w.split('=')[0]}" not in (ROOT / "Makefile").read_text()
        ]
        return f"make has no {unknown + unset}" if unknown + unset else ""
    if name != "mlops-nb":
        return "" if name in OTHERS else f"{name} is not among {OTHERS}"
    if not rest or rest == ["--help"]:
        return ""
    if rest[0] not in COMMANDS:
        return f"mlops-nb has no {rest[0]}"
    try:
        COMMANDS[rest[0]].make_context(rest[0], rest[1:])
    except Exception as error:  # click's own errors, each of which is a command that would fail
        return f"{shlex.join(words)}: {error}"
    return ""


def test_the_check_finds_what_is_wrong() -> None:
    page = (
        "```bash\nA=1 mlops-nb gate && make tset # why\nmlops-nb gtae\nmlops-nb drift --sedn\n```\n"
    )
    said = [complaint(words) for words in commands_of(page)]
    assert said[0] == "" and said[1] == "make has no ['tset']" and said[2] == "mlops-nb has no gtae"
    assert "--sedn" in said[3] and len(said) == 4
    assert complaint(["make", "extra", "WIHT=s3"]) and not complaint(["make", "extra", "WITH=s3"])
    assert complaint(["frobnicate"])


@by_page
def test_commands_would_be_understood(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [c for c in map(complaint, commands_of(text)) if c] == []
    for name in re.findall(r"`mlops-nb ([a-z][a-z-]*)", text):
        assert name in COMMANDS, name
    for name in re.findall(r"`make ([a-z][a-z-]*)", text):
        assert name in TARGETS, name


OTHER_OPTIONS = {"--help", "--local"}  # of typer and dvc


@by_page
def test_options_in_the_text_exist(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    known = {o for c in COMMANDS.values() for p in c.params for o in [*p.opts, *p.secondary_opts]}
    for code in re.findall(r"`(?!chromium )([^`]+)`", text):
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", code):
            assert option in known | OTHER_OPTIONS, f"no command has {option}"


@lru_cache
def given() -> set[str]:
    "Name every parameter that params.yaml holds."
    found = set()

    def walk(value: object, path: str) -> None:
        found.add(path)
        for key, inner in value.items() if isinstance(value, dict) else ():
            walk(inner, f"{path}.{key}")

    for section, content in yaml.safe_load((ROOT / "params.yaml").read_text()).items():
        walk(content, section)
    return found


@lru_cache
def parameters() -> set[str]:
    "Name every parameter that params.yaml holds or a notebook declares."
    found = {*given(), "data"}
    for path in (ROOT / "nbs").glob("*.ipynb"):
        section = re.sub(r"^\d+_", "", path.stem)
        found |= {f"{section}.{name}" for name in declared_parameters(read_notebook(path))}
    return found


@by_page
def test_names_in_the_text_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    sections = {name for name in parameters() if "." not in name}
    kept = "\n".join(p.read_text(encoding="utf-8", errors="replace") for p in sources())
    for name in set(re.findall(r"`([^`\s]+)`", text)):
        if re.fullmatch(r"[a-z]+(\.[a-z_]+)+", name) and name.split(".")[0] in sections:
            assert name in parameters(), f"params.yaml has no {name}"
        if re.match(r"(nbs|tests|scripts|docs|lib|\.github)/[\w./-]+$", name):
            kinds = ("_build" in name, "NN_" in name)
            assert any(kinds) or (ROOT / name).exists(), f"there is no {name}"
        if name.startswith("MLOPS_NB_"):
            assert name.split("=")[0] in kept, f"nothing reads {name}"


@lru_cache
def sources() -> list[Path]:
    "List the files that may read a variable."
    found = [*(ROOT / "lib/mlops_kit").rglob("*.py"), *(ROOT / "mlops_nb").glob("*.py")]
    return [*found, *(ROOT / ".github").rglob("*.yml"), *(ROOT / "scripts").glob("*")]


@by_page
def test_links_of_a_page_lead_to_a_page_or_what_is_generated(page: Path) -> None:
    made = ("reference/", "chapters/", "library/", "proofs.md")
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        if link.startswith("module:"):
            assert link.removeprefix("module:") in LIBRARY, f"there is no {link}"
            continue
        target = (page.parent / link).resolve()
        inside = target.relative_to(ROOT / "docs") if target.is_relative_to(ROOT / "docs") else ""
        assert target.exists() or str(inside).startswith(made), f"{link} leads nowhere"


# --- The built site


class Page(HTMLParser):
    "What a page links to, what it loads, what can be linked to, its headings and its pictures."

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links, self.loads, self.ids, self.headings, self.alts = [], [], set(), [], []
        self.depth = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {given[k] for k in ("id", "name") if given.get(k)}
        self.depth += tag == "article"
        if self.depth and re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if self.depth and tag == "img":
            self.alts.append(given.get("alt") or "")
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif tag in ("script", "img", "iframe", "source", "link", "video", "audio", "object"):
            self.loads += [given[k] for k in ("src", "href", "data") if given.get(k)]

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag == "article"


@pytest.fixture(scope="module")
def site() -> dict[Path, Page]:
    "Build the site and read its pages."
    if not (ROOT / ".venv-docs/ready").is_file():
        pytest.skip("the documentation's environment is not installed: make docs")
    done = subprocess.run(["sh", "scripts/docs.sh"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    html = ROOT / "docs/_build/html"
    return {
        p: Page(p.read_text(encoding="utf-8"))
        for p in html.rglob("*.html")
        if "_static" not in p.parts
    }


def test_every_link_of_the_site_leads_somewhere(site: dict[Path, Page]) -> None:
    broken = []
    for path, page in site.items():
        for link in [*page.links, *page.loads]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.is_file():
                broken.append(f"{path.name}: {link}")
            elif anchor and target in site and anchor not in site[target].ids:
                broken.append(f"{path.name}: {link} (no such heading)")
    assert broken == [] and len(site) > 100


def test_the_site_loads_nothing_from_elsewhere(site: dict[Path, Page]) -> None:
    outside = [
        (p.name, u) for p, page in site.items() for u in page.loads if re.match(r"\w*:?//", u)
    ]
    html = ROOT / "docs/_build/html"
    for path in html.rglob("*.css"):
        found = re.findall(
            r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')]+)""", path.read_text()
        )
        outside += [(path.name, url) for url in found]
    assert outside == []


def test_headings_are_in_order(site: dict[Path, Page]) -> None:
    for path, page in site.items():
        levels = page.headings
        if path.name in ("genindex.html", "search.html"):
            continue
        assert levels[:1] == [1] and levels.count(1) == 1, path
        assert all(b <= a + 1 for a, b in zip(levels, levels[1:])), (path, levels)


def test_pictures_say_what_they_show(site: dict[Path, Page]) -> None:
    said = {path: page.alts for path, page in site.items() if page.alts}
    assert said
    for path, alts in said.items():
        unsaid = [a for a in alts if len(a) < 4 or re.search(r"\.(png|svg)$", a)]
        assert unsaid == [], (path, unsaid)


def test_the_site_can_be_searched(site: dict[Path, Page]) -> None:
    index = (ROOT / "docs/_build/html/searchindex.js").read_text(encoding="utf-8")
    notebook = f"library/monitoring/{LIBRARY['monitoring.defects'].stem}"
    for word in ("bootstrap", "how-to/monitoring", "chapters/04_train", notebook):
        assert word in index, word


# --- What is generated


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    "Copy what the site's source is made of."
    for name in ("docs", "nbs", "metrics", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("_build"))
    shutil.copytree(ROOT / "lib/nbs", tmp_path / "lib/nbs")
    files = ("params.yaml", "contract.yaml", "dvc.yaml", "settings.ini", "Makefile", ".gitignore")
    for name in files:
        shutil.copy(ROOT / name, tmp_path / name)
    for words in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def refusal(root: Path, path: str, old: str, new: str) -> str:
    "Change a file once, and give what the build says; the file is put back."
    file = root / path
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    done = run(["python", "docs/generate.py", "site"], root)
    file.write_text(text, encoding="utf-8")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    return done.stderr.strip()


def test_the_build_names_what_is_wrong(copied: Path) -> None:
    whole = run(["python", "docs/generate.py", "site"], copied)
    assert whole.returncode == 0, whole.stderr
    written = (copied / "site/reference/parameters.md").read_text(encoding="utf-8")
    for name in given():
        assert f"`{name}`" in written or name.count(".") != 1, name
    commands = (copied / "site/reference/commands.md").read_text(encoding="utf-8")
    summaries = re.findall(r"^\| \[`([a-z-]+)`\]\(#\1\) \| (.*) \|$", commands, flags=re.M)
    assert {name for name, _ in summaries} == set(COMMANDS)
    assert [words for _, words in summaries if not words.endswith(".")] == []

    drift = "explanation/drift.md"
    said = refusal(copied, "docs/meanings.yaml", "    passed: ", "    pased: ")
    assert said.endswith("not described: passed; described but not there: pased")
    assert "metrics.gate must describe what is there" in said
    right, wrong = "module:monitoring.deliveries", "module:monitoring.delivries"
    said = refusal(copied, f"docs/{drift}", right, wrong)
    assert said == (
        f"docs: {drift} links to {wrong}, which the library does not have; did you mean {right}?"
    )
    said = refusal(copied, f"docs/{drift}", right, "../library/monitoring/06_deliveries.ipynb")
    assert drift in said and said.endswith(f"by its number, which changes; write {right}")


def test_packages_stand_in_the_order_of_their_imports() -> None:
    meanings = yaml.safe_load((ROOT / "docs/meanings.yaml").read_text(encoding="utf-8"))
    place = {package: number for number, package in enumerate(meanings["packages"])}
    text = (ROOT / "lib/pyproject.toml").read_text(encoding="utf-8")
    layers = tomllib.loads(text)["tool"]["importlinter"]["contracts"][0]["layers"]
    floors = [[place[name.strip()] for name in layer.split("|")] for layer in reversed(layers)]
    assert sorted(sum(floors, [])) == list(range(len(place)))
    assert all(max(low) < min(high) for low, high in zip(floors, floors[1:]))


def test_a_link_to_a_module_follows_its_notebook(copied: Path) -> None:
    notebook = copied / "lib/nbs/monitoring" / LIBRARY["monitoring.deliveries"].name
    notebook.rename(notebook.with_name("99_deliveries.ipynb"))
    done = run(["python", "docs/generate.py", "site"], copied)
    assert done.returncode == 0, done.stderr
    text = (copied / "site/explanation/drift.md").read_text(encoding="utf-8")
    assert "](../library/monitoring/99_deliveries.ipynb)" in text
    assert "module:" not in text


def test_the_lock_has_hashes_and_no_address() -> None:
    text = (ROOT / "docs/requirements.txt").read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.M)[1:]
    assert blocks and all(re.search(r"--hash=sha256:[0-9a-f]{64}\b", block) for block in blocks)
    assert "://" not in text and "--index" not in text and "--find" not in text
    asked = (ROOT / "docs/requirements.in").read_text(encoding="utf-8").splitlines()
    names = {re.match(r"[\w.-]+", block)[0] for block in blocks}
    assert {re.match(r"[\w-]+", line)[0] for line in asked if line[0] != "#"} <= names
