"""The gate that lets a test choose whose call is next, and who dies."""

import itertools
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Any

import pytest
import requests

from sandbox import transport
from sandbox.interleave import MOST_MOVES, Choose, Fate, Gate, Move, Parked, StuckError, seeded

type Work = Callable[[], object]


class Stage:
    """A gate around an application that only notes what reaches it."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.session = transport.session(self.gate.around(self.app))
        self.reached: list[str] = []

    def app(self, environ: dict[str, Any], start: transport.StartResponse) -> Iterable[bytes]:
        """Note the path."""
        self.reached.append(environ["PATH_INFO"].removeprefix("/"))
        start("200 OK", [])
        return [b""]

    def call(self, text: str) -> requests.Response:
        """Make one call."""
        return self.session.get(f"https://localhost/{text}")

    def caller(self, *texts: str) -> Callable[[], str]:
        """Return work that makes these calls, and returns the last one's text."""

        def work() -> str:
            for text in texts:
                self.call(text)
            return texts[-1]

        return work


@pytest.fixture
def gate() -> Gate:
    """A gate with the usual patience."""
    return Gate()


@pytest.fixture
def stage(gate: Gate) -> Generator[Stage]:
    """A stage that leaves no thread behind."""
    before = set(threading.enumerate())
    yield (stage := Stage(gate))
    stage.session.close()
    assert set(threading.enumerate()) <= before


def in_order(*steps: str) -> Choose:
    """Choose workers by name; `a<` lets a die before its call, `a>` after it."""
    fates = {"": Fate.GO_ON, "<": Fate.DIE_BEFORE, ">": Fate.DIE_AFTER}
    left = iter(steps)

    def choose(parked: tuple[Parked, ...]) -> Move:
        step = next(left)
        return Move(next(one for one in parked if one.worker == step[0]), fates[step[1:]])

    return choose


def first(parked: tuple[Parked, ...]) -> Move:
    """Choose the first worker that is parked."""
    return Move(parked[0])


@pytest.mark.parametrize("order", sorted(set(itertools.permutations("aabb"))))
def test_calls_come_in_the_chosen_order(stage: Stage, order: tuple[str, ...]) -> None:
    """Each of the six orders that two workers with two calls can have."""
    works = {name: stage.caller(f"{name}1", f"{name}2") for name in "ab"}

    run = stage.gate.run(works, in_order(*order))

    assert [text[0] for text in stage.reached] == list(order)
    assert run.values == {"a": "a2", "b": "b2"}


def test_whoever_chooses_sees_who_waits_before_which_call(stage: Stage) -> None:
    """A worker without a call ends at once, and one that has ended waits no more."""
    seen: list[tuple[Parked, ...]] = []

    def choose(parked: tuple[Parked, ...]) -> Move:
        seen.append(parked)
        return Move(parked[-1])

    works: dict[str, Work] = {"a": stage.caller("1"), "b": stage.caller("2"), "c": list}
    run = stage.gate.run(works, choose)

    a, b = Parked("a", "GET", "/1"), Parked("b", "GET", "/2")
    assert seen == [(a, b), (a,)]
    assert [str(move) for move in run.moves] == ["b goes on: GET /2", "a goes on: GET /1"]


def test_a_seed_repeats_its_run(stage: Stage) -> None:
    """Order and deaths are the same for a seed, and differ between seeds."""

    def run(seed: int) -> tuple[Move, ...]:
        works = {name: stage.caller(*"12345") for name in "abcd"}
        return stage.gate.run(works, seeded(seed, deaths=0.2), again=True).moves

    assert run(1) == run(1)
    assert len({run(seed) for seed in range(5)}) == 5
    assert {move.fate for seed in range(5) for move in run(seed)} == set(Fate)


@pytest.mark.parametrize(("death", "reached"), [("a<", ["1"]), ("a>", ["1", "2"])])
def test_a_worker_dies_before_or_after_its_call_took_effect(
    stage: Stage, death: str, reached: list[str]
) -> None:
    """It returns nothing, and what runs on its way out reaches nobody."""

    def work() -> None:
        try:
            stage.caller("1", "2", "3")()
        except Exception:  # noqa: BLE001 - a death is no exception that code may catch
            stage.call("caught")
        finally:
            stage.call("too late")

    run = stage.gate.run({"a": work}, in_order("a", death))

    assert stage.reached == reached
    assert run.values == {}


def test_a_worker_that_died_starts_anew_where_that_is_asked_for(stage: Stage) -> None:
    """Its message comes again; the other one goes on meanwhile."""
    works = {"a": stage.caller("a1", "a2"), "b": stage.caller("b1")}

    run = stage.gate.run(works, in_order("a", "a>", "b", "a<", "a", "a"), again=True)

    assert stage.reached == ["a1", "a2", "b1", "a1", "a2"]
    assert run.values == {"a": "a2", "b": "b1"}


def test_what_a_worker_raises_comes_out_with_the_moves(stage: Stage) -> None:
    """The others are ended; the note tells how it came to that."""

    def fail() -> None:
        stage.call("1")
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong") as raised:
        stage.gate.run(
            {"a": stage.caller("1"), "b": fail, "c": stage.caller("1", "2")},
            lambda parked: Move(parked[-2]),
        )

    assert raised.value.__notes__ == ["The moves were:\nb goes on: GET /1"]


def test_what_the_choice_raises_comes_out(stage: Stage) -> None:
    """An assertion in the choice is a check between any two calls."""

    def choose(parked: tuple[Parked, ...]) -> Move:
        assert stage.reached != ["1"], "one is enough"
        return Move(parked[0])

    with pytest.raises(AssertionError, match="one is enough"):
        stage.gate.run({"a": stage.caller("1", "2"), "b": stage.caller("3")}, choose)


def test_only_a_parked_worker_can_be_chosen(stage: Stage) -> None:
    """A mistake in a choice is told apart from one in the workers."""
    nobody = Move(Parked("nobody", "GET", "/"))

    with pytest.raises(ValueError, match=r"not parked: .*nobody"):
        stage.gate.run({"a": stage.caller("1")}, lambda _: nobody)


@pytest.mark.parametrize("gate", [Gate(patience=2)])
def test_a_worker_that_waits_for_a_parked_one_is_found_out(stage: Stage) -> None:
    """The message names it and shows where it hangs; then all end."""
    lock = threading.Lock()

    def hold() -> None:
        with lock:
            stage.call("while holding the lock")

    with pytest.raises(StuckError, match=r"(?s)worker b neither .* within 2 s.*with lock:"):
        stage.gate.run({"a": hold, "b": hold}, first)

    assert stage.reached == []


def test_a_run_without_an_end_is_ended(stage: Stage) -> None:
    """Workers that keep undoing each other would fill the machine's day."""
    endless = itertools.repeat("1")

    def work() -> None:
        for text in endless:
            stage.call(text)

    with pytest.raises(StuckError, match=f"no end after {MOST_MOVES} moves"):
        stage.gate.run({"a": work}, first)


def test_calls_of_the_test_itself_pass(stage: Stage) -> None:
    """Also while workers are parked, so that a choice can look at the world."""

    def choose(parked: tuple[Parked, ...]) -> Move:
        stage.call("look")
        return Move(parked[0])

    stage.gate.run({"a": stage.caller("1")}, choose)
    stage.call("after")

    assert stage.reached == ["look", "1", "after"]
