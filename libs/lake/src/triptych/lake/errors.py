"""Everything that can be wrong with a lake."""

from triptych.core.errors import Kind, TriptychError


class WrongTableName(TriptychError):
    """A table is named in lower-case letters, digits and underscores."""

    kind = Kind.INVALID
    hint = "Begin the name with a letter, and use at most 63 characters."


class NoSuchTable(TriptychError):
    """The lake has no such table."""

    kind = Kind.NOT_FOUND
    hint = "Run the pipeline that writes it: etl run PIPELINE.yaml."


class NoSuchVersion(TriptychError):
    """The table has no such version, or not any more."""

    kind = Kind.NOT_FOUND
    hint = "Choose one of the versions that its history names, and that no vacuum removed."


class WrongLake(TriptychError):
    """The URL names no place for a lake."""

    kind = Kind.INVALID
    hint = "Set TRIPTYCH_LAKE_URL to a folder, such as /var/lib/triptych/lake."


class UnsupportedColumn(TriptychError):
    """A column is of a type that a table cannot hold."""

    kind = Kind.INVALID
    hint = "Cast the column to another type in the pipeline."


class LakeAway(TriptychError):
    """The lake cannot be used now."""

    kind = Kind.UNAVAILABLE
    hint = "Check TRIPTYCH_LAKE_URL, and that this user may read and write there."


class ConcurrentCommit(TriptychError):
    """Another run has committed what this one was about to commit."""

    kind = Kind.CONFLICT
    hint = "Nothing of this run was written, and nothing is lost: run it again."


class SchemaChanged(TriptychError):
    """The rows do not have the columns that the table has."""

    kind = Kind.CONFLICT
    hint = "Write to a table of another name, or remove this one."


class Rewritten(TriptychError):
    """The table does not only grow: rows that were read before were changed or removed."""

    kind = Kind.CONFLICT
    hint = "Read the whole table instead of what is new in it."
