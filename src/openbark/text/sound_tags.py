"""Words in square brackets that Bark's users write for sounds; they go to the model as they are."""

from __future__ import annotations

BARK_TAGS = frozenset(
    (
        "laughs,laughter,laughing,laugh,sighs,sigh,gasps,gasp,music,clears throat,coughs,cough,cries,crying,whispers,"
        "man,woman,hesitates,hesitation,sings,singing,applause,snorts,sniffs,yawns,hums,groans,chuckles,giggles,"
        "screams,breathes,breathing,sad music,upbeat music,silence"
    ).split(",")
)
"""The known tags, in lower case."""


def is_sound_tag(words: str) -> bool:
    """Whether [`words`] is one of them, in any case and spacing."""
    return " ".join(words.split()).lower() in BARK_TAGS
