"""Every row that was read is accounted for, or the run fails."""

from dataclasses import dataclass

from triptych.core.errors import Kind, TriptychError


class NotReconciled(TriptychError):
    """The rows that were read and what became of them do not add up."""

    kind = Kind.FAILED
    hint = "Nothing was written. A plugin of the pipeline drops or makes rows without saying so."


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """How many rows a run read, and what became of them."""

    read: int
    written: int
    quarantined: int
    filtered: int
    duplicates: int

    def __str__(self) -> str:
        return (
            f"{self.read:,} read = {self.written:,} written + {self.quarantined:,} quarantined"
            f" + {self.filtered:,} filtered + {self.duplicates:,} duplicates"
        )

    def check(self) -> None:
        """Make sure that no row is missing and none came twice.

        Raises:
            NotReconciled: with the numbers.
        """
        if self.read != self.written + self.quarantined + self.filtered + self.duplicates:
            raise NotReconciled(str(self).replace("=", "is not"))
