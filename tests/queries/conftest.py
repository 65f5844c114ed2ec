from tests.web import app, session

__all__ = ["app", "session"]
