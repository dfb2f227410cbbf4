"""What JSON Schema can say of a single text of policy, so that editors check and complete it.

The types of `texts` carry these shapes, and `schema` puts them together. A shape refuses nothing
that the loader takes, with one exception: it knows role names only as Azure spells them. Patterns
keep to what Python and JavaScript both understand.
"""

from typing import Final

from pydantic import GetJsonSchemaHandler, WithJsonSchema
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from reconciler import roles

NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
TYPE: Final = r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(/[A-Za-z0-9.-]+)+"
CONTROL: Final = r"\x00-\x1f\x7f"
NEVER_IN_NAMES: Final = rf"""/\\%#<>"'{CONTROL}"""
NEVER_IN_TEXTS: Final = r"\x00-\x08\x0e-\x1f\x7f"
LONGEST_NAME: Final = 260
LONGEST_ID: Final = 2048
"""Characters of an id, as `reconciler.ids` has it, and of a template of ids."""
LONGEST_TAG: Final = 256
"""Characters of a tag's value (documented)."""
PLAIN_LOCATION: Final = "[A-Za-z0-9 ]+"

_NEVER_IN_IDS = r"""/%?#*\\"'`{}\x00-\x1f\x7f"""
_NOT_BLANK = r"[\s\S]*\S[\s\S]*"
_GUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


def _any_case(text: str) -> str:
    """Return a pattern for a text in whatever case, for which JSON Schema has no flag."""
    letters = (f"[{one.upper()}{one.lower()}]" if one.isalpha() else one for one in text)
    return "".join(letters).replace(".", r"\.")


def _without(excluded: str) -> str:
    """Return a pattern for a text without certain characters, and no blanks at its edges."""
    return rf"[^\s{excluded}]([^{excluded}]*[^\s{excluded}])?"


def _text(pattern: str, wanted: str, **more: object) -> WithJsonSchema:
    """Return a text's shape; `wanted` is what the YAML language server says of a wrong one."""
    shape = {"type": "string", "pattern": f"^({pattern})$", "patternErrorMessage": wanted}
    return WithJsonSchema(shape | more)


_SEGMENT = rf"(?!\.+(/|$)){_without(_NEVER_IN_IDS)}"
_SUBSCRIPTION = _any_case("/subscriptions/") + _GUID
_GROUPS = _any_case("/resourceGroups/")
_PROVIDER = _any_case("/providers/") + _SEGMENT
_USER_ASSIGNED = _any_case("/providers/Microsoft.ManagedIdentity/userAssignedIdentities/")
_DEFINITION = _any_case("/providers/Microsoft.Authorization/roleDefinitions/")

# A placeholder for a whole id can only begin one; a location may stand anywhere.
_PART = rf"([^{_NEVER_IN_IDS}]|\{{location\}})+"


def _scope(key: str) -> str:
    """Return a pattern for scopes with placeholders; `key` is for what picks from a map."""
    whole = rf"id|resourceGroup|subscription|maps\.[^\[\]{{}}]+\[({key})\]"
    first = rf"\{{({whole})\}}|{_SUBSCRIPTION}|/(?!{_any_case('subscriptions')}/){_PART}"
    return rf"/|(?!.*\s$)({first})(/{_PART})*"


ID: Final = _text(
    f"/|({_SUBSCRIPTION}|{_PROVIDER})(/{_SEGMENT})*",
    "This must be an ARM id, such as /subscriptions/<id>/resourceGroups/<group>.",
)
WITHIN: Final = _text(
    f"{_SUBSCRIPTION}(/{_SEGMENT})*",
    "This must be the exact id of a subscription, a resource group or a resource.",
)
IDENTITY_ID: Final = _text(
    f"{_SUBSCRIPTION}{_GROUPS}{_SEGMENT}{_USER_ASSIGNED}{_SEGMENT}",
    "This must be the id of a user-assigned identity: /subscriptions/<id>/resourceGroups/<group>"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>.",
)
IDENTITIES: Final = _text(
    rf"(\{{subscription\}}|{_SUBSCRIPTION}){_GROUPS}{_PART}{_USER_ASSIGNED}{_PART}",
    "This must be the id of a user-assigned identity: /subscriptions/<id>/resourceGroups/<group>"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>. It may begin with "
    "{subscription}, and {location} may stand in it.",
)
SCOPE: Final = _text(
    _scope(r"location|tags\.[^\[\]{}]+"),
    "This must be an ARM id, or begin with {id}, {resourceGroup}, {subscription}, "
    "{maps.<map>[location]} or {maps.<map>[tags.<tag>]}; only {location} may stand further on.",
)
OWN_SCOPE: Final = _text(
    _scope("location"),
    "This must be an ARM id, or begin with {id}, {resourceGroup}, {subscription} or "
    "{maps.<map>[location]}; only {location} may stand further on.",
)
OF_TYPE: Final = _text(
    TYPE, "This must be a whole resource type, such as Microsoft.Compute/virtualMachines."
)
OF_NAME: Final = _text(
    NAME, "A name has up to 64 letters, digits, '-', '_' and '.', a letter or digit first."
)
GLOB: Final = _text(
    f"(?!!){_without(NEVER_IN_NAMES)}",
    "No name can match this.",
    maxLength=LONGEST_NAME,
)
LOCATION: Final = _text(
    r"(?! *!)(?=.*[^ ])[A-Za-z0-9*?\[\]! -]+",
    "No location can match this.",
    maxLength=LONGEST_NAME,
)
NEW_LOCATION: Final = _text(
    rf"\{{location\}}|(?=.*[^ ]){PLAIN_LOCATION}",
    "This must be a location, such as westeurope, or {location}.",
)
TAG: Final = _text(
    rf"(?![\s\S]*[{CONTROL}])[\s\S]*", "No tag has this value.", maxLength=LONGEST_TAG
)
CONDITION: Final = _text(
    rf"(?=[\s\S]*\S)[^{NEVER_IN_TEXTS}]*", "The condition is empty or holds what is not text."
)
REASON: Final = _text(_NOT_BLANK, "The reason is empty.")
DAY: Final = _text(r"\d{4}-\d{2}-\d{2}", "This must be a date, such as 2027-01-31.", format="date")

ENSURED: Final[JsonDict] = {
    "dependentRequired": {"ensure": ["location"], "location": ["ensure"]},
    "if": {"required": ["tags"], "properties": {"tags": {"minProperties": 1}}},
    "then": {"required": ["ensure"]},
}
ASKING: Final[JsonDict] = {
    "anyOf": [
        {"required": ["attach"], "properties": {"attach": {"minItems": 1}}},
        {"required": ["system"]},
    ]
}
"""Keys of an identity and of a rule that only go together, or of which there must be one."""


class _Also:
    """Keywords that are added to what a type's shape is otherwise."""

    def __init__(self, **keywords: object) -> None:
        self._keywords = keywords

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | self._keywords


KEYED: Final = _Also(minProperties=1, propertyNames={"pattern": r"\S"})
TAGS: Final = _Also(propertyNames={"pattern": r"\S"})


class _Role:
    """A role's shape, made only when it is asked for: its names are many."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        del schema, handler
        return {
            "type": "string",
            "anyOf": [
                {"enum": roles.table().names()},
                {"pattern": f"^({_GUID})$"},
                {"pattern": f"^(/.+)?{_DEFINITION}{_GUID}$"},
            ],
        }


ROLE: Final = _Role()
