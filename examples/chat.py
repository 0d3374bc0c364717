"""A chat at the command line, through OpenAI's own client (`pip install openai`).

    python examples/chat.py "what is exchange rate for gbp" "and for eur?"

Each argument is what the user says next; the history goes along, as in any chat.
"""

from __future__ import annotations

import argparse
from typing import Any

from openai import APIStatusError, OpenAI


def main() -> None:
    """Say everything, and print what is answered."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("said", nargs="+", help="what the user says, turn by turn")
    parser.add_argument("--url", default="http://127.0.0.1:10000/v1")
    parser.add_argument("--model", default="none")
    parser.add_argument("--stream", action="store_true", help="show the pieces as they come, each in a line")
    options = parser.parse_args()
    client = OpenAI(base_url=options.url, api_key="-", max_retries=0)
    history: list[Any] = []
    for text in options.said:
        print("you:", text)
        history.append({"role": "user", "content": text})
        try:
            reply = (
                streamed(client, options.model, history)
                if options.stream
                else whole(client, options.model, history)
            )
        except APIStatusError as error:
            print(error.status_code, error.response.text)
            return
        history.append({"role": "assistant", "content": reply})


def whole(client: OpenAI, model: str, history: list[Any]) -> str:
    """Print a whole answer."""
    reply = client.chat.completions.create(model=model, messages=history).choices[0].message.content or ""
    print("bot:", reply)
    return reply


def streamed(client: OpenAI, model: str, history: list[Any]) -> str:
    """Print the pieces of an answer with their roles; what is said of calls before it is no part of it."""
    said, role = "", ""
    for chunk in client.chat.completions.create(model=model, messages=history, stream=True):
        for choice in chunk.choices:
            if choice.delta.role and choice.delta.role != role:
                said, role = "", choice.delta.role
            if choice.delta.content:
                print(f"{role} ({chunk.model}):", choice.delta.content.strip())
                said += choice.delta.content
    return said


if __name__ == "__main__":
    main()
