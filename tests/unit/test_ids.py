"""What is an ARM id, what is refused, and what an id tells about its place."""

import pytest

from reconciler.errors import ReconcilerError, ResourceIdError
from reconciler.ids import ResourceId, dashless, fold, is_guid
from tests.world.ids import SUB as SUBSCRIPTION

GROUP = f"{SUBSCRIPTION}/resourceGroups/rg"
MACHINE = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm-1"
MANAGEMENT_GROUP = "/providers/Microsoft.Management/managementGroups/mg"
ASSIGNMENT = (
    "providers/Microsoft.Authorization/roleAssignments/381e8404-e4ac-559b-8e15-3ffb111980b4"
)


def parsed(text: str) -> ResourceId:
    """Shorten the parser's name."""
    return ResourceId.parse(text)


@pytest.mark.parametrize(
    "segment",
    [
        pytest.param("", id="empty"),
        pytest.param(".", id="one dot"),
        pytest.param("..", id="two dots"),
        pytest.param("...", id="three dots"),
        pytest.param("%2e%2e", id="escaped dots"),
        pytest.param("a%20b", id="escape"),
        pytest.param("a%", id="bare percent sign"),
        pytest.param("..\\up", id="backslash"),
        pytest.param("a'b", id="single quote"),
        pytest.param('a"b', id="double quote"),
        pytest.param("a`b", id="back quote"),
        pytest.param("a?b", id="query"),
        pytest.param("a#b", id="fragment"),
        pytest.param("a\nb", id="newline"),
        pytest.param("a\n", id="newline at the end"),
        pytest.param("a\tb", id="tab"),
        pytest.param("a\0b", id="null"),
        pytest.param("a\x7fb", id="delete"),
        pytest.param("a\x85b", id="next line"),
        pytest.param("a\N{LINE SEPARATOR}b", id="line separator"),
        pytest.param("a\N{RIGHT-TO-LEFT OVERRIDE}b", id="bidirectional override"),
        pytest.param("a\N{RIGHT-TO-LEFT ISOLATE}b", id="bidirectional isolate"),
        pytest.param("a\N{ZERO WIDTH SPACE}b", id="zero width space"),
        pytest.param("a\N{ZERO WIDTH JOINER}b", id="zero width joiner"),
        pytest.param("a\N{SOFT HYPHEN}b", id="soft hyphen"),
        pytest.param("\N{ZERO WIDTH NO-BREAK SPACE}a", id="byte order mark"),
        pytest.param("a\ud800b", id="lone surrogate"),
        pytest.param("a\ue000b", id="private use"),
        pytest.param("a\U0010ffffb", id="unassigned"),
        pytest.param(" a", id="blank in front"),
        pytest.param("a ", id="blank behind"),
        pytest.param(" ", id="only a blank"),
        pytest.param("\N{NO-BREAK SPACE}a", id="no-break space in front"),
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        "/subscriptions/{}",
        f"{SUBSCRIPTION}/resourceGroups/{{}}",
        f"{GROUP}/providers/{{}}/virtualMachines/vm-1",
        f"{MACHINE}/extensions/{{}}",
    ],
)
def test_a_segment_that_could_mean_another_place_is_refused(segment: str, place: str) -> None:
    """Such ids are refused and never repaired, whichever segment it is."""
    assert parsed(place.format("harmless"))
    with pytest.raises(ResourceIdError, match="is not an ARM id"):
        parsed(place.format(segment))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "must start with '/'"),
        ("subscriptions/1", "must start with '/'"),
        (MACHINE[1:], "must start with '/'"),
        (f"https://management.azure.com{MACHINE}", "must start with '/'"),
        ("//", "empty segment"),
        (f"{GROUP}/", "empty segment"),
        (f"/{GROUP}", "empty segment"),
        ("/subscriptions", "'subscriptions' lacks a name"),
        (f"{SUBSCRIPTION}/resourceGroups", "'resourceGroups' lacks a name"),
        ("/resourceGroups/rg", "must follow a scope"),
        (f"{GROUP}/virtualMachines/vm-1", "must follow a scope"),
        ("/subscriptions/s/resourcegroup/rg", "not 'resourcegroup'"),
        (f"{GROUP}/providers", "a type lacks its name"),
        (f"{GROUP}/providers/Microsoft.Compute", "a type lacks its name"),
        (
            f"{GROUP}/providers/Microsoft.Compute/virtualMachines",
            "a type lacks its name after 'virtualMachines'",
        ),
        (f"{MACHINE}/extensions", "a type lacks its name"),
        (f"{MACHINE}/providers", "a type lacks its name"),
        (f"{MACHINE}/providers/Microsoft.Authorization/roleAssignments", "a type lacks its name"),
        (f"{GROUP}/providers/Microsoft.Compute/providers/{ASSIGNMENT}", "a type lacks its name"),
    ],
)
def test_an_id_that_is_not_whole_is_refused_with_its_reason(text: str, complaint: str) -> None:
    """The message says what is missing, so that whoever wrote the id can mend it."""
    with pytest.raises(ResourceIdError, match=complaint):
        parsed(text)


