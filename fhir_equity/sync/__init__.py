"""Synchronise answers with an HIE's FHIR endpoint; the only package that speaks HTTP to others."""
