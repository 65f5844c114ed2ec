from tests.web import app, reused, session

__all__ = ["app", "reused", "session"]
