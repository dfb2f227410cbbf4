"""`reconciler plan` and `apply` over the life of a machine."""

import json
import os
import re

import pytest

from tests.cli import desk
from tests.cli.desk import (
    APP_GROUP,
    DATA_GROUP,
    SHARED,
    STRANGER,
    Desk,
    read_screen,
)
from tests.world.children import child


def test_a_new_machine_is_planned_applied_and_then_left_alone(cloud: Desk) -> None:
    """2 while something is to change, 0 once it is done, and the plan is then empty."""
    subject = cloud.create("vm-new")

    before = cloud.run("plan", subject)
    applied = cloud.run("apply", subject, "--yes")
    after = cloud.run("plan", subject)

    assert [ended.returncode for ended in (before, applied, after)] == [2, 0, 0]
    assert before.stdout.splitlines()[0] == subject
    assert SHARED in before.stdout
    assert applied.stdout.splitlines()[-1] == "now: nothing to change"
    assert after.stdout.splitlines()[-1] == "nothing to change"
    identity = cloud.built(subject)["identity"]
    assert identity["principalId"] in cloud.holders(APP_GROUP)
    (entry,) = identity["userAssignedIdentities"].values()
    assert entry["principalId"] in cloud.holders(DATA_GROUP)


def test_a_recreated_machine_gets_its_rights_back(cloud: Desk) -> None:
    """The old principal's right goes, the new one's comes, once the machine has settled."""
    subject = cloud.create("vm-rebuilt")
    cloud.run("apply", subject, "--yes")
    old = cloud.call("GET", subject)["identity"]["principalId"]
    cloud.delete(subject)
    cloud.create("vm-rebuilt")

    ended = cloud.run("apply", subject, "--yes", RECONCILER_SETTLE="3")

    assert ended.returncode == 0, ended.stderr
    new = cloud.call("GET", subject)["identity"]["principalId"]
    holders = cloud.holders(APP_GROUP)
    assert new in holders
    assert old not in holders


def test_a_machine_that_settles_is_not_waited_for_without_time(cloud: Desk) -> None:
    """What is withheld for now is left, and the exit code says so."""
    subject = cloud.create("vm-young")

    ended = cloud.run("apply", subject, "--yes", "--timeout", "0", RECONCILER_SETTLE="600")

    assert ended.returncode == 2
    assert "not waited for: vm-young: goes on once the resource is built" in ended.stderr
    assert "  + attach identity shared in " in ended.stdout
    assert "      once    the resource is built" in ended.stdout


def test_a_reviewed_fingerprint_is_applied(cloud: Desk) -> None:
    """`--expect` takes a plan's fingerprint; JSON has before, outcomes and after."""
    subject = cloud.create("vm-reviewed")
    settings = {"RECONCILER_SETTLE": "0"}
    plan = json.loads(cloud.run("plan", subject, "--format", "json", **settings).stdout)

    command = ["apply", subject, "--yes", "--expect", plan["fingerprint"], "--format", "json"]
    ended = cloud.run(*command, **settings)

    reported = json.loads(ended.stdout)
    assert (ended.returncode, set(reported)) == (0, {"before", "outcomes", "after"})
    assert reported["before"] == plan
    assert {outcome["status"] for outcome in reported["outcomes"]} == {"DONE"}
    assert not any(reported["after"]["summary"].values())


def test_a_plan_as_json_has_the_keys_of_the_documentation(cloud: Desk) -> None:
    """Programs read these."""
    subject = cloud.create("vm-json")

    plan = json.loads(cloud.run("plan", subject, "--format", "json").stdout)

    assert set(plan) == {"fingerprint", "summary", "plans", "policy"}
    keys = {"id", "exists", "fingerprint", "changes", "withheld", "wantedBy"}
    assert all(set(entry) == keys for entry in plan["plans"])
    assert [entry["id"] for entry in plan["plans"]] == [subject, SHARED]
    steps = plan["plans"][0]["changes"]
    steps += [held["change"] for held in plan["plans"][0]["withheld"]]
    assert {(step["kind"], step.get("roleName")) for step in steps} == {
        ("AttachIdentity", None),
        ("CreateAssignment", "Reader"),
    }
    assert [entry["name"] for entry in plan["policy"]] == ["identity shared", "rule machines"]
    origin = plan["policy"][1]["origin"]
    assert origin == f"{cloud.settings['RECONCILER_POLICIES']}/machines.yaml:9"


