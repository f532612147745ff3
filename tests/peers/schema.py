"""Judges configurations by the schema that mcpcol prints, with a validator that knows all of JSON Schema.

The schema is the file named first; each line on stdin is a configuration as JSON. Prints `ok` or the first problem, a
line each.
"""

import json
import sys

from jsonschema import Draft202012Validator

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
for line in sys.stdin:
    problem = next(iter(validator.iter_errors(json.loads(line))), None)
    print("ok" if problem is None else problem.json_path)
