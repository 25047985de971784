"""Pages where the sandbox has none: a client's whole replies are cut, and its requests carry on from where one was cut."""

from __future__ import annotations

from typing import Any

from rolecall_runner.query.operations import Operation

_START = "rolecall_start"


class SmallPages:
    """Cuts the replies of one operation to `size` items; on the wire they stay whole."""

    def __init__(self, operation: Operation, size: int) -> None:
        assert operation.paging is not None
        self._asked: str = operation.paging["input_token"]
        self._given: str = operation.paging["output_token"]
        self._more: str | None = operation.paging.get("more_results")
        self._items = operation.result_keys[0]
        self._name = operation.name
        self._size = size

    def register(self, client: Any) -> None:
        """Come between the client and its service."""
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-parameter-build.{service}.{self._name}", self._begin)
        client.meta.events.register(f"after-call.{service}.{self._name}", self._cut)

    def _begin(self, params: dict[str, Any], context: dict[str, Any], **_event: object) -> None:
        context[_START] = int(params.pop(self._asked, "0"))

    def _cut(self, parsed: dict[str, Any], context: dict[str, Any], **_event: object) -> None:
        if self._items in parsed:
            items, end = parsed[self._items], context[_START] + self._size
            parsed[self._items] = items[context[_START] : end]
            if self._more is not None:
                parsed[self._more] = end < len(items)
            if end < len(items):
                parsed[self._given] = str(end)
