"""Hypothesis strategies for the domain's own values, shared by the property tests.

Ids come from a description of what Azure allows, not from the parser, so that the two are compared.
"""

from hypothesis import strategies as st

from reconciler.ids import ResourceId

# Refused wherever they stand.
REFUSED = "/%?#\\\"'`"
SIGNS = "()!$&+,;=:@* "
"""Signs that stand in names of some of Azure's types."""
LETTERS = (
    "\N{KELVIN SIGN}\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}\N{LATIN SMALL LETTER DOTLESS I}"
    "\N{LATIN SMALL LETTER LONG S}\N{ANGSTROM SIGN}\N{LATIN CAPITAL LETTER SHARP S}\N{OHM SIGN}"
    "\N{MICRO SIGN}\N{GREEK SMALL LETTER FINAL SIGMA}åßω東ж"
)
"""Letters that comparisons without case treat in different ways, and some that have no case."""

guids = st.uuids().map(str)
owners = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=40)
plain_names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._()-]{0,15}", fullmatch=True)

_visible = st.characters(
    codec="utf-8",
    exclude_characters=REFUSED,
    exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"),
)
names = (
    plain_names
    | st.text(st.sampled_from(SIGNS + "aZ0.-_" + LETTERS), min_size=1, max_size=8)
    .map(str.strip)
    .filter(lambda name: name.strip(".") != "")
    | st.text(_visible, min_size=1, max_size=12)
    .map(str.strip)
    .filter(lambda name: name.strip(".") != "")
)
"""Names of resources: mostly as Azure makes them, at times any visible text."""

_types = st.sampled_from(("virtualMachines", "vaults", "userAssignedIdentities", "extensions"))
_pairs = st.tuples(_types, names).map("/".join)
_blocks = st.builds(
    "/providers/{}/{}".format,
    st.sampled_from(("Microsoft.Compute", "microsoft.keyvault", "Microsoft.Authorization")),
    st.lists(_pairs, min_size=1, max_size=3).map("/".join),
)

subscriptions = guids.map("/subscriptions/{}".format)
groups = st.builds(
    "{}/{}/{}".format, subscriptions, st.sampled_from(("resourceGroups", "resourcegroups")), names
)
management_groups = names.map("/providers/Microsoft.Management/managementGroups/{}".format)
resources = st.builds("{}{}".format, groups | subscriptions, _blocks)
extensions = st.builds("{}{}".format, resources | groups | management_groups, _blocks)

id_texts = st.just("/") | subscriptions | groups | management_groups | resources | extensions
"""Spellings that are ARM ids, of every shape that the project meets."""

ids = id_texts.map(ResourceId.parse)
plain_resources = st.builds(
    "{}/resourceGroups/{}/providers/Microsoft.Compute/virtualMachines/{}".format,
    subscriptions,
    plain_names,
    plain_names,
)
"""Virtual machines with ASCII names, whose case may be changed at will."""
