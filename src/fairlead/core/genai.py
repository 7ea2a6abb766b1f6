"""Which attributes of a span hold what a language model was asked, and which what it answered.

Names are those of OpenTelemetry's conventions for generative AI, of OpenLLMetry and of OpenInference. A name that an
application made up itself is not known here.
"""

from __future__ import annotations

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
