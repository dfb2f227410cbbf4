"""Write what readers and editors know policy by: docs/policy.md and the schemas in policies/.

Run by `make docs`. The tables and schemas come from the models of the language, the prose from
`policy_reference.md`, where `<!-- keys: Rule -->` stands for the table of that model.
"""

import ast
import functools
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any, cast, get_args

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from reconciler.policy.model import Entry, Guardrails, PolicyFile

ROOT = Path(__file__).parent.parent
SCHEMAS: dict[Path, type[BaseModel]] = {
    ROOT / "policies" / "schema.json": PolicyFile,
    ROOT / "policies" / "guardrails.schema.json": Guardrails,
}
PAGE = ROOT / "docs" / "policy.md"

_PROSE = Path(__file__).with_name("policy_reference.md")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_TABLE = re.compile(r"<!-- keys: (\w+) -->")
_LONGEST_EXAMPLE = 170
"""Characters; longer ones are left to the prose, which has whole files."""


def page() -> str:
    """Return the whole reference; raises `KeyError` for a model that has no place in it."""
    models = {model.__name__: model for root in SCHEMAS.values() for model in _models(root)}
    prose = _PROSE.read_text("utf-8")
    if missing := models.keys() - set(_TABLE.findall(prose)) - {"OwnGrant"}:
        raise KeyError(f"{_PROSE.name} has no place for {', '.join(sorted(missing))}")
    text = _TABLE.sub(lambda found: _table(models[found[1]]), prose)
    return "<!-- Made by `make docs` from the models and tools/policy_reference.md. -->\n\n" + text


def schema_text(model: type[BaseModel]) -> str:
    """Return a schema file's content."""
    return json.dumps(schema(model), indent=1, ensure_ascii=False) + "\n"


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a whole file, what can be checked in one file alone.

    Names that lead elsewhere, guardrails and what YAML itself allows are only for the loader to
    see.
    """
    content = model.model_json_schema()
    owners = {model.__name__: content} | content["$defs"]
    for part in _models(model):
        for name, field in part.model_fields.items():
            properties = owners[part.__name__]["properties"]
            shape = {"description": descriptions(part)[name], **properties[field.alias or name]}
            # Without a value a key is a mistake, so nothing is neither a value nor a default.
            if shape.get("default", ...) is None:
                del shape["default"]
                values, _ = shape.pop("anyOf")
                shape |= values
            properties[field.alias or name] = shape
    return {"$schema": GenerateJsonSchema.schema_dialect} | content


@functools.cache
def descriptions(model: type[BaseModel]) -> Mapping[str, str]:
    """Return what the source of a model says below each of its keys.

    Pydantic can read this itself, but only by doing so at every start of the app.
    """
    texts: dict[str, str] = {}
    for part in reversed(model.__mro__[: model.__mro__.index(Entry)]):
        (definition,) = ast.parse(inspect.getsource(part)).body
        for key, below in pairwise(cast("ast.ClassDef", definition).body):
            match key, below:
                case ast.AnnAssign(ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                    texts[name] = " ".join(text.split())
    return texts


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 (type expressions have no type)
    """Go through the models that a type expression holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from _models(field.annotation)
    for part in get_args(annotation):
        yield from _models(part)


def _table(model: type[BaseModel]) -> str:
    texts = descriptions(model)
    rows = [
        _row(field.alias or name, field, texts[name]) for name, field in model.model_fields.items()
    ]
    head = ["| key | required | default | meaning | example |", "|---|---|---|---|---|"]
    return "\n".join(head + rows)


def _row(key: str, field: FieldInfo, text: str) -> str:
    required = "yes" if field.is_required() else "no"
    default = field.get_default(call_default_factory=True)
    default_text = "" if field.is_required() or default in (None, (), {}) else _code(default)
    example = next(iter(field.examples or ()), None)
    example_text = "" if example is None else _code(example)
    if len(example_text) > _LONGEST_EXAMPLE:
        example_text = ""
    # Markdown takes what stands in angle brackets for HTML, and shows nothing of it.
    meaning = _PLACEHOLDER.sub(r"`\g<0>`", _cell(text))
    cells = (f"`{key}`", required, default_text, meaning, example_text)
    return f"| {' | '.join(cells)} |"


def _code(value: object) -> str:
    """Show a value as one would write it in a policy file."""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, StrEnum):
        value = value.value
    dumped = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    return f"`{_cell(dumped.removesuffix('\n').removesuffix('\n...'))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write the page and the schemas."""
    PAGE.write_text(page(), "utf-8")
    for path, model in SCHEMAS.items():
        path.write_text(schema_text(model), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
