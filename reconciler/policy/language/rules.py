"""What may be written in a policy file: identities, maps, exemptions, rules.

YAML spells keys in camelCase, Python in snake_case.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StrictBool, StrictInt, model_validator

from reconciler.model import Mode
from reconciler.policy.language import shapes, texts
from reconciler.policy.language.entry import IDENTITIES, SUBSCRIPTION, VAULTS, Entry
from reconciler.policy.language.exemptions import Exemption
from reconciler.policy.language.grants import Grants, OwnGrants

_Globs = Annotated[tuple[texts.Glob, ...], texts.OneOrMany]


class Identity(Entry):
    """A user-assigned identity and the rights that it shall hold."""

    model_config = ConfigDict(json_schema_extra=shapes.ENSURED)

    id: texts.Identities = Field(
        title="Id",
        description=(
            "The ARM id of the user-assigned identity. With {subscription} or {location} it is one "
            "identity for each subscription and location of the resources that carry it."
        ),
        examples=[
            f"{IDENTITIES}/app",
            IDENTITIES.replace(SUBSCRIPTION, "{subscription}") + "/avd-{location}",
        ],
    )
    exclusive: StrictBool = Field(
        default=False,
        title="Exclusive",
        description=(
            "Whether resources that no rule attaches it to may not carry it: sweeps detach it "
            "there, within maxRemovals."
        ),
        examples=[True],
    )
    ensure: Literal["present"] | None = Field(
        default=None,
        title="Ensure",
        description=(
            "present: the identity is created where a rule in repair mode attaches it and it is "
            "missing. Without this it must exist."
        ),
        examples=["present"],
    )
    location: texts.NewLocation | None = Field(
        default=None,
        title="Location",
        description=(
            "Where it is created: a location, or {location} where its id holds that too. Only with "
            "ensure, and required there."
        ),
        examples=["{location}", "westeurope"],
    )
    tags: texts.Tags = Field(
        default_factory=dict,
        title="Tags",
        description="The tags with which it is created. Only with ensure.",
        examples=[{"team": "desktop"}],
    )
    mode: Mode = Field(
        default=Mode.AUDIT,
        title="Mode",
        description=(
            "Whether a difference in its grants, or its absence, is only told (audit) or mended "
            "(repair)."
        ),
        examples=["repair"],
    )
    grants: OwnGrants = Field(
        default=(),
        title="Grants",
        description=(
            "The rights that the identity shall hold. Placeholders mean its own place and location."
        ),
        examples=[[{"role": "Storage Blob Data Reader", "scope": "{resourceGroup}"}]],
    )

    @model_validator(mode="after")
    def _can_be_created(self) -> Self:
        placed = "{location}" in self.id.text
        if self.ensure is None:
            if self.location is not None or self.tags:
                raise ValueError("'location' and 'tags' need 'ensure: present'; add it")
        elif self.location is None:
            sample = '"{location}"' if placed else "westeurope"
            raise ValueError(f"'ensure: present' needs a location; add 'location: {sample}'")
        elif placed and self.location != "{location}":
            raise ValueError(
                "the id holds {location}, so an identity lies where its id says: write "
                'location: "{location}"'
            )
        elif not placed and self.location == "{location}":
            raise ValueError(
                "the id does not hold {location}, so it is one identity in one place: write that, "
                "such as location: westeurope"
            )
        return self


class Match(Entry):
    """Which of the resources within a rule's scopes it is about; all that is given must hold."""

    type: Annotated[tuple[texts.Type, ...], texts.OneOrMany, texts.Some] = Field(
        title="Type",
        description="Full resource types, without globs; one of them must be the resource's.",
        examples=["Microsoft.Compute/virtualMachines"],
    )
    resource_group: _Globs = Field(
        default=(),
        title="Resource group",
        description="Globs, one of which the group's name must fit, whatever the case.",
        examples=[["rg-avd-*"]],
    )
    name: _Globs = Field(
        default=(),
        title="Name",
        description="Globs, one of which the resource's name must fit, whatever the case.",
        examples=[["sh-*"]],
    )
    location: Annotated[tuple[texts.Location, ...], texts.OneOrMany] = Field(
        default=(),
        title="Location",
        description=(
            "Globs, one of which the resource's location must fit; West Europe is westeurope."
        ),
        examples=[["westeurope", "north*"]],
    )
    kind: _Globs = Field(
        default=(),
        title="Kind",
        description="Globs, one of which the resource's kind must fit, whatever the case.",
        examples=[["functionapp*"]],
    )
    tags: texts.TagGlobs = Field(
        default_factory=dict,
        title="Tags",
        description=(
            "For each tag a glob that its value must fit, in this case; '*' takes any value. The "
            "case of a tag's name does not matter."
        ),
        examples=[{"workload": "avd", "env": "*"}],
    )


