"""Every row that was read is accounted for, or the run fails."""

from dataclasses import dataclass, replace

from triptych.core.errors import Kind, TriptychError


class NotReconciled(TriptychError):
    """The rows that were read and what became of them do not add up."""

    kind = Kind.FAILED
    hint = "Nothing was written. A plugin of the pipeline drops or makes rows without saying so."


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """How many rows a run read, and what became of them on their way to one output."""

    read: int
    written: int = 0
    quarantined: int = 0
    filtered: int = 0
    duplicates: int = 0
    regrained: int = 0
    """How many more there were, all in all, after steps that say that they change what a row is."""

    def __str__(self) -> str:
        made = f" {self.regrained:+,} regrained" if self.regrained else ""
        return (
            f"{self.read:,} read{made} = {self.written:,} written + {self.quarantined:,} quarantined"
            f" + {self.filtered:,} filtered + {self.duplicates:,} duplicates"
        )

    def plus(
        self, *, quarantined: int = 0, filtered: int = 0, duplicates: int = 0, regrained: int = 0
    ) -> "Reconciliation":
        """This, and what became of some more rows."""
        return replace(
            self,
            quarantined=self.quarantined + quarantined,
            filtered=self.filtered + filtered,
            duplicates=self.duplicates + duplicates,
            regrained=self.regrained + regrained,
        )

    def check(self) -> None:
        """Make sure that no row is missing and none came twice.

        Raises:
            NotReconciled: with the numbers.
        """
        became = self.written + self.quarantined + self.filtered + self.duplicates
        if self.read + self.regrained != became:
            raise NotReconciled(str(self).replace("=", "is not"))