def test_a_plan_names_who_thereby_holds_the_rights(cloud: Desk) -> None:
    """Whoever may write a resource chooses what it matches."""
    subject = cloud.create("vm-held")

    lines = cloud.run("plan", subject).stdout.splitlines()

    at = next(number for number, line in enumerate(lines) if line.startswith("rule machines ("))
    assert "machines.yaml:9)" in lines[at]
    assert "Reader at {resourceGroup}" in lines[at]
    assert lines[at + 1].startswith("  whoever can write Microsoft.Compute/virtualMachines named")
    assert APP_GROUP in lines[at + 1]


def test_an_assignment_that_another_made_is_kept_and_noted(cloud: Desk) -> None:
    """Its marker is ours and its machine is gone, but its maker is somebody else."""
    planned = cloud.run("plan", desk.machine("vm-once"))
    applied = cloud.run("apply", desk.machine("vm-once"), "--yes")

    assert (planned.returncode, applied.returncode) == (0, 0)
    assert "  does not exist" in planned.stdout
    assert "RECONCILER_MAKERS" in planned.stderr
    assert STRANGER in cloud.holders(APP_GROUP)


def test_a_plan_under_another_sign_in_asks_to_name_the_app(cloud: Desk) -> None:
    """A service principal of an authority that is not Microsoft's; nothing else is asked."""
    subject = cloud.create("vm-of-the-app")
    cloud.run("apply", subject, "--yes")
    person = {
        "AZURE_TENANT_ID": cloud.settings["SANDBOX_TENANT"],
        "AZURE_CLIENT_ID": cloud.settings["SANDBOX_OPERATOR_CLIENT_ID"],
        "AZURE_CLIENT_SECRET": cloud.settings["SANDBOX_OPERATOR_SECRET"],
        "IDENTITY_ENDPOINT": "",
        "IDENTITY_HEADER": "",
    }

    alone = cloud.run("plan", subject, **person)
    writer = re.search(r"last written by (\S+); .* name it in RECONCILER_MAKERS", alone.stderr)
    assert writer, alone.stderr
    named = cloud.run("plan", subject, **person, RECONCILER_MAKERS=writer[1])

    assert (alone.returncode, named.returncode, named.stderr) == (0, 0, "")


def test_a_locked_machine_is_blocked_and_its_grant_is_made(cloud: Desk) -> None:
    """A lock keeps the machine as it is; its right lies at its group."""
    subject = cloud.create("vm-locked", identity={"type": "SystemAssigned"})
    cloud.lock(subject)

    ended = cloud.run("apply", subject, "--yes", RECONCILER_SETTLE="0")
    reported = json.loads(cloud.run("apply", subject, "--yes", "--format", "json").stdout)

    assert ended.returncode == 1
    assert "blocked: attach identity shared to vm-locked: " in ended.stdout
    assert "; next: take the lock off, or keep what it protects" in ended.stdout
    machine = cloud.call("GET", subject)["identity"]
    assert "userAssignedIdentities" not in machine
    assert machine["principalId"] in cloud.holders(APP_GROUP)
    (refused,) = reported["outcomes"]
    assert refused["nextStep"] == "take the lock off, or keep what it protects"
    assert refused["nextStep"] not in refused["detail"]


def test_a_lost_outcome_event_is_a_note(cloud: Desk) -> None:
    """What was done is done and shown, so it is no error."""
    subject = cloud.create("vm-unpublished")

    ended = cloud.run(
        "apply", subject, "--yes", RECONCILER_TOPIC_ENDPOINT="https://127.0.0.1:1/api/events"
    )

    assert ended.returncode == 0
    assert f"note: {subject}: publishing the outcome event: " in ended.stderr
    assert "only the event is lost" in ended.stderr


