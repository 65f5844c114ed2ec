"use strict";
// What is polled waits while nobody looks at the page, and is asked for at once when somebody does again.
document.addEventListener("htmx:beforeRequest", function (event) {
  if (document.hidden && event.detail.elt.hasAttribute("data-poll")) event.preventDefault();
});
document.addEventListener("visibilitychange", function () {
  if (document.hidden) return;
  for (const polled of document.querySelectorAll("[data-poll]")) htmx.trigger(polled, "seen");
});
