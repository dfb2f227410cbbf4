"""JSON Schema of the policy language, for editors: what of it can be checked in one file alone.

Names that lead elsewhere, guardrails and what YAML itself allows are only for the loader to see.
`tools/policy_schema.py` writes the files that editors read.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from reconciler.policy.language import texts


def of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a whole file: `PolicyFile` or `Guardrails`."""
    schema = model.model_json_schema(schema_generator=_Generator)
    return {"$schema": GenerateJsonSchema.schema_dialect} | schema


class _Generator(GenerateJsonSchema):
    """Says of files what the loader says of them, where pydantic's own words are wider."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """A key without a value is a mistake; one that is not needed is left out."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Nothing is no default that anyone could write."""
        shape = super().default_schema(schema)
        return {key: value for key, value in shape.items() if (key, value) != ("default", None)}

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Keys that are no names are refused, not passed over."""
        keys = self.generate_inner(schema["keys_schema"])
        names = {key: value for key, value in keys.items() if key != "type"}
        shape: dict[str, Any] = {"type": "object"}
        if names:
            shape["propertyNames"] = names
        return shape | {"additionalProperties": self.generate_inner(schema["values_schema"])}

    def function_before_schema(
        self, schema: core_schema.BeforeValidatorFunctionSchema
    ) -> JsonSchemaValue:
        """One text stands for a list of one."""
        shape = super().function_before_schema(schema)
        if schema["function"]["function"] is texts.one_or_many:
            return {"anyOf": [shape["items"], shape]}
        return shape

    def function_after_schema(
        self, schema: core_schema.AfterValidatorFunctionSchema
    ) -> JsonSchemaValue:
        """Some lists must not be empty."""
        shape = super().function_after_schema(schema)
        return _not_empty(shape) if schema["function"]["function"] is texts.some else shape


def _not_empty(shape: Mapping[str, Any]) -> JsonSchemaValue:
    if "anyOf" in shape:
        return {**shape, "anyOf": [_not_empty(each) for each in shape["anyOf"]]}
    return {**shape, "minItems": 1} if shape["type"] == "array" else dict(shape)
