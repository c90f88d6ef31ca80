"""What the model in the package makes, kept to the token. `make golden` renews it when the model is replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from golden_records import Record, check, check_names, of_clip

from openbark.api import Bark
from openbark.assets import has_embedded
from openbark.backends.native.library import KERNELS_VARIABLE, library_path

pytestmark = [
    pytest.mark.skipif(not has_embedded(), reason="no embedded model in this checkout"),
    pytest.mark.skipif(not library_path().exists(), reason="the CPU engine was not built"),
]

FILE = "embedded_model.json"
SENTENCE = "Good morning. The kettle is on."
CASES: dict[str, Callable[[Bark], Record]] = {
    "one sentence": lambda bark: of_clip(bark.generate("Hello there.", "en_0", 1), False),
    "another voice, digits": lambda bark: of_clip(
        bark.generate("It is 7 o'clock.", "en_1", 2), False
    ),
    "no voice": lambda bark: of_clip(bark.generate("Hello there.", None, 3), False),
    "two pieces": lambda bark: of_clip(
        bark.generate_script(f"{SENTENCE} [pause:200ms] Thank you.", "en_2", None, 4), False
    ),
}


@pytest.fixture(scope="module")
def bark() -> Iterator[Bark]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KERNELS_VARIABLE, "generic")
        yield Bark.load(threads=1)


@pytest.mark.parametrize("name", CASES)
def test_speaks_as_it_spoke(bark: Bark, name: str) -> None:
    check(FILE, name, {"model": bark.origin.fingerprint, **CASES[name](bark)})


def test_every_record_has_a_case() -> None:
    check_names(FILE, list(CASES))