def test_a_recreated_identity_is_noted_for_the_machines_that_carry_it(cloud: Desk) -> None:
    """They were not in the plan, so they are named and left alone."""
    subject = cloud.create("vm-carrier")
    cloud.run("apply", subject, "--yes")
    cloud.call("DELETE", SHARED)
    cloud.call("PUT", SHARED, {"location": "westeurope"})

    identity = cloud.run("apply", SHARED, "--yes")
    machine = cloud.run("apply", subject, "--yes")

    assert (identity.returncode, machine.returncode) == (0, 0)
    assert "note: " in identity.stderr
    assert "virtualMachines" in identity.stderr
    (entry,) = cloud.built(subject)["identity"]["userAssignedIdentities"].values()
    assert entry["principalId"] == cloud.call("GET", SHARED)["properties"]["principalId"]


def test_an_answer_that_is_piped_is_plain(cloud: Desk) -> None:
    """No colour codes, nothing wrapped, and no warning of an open connection."""
    ended = cloud.run("plan", cloud.create("vm-piped"), COLUMNS="40")

    assert "\x1b" not in ended.stdout
    assert any(line.endswith(SHARED) for line in ended.stdout.splitlines())
    assert "Warning" not in ended.stderr


@pytest.mark.parametrize(
    ("typed", "code", "last"),
    [
        ("n\n", 1, "error: not confirmed; nothing was written"),
        ("\x04", 1, "error: not confirmed; nothing was written"),
        ("\x03", 130, "interrupted; nothing was written"),
        ("y\n", 0, ""),
    ],
    ids=["no", "Ctrl-D", "Ctrl-C", "yes"],
)
def test_at_a_terminal_apply_asks(cloud: Desk, typed: str, code: int, last: str) -> None:
    """Only a yes writes; NO_COLOR leaves colours out there too."""
    subject = cloud.create(f"vm-asked-{ord(typed[0])}")
    process, mine = cloud.at_a_terminal("apply", subject)
    with child(process), os.fdopen(mine, "rb", buffering=0) as screen:
        shown = read_screen(screen, until="[y/N] ")
        os.write(mine, typed.encode())
        shown += read_screen(screen)

    assert process.returncode == code
    # Where the command is quick, the machine still settles: "Grant 1, attach 2 later".
    assert re.search(r"^(Attach|.*, attach) 2.*\? \[y/N\]", shown, re.MULTILINE)
    assert shown.rstrip().endswith(last)
    assert "\x1b[3" not in shown
    assert ("identity" in cloud.call("GET", subject)) is (code == 0)


def test_a_yes_typed_before_the_question_is_no_answer(cloud: Desk) -> None:
    """It was meant for something else: nobody had seen the plan."""
    subject = cloud.create("vm-typed-ahead")
    process, mine = cloud.at_a_terminal("apply", subject)
    with child(process), os.fdopen(mine, "rb", buffering=0) as screen:
        os.write(mine, b"y\n")
        read_screen(screen, until="[y/N] ")
        os.write(mine, b"n\n")
        read_screen(screen)

    assert process.returncode == 1
    assert "identity" not in cloud.call("GET", subject)


def test_a_management_group_stands_for_its_subscriptions(cloud: Desk) -> None:
    """Its subscriptions are watched as if they were named."""
    subject = cloud.create("vm-grouped")
    cloud.built(subject)
    groups = {"RECONCILER_SUBSCRIPTIONS": "", "RECONCILER_MANAGEMENT_GROUPS": "corp"}
    grouped = cloud.run("plan", subject, "--format", "json", **groups)
    named = cloud.run("plan", subject, "--format", "json")

    assert grouped.returncode == 2
    assert json.loads(grouped.stdout)["fingerprint"] == json.loads(named.stdout)["fingerprint"]
