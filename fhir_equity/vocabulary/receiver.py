"""What a FHIR receiver's lists hold, where its guide says that they hold less than ours."""

from __future__ import annotations

import msgspec

from fhir_equity.errors import TableError
from fhir_equity.model import Coding, Expressed, Loss, Relationship
from fhir_equity.vocabulary.codes import CDCREC, LANGUAGE, Codes

GUIDE = "guides/fhir.toml"


class Receiver:
    """Fits an answer to the section ``[write]`` of guides/fhir.toml; whatever is lost stays in the text.

    `cdcrec_edition` is the edition of CDCREC beyond which the receiver knows no code (``1.0``; empty
    where it knows all of ours), `regions` whether its languages may have one. They may have none either
    where the version of US Core lists none. Raises TableError for another edition.
    """

    def __init__(self, codes: Codes, *, regions: bool = True) -> None:
        self._codes = codes
        write = codes.tables.document(GUIDE).get("write", {})
        self._edition = write.get("cdcrec_edition", "")
        self._regions = regions and write.get("regions", True)
        editions = {row["edition"] for row in codes.cdcrec.values()} | {""}
        if self._edition not in editions:
            raise TableError(f"{GUIDE}: cdcrec_edition is none of {', '.join(sorted(editions - {''}))}")

    def __call__(self, expressed: Expressed, losses: list[Loss]) -> Expressed:
        """The answer as the receiver can take it, each loss added to `losses`."""
        details = [self._known(coding, expressed.topic, losses) for coding in expressed.details]
        return msgspec.structs.replace(expressed, details=tuple(dict.fromkeys(c for c in details if c is not None)))

    def _known(self, coding: Coding, topic: str, losses: list[Loss]) -> Coding | None:
        if coding.system == CDCREC and self._edition not in ("", self._codes.cdcrec[coding.code]["edition"]):
            losses.append(Loss("us-core.code_too_new", Relationship.UNMATCHED, topic))
            return None
        if coding.system == LANGUAGE and not self._regions and "-" in coding.code:
            losses.append(Loss("us-core.language_without_region", Relationship.WIDER, topic))
            return Coding(LANGUAGE, coding.code.partition("-")[0], coding.display)
        return coding
