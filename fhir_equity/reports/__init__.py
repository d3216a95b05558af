"""Reports: an audit document as one HTML page or as neutral tables for a terminal."""