def test_a_refused_id_is_a_value_error_and_one_of_ours() -> None:
    """Pydantic reports value errors; the command line catches the project's own."""
    with pytest.raises(ValueError, match="not an ARM id") as caught:
        parsed("nowhere")

    assert isinstance(caught.value, ReconcilerError)


@pytest.mark.parametrize("character", ["\N{RIGHT-TO-LEFT OVERRIDE}", "\x1b", "\n"])
def test_a_refusal_does_not_print_what_it_refuses(character: str) -> None:
    """Messages go to terminals and logs, so a refused character appears escaped."""
    with pytest.raises(ResourceIdError) as caught:
        parsed(f"{GROUP}{character}x")

    assert str(caught.value).isprintable()


UNUSUAL = [
    *(
        "a.b",
        "..a",
        "a b",
        "grp(1)",
        "vm_1",
        "größe",
        "東京",
        "a,b;c=d",
        "$web",
        "@",
        "*",
        "a&b!c+d:",
    ),
    *(
        "\N{KELVIN SIGN}v",
        "rg-\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}stanbul",
        "группа",
        "नाम",
        "()",
    ),
]


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_names_that_mean_one_place_are_accepted(name: str) -> None:
    """Dots, blanks, brackets, signs and letters of other scripts in a name are no danger."""
    assert parsed(f"{SUBSCRIPTION}/resourceGroups/{name}").name == name


@pytest.mark.parametrize("name", UNUSUAL)
def test_places_above_an_unusual_name_are_as_for_any_other(name: str) -> None:
    """Parent, scope and containment go by segments, whatever stands in them."""
    group = parsed(f"{SUBSCRIPTION}/resourceGroups/{name}")
    site = parsed(f"{group}/providers/Microsoft.Web/sites/{name}")
    slot = parsed(f"{site}/slots/{name}")
    right = parsed(f"{slot}/{ASSIGNMENT}")

    assert (slot.parent, site.parent, group.parent) == (site, group, parsed(SUBSCRIPTION))
    assert (right.scope, slot.scope) == (slot, group)
    assert str(group.group_id) == str(group)
    assert all(group.contains(below) for below in (group, site, slot, right))
    assert not parsed(f"{group}x").contains(site)


# Two spellings of which .NET's ordinal comparison without case makes one name.
ONE_NAME = [
    ("straße", "STRAßE"),
    ("måling", "MÅLING"),
    ("\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}"),
    ("\N{GREEK SMALL LETTER FINAL SIGMA}", "\N{GREEK CAPITAL LETTER SIGMA}"),
    (
        "\N{GREEK SMALL LETTER ALPHA WITH PSILI AND YPOGEGRAMMENI}",
        "\N{GREEK CAPITAL LETTER ALPHA WITH PSILI AND PROSGEGRAMMENI}",
    ),
    (
        "\N{LATIN CAPITAL LETTER D WITH SMALL LETTER Z WITH CARON}",
        "\N{LATIN SMALL LETTER DZ WITH CARON}",
    ),
    ("\N{DESERET SMALL LETTER LONG I}", "\N{DESERET CAPITAL LETTER LONG I}"),
]
# Two that it tells apart, though one of Python's comparisons joins them.
TWO_NAMES = [
    ("\N{KELVIN SIGN}", "k"),
    ("\N{KELVIN SIGN}", "K"),
    ("\N{ANGSTROM SIGN}", "å"),
    ("\N{OHM SIGN}", "ω"),
    ("\N{GREEK CAPITAL THETA SYMBOL}", "θ"),
    ("\N{LATIN CAPITAL LETTER SHARP S}", "ß"),
    ("ß", "ss"),
    ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "i"),
    ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "i\N{COMBINING DOT ABOVE}"),
    ("\N{LATIN SMALL LETTER DOTLESS I}", "I"),
    ("\N{LATIN SMALL LETTER DOTLESS I}", "i"),
    ("\N{LATIN SMALL LETTER LONG S}", "S"),
    ("\N{LATIN SMALL LETTER LONG S}", "s"),
    ("\N{LATIN SMALL LIGATURE FI}", "fi"),
    ("å", "a\N{COMBINING RING ABOVE}"),
]


