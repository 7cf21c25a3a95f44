"""What can be wrong with answering."""

from triptych.core.errors import Kind, TriptychError


class WrongColumn(TriptychError):
    """The metric names a column that the table does not have."""

    kind = Kind.CONFLICT
    hint = "Mend the metric's file, or the pipeline that writes the table."


class UnfitColumn(TriptychError):
    """The metric cannot be computed over columns of these types."""

    kind = Kind.CONFLICT
    hint = "Mend the metric's file, or the pipeline that writes the table."


class VersionGone(TriptychError):
    """The version that the pages are of is not there any more."""

    kind = Kind.GONE
    hint = "Begin again at the first page, without a cursor and without 'as_of'."


class QueryTooSlow(TriptychError):
    """The query took too long, and was ended."""

    kind = Kind.TIMED_OUT
    hint = "Ask for a shorter time, a longer grain or fewer dimensions."


class AnswerTooLarge(TriptychError):
    """The answer is larger than is allowed, or needs more memory than there is for it."""

    kind = Kind.TOO_LARGE
    hint = "Ask for a shorter time, a longer grain or fewer dimensions."


class Busy(TriptychError):
    """Too many queries wait to be answered."""

    kind = Kind.UNAVAILABLE
    hint = "Ask again in a moment."
