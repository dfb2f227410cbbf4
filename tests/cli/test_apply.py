"""`reconciler apply` does what was confirmed or nothing, and gives a true account of it."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.cli import desk
from tests.cli.desk import APP_GROUP, GUARDRAILS, POLICY, Desk, read_screen
from tests.world.children import child, until
from tests.world.ids import SUB

MISSING_GROUP = f"{SUB}/resourceGroups/rg-nowhere"
OURS = "heritage=identity-reconciler,owner=sandbox,"


def attached(cloud: Desk, subject: str) -> bool:
    """Return whether a machine carries the identity that policy attaches."""
    return "userAssignedIdentities" in cloud.call("GET", subject).get("identity", {})


def moved_away(folder: Path) -> str:
    """Write policy whose grant moved to a group that is not there; returns its folder."""
    scope = f"scope: {MISSING_GROUP}"
    (folder / "machines.yaml").write_text(POLICY.replace('scope: "{resourceGroup}"', scope))
    rails = GUARDRAILS.replace("grants:", f"grants:\n  - {{{scope}, roles: [Reader]}}")
    (folder / "guardrails.yaml").write_text(rails)
    return str(folder)


def test_a_machine_changed_before_the_yes_is_left_alone(cloud: Desk) -> None:
    """Another switched the machine's identity on meanwhile, so the plan that was shown is void."""
    subject = cloud.create("vm-changing")
    settings = {"RECONCILER_SETTLE": "0"}
    process, mine = cloud.at_a_terminal("apply", subject, **settings)
    with child(process), os.fdopen(mine, "rb", buffering=0) as screen:
        read_screen(screen, until="[y/N] ")
        cloud.call("PATCH", subject, {"identity": {"type": "SystemAssigned"}})
        cloud.built(subject)
        os.write(mine, b"y\n")
        shown = read_screen(screen)

    assert process.returncode == 1
    assert "blocked: the plan is another one by now" in shown
    assert "nothing was done; next: look at the new plan" in shown
    assert not attached(cloud, subject)
    principal = cloud.call("GET", subject)["identity"]["principalId"]
    assert principal not in cloud.holders(APP_GROUP)


@pytest.mark.parametrize("typed", [b"n\n", b"y\n"], ids=["no", "yes"])
def test_a_kept_right_goes_only_after_a_second_yes(
    cloud: Desk, tmp_path: Path, typed: bytes
) -> None:
    """Its replacement has no scope yet; `--yes` agrees to nothing of that."""
    subject = cloud.create(f"vm-kept-{typed.decode().strip()}")
    cloud.run("apply", subject, "--yes")
    principal = cloud.built(subject)["identity"]["principalId"]
    moved = {"RECONCILER_POLICIES": moved_away(tmp_path)}

    unasked = cloud.run("apply", subject, "--yes", **moved)
    assert principal in cloud.holders(APP_GROUP)
    process, mine = cloud.at_a_terminal("apply", subject, **moved)
    with child(process), os.fdopen(mine, "rb", buffering=0) as screen:
        asked = read_screen(screen, until="[y/N] ")
        os.write(mine, typed)
        read_screen(screen)

    assert unasked.returncode == 2
    assert "because what replaces it is not there" in unasked.stdout
    assert "1 unwanted right is kept until what replaces it is there" in asked
    assert "Remove it now?" in asked
    assert process.returncode == 2  # The grant stays withheld either way.
    assert (principal in cloud.holders(APP_GROUP)) is (typed == b"n\n")


def test_a_kept_right_stays_where_the_machine_changed_before_the_second_yes(
    cloud: Desk, tmp_path: Path
) -> None:
    """The second question is about the plan that was shown, too."""
    subject = cloud.create("vm-kept-late")
    cloud.run("apply", subject, "--yes")
    machine = cloud.built(subject)["identity"]
    moved = {"RECONCILER_POLICIES": moved_away(tmp_path)}
    process, mine = cloud.at_a_terminal("apply", subject, **moved)
    with child(process), os.fdopen(mine, "rb", buffering=0) as screen:
        read_screen(screen, until="[y/N] ")
        cloud.call("PATCH", subject, {"identity": {"type": "SystemAssigned"}})
        cloud.built(subject)
        os.write(mine, b"y\n")
        shown = read_screen(screen)

    assert process.returncode == 1
    assert "the plan is another one by now" in shown
    assert machine["principalId"] in cloud.holders(APP_GROUP)


