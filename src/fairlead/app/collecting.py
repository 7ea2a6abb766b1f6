"""Python's search for cycles of garbage, kept away from what a controller holds for good.

The search looks at every object that is held, again and again as new ones come. A thousand models hold some millions:
profiles, grids and journalled facts, none of them garbage. So they are searched once and then passed over; what is
dropped later is freed as always, by its count of references.
"""

from __future__ import annotations

import gc

FEWEST = 25  # models more than when it was done last, or a quarter more


class Collecting:
    """Of one process."""

    def __init__(self) -> None:
        self._held = 0

    def settle(self, held: int) -> bool:
        """Call it now and then with the number of models; whether it was time to pass over what they hold."""
        if held < self._held + max(FEWEST, self._held // 4):
            return False
        self._held = held
        gc.set_threshold(20_000, 20, 20)
        gc.collect()
        gc.freeze()
        return True
