from tests.web import app, reused, served, session

__all__ = ["app", "reused", "served", "session"]