@pytest.mark.parametrize(("one", "other"), ONE_NAME)
def test_names_that_azure_takes_for_one_are_one_id(one: str, other: str) -> None:
    """The comparison goes letter by letter, by simple upper case."""
    group, same = (parsed(f"{SUBSCRIPTION}/resourceGroups/a{name}b") for name in (one, other))

    assert group == same
    assert group.contains(parsed(f"{same}/{ASSIGNMENT}"))


@pytest.mark.parametrize(("one", "other"), TWO_NAMES)
def test_names_that_azure_tells_apart_are_two_ids(one: str, other: str) -> None:
    """Else `within` would contain what a stranger names so."""
    group, foreign = (parsed(f"{SUBSCRIPTION}/resourceGroups/a{name}b") for name in (one, other))

    assert group != foreign
    assert not group.contains(parsed(f"{foreign}/{ASSIGNMENT}"))


def test_the_compared_form_is_one_letter_for_each_and_its_own() -> None:
    """So a key is as long as its id, an id itself, and compared to nothing but equals."""
    letters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    folded = fold("".join(letters))

    assert len(folded) == len(letters)
    assert fold(folded) == folded
    assert fold("".join(map(chr, range(128)))) == "".join(map(chr, range(128))).lower()
    for letter, form in zip(letters, folded, strict=True):
        # Dotless i and long s are the two that are told apart from their upper case.
        if (upper := letter.upper()) != letter and letter not in "\u0131\u017f":
            assert len(upper) > 1 or fold(upper) == form


def test_ids_are_equal_whatever_their_case() -> None:
    """Equality, hashing and type checks ignore case; the spelling is kept for output."""
    shouted = parsed(MACHINE.upper())

    assert shouted == parsed(MACHINE)
    assert {shouted: 1}[parsed(MACHINE.lower())] == 1
    assert str(shouted) == MACHINE.upper()
    assert shouted.key == MACHINE.lower()
    assert shouted.is_type("microsoft.compute/VIRTUALMACHINES")


def test_two_names_are_two_ids() -> None:
    """Equality is about the whole id, not its beginning."""
    assert parsed(MACHINE) != parsed(MACHINE + "0")


@pytest.mark.parametrize(
    ("text", "type_name", "name", "parent"),
    [
        ("/", "Microsoft.Resources", "", None),
        (SUBSCRIPTION, "Microsoft.Resources/subscriptions", SUBSCRIPTION.rsplit("/", 1)[-1], "/"),
        (GROUP, "Microsoft.Resources/subscriptions/resourceGroups", "rg", SUBSCRIPTION),
        (MANAGEMENT_GROUP, "Microsoft.Management/managementGroups", "mg", "/"),
        (MACHINE, "Microsoft.Compute/virtualMachines", "vm-1", GROUP),
        (
            f"{MACHINE}/extensions/agent",
            "Microsoft.Compute/virtualMachines/extensions",
            "agent",
            MACHINE,
        ),
        (
            f"{GROUP}/providers/Microsoft.Web/sites/providers",
            "Microsoft.Web/sites",
            "providers",
            GROUP,
        ),
    ],
)
def test_an_id_knows_its_type_its_name_and_what_is_above_it(
    text: str, type_name: str, name: str, parent: str | None
) -> None:
    """The type is the namespace with the odd segments, the parent the id one level up."""
    resource = parsed(text)

    assert resource.type == type_name
    assert resource.name == name
    assert resource.parent == (parsed(parent) if parent else None)


