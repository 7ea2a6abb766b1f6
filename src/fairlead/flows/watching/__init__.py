"""The parts of the watch: what a version is compared to, one window's answers, and how a window is judged."""