def test_an_interrupted_apply_reports_exactly_what_was_written(cloud: Desk) -> None:
    """What was begun is finished and reported; what was not begun is not there."""
    subjects = [cloud.create(f"vm-interrupted-{number}") for number in range(6)]
    command = ["apply", *subjects, "--yes", "--format", "json"]
    started = cloud.start(*command, RECONCILER_SETTLE="0")
    with child(started) as process:
        # Of six machines some are not begun yet when the first is seen with its identity.
        until(lambda: attached(cloud, subjects[0]))
        process.send_signal(signal.SIGINT)
        answer, errors = process.communicate()

    assert process.returncode in {0, 2, 130}
    written = [outcome["change"] for outcome in json.loads(answer)["outcomes"]]
    granted = {change["principal"] for change in written if change["kind"] == "CreateAssignment"}
    holders = cloud.holders(APP_GROUP)
    for subject in subjects:
        machine = cloud.built(subject)
        changes = [change for change in written if change.get("resource", "") == subject]
        assert bool(changes) is ("identity" in machine)
        principal = machine.get("identity", {}).get("principalId")
        assert (principal in granted) is (principal in holders)
    if process.returncode == 130:
        assert errors.splitlines()[-1].startswith("interrupted; ")


@pytest.mark.parametrize("command", [["plan"], ["apply", "--yes"]])
@pytest.mark.parametrize("form", ["text", "json"])
def test_an_id_that_is_nowhere_is_an_error(cloud: Desk, command: list[str], form: str) -> None:
    """Most often it was mistyped, so the message says what to check."""
    ended = cloud.run(*command, desk.machine("vm-mistyped"), "--format", form)

    assert ended.returncode == 1
    assert f"error: {desk.machine('vm-mistyped')} is nowhere: " in ended.stderr
    assert "check its subscription, group, type and name" in ended.stderr


def test_a_missing_identity_that_policy_names_is_no_error(cloud: Desk, tmp_path: Path) -> None:
    """Policy or a marker names it, so it was not mistyped."""
    names = desk.SHARED.replace("/shared", "/named")
    (tmp_path / "machines.yaml").write_text(POLICY.replace(desk.SHARED, names))
    (tmp_path / "guardrails.yaml").write_text(GUARDRAILS)

    ended = cloud.run("plan", names, RECONCILER_POLICIES=str(tmp_path))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "  does not exist" in ended.stdout


def test_two_machines_share_an_identity_that_the_same_apply_creates(
    cloud: Desk, tmp_path: Path
) -> None:
    """The second finds it there, as both plans said; the next step is to wait, not to create it."""
    made = desk.SHARED.replace("/shared", "/made")
    ensure = "    ensure: present\n    location: westeurope\n    mode"
    content = POLICY.replace(desk.SHARED, made).replace("    mode", ensure, 1)
    (tmp_path / "machines.yaml").write_text(content)
    (tmp_path / "guardrails.yaml").write_text(GUARDRAILS)
    settings = {"RECONCILER_POLICIES": str(tmp_path), "RECONCILER_SETTLE": "0"}
    subjects = [cloud.create(f"vm-sharing-{number}") for number in range(2)]

    planned = cloud.run("plan", *subjects, **settings)
    ended = cloud.run("apply", *subjects, "--yes", **settings)

    assert "next    wait; this plan creates it, and the look after that attaches it" in (
        planned.stdout
    )
    assert "PlanChanged" not in ended.stdout
    assert "blocked" not in ended.stdout
    assert all(attached(cloud, subject) for subject in subjects)


EXEMPT = f"""\
exemptions:
  - {{scope: {APP_GROUP}, reason: "##vso[task.complete result=Failed]", expires: 2099-01-01}}
"""


