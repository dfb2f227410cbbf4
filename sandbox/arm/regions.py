"""How the names of regions are spelled: ``westus2`` in ids and indexes, ``West US 2`` for people.

Some providers answer with the second, whichever was sent (azure-cli test_sb_namespace).
"""

_NAMES = """
Australia Central, Australia East, Australia Southeast, Brazil South, Canada Central, Canada East,
Central India, Central US, Central US EUAP, East Asia, East US, East US 2, East US 2 EUAP,
France Central, Germany West Central, Israel Central, Italy North, Japan East, Japan West,
Jio India West, Korea Central, Korea South, Malaysia South, Mexico Central, North Central US,
North Europe, Norway East, Norway West, Poland Central, Qatar Central, South Africa North,
South Central US, South India, Southeast Asia, Spain Central, Sweden Central, Switzerland North,
Switzerland West, UAE Central, UAE North, UK South, UK West, West Central US, West Europe,
West India, West US, West US 2, West US 3
"""


def plain(name: str) -> str:
    """Return a region's name as ids and indexes spell it."""
    return "".join(name.split()).lower()


_SHOWN = {plain(each): " ".join(each.split()) for each in _NAMES.split(",")}


def shown(name: str) -> str:
    """Return a region's name as it is shown to people; an unknown one as it is."""
    return _SHOWN.get(plain(name), name)


def everywhere() -> dict[str, str]:
    """Return the names of all regions: as ids spell them, with how they are shown."""
    return dict(_SHOWN)
