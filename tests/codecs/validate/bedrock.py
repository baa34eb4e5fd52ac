"""Holds the written requests of a directory against botocore's model of Converse, which knows every field:
`pip install botocore; python bedrock.py DIRECTORY`."""

import json
import pathlib
import sys

import botocore.session
from botocore.validate import ParamValidator

model = botocore.session.get_session().get_service_model("bedrock-runtime")
shape = model.operation_model("Converse").input_shape
failed = 0
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    written = json.loads(file.read_text())
    body = {"modelId": written["model"], **written["written"]}
    report = ParamValidator().validate(body, shape)
    if report.has_errors():
        failed += 1
        print(f"{file.name}: {report.generate_report()}")
print("all fit" if not failed else f"{failed} do not fit")
sys.exit(bool(failed))
