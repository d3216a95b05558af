"""People whom recipients were told of and whom no file has brought into the store."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

from fhir_equity.store.schema.given import GIVEN


class Stranger(SQLModel, table=True):
    """Somebody under a key (`under` is its pseudonym), told apart by keyed hashes of birth date and name, or empty.

    `twin` is the number that they get when a file brings them, `pseudonym` their name in the account of disclosures.
    """

    __tablename__ = "stranger"
    under: str = Field(primary_key=True)
    twin: int = Field(primary_key=True, sa_column_kwargs=GIVEN)
    pseudonym: str = Field(index=True)
    born: str
    name: str
