"The reference of mlops-nb and make."

import inspect
import re

import click
import typer

from generators.markdown import code, table
from generators.sources import ROOT
from mlops_kit.cli.main import app


def commands() -> dict[str, click.Command]:
    "Give every command of mlops-nb by name."
    return dict(typer.main.get_command(app).commands)


def summary_of(command: click.Command) -> str:
    "Give what a command's help says first, without its example."
    first = inspect.cleandoc(command.help or "").split("\n\n")[0]
    return re.sub(r"\s*Example: mlops-nb .*", "", first)


def parameter_row(param: click.Parameter, command: click.Command) -> list[str]:
    "Write an argument or option: its name, its meaning, and its default where it has one."
    if isinstance(param, click.Argument) or not hasattr(param, "opts"):
        label = code(param.make_metavar(click.Context(command)).strip("{}"))
    else:
        label = ", ".join(map(code, [*param.opts, *param.secondary_opts]))
    meaning = getattr(param, "help", "") or ""
    if param.default in (None, False, "", (), []) or callable(param.default):
        return [label, meaning]
    return [label, f"{meaning}; default {code(param.default)}".removeprefix("; ")]


def command_section(name: str, command: click.Command) -> str:
    "Write a command: what it does, its arguments and options, its examples."
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    shown = "\n".join(re.findall(r"Example: (mlops-nb .*)", text))
    prose = re.sub(r"\s*Example: mlops-nb .*", "", text).strip()
    section = f"\n## {name}\n\n{prose}\n\n```bash\n{shown}\n```\n"
    rows = [parameter_row(param, command) for param in command.params]
    return section + ("\n" + table(["argument or option", "meaning"], rows) if rows else "")


def commands_page() -> str:
    "Write every command of mlops-nb, and every target of make."
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    targets = [m.groups() for line in lines if (m := re.match(r"([a-z-]+):.*?## (.*)", line))]
    found = commands()
    listed = [[f"[`{n}`](#{n})", summary_of(c)] for n, c in found.items()]
    return (
        "# Commands\n\nActivate the environment first: `. .venv/bin/activate`. A command exits with "
        "code 0 only on success, and an error of a user is one line.\n\n"
        + table(["command", "what it does"], listed)
        + "\n## make\n\n"
        + table(["target", "what it does"], [[code(f"make {n}"), says] for n, says in targets])
        + "".join(command_section(n, c) for n, c in found.items())
    )
