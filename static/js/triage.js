"use strict";
// Findings by keyboard: j and k go from one to the next, x chooses, a, s, e and r acknowledge, snooze for a week, expect
// and resolve what is chosen, or the one that has the focus. On the page of one finding they act on that.
(function () {
  const verbs = { a: "acknowledge", s: "snooze-7", e: "expect", r: "resolve" };
  let place = -1;

  const findings = () => [...document.querySelectorAll("#findings .finding")];
  const here = () => findings().indexOf(document.activeElement?.closest("#findings .finding"));

  function go(to) {
    const link = findings()[to]?.querySelector(".said-of a");
    if (!link) return;
    link.focus();
    link.closest(".finding").scrollIntoView({ block: "nearest" });
  }

  function act(verb) {
    const at = here();
    const list = document.querySelector(".bulk");
    if (list && at >= 0 && !document.querySelector(".choose:checked")) findings()[at].querySelector(".choose").checked = true;
    const button = list
      ? document.querySelector(".choose:checked") && list.querySelector(`[value="${verb}"]`)
      : document.querySelector(`.steer [value="${verb}"]`);
    if (!button) return false;
    place = Math.max(at, 0);
    button.click();
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isBox = event.target.matches("input[type=checkbox]");
    if (!isBox && event.target.closest("input, textarea, select, [contenteditable]")) return;
    if (event.key === "j" || event.key === "k") go(here() < 0 ? 0 : here() + (event.key === "j" ? 1 : -1));
    else if (event.key === "x" && here() >= 0) findings()[here()].querySelector(".choose")?.click();
    else if (!(event.key in verbs) || !act(verbs[event.key])) return;
    event.preventDefault();
  });
  // What was dealt with is gone from the list: the next one is in its place.
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "findings" && place >= 0) go(Math.min(place, findings().length - 1));
    place = -1;
  });
})();
