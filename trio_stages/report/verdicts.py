"""A claim and what became of it. Computed by whoever measured, never written in advance."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from .inline import as_html, as_markdown

# What stands in front of the figures, and the class that gives it its colour.
WORDS = {True: "holds", False: "does not hold here", None: "not observed"}
COUNTED = {True: "hold", False: "do not hold here", None: "not observed"}
CLASSES = {True: "holds", False: "fails", None: "unseen"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One claim.

    Attributes:
        claim: what is claimed, a sentence; may carry inline markup.
        holds: whether it does; None when it could not be observed here.
        measured: the figures behind it; may carry inline markup.
    """

    claim: str
    holds: bool | None
    measured: str

    @property
    def word(self) -> str:
        """The verdict without its figures."""
        return WORDS[self.holds]

    def text(self) -> str:
        """``holds: …``, ``does not hold here: …`` or ``not observed: …``, with the figures."""
        return f"{self.word}: {self.measured}"

    def markdown(self) -> str:
        """A paragraph."""
        return f"**{self.word}**: {as_markdown(self.claim)}  \n{as_markdown(self.measured)}"

    def html(self) -> str:
        """A badge, told apart by its word and by its colour, and the claim beside it."""
        return (
            f'<div class="verdict {CLASSES[self.holds]}">'
            f'<span class="badge">{escape(self.word)}</span>'
            f'<div><p class="claim">{as_html(self.claim)}</p>'
            f'<p class="measured">{as_html(self.measured)}</p></div></div>'
        )