@pytest.mark.parametrize(
    ("scope", "group", "subscription"),
    [
        ("/", None, None),
        (MANAGEMENT_GROUP, None, None),
        (SUBSCRIPTION, None, SUBSCRIPTION),
        (GROUP, GROUP, SUBSCRIPTION),
        (MACHINE, GROUP, SUBSCRIPTION),
        (f"{MACHINE}/extensions/agent", GROUP, SUBSCRIPTION),
    ],
)
def test_a_role_assignment_lies_at_its_scope(
    scope: str, group: str | None, subscription: str | None
) -> None:
    """An assignment at any scope, from tenant to child resource, names that scope."""
    assignment = parsed(f"{scope.rstrip('/')}/{ASSIGNMENT}")

    assert str(assignment.scope) == scope
    assert str(assignment.parent) == scope
    assert assignment.is_type("Microsoft.Authorization/roleAssignments")
    assert assignment.group_id == (parsed(group) if group else None)
    assert assignment.subscription_id == (parsed(subscription) if subscription else None)


@pytest.mark.parametrize("text", ["/", SUBSCRIPTION, GROUP])
def test_a_container_is_its_own_scope(text: str) -> None:
    """Tenant, subscription and group lie at no other scope than themselves."""
    assert parsed(text).scope == parsed(text)


@pytest.mark.parametrize("text", [MACHINE, f"{MACHINE}/extensions/agent"])
def test_a_resource_and_its_child_lie_at_the_group(text: str) -> None:
    """The scope of a resource is what stands before its provider."""
    assert parsed(text).scope == parsed(GROUP)


def test_places_above_an_id_keep_its_spelling() -> None:
    """A group is looked up under the name it was given, whatever the case of its keyword."""
    resource = parsed(MACHINE.replace("resourceGroups/rg", "resourcegroups/RG"))

    assert str(resource.scope) == f"{SUBSCRIPTION}/resourcegroups/RG"
    assert str(resource.group_id) == f"{SUBSCRIPTION}/resourceGroups/RG"


@pytest.mark.parametrize(
    ("outer", "inner", "inside"),
    [
        ("/", "/", True),
        ("/", MACHINE, True),
        (SUBSCRIPTION, SUBSCRIPTION, True),
        (SUBSCRIPTION, MACHINE, True),
        (GROUP.upper(), MACHINE, True),
        (MACHINE, f"{MACHINE}/extensions/agent", True),
        (GROUP, f"{GROUP}2", False),
        (GROUP, MACHINE.replace("/rg/", "/rg2/"), False),
        (MACHINE, GROUP, False),
        (MACHINE, "/", False),
        (MANAGEMENT_GROUP, SUBSCRIPTION, False),
    ],
)
def test_an_id_contains_what_lies_below_it_segment_by_segment(
    outer: str, inner: str, *, inside: bool
) -> None:
    """`rg` contains itself and its resources, but nothing of `rg2`."""
    assert parsed(outer).contains(parsed(inner)) is inside


def test_a_type_is_only_itself() -> None:
    """A child type is another type than its parent's."""
    assert not parsed(f"{MACHINE}/extensions/agent").is_type("Microsoft.Compute/virtualMachines")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("381e8404-e4ac-559b-8e15-3ffb111980b4", True),
        ("381E8404-E4AC-559B-8E15-3FFB111980B4", True),
        ("381e8404e4ac559b8e153ffb111980b4", False),
        ("{381e8404-e4ac-559b-8e15-3ffb111980b4}", False),
        ("381e8404-e4ac-559b-8e15-3ffb111980b4\n", False),
        ("g81e8404-e4ac-559b-8e15-3ffb111980b4", False),
        ("", False),
    ],
)
def test_a_guid_is_hexadecimal_with_dashes(text: str, *, is_one: bool) -> None:
    """Any case, but no braces, no blanks and no form without dashes."""
    assert is_guid(text) is is_one


def test_a_guid_loses_its_dashes_and_its_case_for_comparison() -> None:
    """Evidence in events spells principals without dashes (facts: Resource events, recorded)."""
    assert dashless("381E8404-e4ac-559b-8e15-3ffb111980b4") == "381e8404e4ac559b8e153ffb111980b4"


def test_an_id_that_no_resource_can_have_is_refused_for_its_length() -> None:
    """An event may hold a megabyte; the levels of such an id would be gone through for minutes."""
    longest = "/subscriptions/" + "s" * (2048 - len("/subscriptions/"))

    assert str(ResourceId.parse(longest)) == longest
    with pytest.raises(ResourceIdError, match="longer than 2048"):
        ResourceId.parse(longest + "s")
