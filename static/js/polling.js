"use strict";
// What is polled waits while nobody looks at the page, and is asked for at once when somebody does again. It is sent
// only if it has changed; what is polled quietly is left alone while something in it has the focus. If the server does
// not answer, the page says since when it is what it shows.
(function () {
  const tags = new Map();
  let answered = new Date();

  const polled = (element) => element instanceof Element && element.hasAttribute("data-poll");

  function note(isStale) {
    let said = document.getElementById("stale-note");
    if (!isStale) return said && said.remove();
    if (said) return;
    said = document.createElement("p");
    said.id = "stale-note";
    said.setAttribute("role", "status");
    said.textContent = "The server does not answer. What is shown is as of " + answered.toISOString().slice(11, 16) + " UTC.";
    document.body.append(said);
  }

  document.addEventListener("htmx:beforeRequest", function (event) {
    const element = event.detail.elt;
    if (!polled(element)) return;
    const isHeld = element.dataset.poll === "quiet" && element.contains(document.activeElement);
    if (document.hidden || isHeld) event.preventDefault();
  });
  document.addEventListener("htmx:configRequest", function (event) {
    const tag = polled(event.detail.elt) && tags.get(event.detail.path);
    if (tag) event.detail.headers["If-None-Match"] = tag;
  });
  document.addEventListener("htmx:beforeSwap", function (event) {
    const asked = event.detail.requestConfig;
    if (!polled(asked.elt) || event.detail.xhr.status < 400) return;
    // What was shown is still the best there is.
    event.detail.shouldSwap = false;
    note(true);
  });
  document.addEventListener("htmx:afterRequest", function (event) {
    const asked = event.detail.requestConfig;
    if (!asked || !polled(asked.elt) || !event.detail.xhr) return;
    const status = event.detail.xhr.status;
    if (status === 0 || status >= 400) return;
    answered = new Date();
    note(false);
    const tag = status === 200 && event.detail.xhr.getResponseHeader("ETag");
    if (tag) tags.set(asked.path, tag);
  });
  document.addEventListener("htmx:sendError", function (event) {
    if (polled(event.detail.elt)) note(true);
  });
  document.addEventListener("visibilitychange", function () {
    if (document.hidden) return;
    for (const each of document.querySelectorAll("[data-poll]")) htmx.trigger(each, "seen");
  });
})();
