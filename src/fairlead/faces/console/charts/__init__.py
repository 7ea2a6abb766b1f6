"""SVG charts, drawn on the server. Colours are classes: the style sheet gives them a light and a dark face."""

from fairlead.faces.console.charts.drift import drift_map
from fairlead.faces.console.charts.evidence import NARROW, WIDE, evidence_chart
from fairlead.faces.console.charts.histogram import histogram
from fairlead.faces.console.charts.performance import performance_chart
from fairlead.faces.console.charts.rungs import rungs_chart
from fairlead.faces.console.charts.spark import spark
from fairlead.faces.console.charts.timeline import timeline_strip
from fairlead.faces.console.charts.traffic import traffic_bar, traffic_history

__all__ = [
    "NARROW",
    "WIDE",
    "drift_map",
    "evidence_chart",
    "histogram",
    "performance_chart",
    "rungs_chart",
    "spark",
    "timeline_strip",
    "traffic_bar",
    "traffic_history",
]