@pytest.mark.parametrize(
    ("content", "hold"),
    [
        (
            POLICY.replace("mode: repair\n    within", "mode: repair\n    rollout: 0\n    within"),
            "",
        ),
        (POLICY + EXEMPT, "# #vso[task.complete result=Failed] (until 2099-01-01)"),
    ],
    ids=["rollout", "exemption"],
)
def test_a_rollout_or_exemption_alone_exits_0(
    cloud: Desk, tmp_path: Path, content: str, hold: str
) -> None:
    """It is neither drift nor an error, and still shown."""
    cloud.run("apply", desk.SHARED, "--yes")
    (tmp_path / "machines.yaml").write_text(content)
    (tmp_path / "guardrails.yaml").write_text(GUARDRAILS)
    subject = cloud.create(f"vm-agreed-{len(hold)}")

    ended = cloud.run("plan", subject, RECONCILER_POLICIES=str(tmp_path))
    applied = cloud.run("apply", subject, "--yes", RECONCILER_POLICIES=str(tmp_path))

    assert [ended.returncode, applied.returncode] == [0, 0]
    assert ended.stdout.splitlines()[-1] == "nothing to change, 3 withheld"
    assert hold in ended.stdout
    assert "##" not in ended.stdout
    assert "identity" not in cloud.call("GET", subject)


def test_more_removals_than_the_limit_need_the_plans_fingerprint(
    cloud: Desk, tmp_path: Path
) -> None:
    """The limit of a sweep holds for several ids; a reviewed fingerprint lifts it."""
    subjects = [cloud.create(f"vm-bulk-{number}") for number in range(2)]
    cloud.run("apply", *subjects, "--yes")
    held = [cloud.built(subject)["identity"]["principalId"] for subject in subjects]
    system = POLICY.index("    system:")
    (tmp_path / "machines.yaml").write_text(POLICY[:system])
    limit = "maxRemovals: {count: 1, percent: 0}\n"
    (tmp_path / "guardrails.yaml").write_text(GUARDRAILS + limit)
    settings = {"RECONCILER_POLICIES": str(tmp_path)}

    refused = cloud.run("apply", *subjects, "--yes", **settings)
    assert set(held) <= set(cloud.holders(APP_GROUP))
    plan = json.loads(cloud.run("plan", *subjects, "--format", "json", **settings).stdout)
    lifted = cloud.run("apply", *subjects, "--yes", "--expect", plan["fingerprint"], **settings)

    assert refused.returncode == 1
    assert "2 unwanted rights and identities would go" in refused.stderr
    assert f"give --expect {plan['fingerprint']}" in refused.stderr
    assert lifted.returncode == 0
    assert not set(held) & set(cloud.holders(APP_GROUP))


def test_a_tag_reaches_no_output_as_a_command(cloud: Desk, tmp_path: Path) -> None:
    """Whoever may tag a machine must not steer the pipeline that shows its plan."""
    maps = f"maps: {{group: {{prod: {APP_GROUP}}}}}\n"
    grant = POLICY.replace('"{resourceGroup}"', '"{maps.group[tags.env]}"')
    (tmp_path / "machines.yaml").write_text(grant + maps)
    (tmp_path / "guardrails.yaml").write_text(GUARDRAILS)
    command = "##vso[task.setvariable variable=ROLE]Owner"
    subject = cloud.create("vm-tagged", tags={"env": command})
    settings = {"RECONCILER_POLICIES": str(tmp_path)}

    as_text = cloud.run("plan", subject, "--debug", **settings)
    as_json = cloud.run("plan", subject, "--format", "json", **settings)

    assert "# #vso[task.setvariable" in as_text.stdout
    assert "##" not in as_text.stdout + as_text.stderr + as_json.stdout + as_json.stderr
    (withheld,) = [
        held
        for plan in json.loads(as_json.stdout)["plans"]
        for held in plan["withheld"]
        if held["hold"] == "UNRESOLVED"
    ]
    assert command in withheld["detail"]
    assert withheld["change"]["scope"] is None
    assert withheld["change"]["template"] == "{maps.group[tags.env]}"
    assert withheld["nextStep"].startswith("add the key to the map")
