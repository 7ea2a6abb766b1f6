"""A real gateway on loopback, over a log in memory and models that are plain functions."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import numpy as np
import pytest
import uvloop
from numpy.typing import NDArray

from fairlead.adapters.system_clock import SystemClock
from fairlead.app.worker import http_server
from fairlead.core.admission import Limits
from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Policy, Task
from fairlead.core.decode import OutputReader, RowDecoder
from fairlead.core.route import Arm, ModelRoute
from fairlead.faces.gateway.app import Gateway
from fairlead.faces.gateway.direct import Direct
from fairlead.faces.gateway.intake import Intake
from fairlead.faces.gateway.observing import Observer
from fairlead.faces.gateway.otlp import Keeps
from fairlead.faces.gateway.wire import BODY_LIMIT, Receive, Scope, Send
from fairlead.flows.serve import Serving
from fairlead.flows.tally import Tally
from fairlead.flows.warm import Live, LiveModel, LiveVersion
from fairlead.testing.facts import MemoryFacts
from fairlead.testing.log import MemoryLog

HOTEL = Contract(
    (
        Feature("lead_time", Kind.NUMBER, minimum=0.0, maximum=700.0, out_of_range=Policy.WARN),
        Feature("nights", Kind.INTEGER, minimum=1.0, out_of_range=Policy.REJECT),
        Feature("segment", Kind.CATEGORY, categories=("Direct", "Groups"), unseen=Policy.IMPUTE, fill="Direct"),
        Feature("repeated", Kind.BOOLEAN, nullable=True),
    ),
    Task.BINARY,
    "is_canceled",
    ("0", "1"),
)
PRICE = Contract((Feature("nights", Kind.INTEGER),), Task.REGRESSION, "price")
ROW: dict[str, Any] = {"lead_time": 30.5, "nights": 2, "segment": "Groups", "repeated": None}
Row = tuple[Any, ...]


class Rule:
    """A model: the probability is lead_time / 1000; it fails above 900 and answers NaN above 800."""

    def predict(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """(n, 2) probabilities."""
        scores = [self._score(float(row[0])) for row in rows]
        return np.array([[1.0 - score, score] for score in scores], np.float64).reshape(len(rows), 2)

    def _score(self, lead_time: float) -> float:
        if lead_time > 900:
            raise RuntimeError("secret internals: weights at /srv/model")
        return float("nan") if lead_time > 800 else lead_time / 1000.0


class Price:
    """A regression."""

    def predict(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """(n, 1) values."""
        return np.array([[100.0 * row[0]] for row in rows], np.float64)


def live_version(number: int, contract: Contract, predictor: Any) -> LiveVersion:
    """A version in memory."""
    manifest = Manifest(
        name="m",
        contract=contract,
        model_format="skops",
        model_entry="model/model.skops",
        served="model/model.skops",
        files={},
        lineage=Lineage("d", "0" * 64, 1),
    )
    return LiveVersion(number, str(number), manifest, RowDecoder(contract), OutputReader(contract), predictor)


def live(generation: int = 3, share: float = 0.25, shadows: tuple[int, ...] = ()) -> Live:
    """Two models: a hotel with a canary, and a price."""
    route = ModelRoute((Arm("canary", 2, share), Arm("champion", 1, 1.0 - share)), {1: "1", 2: "2"}, shadows, "salt")
    hotel = LiveModel("hotel", route, {number: live_version(number, HOTEL, Rule()) for number in (1, 2, 3)})
    price_route = ModelRoute((Arm("champion", 1, 1.0),), {1: "1"})
    price = LiveModel("price", price_route, {1: live_version(1, PRICE, Price())})
    return Live(generation, {"hotel": hotel, "price": price})


class Running:
    """A gateway that listens."""

    facts: MemoryFacts

    def __init__(self, log: MemoryLog, serving: Serving, port: int) -> None:
        self.log = log
        self.serving = serving
        self.port = port
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60.0)

    def predict(self, body: Any, model: str = "hotel", **options: Any) -> httpx.Response:
        """A prediction; bytes go as they are."""
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        headers = {"content-type": "application/json"} | options.pop("headers", {})
        return self.http.post(f"/v1/models/{model}/predict", headers=headers, **content, **options)


class Door:
    """What answers is put into it by each test. `is_direct`: usual requests may be answered without an ASGI task."""

    def __init__(self) -> None:
        self.app: Any = None
        self.is_direct = True

    @property
    def direct(self) -> Direct | None:
        """As a gateway has it."""
        return getattr(self.app, "direct", None) if self.is_direct else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's answer."""
        await self.app(scope, receive, send)


class House:
    """The worker's own server on a socket, in a thread."""

    def __init__(self) -> None:
        self.door = Door()
        self.loop = uvloop.new_event_loop()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        self.server = http_server(self.door)
        self._thread = threading.Thread(target=lambda: self.loop.run_until_complete(self.server.serve([listener])))
        self._thread.start()

    def stop(self) -> None:
        """Closes it."""
        self.server.should_exit = True
        self._thread.join()
        self.loop.close()


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    """One server for all tests."""
    made = House()
    yield made
    made.stop()


@pytest.fixture
def both_ways(house: House, request: pytest.FixtureRequest) -> Iterator[None]:
    """For tests that hold whether the connection answers or the application does: parametrise it indirectly."""
    house.door.is_direct = request.param == "directly"
    yield
    house.door.is_direct = True


@pytest.fixture
def start_gateway(house: House) -> Iterator[Callable[..., Running]]:
    """Starts a gateway, and stops it."""
    stops: list[Callable[[], Any]] = []

    def start(
        *,
        sync: bool = False,
        body_limit: int = BODY_LIMIT,
        limits: dict[str, Limits] | None = None,
        observer: Observer | None = None,
        keeps: Keeps = Keeps(),  # noqa: B008 - a frozen value
    ) -> Running:
        log = MemoryLog()
        serving = Serving(log, SystemClock(), Tally(), limits)
        serving.live = live()
        counts = lambda: [serving.tally.snapshot(0, 1, 3, serving.weights())]  # noqa: E731 - one line, used once
        facts = MemoryFacts()
        intake = Intake(serving, facts, keeps, sync=sync, limit=body_limit)
        house.door.app = Gateway(serving, counts, sync=sync, body_limit=body_limit, observer=observer, intake=intake)
        running = Running(log, serving, house.port)
        running.facts = facts
        stops.append(running.http.close)
        return running

    yield start
    for stop in stops:
        stop()


@pytest.fixture
def gateway(start_gateway: Callable[..., Running]) -> Running:
    """A gateway with the usual options."""
    return start_gateway()
