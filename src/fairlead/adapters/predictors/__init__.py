"""Models as they are loaded: portable ones by ONNX Runtime, scikit-learn's own from a safe or a trusted file."""
