"""python -m fhir_equity"""

from fhir_equity.cli import main

main()