class System(Entry):
    """The system-assigned identity: present means switched on, with these rights."""

    grants: Grants = Field(
        default=(),
        title="Grants",
        description="The rights that the resource's system-assigned identity shall hold.",
        examples=[[{"role": "Reader", "scope": "{resourceGroup}"}]],
    )


class Rule(Entry):
    """Which resources carry which identities; a system-assigned one with which rights."""

    model_config = ConfigDict(json_schema_extra=shapes.ASKING)

    name: texts.Name = Field(
        title="Name", description="A name of its own among all rules.", examples=["session-hosts"]
    )
    mode: Mode = Field(
        default=Mode.AUDIT,
        title="Mode",
        description="Whether a difference is only told (audit) or mended (repair).",
        examples=["repair"],
    )
    rollout: Annotated[StrictInt, Field(ge=0, le=100)] = Field(
        default=100,
        title="Rollout",
        description=(
            "The percentage of the matches that the mode is for; the others are audited. Which "
            "ones is decided by their ids, so a resource stays in when the percentage grows."
        ),
        examples=[10],
    )
    within: Annotated[tuple[texts.Within, ...], texts.Some] = Field(
        title="Within",
        description=(
            "Subscriptions, resource groups or resources, exactly and without globs, outside of "
            "which the rule has no say. Whoever may write there may fit the match."
        ),
        examples=[[f"{SUBSCRIPTION}/resourceGroups/rg-avd"]],
    )
    match: Match = Field(
        title="Match",
        description="Which of the resources within the scopes the rule is about.",
        examples=[{"type": "Microsoft.Compute/virtualMachines", "name": ["sh-*"]}],
    )
    attach: tuple[texts.Attached, ...] = Field(
        default=(),
        title="Attach",
        description="Names of identities that every match must carry.",
        examples=[["avd-host"]],
    )
    allow_default_change: StrictBool = Field(
        default=False,
        title="Allow default change",
        description=(
            "Whether the identity may change that the metadata service picks for callers who name "
            "none."
        ),
        examples=[True],
    )
    allow_restart: StrictBool = Field(
        default=False,
        title="Allow restart",
        description=(
            "Whether identities may be changed on types whose apps restart on it, such as web apps."
        ),
        examples=[True],
    )
    system: System | None = Field(
        default=None,
        title="System",
        description="If present, the system-assigned identity is switched on, with these rights.",
        examples=[{"grants": [{"role": "Reader", "scope": "{resourceGroup}"}]}],
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not self.attach and self.system is None:
            raise ValueError(f"rule '{self.name}' asks for nothing: add 'attach' or 'system'")
        return self


class PolicyFile(Entry):
    """One file of policy."""

    version: texts.Version = Field(
        title="Version", description="The version of the policy language.", examples=[1]
    )
    identities: Mapping[texts.Name, Identity] = Field(
        default_factory=dict,
        title="Identities",
        description="User-assigned identities under the names by which rules attach them.",
        examples=[{"avd-host": {"id": f"{IDENTITIES}/avd-host"}}],
    )
    maps: Mapping[texts.Name, texts.Map] = Field(
        default_factory=dict,
        title="Maps",
        description=(
            "Reviewed ids by key. A resource's location or tag picks a key in a grant's scope, and "
            "can never be a part of it."
        ),
        examples=[{"vault": {"dev": f"{VAULTS}/kv-dev", "prod": f"{VAULTS}/kv-prod"}}],
    )
    exemptions: tuple[Exemption, ...] = Field(
        default=(),
        title="Exemptions",
        description="Where nothing is added and nothing removed for a while; plans say why.",
        examples=[
            [{"scope": SUBSCRIPTION, "reason": "migration weekend", "expires": "2027-01-31"}]
        ],
    )
    rules: tuple[Rule, ...] = Field(
        default=(),
        title="Rules",
        description="Which resources carry which identities and rights.",
        examples=[
            [
                {
                    "name": "session-hosts",
                    "within": [SUBSCRIPTION],
                    "match": {"type": "Microsoft.Compute/virtualMachines"},
                    "attach": ["avd-host"],
                }
            ]
        ],
    )
