"""What a client may send us: the event, validated once, at the boundary.

Rules:

1. Only an ``Event`` goes further in than this file; every field has been checked.
2. What comes back to the client names the field and the fault, never the submitted text.

Of a member given twice the last one counts, as in Python's own ``json``; unknown members are
ignored.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import CoreSchema, SchemaValidator, core_schema

Name = Annotated[str, Field(min_length=1, max_length=256)]
# A balance is unbounded, one event is not: 64 bits is what every client and database can hold.
Amount = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]


class Event(BaseModel):
    """One thing that a user did: ``{"user": "alice", "action": "buy", "amount": 100}``."""

    # Strict: a number in quotes, 1.0 or true is not an amount.
    model_config = ConfigDict(strict=True, frozen=True)

    user: Name
    action: Name
    amount: Amount


# What model_validate_json calls, without the looking for options that it does for each event.
_validate = Event.__pydantic_validator__.validate_json

# For each fault pydantic makes Python objects of the whole input: 1 MB of empty lists froze the
# loop for a sixth of a second. Larger bodies than this go through a validator that tells which
# member is wrong, and no more.
LARGE_BYTES = 16_384
_WRONG, _MISSING = object(), object()
_SHOULD_BE = {
    "user": "Input should be a string of 1 to 256 characters",
    "action": "Input should be a string of 1 to 256 characters",
    "amount": "Input should be an integer of 64 bits",
}


def _forgiving(value: CoreSchema) -> core_schema.TypedDictField:
    or_wrong = core_schema.with_default_schema(value, default=_WRONG, on_error="default")
    or_missing = core_schema.with_default_schema(or_wrong, default=_MISSING)
    return core_schema.typed_dict_field(or_missing, required=False)


_members = Event.__pydantic_core_schema__["schema"]["fields"]
_large = SchemaValidator(
    core_schema.with_default_schema(
        core_schema.typed_dict_schema(
            {name: _forgiving(member["schema"]) for name, member in _members.items()},
            config=core_schema.CoreConfig(strict=True),
        ),
        default=None,
        on_error="default",
    )
)


class InvalidEvent(ValueError):
    """The body is no event.

    Attributes:
        detail: a ``{"field": …, "message": …}`` per fault; ``field`` is ``""`` for the whole.
    """

    def __init__(self, detail: list[dict[str, str]]) -> None:
        super().__init__(detail)
        self.detail = detail


def parse_event(body: bytes) -> Event:
    """Validate the body of a POST.

    Args:
        body: the complete body, UTF-8 JSON.

    Returns:
        The event.

    Raises:
        InvalidEvent: which field, and what is wrong with it.
    """
    try:
        if len(body) > LARGE_BYTES:
            return _parse_large(body)
        event: Event = _validate(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
    else:
        return event
    raise InvalidEvent(
        [{"field": ".".join(map(str, fault["loc"])), "message": fault["msg"]} for fault in faults]
    )


def _parse_large(body: bytes) -> Event:
    found: dict[str, Any] | None = _large.validate_json(body)
    if found is None:
        raise InvalidEvent([{"field": "", "message": "Input should be an object"}])
    detail = [
        {"field": name, "message": "Field required" if value is _MISSING else _SHOULD_BE[name]}
        for name, value in found.items()
        if value is _MISSING or value is _WRONG
    ]
    if detail:
        raise InvalidEvent(detail)
    return Event(**found)
