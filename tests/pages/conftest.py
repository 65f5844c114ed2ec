from tests.web import app, served, session

__all__ = ["app", "served", "session"]
