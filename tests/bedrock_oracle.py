"""Amazon's own client as an oracle: its service model checks requests, its parsers read replies.

Rule: nothing here knows archflow; what it says is what boto3 would say.
"""

from botocore.eventstream import EventStream
from botocore.parsers import create_parser
from botocore.session import Session
from botocore.validate import ParamValidator

SERVICE = Session().get_service_model("bedrock-runtime")


def check_request(body: dict, *, stream: bool = False) -> None:
    """Raise AssertionError with botocore's report if this is no request of Converse."""
    operation = SERVICE.operation_model("ConverseStream" if stream else "Converse")
    report = ParamValidator().validate({"modelId": "m", **body}, operation.input_shape)
    assert not report.has_errors(), report.generate_report()


def read_reply(body: bytes, status: int = 200) -> dict:
    """A whole reply, or an error, as boto3 hands it out."""
    shape = SERVICE.operation_model("Converse").output_shape
    return create_parser("rest-json").parse({"status_code": status, "headers": {}, "body": body}, shape)


class _Raw:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self):
        yield self._data


def read_stream(data: bytes) -> list[dict]:
    """The events of a stream, as boto3 hands them out. Raises botocore's EventStreamError for an exception."""
    shape = SERVICE.operation_model("ConverseStream").output_shape.members["stream"]
    parser = create_parser("rest-json")._event_stream_parser
    return list(EventStream(_Raw(data), shape, parser, "ConverseStream"))
