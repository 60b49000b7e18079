"The reference of contract.yaml."

from generators.markdown import code, table
from generators.sources import ROOT, agree
from mlops_kit.core import contract
from mlops_kit.core.files import read_yaml


def field_rows(meanings: dict[str, str]) -> list[list[str]]:
    "Write the fields that a column may have."
    agree("column_fields", set(contract.COLUMN_FIELDS), set(meanings))
    kinds = {"required": contract.REQUIRED_FIELDS, "optional": contract.OPTIONAL_FIELDS}
    return [[code(name), kind, meanings[name]] for kind, names in kinds.items() for name in names]


def contract_page(meanings: dict[str, dict[str, str]]) -> str:
    "Write the parts of contract.yaml, the fields of a column, and this project's columns."
    content, parts = read_yaml(ROOT / "contract.yaml"), meanings["contract_parts"]
    agree("contract_parts", set(content) - set(parts), set())
    columns = [
        [code(name), rules["type"], "known" if rules["known"] else "not known", rules["meaning"]]
        for name, rules in content["columns"].items()
    ]
    return (
        "# Data contract\n\n`contract.yaml` says what each column is and may hold. The stage "
        "`validate` enforces it row by row; the stage `features` takes from it which columns a model "
        "may see.\n\n## Parts of the file\n\n"
        + table(["part", "meaning"], [[code(k), v] for k, v in parts.items()])
        + "\n## Fields of a column\n\n"
        + table(["field", "presence", "meaning"], field_rows(meanings["column_fields"]))
        + f"\nTypes: {', '.join(map(code, contract.COLUMN_TYPES))}. "
        + f"Tasks: {', '.join(map(code, contract.TASKS))}. "
        + f"Roles: {', '.join(map(code, contract.ROLES))}.\n"
        + "\n## Columns of the example\n\n"
        + table(["column", "type", "at prediction time", "meaning"], columns)
    )
