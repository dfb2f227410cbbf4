"""Chooses the order in which workers' calls reach the local Azure, and where workers die.

Tests put a `Gate` around the WSGI application and run their workers through it. Every worker has a
thread and parks at each of its calls; when all are parked, the test chooses one. So only one
thread ever runs, and the choices alone decide what happens: the same choices, the same run.
"""

import enum
import random
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.transport import App, StartResponse

MOST_MOVES = 2_000  # More moves than any run that ends makes.


class Crash(BaseException):
    """The worker's process dies here; no `except Exception` keeps it alive."""


class StuckError(Exception):
    """A worker neither made a call nor ended in time, or the run does not end."""


class Fate(enum.Enum):
    """What becomes of a worker at the call where it is parked."""

    GO_ON = "goes on"
    DIE_BEFORE = "dies before its call"
    DIE_AFTER = "dies after its call"


@dataclass(frozen=True, slots=True)
class Parked:
    """A worker that waits, and the call that it is about to make."""

    worker: str
    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Move:
    """A choice: whose call is next, and what becomes of that worker. As text, one line."""

    parked: Parked
    fate: Fate = Fate.GO_ON

    def __str__(self) -> str:
        return f"{self.parked.worker} {self.fate.value}: {self.parked.method} {self.parked.path}"


type Choose = Callable[[tuple[Parked, ...]], Move]
"""Chooses among the parked workers: at least one, in the order in which they were given."""


@dataclass(frozen=True, slots=True)
class Run[T]:
    """What happened."""

    values: Mapping[str, T]  # What each worker returned; one that died for good is missing.
    moves: tuple[Move, ...]


def seeded(seed: int, *, deaths: float = 0.0) -> Choose:
    """Return a choice by chance, the same for the same seed.

    ``deaths`` is the chance that a call is the worker's last, be it before or after its effect.
    """
    source = random.Random(seed)

    def choose(parked: tuple[Parked, ...]) -> Move:
        chosen = source.choice(parked)
        if source.random() >= deaths:
            return Move(chosen)
        return Move(chosen, source.choice((Fate.DIE_BEFORE, Fate.DIE_AFTER)))

    return choose


class Gate:
    """Runs workers whose calls come in an order that somebody chooses."""

    def __init__(self, *, patience: float = 60.0) -> None:
        """Make a gate; a worker may take so many seconds of real time from call to call."""
        self._patience = patience
        self._workers: dict[threading.Thread, _Worker[Any]] = {}

    def around(self, app: App) -> App:
        """Return the application with workers' calls parked; all others pass."""

        def parking(environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
            worker = self._workers.get(threading.current_thread())
            return worker.call(app, environ, start) if worker else app(environ, start)

        return parking

    def run[T](
        self, works: Mapping[str, Callable[[], T]], choose: Choose, *, again: bool = False
    ) -> Run[T]:
        """Run workers by their names, each in a thread of its own, until all have ended.

        `choose` is asked before each call, in the caller's thread. With `again` a worker that died
        starts anew, as a message comes again. Raises `StuckError` where one hangs, such as on a
        lock that a parked one holds, and what a worker or `choose` raises; a note lists the moves.
        """
        workers = {
            name: _Worker(name, work, self._patience, again=again) for name, work in works.items()
        }
        self._workers = {worker.thread: worker for worker in workers.values()}
        moves: list[Move] = []
        try:
            for worker in workers.values():
                worker.start()
            while parked := tuple(worker.parked for worker in workers.values() if worker.parked):
                if len(moves) >= MOST_MOVES:
                    raise StuckError(f"there is no end after {MOST_MOVES} moves")  # noqa: TRY301 - with its note
                move = choose(parked)
                if move.parked not in parked:
                    raise ValueError(f"not parked: {move.parked}")  # noqa: TRY301 - with its note
                moves.append(move)
                workers[move.parked.worker].resume(move.fate)
        except BaseException as error:
            error.add_note("\n".join(["The moves were:", *map(str, moves)]))
            raise
        finally:
            for worker in workers.values():
                worker.end()
            for worker in workers.values():
                worker.join()
        values = {name: worker.values[-1] for name, worker in workers.items() if worker.values}
        return Run(values, tuple(moves))


class _Worker[T]:
    """A worker, its thread, and the hand-over between that thread and the one that chooses."""

    def __init__(self, name: str, work: Callable[[], T], patience: float, *, again: bool) -> None:
        # Should it hang, the process can end all the same.
        self.thread = threading.Thread(target=self._live, name=f"worker {name}", daemon=True)
        self.parked: Parked | None = None
        self.values: list[T] = []
        self._name, self._work, self._patience, self._again = name, work, patience, again
        self._dead = False
        self._error: BaseException | None = None
        self._fate = Fate.GO_ON
        self._go = threading.Semaphore(0)
        self._back = threading.Semaphore(0)

    # In the thread that chooses.

    def start(self) -> None:
        """Run to the first call or to the end; raises what the work raised."""
        self.thread.start()
        self._wait()

    def resume(self, fate: Fate) -> None:
        """Run from the call where it is parked to the next or to the end, as `start` does."""
        self.parked = None
        self._fate = fate
        self._go.release()
        self._wait()

    def _wait(self) -> None:
        if not self._back.acquire(timeout=self._patience):
            frame = sys._current_frames().get(self.thread.ident or 0)  # noqa: SLF001 - the one way to see where a thread is
            stack = "".join(traceback.format_stack(frame)) if frame else ""
            raise StuckError(
                f"worker {self._name} neither made a call nor ended within {self._patience:g} s;"
                f" it is here:\n{stack}"
            )
        if self.parked is None:
            self.thread.join()
        if self._error:
            raise self._error

    def end(self) -> None:
        """Let it die for good where it is parked, or at its next call if it hangs elsewhere."""
        self._again = False
        self._fate = Fate.DIE_BEFORE
        self._go.release()

    def join(self) -> None:
        """Wait for the end of its thread, unless that hangs for good."""
        if self.thread.is_alive():
            self.thread.join(self._patience)

    # In the worker's thread.

    def call(self, app: App, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Make one call when its turn has come."""
        if not self._dead:
            self.parked = Parked(self._name, environ["REQUEST_METHOD"], environ["PATH_INFO"])
            self._back.release()
            self._go.acquire()
            self._dead = self._fate is Fate.DIE_BEFORE
        # A `finally` that runs on the way out of a death can make no call any more.
        if self._dead:
            raise Crash
        answer = app(environ, start)
        if self._fate is Fate.DIE_AFTER:
            self._dead = True
            raise Crash
        return answer

    def _live(self) -> None:
        try:
            while not self.values:
                try:
                    self.values.append(self._work())
                except Crash:
                    if not self._again:
                        break
                    self._dead = False
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that chooses
            self._error = error
        self._back.release()
