"""Trustworthy race, ethnicity, language and SOGI data between plans, agencies and HIEs."""
