"""What a Prometheus query tells of models."""

import pytest
import trio
from msgspec import json

from archflow_plugins.contexts import Answered
from archflow_plugins.gauges.prometheus import Prometheus, PrometheusConfig
from archflow_plugins.gauges.source import Measured
from archflow_plugins.testing import compile_context, run_context
from archflow_schema.errors import ArchflowError

MODELS = (Measured("a", "openai", "gpt-4o"), Measured("b", "openai", "gpt-4o-mini"))
ANSWER = {
    "status": "success",
    "data": {
        "resultType": "vector",
        "result": [
            {"metric": {"model_name": "openai/gpt-4o"}, "value": [1763000000.1, "0.25"]},
            {"metric": {"model_name": "b"}, "value": [1763000000.1, "NaN"]},
            {"metric": {"model_name": "other"}, "value": [1763000000.1, "3"]},
            {"metric": {}, "value": [1763000000.1, "4"]},
        ],
    },
}


def gauge(body, url="http://prometheus:9090"):
    asked = []

    async def fetch(method, where, headers, content, timeout):
        await trio.lowlevel.checkpoint()
        asked.append(where)
        return Answered(200, "application/json", (), body)

    config = PrometheusConfig(models=MODELS, url=url, query='avg by(model_name)(x{a="b"})')
    return Prometheus(Prometheus.compile(config, compile_context()), run_context(fetch=fetch)), asked


@pytest.mark.parametrize(
    "url", ["http://prometheus:9090", "http://prometheus:9090/", "http://prometheus:9090/api/v1/query"]
)
def test_one_value_per_model(url):
    found, asked = gauge(json.encode(ANSWER), url)
    assert found.stale
    assert found.readings() == {}
    trio.run(found.renew)
    assert found.readings() == {"a": 0.25}
    assert not found.stale
    query = "avg%20by%28model_name%29%28x%7Ba%3D%22b%22%7D%29"
    assert asked == [f"http://prometheus:9090/api/v1/query?query={query}"]


@pytest.mark.parametrize(
    "body",
    [b"", b'{"status":"error"}', b'{"data":{"result":[{"value":[1,"x"],"metric":{"model_name":"a"}}]}}'],
)
def test_what_is_no_vector_changes_nothing(body):
    found, _ = gauge(body)
    with pytest.raises(ArchflowError, match="cannot be read"):
        trio.run(found.renew)
    assert found.readings() == {}
