"""Which attributes of a span hold what a language model was asked, and which what it answered.

Names are those of OpenTelemetry's conventions for generative AI, of OpenLLMetry and of OpenInference. A name that an
application made up itself is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PROMPT, RESPONSE, HEADER = "prompt", "response", "header"

_PROMPTS = (
    *("gen_ai.prompt", "gen_ai.input.messages", "gen_ai.system_instructions", "gen_ai.tool.call.arguments"),
    *("gen_ai.retrieval.documents", "gen_ai.retrieval.query.text", "llm.prompts", "llm.input_messages"),
    *("llm.prompt_template", "input.value", "traceloop.entity.input", "retrieval.documents", "document.content"),
    *("embedding.embeddings", "embedding.text", "message.content", "reranker.query", "reranker.input_documents"),
    *("exception.message", "exception.stacktrace", "tool.parameters", "db.query.text", "db.statement"),
)
_RESPONSES = (
    *("gen_ai.completion", "gen_ai.output.messages", "gen_ai.tool.call.result", "llm.completions"),
    *("llm.output_messages", "output.value", "traceloop.entity.output", "reranker.output_documents"),
)
_HEADERS = ("http.request.header", "http.response.header", "rpc.grpc.request.metadata", "rpc.grpc.response.metadata")
_HELD = ((PROMPT, _PROMPTS), (RESPONSE, _RESPONSES), (HEADER, _HEADERS))


_TOKENS = (
    ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
)


def tokens_of(attributes: Mapping[str, Any]) -> float:
    """The tokens that a call of a language model used, in and out; 0 for a span that is none.

    >>> tokens_of({"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20})
    120.0
    """
    total = 0.0
    for names in _TOKENS:
        found = next((attributes[name] for name in names if name in attributes), 0)
        total += float(found) if isinstance(found, int | float) and 0 <= found < 1e12 else 0.0
    return total


def held_by(name: str) -> str:
    """What an attribute holds: prompt, response, header, or nothing of the kind (empty).

    >>> held_by("gen_ai.prompt.0.content"), held_by("output.value"), held_by("http.request.header.authorization")
    ('prompt', 'response', 'header')
    >>> held_by("gen_ai.usage.input_tokens"), held_by("gen_ai.prompt_tokens")
    ('', '')
    """
    for what, names in _HELD:
        if any(name == known or name.startswith(known + ".") for known in names):
            return what
    return ""
