"""Every error that identity-reconciler raises on purpose.

    ReconcilerError
    ├── SettingsError          a setting is missing or wrong
    ├── PolicyError            the policy folder holds mistakes (all of them, with positions)
    ├── MessageError           a queue message is not one of ours
    ├── ResourceIdError        a text is not an ARM id that may be used
    └── ArmError               Azure did not do, or did not answer, what was asked
        ├── NotFound           404 of what was asked for: the only answer that means "absent"
        ├── Again              passing: throttled, 5xx, timeouts, principal not yet replicated
        │   ├── Conflict       409 or 412: somebody else wrote; look again
        │   └── Unreadable     an answer that is not what was asked for
        ├── AlreadyExists      409 RoleAssignmentExists: present, but not ours
        ├── Blocked            needs a person: no right, lock, limit, policy, any unknown refusal
        └── Rejected           one of a few refusals that are a bug of ours, never tried again

Only `reconciler.azure` makes an `ArmError` out of an answer; docs/failures.md shows by which table.
"""

from dataclasses import dataclass
from datetime import timedelta


class ReconcilerError(Exception):
    """The base of all errors raised on purpose; the text names the thing and the next step."""


class SettingsError(ReconcilerError):
    """A setting is missing or wrong; the text names it."""


class MessageError(ReconcilerError):
    """A queue message cannot be read as a request."""


class ResourceIdError(ReconcilerError, ValueError):
    """A text is no ARM id that may be used; also a `ValueError`, so that pydantic reports it."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a policy file; `line` and `column` count from 1, 0 for the folder itself."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        """Render as compilers do, so that editors can jump to it."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}"


class PolicyError(ReconcilerError):
    """The policy folder holds mistakes; `problems` has all of them, sorted."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Keep the problems in the order in which a reader meets them, each once."""
        # A mistake in an anchor is found wherever an alias repeats it.
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ArmError(ReconcilerError):
    """Azure refused, failed or could not be reached.

    `status` is the HTTP status, 0 where no answer came; `code` the ARM error code or "".
    `next_step` is what a person can do about it, in one sentence or "". `gateway` is whether
    Resource Manager itself refused, and not the resource's provider.
    """

    next_step: str = ""
    gateway: bool = False

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "",
        request_id: str = "",
    ) -> None:
        """Keep what support would ask for next to the text."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id

    @property
    def reason(self) -> str:
        """The text without the next step."""
        return str(self.args[0])

    def about(self, what: str) -> None:
        """Put what the call was for in front of the text; all else stays."""
        self.args = (f"{what}: {self.reason}",)


class NotFound(ArmError):
    """404 of what was asked for: the only answer that means "absent"."""


class Again(ArmError):
    """A passing failure; `retry_after` is what Azure asked us to wait, if it did."""

    retry_after: timedelta | None = None


class Conflict(Again):
    """409 or 412: another writer came first, so what was observed is no longer true.

    The same run looks again and decides anew, unless Azure names a wait; what has to wait in any
    case is an `Again`. Where `known` is false, the code is none that is known to pass: it is tried
    once more after the usual delay, and then needs a person.
    """

    known: bool = True


class Unreadable(Again):
    """An answer that does not have the shape that was asked for, so nothing is decided by it."""


class AlreadyExists(ArmError):
    """409 RoleAssignmentExists: the same triple stands under another name."""


class _NeedsAction(ArmError):
    def __str__(self) -> str:
        """Return the text with the next step at its end."""
        # Azure's own text ends in a full stop.
        text = self.reason
        return f"{text.removesuffix('.')}; {self.next_step}" if self.next_step else text


class Blocked(_NeedsAction):
    """A person must act: a missing right, a lock, a limit, a policy, or an unknown refusal."""


class Rejected(_NeedsAction):
    """Azure refuses the call itself as wrong, which makes it a bug of ours."""
