"""What a client may send us: the event, validated once, at the boundary.

Rules:

1. Only an ``Event`` goes further in than this file; every field has been checked.
2. What comes back to the client names the field and the fault, never the submitted text.

Of a member given twice the last one counts, as in Python's own ``json``; unknown members are
ignored.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

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
        event: Event = _validate(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
    else:
        return event
    raise InvalidEvent(
        [{"field": ".".join(map(str, fault["loc"])), "message": fault["msg"]} for fault in faults]
    )
