"""What the flows need of the world: one small protocol per neighbour. `fairlead.testing` ships a fake of each."""

from fairlead.ports.bundles import BundleStore
from fairlead.ports.clock import Clock
from fairlead.ports.engine import Engine, Part, Source
from fairlead.ports.facts import FactLog, FactReader
from fairlead.ports.features import FeatureSource
from fairlead.ports.journal import Journal
from fairlead.ports.lease import Lease
from fairlead.ports.log import LogReader, PredictionLog
from fairlead.ports.notifier import Acknowledger, ChangeTaker, Notice, Notifier, Reminded, Resolver
from fairlead.ports.predictor import Predictor
from fairlead.ports.quarantine import Quarantine
from fairlead.ports.registry import Registry, VersionInfo
from fairlead.ports.routes import GoldenState, RouteBoard, WorkerState
from fairlead.ports.slots import SlotStore
from fairlead.ports.stream import StreamSink, StreamSource
from fairlead.ports.trainer import RemoteTrainer, Trainer

__all__ = [
    "Acknowledger",
    "BundleStore",
    "ChangeTaker",
    "Clock",
    "Engine",
    "FactLog",
    "FactReader",
    "FeatureSource",
    "GoldenState",
    "Journal",
    "Lease",
    "LogReader",
    "Notice",
    "Notifier",
    "Part",
    "PredictionLog",
    "Predictor",
    "Quarantine",
    "Registry",
    "Reminded",
    "RemoteTrainer",
    "Resolver",
    "RouteBoard",
    "SlotStore",
    "Source",
    "StreamSink",
    "StreamSource",
    "Trainer",
    "VersionInfo",
    "WorkerState",
]
