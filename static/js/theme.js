"use strict";
// Loaded in the head and not deferred, so that the page is never painted in the wrong colours first.
(function () {
  const root = document.documentElement;
  const order = ["system", "light", "dark"];
  const names = { system: "as the system has it", light: "light", dark: "dark" };
  root.classList.add("js");

  function remembered() {
    try {
      const theme = localStorage.getItem("theme");
      return order.includes(theme) ? theme : "system";
    } catch {
      return "system"; // storage may be forbidden
    }
  }

  function wear(theme) {
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    const button = document.querySelector("button.theme");
    if (button) button.setAttribute("aria-label", "Theme: " + names[theme]);
    if (button) button.title = "Theme: " + names[theme];
  }

  let theme = remembered();
  wear(theme);

  document.addEventListener("DOMContentLoaded", function () {
    const button = document.querySelector("button.theme");
    button.hidden = false;
    wear(theme);
    button.addEventListener("click", function () {
      const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
      // The first press always changes what is seen.
      const cycle = isDark ? ["system", "light", "dark"] : ["system", "dark", "light"];
      theme = cycle[(cycle.indexOf(theme) + 1) % 3];
      try {
        if (theme === "system") localStorage.removeItem("theme");
        else localStorage.setItem("theme", theme);
      } catch {
        // the choice then lasts as long as the page
      }
      wear(theme);
    });
  });
})();
