"""The one exception tree of nanobana: each class has a wire code, facts as attributes and a sentence as its text.

NanobanaError
├── BadInput            what was sent cannot be understood or is not allowed to be that big
├── NotAllowed          the role does not permit it
├── NotFound            canvas, layer, job, blob or link does not exist
├── Conflict            the canvas moved on: read again and retry, or it was decided already
├── StorageFull         a byte budget is used up; reading, undo and export go on
├── TooMany             a rate or a queue limit; carries retry_ms
└── Unavailable         the store or every engine is away; carries retry_ms
"""


class NanobanaError(Exception):
    """Base of everything that nanobana raises on purpose.

    Args:
        message: the sentence for a person: what happened, whether work is safe, what to do next.
        code: a finer wire code than the class's own, e.g. ``bad_mask``; snake_case.
        retry_ms: when it makes sense to try again, else None.
    """

    code = "error"
    status = 500

    def __init__(self, message: str, *, code: str | None = None, retry_ms: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.retry_ms = retry_ms


class BadInput(NanobanaError):
    code = "bad_input"
    status = 400


class NotAllowed(NanobanaError):
    code = "not_allowed"
    status = 403


class NotFound(NanobanaError):
    code = "not_found"
    status = 404


class Conflict(NanobanaError):
    code = "conflict"
    status = 409


class StorageFull(NanobanaError):
    code = "storage_full"
    status = 507


class TooMany(NanobanaError):
    code = "too_many"
    status = 429


class Unavailable(NanobanaError):
    code = "unavailable"
    status = 503
