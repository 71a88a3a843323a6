"""The bodies of requests and answers over HTTP; the OpenAPI document is made from them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

LONGEST_ID = 512  # characters of an item id or of a session id
MOST_ITEMS = 1000  # that may be asked for, whatever a server's own limit

ItemId = StrictInt | Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_ID)]
_EXAMPLES = {"examples": [["A", "B"]]}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Wishes(_Body):
    """A choice of items to recommend, and their number."""

    k: int = Field(20, strict=True, ge=1, le=MOST_ITEMS, description="number of items to recommend")
    exclude_seen: bool = Field(False, strict=True, description="leave out items that the session has clicked")
    exclude: list[ItemId] = Field(default_factory=list, description="items that may not be recommended")
    candidates: list[ItemId] | None = Field(None, description="recommend these items only")


class EventBody(Wishes):
    """A click of a session."""

    item: ItemId = Field(description="the item that was clicked")


class HistoryBody(Wishes):
    """A history of clicks."""

    items: list[ItemId] = Field(min_length=1, description="clicked items, in the order of the clicks")


class AnswerBody(_Body):
    """Recommendations."""

    items: list[ItemId] = Field(description="best first")
    scores: list[float] = Field(description="the score of each item")
    unknown: list[ItemId] = Field(description="items of the request that the model does not know; they are passed over")
    clicks: int = Field(description="clicks of the session or history, this one included")
    model: str = Field(description="version of the model: a hash of its files")
    request_id: str


class SessionBody(_Body):
    """A session, as it is kept."""

    session: str
    items: list[ItemId] = Field(description="clicked items, in the order of the clicks")
    warm: bool = Field(description="whether the model's state is kept; if not, the clicks are replayed at the next one")
    idle_seconds: float = Field(description="time since the last click")
    request_id: str


class ModelBody(_Body):
    """The model that answers."""

    kind: str
    model: str = Field(description="version: a hash of its files")
    items: int = Field(description="items that it knows")
    description: str
    warm_states: bool = Field(description="whether a state is kept of each session; if not, its clicks are read anew")
    request_id: str


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="a URI that names the kind of problem")
    title: str
    status: int
    detail: str
    errors: list[str] = Field(default=[], description="what is wrong with the body, each with its place")
    request_id: str
