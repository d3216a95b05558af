"""Audit and convert on Spark: files and tables in ranges over its executors, each read by what also reads here."""
