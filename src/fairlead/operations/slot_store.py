"""The slots of a home: where they are, and how the settings have them made."""

from __future__ import annotations

from fairlead.adapters.slot_folder import SLOTS, SlotFolder
from fairlead.config.settings import Settings
from fairlead.flows.watching.slots import SlotKeeping, SlotPlan
from fairlead.operations.context import Context
from fairlead.ports.slots import SlotStore


def open_slots(context: Context) -> SlotStore:
    """The home's store. Nothing is made before something is kept."""
    keep = float(context.settings.monitoring.slots.keep)
    return SlotFolder(context.home / SLOTS, keep) if keep else SlotFolder(context.home / SLOTS)


def keeps_slots(context: Context) -> bool:
    """Whether anything was ever kept."""
    return (context.home / SLOTS).is_dir()


def slot_plan(settings: Settings, model: str) -> SlotPlan:
    """How a model's answers are counted."""
    slots, known = settings.monitoring.slots, settings.models.get(model)
    if not slots.segments:
        return SlotPlan(float(slots.every), cells=0)
    return SlotPlan(float(slots.every), known.segments if known is not None else (), slots.cells)


def slot_keeping(context: Context, model: str) -> SlotKeeping | None:
    """What keeps a model's slots; None where the settings keep none."""
    if not context.settings.monitoring.slots.keep:
        return None
    return SlotKeeping(open_slots(context), slot_plan(context.settings, model), context.clock.now())
