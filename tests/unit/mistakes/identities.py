"""Mistakes in identities that are created."""

from tests.unit.policy_files import PLACED, Mistakes, identity

MISTAKES: Mistakes = {
    "ensure without a location": (
        identity(ensure="present"),
        "4:5",
        "'ensure: present' needs a location; add 'location: westeurope'",
    ),
    "ensure without a location for each": (
        f"{PLACED}    ensure: present\n",
        "4:5",
        """add 'location: "{location}"'""",
    ),
    "ensure anything else": (
        identity(ensure="absent", location="westeurope"),
        "5:13",
        "'ensure' must be 'present', not 'absent'",
    ),
    "a location without ensure": (identity(location="westeurope"), "4:5", "need 'ensure: present'"),
    "tags without ensure": (identity(tags="{a: b}"), "4:5", "need 'ensure: present'"),
    "one identity at many locations": (
        identity(ensure="present", location="'{location}'"),
        "4:5",
        "so it is one identity in one place: write that, such as location: westeurope",
    ),
    "many identities at one location": (
        f"{PLACED}    ensure: present\n    location: westeurope\n",
        "4:5",
        'an identity lies where its id says: write location: "{location}"',
    ),
    "a location that is none": (
        identity(ensure="present", location="west_europe"),
        "6:15",
        "'west_europe' is not a location",
    ),
    "a location with a placeholder": (
        identity(ensure="present", location="'west{location}'"),
        "6:15",
        "is not a location",
    ),
    "a tag of another type": (
        identity(ensure="present", location="westeurope", tags="{cost: 7}"),
        "7:18",
        "'cost' must be a text, not 7; put it in quotes",
    ),
}
