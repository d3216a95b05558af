"""The root file lists the product: what it promises is there, and nothing else."""

from __future__ import annotations

import pytest

import fhir_equity


def test_the_list_is_sorted_nouns_before_verbs_and_everything_is_there() -> None:
    nouns = [name for name in fhir_equity.__all__ if name[0].isupper()]
    verbs = [name for name in fhir_equity.__all__ if name[0].islower()]
    assert [*nouns, *verbs] == fhir_equity.__all__
    assert nouns == sorted(nouns, key=str.casefold)
    assert verbs == sorted(verbs)
    assert all(getattr(fhir_equity, name) is not None for name in fhir_equity.__all__)
    assert dir(fhir_equity) == sorted(fhir_equity.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = fhir_equity.nonsense
