"""Claims of medical-AI studies, evaluated again inside their own run."""

__version__ = "0.1.0"
