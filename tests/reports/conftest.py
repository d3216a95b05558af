"""Audit documents of invented people, as the pipeline hands them to the reports."""

from __future__ import annotations

import copy
from typing import Any

import pytest

DOCUMENT: dict[str, Any] = {
    "schema": "fhir-equity/audit/1",
    "audience": "internal",
    "generated": "2026-11-21T22:05:09+00:00",
    "software": "fhir-equity 0.1.0",
    "languages": {"es": "Spanish", "en": "English", "zh": "Chinese", "hmn": "Hmong"},
    "editions": {"codes/cdcrec.csv": "1.3", "codes/omb2024.csv": "2024-03-29"},
    "run": {
        "inputs": [
            {
                "name": "north.834",
                "sha256": "0123456789abcdef" * 4,
                "bytes": 99,
                "format": "edi834",
                "members": 9000,
                "rejected": 3,
            },
            {
                "name": "survey.csv",
                "sha256": "fedcba9876543210" * 4,
                "format": "survey",
                "members": 3345,
                "rejected": 4,
            },
        ]
    },
    "population": 12345,
    "topics": {
        "language_spoken": {
            "states": {"answered": 7000, "dont_know": 45, "blank": 300, "unknown": 5000},
            "values": {"es": 2000, "en": 4600, "zh": 399, "hmn": 1},
        },
        "language_written": {"states": {"answered": 30, "unknown": 12315}, "values": {"en": 30}},
        "race_ethnicity": {
            "states": {
                "answered": 9876,
                "declined": 617,
                "unable": 2,
                "not_asked": 100,
                "unknown": 1700,
                "invalid": 50,
            },
            "methods": {"self": 400, "unstated": 10093},
            "detailed": 1234,
            "sources": [
                {"source": "plan/unstated", "states": {"answered": 6000, "unknown": 3000}, "population": 9000},
                {"source": "plan/self", "states": {"answered": 3000, "declined": 345}, "population": 3345},
            ],
        },
        "sexual_orientation": {"states": {"answered": 40, "declined": 12, "not_asked": 12293}},
        "sex": {"states": {"answered": 12345}},
    },
    "views": {
        "omb2024": {
            "answered": 9876,
            "categories": {
                "Asian": {"any": 1000, "alone": 900},
                "Hispanic or Latino": {"any": 3210, "alone": 2200},
                "White": {"any": 5800, "alone": 5100},
                "Middle Eastern or North African": {"any": 4, "alone": 1},
            },
            "multiracial_or_multiethnic": 1650,
            "without_category": 25,
        },
        "omb1997": {
            "race": {"Asian": 1000, "White": 5803},
            "ethnicity": {"Hispanic or Latino": 3210},
            "bridged": 4321,
            "cannot_be_bridged": 17,
        },
    },
    "strata": [
        {
            "by": {"partner": "north"},
            "population": 9000,
            "topics": {
                "race_ethnicity": {"states": {"answered": 6876, "declined": 272, "unknown": 1852}},
                "language_spoken": {"states": {"answered": 4500, "unknown": 4500}},
            },
            "views": {},
        },
        {"by": {"partner": "survey", "county": "Inventia"}, "population": 0, "topics": {}, "views": {}},
    ],
    "programs": {
        "ncqa-rdm-style": {
            "rows": [
                {
                    "topic": "race",
                    "numerator": 9000,
                    "denominator": 12000,
                    "rate": 0.75,
                    "threshold": 0.8,
                    "met": False,
                },
                {"topic": "ethnicity", "numerator": 11000, "denominator": 12000, "threshold": 0.8, "met": True},
                {"topic": "sex", "numerator": 0, "denominator": 0, "rate": None, "threshold": None, "met": None},
            ]
        }
    },
    "findings": [
        {"code": "fhir.race.no_text", "severity": "warning", "count": 2000},
        {"code": "x12.dmg05.not_in_code_list", "severity": "error", "count": 50, "message": "Not a code of list 1109"},
        {"code": "x12.lui.blank", "severity": "info", "count": 1},
        {"code": "survey.row.too_long", "severity": "error", "count": 70},
    ],
    "losses": [
        {"rule": "x12_1109_to_cdcrec:7", "relationship": "inexact", "count": 3},
        {"rule": "omb2024-to-omb1997:mena", "relationship": "wider", "count": 4},
    ],
}


@pytest.fixture
def document() -> dict[str, Any]:
    """An audit with something in every part; a fresh copy that a test may change."""
    return copy.deepcopy(DOCUMENT)


@pytest.fixture
def bare() -> dict[str, Any]:
    """An audit of nobody, with everything missing that may be missing."""
    return {"schema": "fhir-equity/audit/1", "audience": "internal", "population": 0}
