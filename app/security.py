"""What every answer says to the browser: run only our own files, embed us nowhere, tell nobody where you came from."""

from __future__ import annotations

from flask import Flask, Response, request

STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Swagger UI and ReDoc write their own styles into the page; ReDoc searches in a worker made from a blob.
DOCUMENTATION = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def init_app(app: Flask) -> None:
    app.after_request(protect)


def protect(response: Response) -> Response:
    policy = DOCUMENTATION if request.path in ("/docs", "/redoc") else STRICT
    response.headers.setdefault("Content-Security-Policy", policy)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.path.startswith("/static/vendor/") or (request.endpoint == "static" and "v" in request.args):
        # Their folders carry versions, our addresses what is in the file: what is there never changes.
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    elif request.endpoint != "static":
        # What is shown is true now; the browser asks again, also on the way back. A page is for one reader: its forms
        # carry that browser's own token, and clients on the server's machine are told more.
        kept = "private, no-cache" if response.mimetype == "text/html" else "no-cache"
        response.headers.setdefault("Cache-Control", kept)
    return response
